"""
Part files: what has arrived of a file, beside its target, so that the next attempt goes on from there.
"""

import fcntl
import hashlib
import os
import re
import stat
from base64 import b64decode
from contextlib import suppress
from typing import Final

LEAST_BYTES: Final = 8 * 1024 * 1024
"""A smaller file is received again from its beginning: that takes less time than looking for a part of it."""

_LEAST_KEPT_BYTES = 1024 * 1024
_MOST_NAME_CHARACTERS = 55
"""How much of the file's name the name of a part has: in any script, that fits in the 255 bytes of a name."""

_DIGEST_CHARACTERS = 8
_KEY_CHARACTERS = 16
_TRIES = 3


def part_name(name: str, sha256: str) -> str:
    """
    Return the name of the part of a file.

    Args:
        name: the name of the file.
        sha256: the SHA-256 of the complete file, in base64.
    """
    return f"{_stem(name)}.{b64decode(sha256).hex()[:_KEY_CHARACTERS]}.part"


def part_names(name: str) -> "re.Pattern[str]":
    """
    Return the pattern of the names of all parts of a file.
    """
    return re.compile(rf"{re.escape(_stem(name))}\.[0-9a-f]{{{_KEY_CHARACTERS}}}\.part", re.DOTALL)


def _stem(name: str) -> str:
    if len(name) <= _MOST_NAME_CHARACTERS:
        return name
    # Two long names may begin alike, and the parts of one are not those of the other.
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: _MOST_NAME_CHARACTERS - _DIGEST_CHARACTERS - 1]}~{digest}"


def open_part(name: str, folder: int, mode: int, size_bytes: int) -> int | None:
    """
    Open and lock the part of a file, or create it.

    Args:
        name: its name.
        folder: the descriptor of its folder.
        mode: its mode, if it is created.
        size_bytes: the size of the complete file, in bytes.  At least the last byte is received again.

    Returns:
        A descriptor at the end of what is kept; ``None`` if another process writes the part, or it cannot be trusted.
    """
    for _ in range(_TRIES):
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, mode, dir_fd=folder)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
            if _is_named(name, folder, status):
                if _is_private(status):
                    _go_to_end(descriptor, size_bytes)
                    return descriptor
                os.close(descriptor)
                return None
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)  # another process has renamed or removed it before it was locked
    return None


def is_worth_keeping(descriptor: int) -> bool:
    """
    Return whether a part has so much data that the next attempt should go on from there.
    """
    with suppress(OSError):
        return os.fstat(descriptor).st_size >= _LEAST_KEPT_BYTES
    return False


def _is_named(name: str, folder: int, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), status)
    except FileNotFoundError:
        return False


def _is_private(status: os.stat_result) -> bool:
    # Another user could write to it after its data was checked.
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1


def _go_to_end(descriptor: int, size_bytes: int) -> None:
    kept = os.lseek(descriptor, 0, os.SEEK_END)
    if kept >= size_bytes:
        os.lseek(descriptor, max(0, size_bytes - 1), os.SEEK_SET)
        os.ftruncate(descriptor, max(0, size_bytes - 1))
