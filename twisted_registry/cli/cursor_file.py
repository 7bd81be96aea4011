"""
A file with the cursor of the last event that a command has printed.
"""

import os
from contextlib import suppress
from pathlib import Path

from twisted_registry.cli.errors import os_errors_about

_MAX_BYTES = 200


class CursorFile:
    """
    A file with a cursor, which is replaced as a whole: a command that is killed leaves the old cursor or the new one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """
        Return the cursor; empty if the file does not exist, or is empty.

        Raises:
            OSError: it cannot be read.
        """
        with os_errors_about(str(self._path)), suppress(FileNotFoundError), open(self._path, "rb") as file:
            return file.read(_MAX_BYTES).decode("ascii", "replace").strip()
        return ""

    def write(self, cursor: str) -> None:
        """
        Replace the cursor.

        Raises:
            OSError: it cannot be written.
        """
        new_file = self._path.with_name(f".{self._path.name}.new")
        with os_errors_about(str(self._path)):
            try:
                new_file.write_text(f"{cursor}\n")
                new_file.replace(self._path)
            except OSError:
                with suppress(OSError):
                    os.unlink(new_file)
                raise
