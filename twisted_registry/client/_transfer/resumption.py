"""
Downloads into a file that may have a part of the data already.
"""

import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import BinaryIO

from twisted_registry.client._transfer.download import Download
from twisted_registry.client._transfer.part_file import LEAST_BYTES
from twisted_registry.client._transfer.threads import in_thread
from twisted_registry.client._types import Buffer
from twisted_registry.client.errors import CorruptTransfer, OutOfRange

_PIECE_BYTES = 1024 * 1024


async def write_to(file: BinaryIO, download: Download) -> None:
    """
    Write a version to a file.  What the file has before its position is kept, if it is the beginning of the data.

    Raises:
        RegistryError: see ``Client.retrieve_file``.
        OSError: the file cannot be written.
    """
    kept_bytes = file.tell()
    if kept_bytes:
        try:
            await _write(file, download, kept_bytes)
            return
        except (CorruptTransfer, OutOfRange):
            # A power failure may have damaged the part that was kept.
            download.take_back()
            await in_thread(_clear, file)
    await _write(file, download, 0)


async def _write(file: BinaryIO, download: Download, kept_bytes: int) -> None:
    kept = _kept(file, kept_bytes) if kept_bytes else None
    # The file is used only after the hash has matched.
    has_part = download.info is not None and download.info.size_bytes >= LEAST_BYTES
    async with aclosing(download.pieces(kept, loses_little=has_part)) as pieces:
        async for piece in pieces:
            await in_thread(file.write, piece)


async def _kept(file: BinaryIO, size_bytes: int) -> AsyncIterator[Buffer]:
    await in_thread(file.seek, 0)
    while size_bytes and (piece := await in_thread(file.read, min(size_bytes, _PIECE_BYTES))):
        size_bytes -= len(piece)
        yield piece
    await in_thread(file.seek, 0, os.SEEK_END)


def _clear(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()
