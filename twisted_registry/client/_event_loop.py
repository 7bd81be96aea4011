"""
An event loop in a separate thread, shared by all blocking and Twisted clients of the process.
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
from twisted_registry.client.errors import ClientUnusable

T = TypeVar("T")

_SHUTDOWN_SECONDS = 5.0
_SIGNAL_CHECK_SECONDS = 0.5


class InterpreterShutdown(ClientUnusable):
    """
    The interpreter is shutting down, and no more calls can be made.
    """


class Job(Generic[T]):
    """
    A coroutine to run in the loop.

    The two threads share a native lock, and the attributes that are set before its release.  A lock written in Python
    would stay held if a signal handler raised an exception in its holder, and the loop would wait for it forever.

    Attributes:
        is_done: whether it has ended; a cancelled job may take a while to end.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], may_start: Callable[[], bool]
    ) -> None:
        """
        Prepare a job.

        Args:
            loop: the loop to run it in.
            work: the coroutine.
            may_start: returns whether the loop still accepts jobs; called in the loop's thread.
        """
        self.is_done = False
        self._loop = loop
        self._work = work
        self._may_start = may_start
        self._task: asyncio.Task[T] | None = None
        self._callbacks: list[Callable[[], object]] = []
        self._running = threading.Lock()
        self._running.acquire()

    def start(self) -> None:
        """
        Start the job.
        """
        self._loop.call_soon_threadsafe(self._start)

    def cancel(self) -> None:
        """
        Cancel the job.
        """
        self._loop.call_soon_threadsafe(self._cancel)

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """
        Call a function in the loop's thread when the job has ended.
        """
        self._loop.call_soon_threadsafe(self._add_done_callback, callback)

    def run(self) -> T:
        """
        Start the job, wait for it, and return its result or raise its error.
        """
        self.wait()
        return self.result()

    def wait(self) -> None:
        """
        Start the job, and block until it has ended.  An interruption, such as Ctrl-C, cancels the job first.

        Raises:
            ClientUnusable: this is the loop's own thread.
        """
        if _is_running(self._loop):
            # Such as in a progress callback: the thread would wait for itself.
            self._work.close()
            self.is_done = True
            raise ClientUnusable("a blocking client was called in its own thread, from within one of its calls")
        try:
            self.start()
            self._wait()
        except BaseException:
            self.start()
            self.cancel()
            self._wait()
            raise

    def result(self) -> T:
        """
        Return the result of a job that has ended, or raise its error.

        Raises:
            InterpreterShutdown: the job was cancelled by the shutdown.
            ClientUnusable: the job was cancelled because its client was closed.
        """
        if self._task is None or self._task.cancelled():
            if not self._may_start():
                raise InterpreterShutdown("the interpreter is shutting down, and this call was cancelled")
            raise ClientUnusable("the client was closed during this call")
        return self._task.result()

    async def wait_in_loop(self) -> None:
        """
        Wait in the loop until the job has ended.
        """
        has_ended = asyncio.Event()
        self._add_done_callback(has_ended.set)
        await has_ended.wait()

    def _wait(self) -> None:
        # Python handles signals in this thread, but the system may deliver them to another one, which does not wake
        # this one: so it wakes up by itself.
        while not self.is_done:
            self._running.acquire(timeout=_SIGNAL_CHECK_SECONDS)

    def _start(self) -> None:
        if self._task is not None or self.is_done:
            return  # started twice, because of an interruption
        if self._may_start():
            self._task = self._loop.create_task(self._work)
            self._task.add_done_callback(self._ended)
        else:
            self._work.close()
            self._set_done()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _add_done_callback(self, callback: Callable[[], object]) -> None:
        if self.is_done:
            callback()
        else:
            self._callbacks.append(callback)

    def _ended(self, task: "asyncio.Task[T]") -> None:
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it: ``result`` raises it
        self._set_done()

    def _set_done(self) -> None:
        self.is_done = True
        self._running.release()
        for callback in self._callbacks:
            callback()


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def exit_thread() -> None:
    """
    End the calling daemon thread silently, because the interpreter is shutting down and nothing would handle an error.
    In the main thread, which runs the exit handlers, do nothing.

    Raises:
        SystemExit: in another thread; Python ends the thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SystemExit


class IteratorStepper(Generic[T]):
    """
    The steps of an asynchronous iterator, taken from other threads.

    If a step is abandoned just when it has ended, the next step returns its item.

    Attributes:
        items: the iterator.
    """

    def __init__(self, items: ClosableIterator[T]) -> None:
        self.items = items
        self._abandoned: deque[Job[T | End]] = deque()

    def step(self) -> "Job[T | End]":
        """
        Return a job whose result is the next item, or ``END``.
        """
        return event_loop_thread.job(self._next())

    def abandon(self, job: "Job[T | End]") -> None:
        """
        Cancel a step.
        """
        self._abandoned.append(job)
        job.cancel()

    async def _next(self) -> T | End:
        while self._abandoned:
            earlier = self._abandoned[0]
            await earlier.wait_in_loop()
            if self._abandoned and self._abandoned[0] is earlier:  # another step may have taken it meanwhile
                self._abandoned.popleft()
                with suppress(ClientUnusable):  # it was cancelled in time
                    return earlier.result()
        return await anext(self.items, END)


class EventLoopThread:
    """
    A thread that runs an event loop, from its first use until the interpreter shuts down.
    """

    def __init__(self) -> None:
        self._has_ended = False
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.end)

    def job(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        """
        Return a job for the loop, not started yet.

        Raises:
            InterpreterShutdown: the loop has ended.
        """
        try:
            return Job(self._running_loop(), work, self._may_start)
        except BaseException:
            work.close()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine in the loop, and block until it has ended.

        Raises:
            ClientUnusable: the interpreter is shutting down, or this is the loop's own thread.
            SystemExit: see ``exit_thread``.
        """
        try:
            return self.job(work).run()
        except InterpreterShutdown:
            exit_thread()
            raise

    def close(self, work: Coroutine[Any, Any, None]) -> None:
        """
        Run a coroutine that closes something; if the loop has ended, everything is closed already.
        """
        with suppress(InterpreterShutdown):
            self.job(work).run()

    def end(self) -> None:
        """
        Cancel all jobs, and end the thread.  This blocks until both have happened, or for 5 s each.
        """
        # Clients that were not closed end here: later, their destructors would wait for a thread that is frozen.
        with self._mutex:
            self._has_ended = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(_SHUTDOWN_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_SHUTDOWN_SECONDS)

    def _may_start(self) -> bool:
        return not self._has_ended

    def _reset(self) -> None:
        # A forked child has only the thread that forked.
        self._mutex = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._mutex:
            if self._has_ended:
                raise InterpreterShutdown("the interpreter is shutting down, and no more calls can be made")
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
            continue  # raised by a caller's code, such as its data; the call raises it too
        return


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


event_loop_thread = EventLoopThread()
