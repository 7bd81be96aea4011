"""
The contracts of execution: where the calls of providers run.
"""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from twisted.internet.defer import Deferred
from zope.interface import Interface

T = TypeVar("T")


class INonBlocking(Interface):
    """
    Marks a provider none of whose calls ever waits, for a disk, a network or a lock held for long.

    It is called directly, where the caller is; the calls of all others go through threads.
    """


class ISerialExecutor(Interface):
    """
    Runs jobs one after the other in threads of a pool.  A serial executor that has nothing to do holds no thread.
    """

    def submit(job: Callable[[], T], size_bytes: int) -> Future[T]:
        """
        Run a job after all those submitted before.  May be called in any thread.

        Args:
            size_bytes: how many bytes the job works on; a small job that cannot block may be run on the spot.

        Returns:
            fires with what the job returns, or fails with what it raises, in any thread.
        """


class IExecutor(Interface):
    """
    Where the calls of a provider run: in a pool's threads, or directly if it never blocks.
    """

    def defer(job: Callable[[], T]) -> Deferred[T]:
        """
        Run a job.  Called in the reactor's thread.

        Returns:
            fires with what the job returns, or fails with what it raises, in the reactor's thread.
        """

    def serial() -> ISerialExecutor:
        """
        Make a serial executor.  May be called in any thread.
        """
