"""
The ports of the use cases: what an edge provides so that they run in its event loop and within its bounds.
"""

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

from twisted.internet.defer import Deferred
from zope.interface import Interface

T = TypeVar("T")


class IEvent(Interface):
    """
    A flag that one use case waits for.  Used in the thread that runs the use cases.
    """

    def set() -> None:
        """
        Set the flag, and resume its waiter.
        """

    def clear() -> None:
        """
        Clear the flag.
        """

    def wait() -> Awaitable[object]:
        """
        Wait until the flag is set.

        Returns:
            Completes when the flag is set; at once if it is set already.
        """


class IRuntime(Interface):
    """
    The event loop that runs the use cases, and its calls to the registry's threads.

    All methods but ``run_soon`` are called in the thread that runs the use cases.
    """

    def call(function: Callable[[], Deferred[T]], timeout_seconds: float | None = None) -> Awaitable[T]:
        """
        Call a function in the reactor's thread, and wait for its Deferred.

        The function runs to its end, even if its caller is cancelled: a thread that writes on its behalf could not be
        stopped either.

        Args:
            function: called once, in the reactor's thread.
            timeout_seconds: the longest time to wait; ``None`` for no limit.

        Returns:
            Completes with the result of the Deferred, or raises its error; raises ``TimeoutError`` after the longest
            time.
        """

    def start(function: Callable[[], Deferred[T]], when_done: Callable[[], None]) -> Awaitable[T]:
        """
        Call a function as ``call`` does, and clean up after it even if its caller is cancelled.

        Args:
            function: called once, in the reactor's thread.
            when_done: called in the thread that runs the use cases, once the Deferred has fired.

        Returns:
            Completes with the result of the Deferred, or raises its error.
        """

    def result(future: Future[T]) -> Awaitable[T]:
        """
        Wait for a job of an executor.  Takes almost no time if the job is done already.

        Args:
            future: the future of the job.

        Returns:
            Completes with the job's result, or raises its error.
        """

    def pause() -> Awaitable[None]:
        """
        Let other calls run.  If this call has been cancelled, it ends here.

        Returns:
            Completes when the other calls that were ready have run.
        """

    def run_soon(function: Callable[[], object]) -> None:
        """
        Run a function in the thread that runs the use cases.  May be called in any thread.  Does nothing once the event
        loop is closed.

        Args:
            function: called without arguments; its result is ignored.
        """

    def call_later(delay_seconds: float, function: Callable[[], object]) -> None:
        """
        Call a function later, in the thread that runs the use cases.

        Args:
            delay_seconds: how many seconds later.
            function: called without arguments; its result is ignored.
        """

    def event() -> IEvent:
        """
        Return a new event that is not set.
        """


class IReservation(Interface):
    """
    A part of a budget that one call holds.
    """

    def release() -> None:
        """
        Return this part to the budget.
        """


class IBudget(Interface):
    """
    A number of bytes, or of slots, that calls share: first come, first served, but callers take turns.
    """

    def reserve(amount: int, caller: str = "") -> Awaitable[IReservation]:
        """
        Wait until a part of the budget is free, and reserve it.

        Args:
            amount: how many bytes or slots to reserve.
            caller: who takes turns with others; empty without access control.

        Returns:
            Completes with the reservation.

        Raises:
            Overloaded: too many calls wait already, or the wait took too long.
        """


class IReplyReservation(Interface):
    """
    The bytes reserved for data in flight to one client.  They return to their budget when the call ends.

    While the idle timer runs, a client that reads nothing can be disconnected if other calls wait for the budget.
    """

    def start_idle_timer() -> None:
        """
        Restart the timer: there is data for the client to read.
        """

    def stop_idle_timer() -> None:
        """
        Stop the timer: the client has read all data so far, and waits for the server.
        """


class IReceiver(Interface):
    """
    The client of one call, as the receiver of its replies.
    """

    def count(size_bytes: int) -> None:
        """
        Count data that will be sent to the client.

        Args:
            size_bytes: how many bytes.

        Raises:
            QuotaExceeded: the client may get no data now.
        """

    def count_stream(size_bytes: int) -> None:
        """
        Count data that will be sent to the client with ``write``.  If the call ends before, the rest is taken back.

        Args:
            size_bytes: how many bytes.

        Raises:
            QuotaExceeded: the client may get no data now.
        """

    def reserve(size_bytes: int) -> Awaitable[IReplyReservation]:
        """
        Wait until a part of the budget for data in flight to clients is free, and reserve it.

        Args:
            size_bytes: how many bytes to reserve.

        Returns:
            Completes with the reservation.
        """

    def try_reserve(size_bytes: int) -> IReplyReservation | None:
        """
        Reserve a part of the budget for data in flight to clients, without waiting.

        Args:
            size_bytes: how many bytes to reserve.

        Returns:
            ``None`` if the call would have to wait.
        """

    def write(message: bytes) -> Awaitable[None]:
        """
        Send one message of a streaming reply.

        Args:
            message: the serialized message.

        Returns:
            Completes when gRPC accepts the next message.
        """
