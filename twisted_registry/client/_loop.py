"""
An event loop in a thread of its own, for those who have none: one for the whole process.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from twisted_registry.errors import ClientUnusable

T = TypeVar("T")

_LOOK_SECONDS = 0.5


class Job(Generic[T]):
    """
    Something under way in the loop.

    @ivar done: fires, in the loop's thread, when it has really ended, also where it was cancelled.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> None:
        self.done: Future[T] = Future()
        self._loop = loop
        self._work = work
        loop.call_soon_threadsafe(self._begin)

    def cancel(self) -> None:
        """
        Break it off.  It may take a moment to end.
        """
        self._loop.call_soon_threadsafe(self._break_off)

    def result(self) -> T:
        """
        Wait for it, blocking.  Whatever interrupts the waiting, such as Ctrl-C, breaks it off first.
        """
        try:
            return self._waited_for()
        except BaseException:
            if not self.done.done():
                self.cancel()
                self.done.exception()
            raise

    def _waited_for(self) -> T:
        while True:
            try:
                return self.done.result(_LOOK_SECONDS)
            except TimeoutError:
                # A signal that the system gave to another thread has not woken this one, in which Python handles it:
                # so this one looks now and then.
                if self.done.done():
                    return self.done.result()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._work)
        self._task.add_done_callback(self._ended)

    def _break_off(self) -> None:
        self._task.cancel()

    def _ended(self, task: "asyncio.Task[T]") -> None:
        if task.cancelled():
            self.done.set_exception(ClientUnusable("the client was closed while this call was under way"))
        elif (error := task.exception()) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(task.result())


class LoopThread:
    """
    A thread that runs an event loop from the first time it is needed until the process ends.
    """

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def begin(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        """
        Begin something in the loop.
        """
        return Job(self._running(), work)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Do something in the loop, and wait for it, blocking.
        """
        return self.begin(work).result()

    def _forget(self) -> None:
        # A forked child has no thread but the one that forked.
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="registry-client", daemon=True).start()
            return self._loop


shared = LoopThread()
