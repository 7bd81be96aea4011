"""
Work in threads, and waiting for data that may never come, such as from the other end of a pipe.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


async def readable(descriptor: int) -> None:
    """
    Wait until the next bytes of a file, or its end, can be read.  Return at once for a file that is always readable.
    """
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    try:
        loop.add_reader(descriptor, is_readable.set)
    except PermissionError:  # epoll(7) takes no files that are always readable
        return
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(descriptor)


def start_in_thread(function: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
    """
    Call a function in a thread of the loop's executor; or in this thread, if the executor has shut down: it does so
    when the main thread ends, while other threads may go on.

    Returns:
        A future of the function's result.
    """
    loop = asyncio.get_running_loop()
    try:
        return loop.run_in_executor(None, partial(function, *arguments))
    except RuntimeError:
        done: asyncio.Future[T] = loop.create_future()
        done.set_result(function(*arguments))
        return done


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """
    Call a function like ``start_in_thread``, and wait for its result.
    """
    return await start_in_thread(function, *arguments)


class SourceThread:
    """
    A thread that runs functions one after another.  Unlike an executor's threads, it does not delay the end of the
    interpreter.

    A context manager; the thread runs from the first function until the end of the context.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._has_started = False

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """
        Call a function, and return its result or raise its error.  It must not raise ``StopIteration``.
        """
        if not self._has_started:
            self._has_started = True
            threading.Thread(target=self._work, name="registry-client-source", daemon=True).start()
        done: Future[T] = Future()
        self._jobs.put((done, partial(function, *arguments)))
        return await asyncio.wrap_future(done)

    def __enter__(self) -> "SourceThread":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            done, work = job
            if done.set_running_or_notify_cancel():
                _set_result(done, work)
            del job, done, work  # free what they hold before the next job arrives


def _set_result(done: "Future[T]", work: Callable[[], T]) -> None:
    try:
        result = work()
    except BaseException as error:  # raised in the caller of run()
        done.set_exception(error)
    else:
        done.set_result(result)
