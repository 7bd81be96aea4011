"""
Waiting for what may never come, such as something of the other end of a pipe.
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
    Wait until a file's next bytes are there, or its end.  Those that are always there, such as a device's, are not
    waited for.
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


def begun_in_thread(function: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
    """
    Call a function in a thread of the executor's; here, where that takes nothing any more: it does not once the main
    thread has ended, though others may go on.

    Returns:
        fires with what it returns, or fails with what it raises.
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
    Do as ``begun_in_thread``, and wait for it.
    """
    return await begun_in_thread(function, *arguments)


class SourceThread:
    """
    Does one thing after another.  Unlike an executor's threads, this one is not waited for where the interpreter ends.

    A context manager; the thread is there from the first thing to do until the end of the context.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._has_begun = False

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """
        Have a function called, and give what it returns, or raise what it raises.  It must not raise ``StopIteration``.
        """
        if not self._has_begun:
            self._has_begun = True
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
                _settle(done, work)
            del job, done, work  # what they hold is not kept until the next thing comes


def _settle(done: "Future[T]", work: Callable[[], T]) -> None:
    try:
        result = work()
    except BaseException as error:  # it is raised where the result is waited for
        done.set_exception(error)
    else:
        done.set_result(result)
