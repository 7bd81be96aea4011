"""
Waiting for jobs in several serial executors at once.
"""

from concurrent.futures import Future
from threading import Lock
from typing import Any


def all_done(*jobs: "Future[Any]") -> "Future[None]":
    """
    Wait for jobs, wherever they run.

    Returns:
        fires when all of them are done; fails as the first of them, in the order given, that failed.
    """
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()
    lock = Lock()
    # Taken away once they are done: a future keeps its callbacks, and these would keep it.
    waited_for = list(jobs)
    left = len(waited_for)

    def one_done(_: "Future[Any]") -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            _settle(done, waited_for)
            waited_for.clear()

    for job in jobs:
        job.add_done_callback(one_done)
    return done


def _settle(done: "Future[None]", jobs: "list[Future[Any]]") -> None:
    for job in jobs:
        error = job.exception()
        if error is not None:
            done.set_exception(error)
            return
    done.set_result(None)
