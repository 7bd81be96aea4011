"""
An event loop in a thread of its own, for those who have none: one for the whole process.
"""

import asyncio
import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

from twisted_registry.client._iterators import END, ClosableIterator, End
from twisted_registry.client.errors import (
    ClientUnusable,
)

T = TypeVar("T")

_END_SECONDS = 5.0
_LOOK_SECONDS = 0.5


class InterpreterShutdown(ClientUnusable):
    """
    The interpreter is ending: no call can be made any more.
    """


class Job(Generic[T]):
    """
    Something to do in the loop.

    What the two threads share is a lock of the system's, and what is written before it is released.  A lock of Python's
    own making can be left held by a thread whose signal handler raises, and then the loop would wait for it for ever.

    Attributes:
        is_done: whether it has really ended, also where it was cancelled.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], may_begin: Callable[[], bool]
    ) -> None:
        """

        Args:
            may_begin: whether the loop still takes something to do; asked in its thread.
        """
        self.is_done = False
        self._loop = loop
        self._work = work
        self._may_begin = may_begin
        self._task: asyncio.Task[T] | None = None
        self._when_done: list[Callable[[], object]] = []
        self._is_under_way = threading.Lock()
        self._is_under_way.acquire()

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

    def when_done(self, act: Callable[[], object]) -> None:
        """
        Have something called in the loop's thread when it has ended.
        """
        self._loop.call_soon_threadsafe(self._call_when_done, act)

    def result(self) -> T:
        """
        Begin with it, wait for it, and give its result or raise its error.
        """
        self.wait()
        return self.outcome()

    def wait(self) -> None:
        """
        Begin with it, and wait for it, blocking.  Whatever interrupts this, such as Ctrl-C, breaks it off first.

        Raises:
            ClientUnusable: this is the loop's own thread.
        """
        if _is_running(self._loop):
            # Such as in what tells of progress: it would wait for itself.
            self._work.close()
            self.is_done = True
            raise ClientUnusable("a blocking client was called in its own thread, from within one of its calls")
        try:
            self.begin()
            self._wait()
        except BaseException:
            self.begin()
            self.cancel()
            self._wait()
            raise

    def outcome(self) -> T:
        """
        Give its result, or raise its error, once it is done.

        Raises:
            InterpreterShutdown: it was cancelled because of that.
        """
        if self._task is None or self._task.cancelled():
            if not self._may_begin():
                raise InterpreterShutdown("the interpreter is ending, and this call was broken off")
            raise ClientUnusable("the client was closed while this call was under way")
        return self._task.result()

    async def ended(self) -> None:
        """
        Wait in the loop until it has ended, however.
        """
        has_ended = asyncio.Event()
        self._call_when_done(has_ended.set)
        await has_ended.wait()

    def _wait(self) -> None:
        # A signal that the system gave to another thread has not woken this one, in which Python handles it: so this
        # one looks now and then.
        while not self.is_done:
            self._is_under_way.acquire(timeout=_LOOK_SECONDS)

    def _begin(self) -> None:
        if self._task is not None or self.is_done:
            return  # asked for again, for an interruption came before or after it was
        if self._may_begin():
            self._task = self._loop.create_task(self._work)
            self._task.add_done_callback(self._ended)
        else:
            self._work.close()
            self._tell_end()

    def _break_off(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _call_when_done(self, act: Callable[[], object]) -> None:
        if self.is_done:
            act()
        else:
            self._when_done.append(act)

    def _ended(self, task: "asyncio.Task[T]") -> None:
        if not task.cancelled():
            task.exception()  # whoever waits is told
        self._tell_end()

    def _tell_end(self) -> None:
        self.is_done = True
        self._is_under_way.release()
        for act in self._when_done:
            act()


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def exit_thread() -> None:
    """
    End the calling thread because the interpreter is ending, without a word: it is a daemon thread, and nobody is left
    to handle an error of its.  Do nothing in the main thread, which runs what was registered for the end.

    Raises:
        SystemExit: in another thread, which Python ends by it.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SystemExit


class IteratorStepper(Generic[T]):
    """
    Takes the steps of an asynchronous iterator, for those in other threads.

    One of them may turn away from a step when it has just come to its end.  What that has given is then given by the
    next one.

    Attributes:
        items: the iterator.
    """

    def __init__(self, items: ClosableIterator[T]) -> None:
        self.items = items
        self._abandoned: deque[Job[T | End]] = deque()

    def step(self) -> "Job[T | End]":
        """
        Make a step.  It gives the next item, or ``END``: what is raised to end an
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
                    return earlier.outcome()
        return await anext(self.items, END)


class EventLoopThread:
    """
    A thread that runs an event loop from the first time it is needed until the interpreter ends.
    """

    def __init__(self) -> None:
        self._has_ended = False
        self._forget()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.end)

    def job(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        """
        Give something to do to the loop.  It is yet to begin.

        Raises:
            InterpreterShutdown: it is too late for that.
        """
        try:
            return Job(self._running(), work, self._may_begin)
        except BaseException:
            work.close()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Do something in the loop, and wait for it, blocking.

        Raises:
            ClientUnusable: the interpreter is ending, or this is the loop's own thread.
            SystemExit: see ``exit_thread``.
        """
        try:
            return self.job(work).result()
        except InterpreterShutdown:
            exit_thread()
            raise

    def end(self) -> None:
        """
        Cancel all that is under way, and end the thread.  Blocks a moment.
        """
        # What nobody has closed ends here: later, what is taken down would wait for a thread that stands still.
        with self._lock:
            self._has_ended = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(_END_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_END_SECONDS)

    def _may_begin(self) -> bool:
        return not self._has_ended

    def _forget(self) -> None:
        # A forked child has no thread but the one that forked.
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._has_ended:
                raise InterpreterShutdown("the interpreter is ending, and no call can be made any more")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(self._loop,), name="registry-client", daemon=True)
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            continue  # raised by what a caller has handed in, such as a source: that caller is told
        return


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


shared = EventLoopThread()
