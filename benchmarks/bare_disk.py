"""
A program that writes the files of a version, syncs them, renames them, and syncs the folder: all that the disk must do,
and nothing else.
"""

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path

_YAML_BYTES = 250


class BareDisk:
    """
    A writer of versions to a directory, without a registry.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._numbers = count(1)

    def create(self, pieces: Sequence[bytes]) -> None:
        """
        Write a version.
        """
        name = self._folder / f"model-v{next(self._numbers):06}"
        self._put(f"{name}.data", pieces)
        self._put(f"{name}.yaml", [bytes(_YAML_BYTES)])
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)

    def _put(self, path: str, pieces: Sequence[bytes]) -> None:
        temp_file = f"{path}.temp_file"
        descriptor = os.open(temp_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        for piece in pieces:
            os.write(descriptor, piece)
        os.fsync(descriptor)
        os.close(descriptor)
        os.rename(temp_file, path)
