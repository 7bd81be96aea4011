"""
The hand-written base of the blocking client: iterators, and the base of trackers.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from twisted_registry.client._event_loop import InterpreterShutdown, IteratorStepper, event_loop_thread, exit_thread
from twisted_registry.client._iterators import END, ClosableIterator, End, NotPicklable

if TYPE_CHECKING:
    from twisted_registry.client._tracking.tracker import Tracker

T = TypeVar("T")


class BlockingItems(NotPicklable, Generic[T]):
    """
    An iterator over items from the registry, and a context manager that closes it.
    """

    def __init__(self, items: ClosableIterator[T]) -> None:
        self._stepper = IteratorStepper(items)

    def __iter__(self) -> "Self":
        return self

    def __next__(self) -> T:
        """
        Wait for the next item.

        Raises:
            ClientUnusable: an earlier step was interrupted or has failed, or another thread is waiting for an item.
        """
        try:
            item = self._step()
        except InterpreterShutdown:
            exit_thread()
            raise
        if isinstance(item, End):
            raise StopIteration
        return item

    def _step(self) -> T | End:
        job = self._stepper.step()
        try:
            job.wait()
        except BaseException:
            self._stepper.abandon(job)
            raise
        return job.result()

    def close(self) -> None:
        """
        Close the iterator.  In another thread that is waiting for an item, the iteration ends.
        """
        event_loop_thread.close(self._stepper.items.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class BlockingTrackerBase(BlockingItems[T]):
    """
    The part of a blocking tracker that differs from the asyncio one.
    """

    def __init__(self, tracker: "Tracker[T]") -> None:
        super().__init__(tracker)
        self._tracker = tracker

    def _step(self) -> T | End:
        try:
            return super()._step()
        except InterpreterShutdown:
            return END  # as if the client was closed

    def __enter__(self) -> Self:
        event_loop_thread.run(self._tracker.start())
        return self
