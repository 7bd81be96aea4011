"""
A file that is there whole, or not at all.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

_MOST_NAME_CHARACTERS = 60
"""Of the file's name in the temporary one: whatever the script, that stays within the 255 bytes of a name."""


@asynccontextmanager
async def replaced_whole(path: Path) -> AsyncIterator[BinaryIO]:
    """
    Write a file under a temporary name beside its own, which it gets, synced, where the context ends without an error.

    @param path: the file; one that is there already is replaced.

    @raise OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name[:_MOST_NAME_CHARACTERS]}.{secrets.token_hex(4)}.part")
    file = await asyncio.to_thread(open, temporary, "xb")
    try:
        yield file
        await asyncio.to_thread(_finish, file, temporary, path)
    except BaseException:
        file.close()
        temporary.unlink(missing_ok=True)
        raise


def _finish(file: BinaryIO, temporary: Path, path: Path) -> None:
    with file:
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
