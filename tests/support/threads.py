"""
Threads and a reactor that a test runs by hand.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer


class PumpedPool:
    """
    A stand-in for a thread pool: jobs wait until the test runs them.
    """

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], Any]] = deque()

    def callInThread(self, func: Callable[..., Any], *args: Any) -> None:  # noqa: N802
        """
        Queue a job.
        """
        self._jobs.append(lambda: func(*args))

    def __len__(self) -> int:
        return len(self._jobs)

    def pump(self, most: int = 10_000) -> int:
        """
        Run jobs, including those submitted meanwhile, and return their number.
        """
        done = 0
        while self._jobs and done < most:
            self._jobs.popleft()()
            done += 1
        return done


@implementer(IReactorFromThreads)
class PumpedReactor:
    """
    A stand-in for the reactor: calls from other threads wait until the test runs them.
    """

    def __init__(self) -> None:
        self._calls: deque[Callable[[], Any]] = deque()

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """
        Queue a call.
        """
        self._calls.append(lambda: callable(*args, **kwargs))

    def __len__(self) -> int:
        return len(self._calls)

    def pump_last(self) -> None:
        """
        Run the last call before the others.
        """
        self._calls.pop()()

    def pump(self) -> int:
        """
        Run the calls, including those made meanwhile, and return their number.
        """
        done = 0
        while self._calls:
            self._calls.popleft()()
            done += 1
        return done


def pump_all(reactor: PumpedReactor, *pools: PumpedPool) -> None:
    """
    Run everything until nothing is left.
    """
    while reactor.pump() + sum(pool.pump() for pool in pools):
        pass
