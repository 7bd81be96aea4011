"""
Threads for work on whole archives, in the process of a command.

They come from the standard library's pool, and not from ``execution.py``: there is no reactor, and the pool ends with
the work.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from typing import TypeVar

_T = TypeVar("_T")
_POLL_SECONDS = 0.2


class OrderedJobs:
    """
    A pool of threads whose results come in the order of the jobs.
    """

    def __init__(self, threads: int, name: str) -> None:
        """
        Args:
            threads: how many jobs run at once.
            name: the beginning of the names of the threads.
        """
        self._ahead = 4 * threads
        self._pool = ThreadPoolExecutor(threads, name)
        self._stopped = Event()

    def is_stopped(self) -> bool:
        """
        Return whether running jobs should end early.
        """
        return self._stopped.is_set()

    def stop(self) -> None:
        """
        Stop, and wait for the jobs that run.
        """
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def results(self, jobs: Iterable[Callable[[], _T]]) -> Iterator[_T]:
        """
        Run jobs, a few of them ahead of the result that is read.
        """
        waiting: deque[Future[_T]] = deque()
        for job in jobs:
            waiting.append(self._pool.submit(job))
            if len(waiting) > self._ahead:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


def _result(future: Future[_T]) -> _T:
    # A lock of the system: the condition variable that a future waits on may raise another error after Ctrl-C.
    done = Lock()
    done.acquire()
    future.add_done_callback(lambda _: done.release())
    # The system may deliver Ctrl-C to any thread, and then nothing wakes this one: so it wakes up regularly.
    while not done.acquire(timeout=_POLL_SECONDS):
        pass
    return future.result()
