"""
Destinations for the data of a version.
"""

import os
import re
import select
import stat
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import os_errors_about
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.references import harmless_reference
from twisted_registry.cli.text import harmless, size
from twisted_registry.domain.models import VersionInfo

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_DESCRIPTOR = re.compile(r"/dev/fd/([0-9]{1,9})|/proc/(?:self|thread-self)/fd/([0-9]{1,9})")
_STREAMS = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}


class Target:
    """
    A file, which is replaced once all data has arrived; or a stream, a pipe or a device, which is written to directly.

    Attributes:
        is_stdout: whether this is the command's stdout.
    """

    def __init__(self, file: str) -> None:
        """

        Args:
            file: its name; ``-`` for stdout.

        Raises:
            click.UsageError: the name is empty, or that of a directory.
        """
        self.file = file
        found = _DESCRIPTOR.fullmatch(file)
        # Opening one of these again would write at the beginning of its file.
        self._descriptor = int(found[1] or found[2]) if found else _STREAMS.get(file)
        self.is_stdout = self._descriptor == _STREAMS["-"]
        if not file or file.endswith("/") or os.path.isdir(file):
            raise click.UsageError(
                f"{file!r} is a directory: name a file in it" if file else "the name of FILE is empty"
            )
        self._path = Path(os.path.realpath(file))
        self._is_replaced = self._descriptor is None and _is_regular(file)
        self._before = self._identity()
        self._pulling: VersionInfo | None = None
        self._complete: VersionInfo | None = None

    def check(self) -> None:
        """
        Check that the destination can be written, as far as this can be known in advance.

        Raises:
            OSError: it cannot be written.
        """
        # Imported late: it imports gRPC, which usage errors do not need.
        from twisted_registry.client._transfer.files import check_replaceable

        with os_errors_about(self.file):
            if self._is_replaced:
                check_replaceable(self._path)
            elif self._descriptor is not None:
                os.fstat(self._descriptor)

    def retrieve(self, client: "BlockingClient", info: VersionInfo, bar: ByteProgress) -> None:
        """
        Retrieve a version into the destination.

        Raises:
            OSError: it cannot be written.
        """
        self._pulling = info
        with os_errors_about("stdout" if self.is_stdout else self.file):
            if self._is_replaced:
                client.retrieve_file(info.model_id, self._path, info, progress=bar.advance)
            else:
                self._write(client, info, bar)
        self._before, self._complete = self._identity(), info

    def outcome(self) -> str:
        """
        Return a sentence on what the destination contains, for an interruption.
        """
        name = harmless(self.file)
        if not self._is_replaced:
            return f"the data written to {'stdout' if self.is_stdout else name} may be incomplete"
        contents = self._complete if self._identity() == self._before else self._pulling
        if contents is not None:
            return f"{name} contains {harmless_reference(contents.model_id, contents.version_number)}"
        return (f"{name} was not created" if self._before is None else f"{name} is unchanged") + self._kept()

    def _kept(self) -> str:
        """
        Return a clause on the part of the data that is kept for the next retrieval; nothing if none is.
        """
        # Imported late: it imports gRPC.
        from twisted_registry.client._transfer.part_file import part_name

        if self._pulling is None or self._pulling is self._complete:
            return ""
        part = self._path.with_name(part_name(self._path.name, self._pulling.sha256))
        with suppress(OSError):
            kept = f"{size(part.stat().st_size)} of {size(self._pulling.size_bytes)}"
            return f"; {kept} are kept in {harmless(part.name)}, and the next pull goes on from there"
        return ""

    def _identity(self) -> tuple[int, int] | None:
        with suppress(OSError):
            status = self._path.stat()
            return status.st_dev, status.st_ino
        return None

    def _write(self, client: "BlockingClient", info: VersionInfo, bar: ByteProgress) -> None:
        descriptor = os.open(self.file, os.O_WRONLY) if self._descriptor is None else os.dup(self._descriptor)
        with open(descriptor, "wb", buffering=0) as stream:
            for piece in client.retrieve_chunks(info.model_id, info, progress=bar.advance):
                _write_all(stream, piece)


def _is_regular(file: str) -> bool:
    with os_errors_about(file):
        try:
            return stat.S_ISREG(os.stat(file).st_mode)
        except FileNotFoundError:
            return True  # it will be one


def _write_all(stream: RawIOBase, piece: memoryview) -> None:
    while piece:
        written = stream.write(piece)
        if written is None:  # a nonblocking stream that is full
            select.select([], [stream], [])
        piece = piece[written or 0 :]
