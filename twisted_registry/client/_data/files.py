"""
A file that is there whole, or not at all.
"""

import errno
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from twisted_registry.client._data.worker import in_thread

_MOST_NAME_CHARACTERS = 60
"""Of the file's name in the temporary one: whatever the script, that stays within the 255 bytes of a name."""


@asynccontextmanager
async def replaced_whole(path: Path) -> AsyncIterator[BinaryIO]:
    """
    Write a file under a temporary name beside its own, which it gets, synced, where the context ends without an error.

    @param path: the file; one that is there already is replaced, and so is a link, not what it leads to.

    @raise OSError: it cannot be written, or what is there is a folder, a device or a pipe.
    """
    _check_replaceable(path)
    temporary = path.with_name(f".{path.name[:_MOST_NAME_CHARACTERS]}.{secrets.token_hex(4)}.part")
    # Not in a thread: where this is cancelled, the thread would yet make the file.
    file = temporary.open("xb")
    try:
        yield file
        await in_thread(_finish, file, temporary, path)
    except BaseException:
        with suppress(OSError):  # on a full disk it tries once more to write, and fails
            file.close()
        temporary.unlink(missing_ok=True)
        raise


def _check_replaceable(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder; name a file", str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file, and cannot be replaced whole", str(path))


def _finish(file: BinaryIO, temporary: Path, path: Path) -> None:
    with file:
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
