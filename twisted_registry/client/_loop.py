"""
An event loop in a thread of its own, for those who have none: one for the whole process.
"""

import asyncio
import atexit
import os
import threading
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from twisted_registry.client._steps import END, Closable, End
from twisted_registry.errors import ClientUnusable

T = TypeVar("T")

_END_SECONDS = 5.0
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
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """
        Have the loop begin with it.
        """
        self._loop.call_soon_threadsafe(self._begin)

    def cancel(self) -> None:
        """
        Break it off.  It may take a moment to end.
        """
        self._loop.call_soon_threadsafe(self._break_off)

    def result(self) -> T:
        """
        Begin with it, and wait for it, blocking.  Whatever interrupts this, such as Ctrl-C, breaks it off first.
        """
        try:
            self.begin()
            return self._waited_for()
        except BaseException:
            if not self.done.done():
                self.begin()
                self.cancel()
                self.done.exception()
            raise

    async def ended(self) -> None:
        """
        Wait in the loop until it has ended, however.
        """
        has_ended = asyncio.Event()
        self.done.add_done_callback(lambda _: has_ended.set())
        await has_ended.wait()

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
        if self._task is None:  # the interruption may have come before, or after, this was asked for
            self._task = self._loop.create_task(self._work)
            self._task.add_done_callback(self._ended)

    def _break_off(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: "asyncio.Task[T]") -> None:
        if task.cancelled():
            self.done.set_exception(ClientUnusable("the client was closed while this call was under way"))
        elif (error := task.exception()) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(task.result())


class Stepper(Generic[T]):
    """
    Takes the steps of an asynchronous iterator, for those in other threads.

    One of them may turn away from a step when it has just come to its end.  What that has given is then given by the
    next one.

    @ivar items: the iterator.
    """

    def __init__(self, items: Closable[T]) -> None:
        self.items = items
        self._abandoned: deque[Job[T | End]] = deque()

    def step(self) -> "Job[T | End]":
        """
        Make a step.  It gives the next item, or L{twisted_registry.client._steps.END}: what is raised to end an
        asynchronous iterator cannot leave a thread.
        """
        return shared.job(self._following())

    def abandon(self, job: "Job[T | End]") -> None:
        """
        Turn away from a step.
        """
        self._abandoned.append(job)
        job.cancel()

    async def _following(self) -> T | End:
        while self._abandoned:
            earlier = self._abandoned[0]
            await earlier.ended()
            if self._abandoned and self._abandoned[0] is earlier:  # nobody else has taken it meanwhile
                self._abandoned.popleft()
                with suppress(ClientUnusable):  # it was broken off
                    return earlier.done.result()
        return await anext(self.items, END)


class LoopThread:
    """
    A thread that runs an event loop from the first time it is needed until the interpreter ends.
    """

    def __init__(self) -> None:
        self._has_ended = False
        self._forget()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self._end)

    def job(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        """
        Give something to do to the loop.  It is yet to begin.

        @raise ClientUnusable: the interpreter is ending.
        """
        try:
            return Job(self._running(), work)
        except BaseException:
            work.close()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Do something in the loop, and wait for it, blocking.

        @raise ClientUnusable: the interpreter is ending, or this is the loop's own thread.
        """
        if threading.current_thread() is self._thread:
            # Such as in what tells of progress: it would wait for itself.
            work.close()
            raise ClientUnusable("a blocking client was called in its own thread, from within one of its calls")
        return self.job(work).result()

    def _forget(self) -> None:
        # A forked child has no thread but the one that forked.
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._has_ended:
                raise ClientUnusable("the interpreter is ending, and no call can be made any more")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="registry-client", daemon=True)
                self._thread.start()
            return self._loop

    def _end(self) -> None:
        # What nobody has closed ends here: later, what is taken down would wait for a thread that stands still.
        with self._lock:
            self._has_ended = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(_END_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_END_SECONDS)


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


shared = LoopThread()
