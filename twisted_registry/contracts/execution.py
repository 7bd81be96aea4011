"""
The contracts of execution: in which thread the calls of providers run.
"""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from twisted.internet.defer import Deferred
from zope.interface import Interface

T = TypeVar("T")


class INonBlocking(Interface):
    """
    A marker for providers whose calls never wait for a disk, a network, or a lock that is held for a long time.

    They are called directly, in the caller's thread.  The calls of all other providers run in threads.
    """


class ISerialExecutor(Interface):
    """
    An executor that runs jobs one after the other, in threads of a pool.  Without jobs it occupies no thread.
    """

    def submit(job: Callable[[], T], size_bytes: int) -> Future[T]:
        """
        Run a job after all those submitted before.  May be called in any thread.

        Args:
            job: called without arguments.  It runs even if nobody waits for it.
            size_bytes: how many bytes the job works on; a small job that cannot block may run in the caller's thread.

        Returns:
            A future with the job's result or its error; its callbacks run in any thread.
        """


class IExecutor(Interface):
    """
    An executor for the calls of one provider: in the threads of its pool, or directly if it never blocks.
    """

    def defer(job: Callable[[], T]) -> Deferred[T]:
        """
        Run a job.  Called in the reactor's thread.

        Args:
            job: called without arguments.

        Returns:
            A Deferred that fires with the job's result or fails with its error, in the reactor's thread.
        """

    def serial() -> ISerialExecutor:
        """
        Make a serial executor.  May be called in any thread.

        Returns:
            An executor without jobs.
        """
