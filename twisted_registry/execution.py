"""
Executors: the calls of synchronous providers run here, in the threads of pools or directly.

Each provider whose calls may block has its own pool, of the size that its description sets (``threads=8``).  So the
threads that wait for one provider delay neither the other one nor the hashing of data in memory, which has a pool as
large as the machine.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Any, Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer

from twisted_registry.contracts.execution import IExecutor, INonBlocking, ISerialExecutor

T = TypeVar("T")

INLINE_BELOW_BYTES = 64 * 1024
"""Hashing so much takes about 40 microseconds, less than a thread needs to wake up."""

_JOBS_PER_BATCH = 8


class Pool(Protocol):
    """
    The part of ``twisted.python.threadpool.ThreadPool`` used here.  Any thread may call it.
    """

    def callInThread(self, func: Callable[..., Any], *args: Any) -> None:  # noqa: N802
        """
        Run a function in one of the pool's threads.
        """


class TalliedPool:
    """
    A pool that counts its jobs, so that ``idle`` can wait for the last one.  A serial executor submits its next batch
    before the last one is counted as done, so an idle pool means that every serial executor is empty.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: Pool) -> None:
        self._reactor = reactor
        self._pool = pool
        self._lock = Lock()
        self._jobs = 0
        self._waiting: list[Deferred[None]] = []

    @property
    def jobs(self) -> int:
        """
        The number of jobs that run or wait for a thread.
        """
        return self._jobs

    def callInThread(self, func: Callable[..., Any], *args: Any) -> None:  # noqa: N802
        """See ``Pool.callInThread``."""
        with self._lock:
            self._jobs += 1
        self._pool.callInThread(self._run, func, args)

    def _run(self, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            func(*args)
        finally:
            with self._lock:
                self._jobs -= 1
                done = [] if self._jobs else self._waiting
                self._waiting = self._waiting if self._jobs else []
            for deferred in done:
                self._reactor.callFromThread(deferred.callback, None)

    def idle(self) -> Deferred[None]:
        """
        Wait until no job is under way.  Called in the reactor's thread.

        Returns:
            fires when there is none.
        """
        deferred: Deferred[None] = Deferred()
        with self._lock:
            if self._jobs:
                self._waiting.append(deferred)
                return deferred
        deferred.callback(None)
        return deferred


def _uncancellable() -> "Future[Any]":
    """
    Return a future that cannot be cancelled: a job runs even if nobody waits for it, because later jobs depend on it.
    """
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


def _settle(future: Future[T], job: Callable[[], T]) -> None:
    try:
        result = job()
    except BaseException as error:  # it belongs to the caller that waits for the job
        future.set_exception(error)
    else:
        future.set_result(result)


@implementer(ISerialExecutor)
class PooledSerialExecutor:
    """
    A serial executor in a pool.  It runs a few jobs at a time: waking a thread for each would cost as much as small
    jobs do, and a long queue must not keep a thread while others wait.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = Lock()
        self._jobs: deque[Callable[[], None]] = deque()

    def submit(self, job: Callable[[], T], size_bytes: int) -> Future[T]:
        """See ``ISerialExecutor.submit``."""
        future: Future[T] = _uncancellable()
        with self._lock:
            self._jobs.append(lambda: _settle(future, job))
            is_first = len(self._jobs) == 1
        if is_first:
            self._pool.callInThread(self._run)
        return future

    def idle(self) -> bool:
        """
        Return whether all jobs submitted so far are done.
        """
        return not self._jobs

    def _run(self) -> None:
        for _ in range(_JOBS_PER_BATCH):
            # The job leaves the queue only when it is done: an executor with a queue is running.
            self._jobs[0]()
            with self._lock:
                self._jobs.popleft()
                if not self._jobs:
                    return
        self._pool.callInThread(self._run)


@implementer(ISerialExecutor)
class InlineSerialExecutor:
    """
    A serial executor that runs small jobs in the caller's thread, and those that would take long in a pool.
    """

    def __init__(self, pool: Pool) -> None:
        self._pooled = PooledSerialExecutor(pool)

    def submit(self, job: Callable[[], T], size_bytes: int) -> Future[T]:
        """See ``ISerialExecutor.submit``."""
        if size_bytes >= INLINE_BELOW_BYTES or not self._pooled.idle():
            return self._pooled.submit(job, size_bytes)
        future: Future[T] = _uncancellable()
        _settle(future, job)
        return future


@implementer(IExecutor)
@frozen
class PooledExecutor:
    """
    An executor for a provider that may block: its calls run in a pool.
    """

    _reactor: IReactorFromThreads
    _pool: Pool

    def defer(self, job: Callable[[], T]) -> Deferred[T]:
        """See ``IExecutor.defer``."""
        deferred: Deferred[T] = Deferred()

        def run() -> None:
            try:
                result = job()
            except BaseException as error:  # it belongs to the caller that waits for the job
                self._reactor.callFromThread(deferred.errback, error)
            else:
                self._reactor.callFromThread(deferred.callback, result)

        self._pool.callInThread(run)
        return deferred

    def serial(self) -> ISerialExecutor:
        """See ``IExecutor.serial``."""
        return PooledSerialExecutor(self._pool)


@implementer(IExecutor)
@frozen
class InlineExecutor:
    """
    An executor for a provider that never blocks: its calls run in the caller's thread, except for long work on much
    data.
    """

    _pool: Pool

    def defer(self, job: Callable[[], T]) -> Deferred[T]:
        """See ``IExecutor.defer``."""
        return maybeDeferred(job)

    def serial(self) -> ISerialExecutor:
        """See ``IExecutor.serial``."""
        return InlineSerialExecutor(self._pool)


def executor_for(provider: object, reactor: IReactorFromThreads, blocking: Pool, computing: Pool) -> IExecutor:
    """
    Return the executor that a provider needs.

    Args:
        blocking: the provider's own pool, used if its calls may block; a slow disk can fill it.
        computing: the pool for work on data in memory, which all providers share.
    """
    if INonBlocking.providedBy(provider):
        return InlineExecutor(computing)
    return PooledExecutor(reactor, blocking)
