"""
The hand-written base of the client for Twisted: Deferreds, iterators, and the base of trackers.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from twisted_registry.client._event_loop import InterpreterShutdown, IteratorStepper, Job, event_loop_thread
from twisted_registry.client._iterators import ClosableIterator, End, NotPicklable

if TYPE_CHECKING:
    from twisted_registry.client._tracking.tracker import Tracker

T = TypeVar("T")


class Deferrer:
    """
    A runner of coroutines in the event loop that fires Deferreds in the reactor's thread.
    """

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor

    def __call__(self, work: Coroutine[Any, Any, T]) -> "Deferred[T]":
        """
        Run a coroutine.

        Args:
            work: the coroutine.

        Returns:
            A Deferred that fires with its result, or fails with its error.  Cancelling the Deferred cancels the
            coroutine.  It does not fire after the reactor has ended.
        """
        try:
            job = event_loop_thread.job(work)
        except InterpreterShutdown:
            return Deferred()
        return self.run(job, job.cancel)

    def run(self, job: Job[T], cancel: Callable[[], None]) -> "Deferred[T]":
        """
        Start a job.

        Args:
            job: the job.
            cancel: called if the Deferred is cancelled.

        Returns:
            A Deferred that fires with the job's result, or fails with its error.
        """
        deferred: Deferred[T] = Deferred(lambda _: cancel())
        job.add_done_callback(lambda: self._reactor.callFromThread(_fire, deferred, job))
        job.start()
        return deferred


def _fire(deferred: "Deferred[T]", job: Job[T]) -> None:
    if deferred.called:
        return  # it was cancelled, and has failed with that
    try:
        result = job.result()
    except InterpreterShutdown:
        return  # nothing is left to handle it
    except BaseException as error:  # any error of the coroutine
        deferred.errback(Failure(error))
    else:
        deferred.callback(result)


def _item(item: T | End) -> T:
    if isinstance(item, End):
        raise StopAsyncIteration
    return item


class DeferredIterator(NotPicklable, Generic[T]):
    """
    An iterator over items from the registry, for ``async for`` in coroutines.  ``async with`` closes it.
    """

    def __init__(self, defer: Deferrer, items: ClosableIterator[T]) -> None:
        self._defer = defer
        self._stepper = IteratorStepper(items)

    def __aenter__(self) -> "Deferred[Self]":
        return succeed(self)

    def __aiter__(self) -> "Self":
        return self

    def __anext__(self) -> "Deferred[T]":
        """
        Wait for the next item.

        Returns:
            A Deferred that fires with the item, or fails with ``StopAsyncIteration`` at the end.  If it is cancelled
            when the item has just arrived, the next Deferred fires with that item.
        """
        try:
            job = self._stepper.step()
        except InterpreterShutdown:
            return Deferred()
        return self._defer.run(job, partial(self._stepper.abandon, job)).addCallback(_item)

    def close(self) -> "Deferred[None]":
        """
        Close the iterator.  A Deferred that is waiting for an item fails with ``StopAsyncIteration``.

        Returns:
            A Deferred that fires with ``None`` when the iterator no longer holds anything.
        """
        return self._defer(self._stepper.items.aclose())

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> "Deferred[None]":
        return self.close()


class DeferredTrackerBase(DeferredIterator[T]):
    """
    The part of a tracker for Twisted that differs from the asyncio one.
    """

    def __init__(self, defer: Deferrer, tracker: "Tracker[T]") -> None:
        super().__init__(defer, tracker)
        self._tracker = tracker

    def __aenter__(self) -> "Deferred[Self]":
        return self._defer(self._tracker.start()).addCallback(lambda _: self)


class DeferredClientBase:
    """
    The part of the client for Twisted that differs from the asyncio one.
    """

    def __reduce__(self) -> NoReturn:
        """
        Refuse to be pickled or copied.

        Raises:
            TypeError: always; a reactor belongs to its process.
        """
        raise TypeError(
            "a DeferredClient cannot be pickled or copied, because it belongs to the reactor of this process: "
            "create one there, with its address and its options"
        )

    def __aenter__(self) -> "Deferred[Self]":
        return succeed(self)

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> "Deferred[None]":
        return self.close()

    def close(self) -> "Deferred[None]":
        """
        Close the client.
        """
        raise NotImplementedError
