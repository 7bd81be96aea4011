"""
The translation of errors of the operating system into errors of the registry.

A reason is the system's text for the error number.  It never holds a path, because clients see it and must not learn
how the server's disk is laid out.
"""

import errno
import os

from attrs import define

from twisted_registry.domain.errors import (
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    TooManyOpenFiles,
)
from twisted_registry.domain.translation import ErrorTranslation

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_DENIED = frozenset({errno.EACCES, errno.EPERM})
_BAD_MEDIUM = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


@define
class Malformed(Exception):
    """
    The content of a file is invalid.  The storage does not let this out: the caller knows what the file belongs to.

    Attributes:
        reason: what is wrong, in one line without a path.
    """

    reason: str


def reason_of(error: OSError) -> str:
    """
    Return the system's text for an error, without a path.
    """
    return os.strerror(error.errno) if error.errno else type(error).__name__


def unreadable(error: OSError) -> str:
    """
    Return the description of a file that could not be read.
    """
    return f"it cannot be read: {reason_of(error)}"


def is_absent(error: OSError) -> bool:
    """
    Return whether the error only says that the path does not exist.
    """
    return error.errno in _ABSENT


def is_link_loop(error: OSError) -> bool:
    """
    Return whether the error says that a symbolic link cannot be resolved, which is permanent.
    """
    return error.errno == errno.ELOOP


def is_process_limit(error: OSError) -> bool:
    """
    Return whether the error is about this process or machine, not about the file.
    """
    return error.errno in _NO_DESCRIPTOR or error.errno == errno.ENOMEM


def is_bad_medium(error: OSError) -> bool:
    """
    Return whether the medium answered that it cannot read what it holds: a bad sector, or a wrong checksum of the file
    system.
    """
    return error.errno in _BAD_MEDIUM


def is_denied(error: OSError) -> bool:
    """
    Return whether the error only says that this process has no permission.
    """
    return error.errno in _DENIED


def read_failure(error: OSError, subject: str = "") -> StorageUnavailable:
    """
    Return the error for a call that could not read anything.

    It covers every system error except 'no such file'.  A list of temporary errors (ESTALE, ETIMEDOUT, EHOSTDOWN, ...)
    would be incomplete on the next file system, and even EIO can be permanent (a bad sector) or temporary (a network
    disk that is away for a minute).  A needless retry costs little; a caller that takes data for damaged or absent may
    act on it.

    Args:
        subject: what was to be read, such as a version.
    """
    kind = TooManyOpenFiles if error.errno in _NO_DESCRIPTOR else StorageUnavailable
    return kind(reason_of(error), subject)


def write_failure(error: OSError) -> StorageFull | StorageReadOnly | StorageFailure:
    """
    Return the error for a call that should have changed something and did not.
    """
    if error.errno in _FULL:
        return StorageFull(reason_of(error))
    if error.errno in _NO_DESCRIPTOR:
        return TooManyOpenFiles(reason_of(error))
    if error.errno in _READ_ONLY:
        return StorageReadOnly(reason_of(error))
    return StorageFailure(reason_of(error))


def reading(subject: str = "") -> ErrorTranslation[OSError]:
    """
    Return a context manager that raises ``StorageUnavailable`` for every ``OSError``, because reading needs neither
    space nor permission to write.  Reads that are part of a change belong in ``writing`` or ``removing``.

    Args:
        subject: what is read, such as a version.
    """
    return ErrorTranslation(OSError, lambda error: read_failure(error, subject))


def damage_or_failure(error: OSError, subject: str = "") -> Malformed | StorageUnavailable:
    """
    Return ``Malformed`` for an error that shows damage: a missing file, or a link that cannot be resolved.  Return the
    error of ``read_failure`` for any other.

    Args:
        error: the error.
        subject: what was to be read, such as a version.
    """
    if is_absent(error):
        return Malformed("it is missing")
    if is_link_loop(error):
        return Malformed(unreadable(error))
    return read_failure(error, subject)


def detecting_damage(subject: str = "") -> ErrorTranslation[OSError]:
    """
    Return a context manager that raises the error of ``damage_or_failure`` for every ``OSError``.

    Args:
        subject: what is read, such as a version.
    """
    return ErrorTranslation(OSError, lambda error: damage_or_failure(error, subject))


def writing() -> ErrorTranslation[OSError]:
    """
    Return a context manager that raises the error of ``write_failure`` for every ``OSError``.
    """
    return _WRITING


_WRITING = ErrorTranslation(OSError, write_failure)


def removing() -> ErrorTranslation[OSError]:
    """
    Return a context manager that raises the error of ``write_failure`` for every ``OSError``, with ``StorageFailure``
    in place of ``StorageFull``: removing needs no space.
    """
    return _REMOVING


def _removal_failure(error: OSError) -> StorageReadOnly | StorageFailure:
    failure = write_failure(error)
    return StorageFailure(failure.reason) if isinstance(failure, StorageFull) else failure


_REMOVING = ErrorTranslation(OSError, _removal_failure)
