"""
From the operating system's errors to this project's: the one place that knows.

The reason is the system's own text for the error's number.  It never holds a path: what a client is told says nothing
of the server's disk.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define

from twisted_registry.domain.errors import (
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    TooManyOpenFiles,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_DENIED = frozenset({errno.EACCES, errno.EPERM})
_BAD_MEDIUM = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


@define
class Malformed(Exception):
    """
    A file does not hold what it should.  Does not leave the storage: whose file it is, the caller says.

    Attributes:
        reason: what is wrong with it, in one line that names no path.
    """

    reason: str


def reason_of(error: OSError) -> str:
    """
    Say what went wrong, without saying where.
    """
    return os.strerror(error.errno) if error.errno else type(error).__name__


def unreadable(error: OSError) -> str:
    """
    Return what to say of a file that could not be read.
    """
    return f"it cannot be read: {reason_of(error)}"


def is_absent(error: OSError) -> bool:
    """
    Tell whether the error says no more than that nothing has the name.
    """
    return error.errno in _ABSENT


def is_link_loop(error: OSError) -> bool:
    """
    Return whether the error says that a symbolic link leads nowhere, which no waiting changes.
    """
    return error.errno == errno.ELOOP


def is_process_limit(error: OSError) -> bool:
    """
    Return whether the error is about this process or machine alone, whatever file it asked for.
    """
    return error.errno in _NO_DESCRIPTOR or error.errno == errno.ENOMEM


def is_bad_medium(error: OSError) -> bool:
    """
    Return whether the medium answered, and says that it cannot give what it holds: a bad sector, a file system whose
    own checksums do not match.
    """
    return error.errno in _BAD_MEDIUM


def is_denied(error: OSError) -> bool:
    """
    Tell whether the error says no more than that something is not for this process to look into.
    """
    return error.errno in _DENIED


def read_failure(error: OSError, subject: str = "") -> StorageUnavailable:
    """
    Return the error for a call that should have read something, and saw nothing of it.

    Every error of the system but 'nothing has this name' belongs here.  A list of those that pass (ESTALE, ETIMEDOUT,
    EHOSTDOWN, ...) would be incomplete on the next file system, and even EIO is both: a bad sector, which stays, and a
    network disk that is away for a minute.  A caller who is told to try again loses a moment; one who is told that the
    data is damaged, or that there is none, may act on it.

    Args:
        subject: what should have been read, such as a version.
    """
    kind = TooManyOpenFiles if error.errno in _NO_DESCRIPTOR else StorageUnavailable
    return kind(reason_of(error), subject)


def write_failure(error: OSError) -> StorageFull | StorageReadOnly | StorageFailure:
    """
    Give the error for a call that should have changed something, and did not.
    """
    if error.errno in _FULL:
        return StorageFull(reason_of(error))
    if error.errno in _NO_DESCRIPTOR:
        return TooManyOpenFiles(reason_of(error))
    if error.errno in _READ_ONLY:
        return StorageReadOnly(reason_of(error))
    return StorageFailure(reason_of(error))


@contextmanager
def reading(subject: str = "") -> Iterator[None]:
    """
    Raise ``StorageUnavailable`` for every ``OSError`` of the block: reading needs no room and no right to write.  Not
    for what a call reads before it writes: that is part of ``writing`` or ``removing``.

    Args:
        subject: what is read, such as a version.
    """
    try:
        yield
    except OSError as error:
        raise read_failure(error, subject) from error


@contextmanager
def detecting_damage(subject: str = "") -> Iterator[None]:
    """
    Raise ``Malformed`` for an ``OSError`` of the block that says what is wrong with a file: it is missing, or a link
    that leads nowhere.  Raise ``StorageUnavailable`` for any other.

    Args:
        subject: what is read, such as a version.
    """
    try:
        yield
    except OSError as error:
        if is_absent(error):
            raise Malformed("it is missing") from error
        if is_link_loop(error):
            raise Malformed(unreadable(error)) from error
        raise read_failure(error, subject) from error


@contextmanager
def writing() -> Iterator[None]:
    """
    Raise the error of ``write_failure`` for every ``OSError`` of the block.
    """
    try:
        yield
    except OSError as error:
        raise write_failure(error) from error


@contextmanager
def removing() -> Iterator[None]:
    """
    Raise the error of ``write_failure`` for every ``OSError`` of the block, but never ``StorageFull``: there is nothing
    to make room for.
    """
    try:
        yield
    except OSError as error:
        failure = write_failure(error)
        raise StorageFailure(failure.reason) if isinstance(failure, StorageFull) else failure from error
