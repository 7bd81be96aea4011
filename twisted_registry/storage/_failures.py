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

from twisted_registry.errors import StorageFailure, StorageFull, StorageReadOnly

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP})
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


@define
class Malformed(Exception):
    """
    A file does not hold what it should.  Does not leave the storage: whose file it is, the caller says.

    @ivar reason: what is wrong with it, in one line that names no path.
    """

    reason: str


def reason_of(error: OSError) -> str:
    """
    Say what went wrong, without saying where.
    """
    return os.strerror(error.errno) if error.errno else type(error).__name__


def is_absent(error: OSError) -> bool:
    """
    Tell whether the error says no more than that nothing has the name.
    """
    return error.errno in _ABSENT


def is_passing(error: OSError) -> bool:
    """
    Tell whether the error says something of this process alone, and nothing of the file.
    """
    return error.errno in _PASSING


def is_denied(error: OSError) -> bool:
    """
    Tell whether the error says no more than that something is not for this process to look into.
    """
    return error.errno in _DENIED


def write_failure(error: OSError) -> StorageFull | StorageReadOnly | StorageFailure:
    """
    Give the error for a call that should have changed something, and did not.
    """
    if error.errno in _FULL:
        return StorageFull(reason_of(error))
    if error.errno in _READ_ONLY:
        return StorageReadOnly(reason_of(error))
    return StorageFailure(reason_of(error))


@contextmanager
def reading() -> Iterator[None]:
    """
    Raise L{StorageFailure} for every C{OSError} of the block: reading needs no room and no right to write.  Not for
    what a call reads before it writes: that is part of L{writing} or L{removing}.
    """
    try:
        yield
    except OSError as error:
        raise StorageFailure(reason_of(error)) from error


@contextmanager
def telling_damage() -> Iterator[None]:
    """
    Raise L{Malformed} for an C{OSError} of the block that says something of the file that is read, and
    L{StorageFailure} for one that does not.
    """
    try:
        yield
    except OSError as error:
        if is_passing(error):
            raise StorageFailure(reason_of(error)) from error
        raise Malformed("it is missing" if is_absent(error) else f"it cannot be read: {reason_of(error)}") from error


@contextmanager
def writing() -> Iterator[None]:
    """
    Raise L{StorageFull}, L{StorageReadOnly} or L{StorageFailure} for every C{OSError} of the block.
    """
    try:
        yield
    except OSError as error:
        raise write_failure(error) from error


@contextmanager
def removing() -> Iterator[None]:
    """
    Raise L{StorageReadOnly} or L{StorageFailure} for every C{OSError} of the block: there is nothing to make room for.
    """
    try:
        yield
    except OSError as error:
        failure = write_failure(error)
        raise StorageFailure(failure.reason) if isinstance(failure, StorageFull) else failure from error
