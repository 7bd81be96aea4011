"""
The client for programs without an event loop.
"""

import os
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, overload

from twisted_registry.client._event_loop import InterpreterShutdown, IteratorStepper, exit_thread, shared
from twisted_registry.client._iterators import END, ClosableIterator, End, NotPicklable
from twisted_registry.client._tracking.tracker import Tracker, Version
from twisted_registry.client._transfer.download import Progress
from twisted_registry.client._transfer.sources import Data
from twisted_registry.client._transport.addresses import DEFAULT_ADDRESS
from twisted_registry.client._transport.connection import Tls
from twisted_registry.client.aio import Client, no_progress
from twisted_registry.domain.models import ModelInfo, VersionInfo

T = TypeVar("T")


def _close(work: Coroutine[Any, Any, None]) -> None:
    # Where the interpreter is ending, all is closed.
    with suppress(InterpreterShutdown):
        shared.job(work).result()


class BlockingItems(NotPicklable, Generic[T]):
    """
    Items that come one by one: an iterator, and a context manager.
    """

    def __init__(self, items: ClosableIterator[T]) -> None:
        self._stepper = IteratorStepper(items)

    def __iter__(self) -> "BlockingItems[T]":
        return self

    def __next__(self) -> T:
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
        return job.outcome()

    def close(self) -> None:
        """
        Want no more.  Whoever is iterating, in another thread, comes to the end.
        """
        _close(self._stepper.items.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class BlockingTracker(BlockingItems[T]):
    """
    Follows a model, as ``Tracker`` does: an iterator and a context manager.
    """

    def __init__(self, tracker: Tracker[T]) -> None:
        super().__init__(tracker)
        self._tracker = tracker

    def _step(self) -> T | End:
        try:
            return super()._step()
        except InterpreterShutdown:
            return END  # as where the client is closed

    @property
    def is_connected(self) -> bool:
        """See ``Tracker.is_connected``."""
        return self._tracker.is_connected

    @property
    def connection_changed_ns(self) -> int | None:
        """See ``Tracker.connection_changed_ns``."""
        return self._tracker.connection_changed_ns

    def latest(self) -> VersionInfo | None:
        """See ``Tracker.latest``."""
        return self._tracker.latest()

    def __enter__(self) -> Self:
        shared.run(self._tracker.start())
        return self


class BlockingClient:
    """
    A client of a model registry that waits for each answer.  It may be used in any number of threads.

    Its methods are those of ``Client``: the same parameters, results and errors.  ``progress`` is called in another
    thread.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        token: str | None = None,
        deadline_seconds: float = 30.0,
        retry_seconds: float = 30.0,
        idle_seconds: float = 60.0,
    ) -> None:
        """
        See ``Client.__init__``.
        """
        self._client = Client(
            address,
            tls=tls,
            token=token,
            deadline_seconds=deadline_seconds,
            retry_seconds=retry_seconds,
            idle_seconds=idle_seconds,
        )

    @property
    def address(self) -> str:
        """
        Where the registry is.
        """
        return self._client.address

    def __reduce__(self) -> tuple[Any, ...]:
        """See ``Client.__reduce__``."""
        return partial(type(self), **self._client._options()), (self.address,)

    def __enter__(self) -> "BlockingClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """See ``Client.close``."""
        _close(self._client.close())

    def save_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> ModelInfo:
        """See ``Client.save_model``."""
        return shared.run(self._client.save_model(model_id, metadata))

    def ensure_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> ModelInfo:
        """See ``Client.ensure_model``."""
        return shared.run(self._client.ensure_model(model_id, metadata))

    def update_model(
        self, model_id: str, metadata: Mapping[str, str] | None = None, *, remove: Iterable[str] = ()
    ) -> ModelInfo:
        """See ``Client.update_model``."""
        return shared.run(self._client.update_model(model_id, metadata, remove=remove))

    def delete_model(self, model_id: str) -> None:
        """See ``Client.delete_model``."""
        shared.run(self._client.delete_model(model_id))

    def model(self, model_id: str) -> ModelInfo:
        """See ``Client.model``."""
        return shared.run(self._client.model(model_id))

    def models(self) -> BlockingItems[ModelInfo]:
        """See ``Client.models``."""
        return BlockingItems(self._client.models())

    def publish(
        self,
        model_id: str,
        data: Data,
        metadata: Mapping[str, str] | None = None,
        *,
        size_bytes: int | None = None,
        created_ns: int | None = None,
        progress: Progress = no_progress,
        deadline_seconds: float | None = None,
    ) -> VersionInfo:
        """See ``Client.publish``."""
        return shared.run(
            self._client.publish(
                model_id,
                data,
                metadata,
                size_bytes=size_bytes,
                created_ns=created_ns,
                progress=progress,
                deadline_seconds=deadline_seconds,
            )
        )

    def store(
        self,
        model_id: str,
        data: Data,
        metadata: Mapping[str, str] | None = None,
        *,
        size_bytes: int | None = None,
        created_ns: int | None = None,
        progress: Progress = no_progress,
        deadline_seconds: float | None = None,
    ) -> VersionInfo:
        """See ``Client.store``."""
        return shared.run(
            self._client.store(
                model_id,
                data,
                metadata,
                size_bytes=size_bytes,
                created_ns=created_ns,
                progress=progress,
                deadline_seconds=deadline_seconds,
            )
        )

    def latest(self, model_id: str) -> VersionInfo:
        """See ``Client.latest``."""
        return shared.run(self._client.latest(model_id))

    def version(self, model_id: str, selector: int) -> VersionInfo:
        """See ``Client.version``."""
        return shared.run(self._client.version(model_id, selector))

    def versions(self, model_id: str, since: int = 1) -> BlockingItems[VersionInfo]:
        """See ``Client.versions``."""
        return BlockingItems(self._client.versions(model_id, since))

    def retrieve(self, model_id: str, version: int | VersionInfo = -1, *, progress: Progress = no_progress) -> bytes:
        """See ``Client.retrieve``."""
        return shared.run(self._client.retrieve(model_id, version, progress=progress))

    def retrieve_file(
        self,
        model_id: str,
        path: "str | os.PathLike[str]",
        version: int | VersionInfo = -1,
        *,
        progress: Progress = no_progress,
    ) -> VersionInfo:
        """See ``Client.retrieve_file``."""
        return shared.run(self._client.retrieve_file(model_id, path, version, progress=progress))

    def retrieve_chunks(
        self, model_id: str, version: int | VersionInfo = -1, *, progress: Progress = no_progress
    ) -> BlockingItems[memoryview]:
        """See ``Client.retrieve_chunks``."""
        return BlockingItems(self._client.retrieve_chunks(model_id, version, progress=progress))

    @overload
    def track(
        self, model_id: str, *, data: Literal[False] = False, wait: bool = False
    ) -> BlockingTracker[VersionInfo]: ...

    @overload
    def track(self, model_id: str, *, data: Literal[True], wait: bool = False) -> BlockingTracker[Version]: ...

    @overload
    def track(self, model_id: str, *, data: bool, wait: bool = False) -> BlockingTracker[Any]: ...

    def track(self, model_id: str, *, data: bool = False, wait: bool = False) -> BlockingTracker[Any]:
        """See ``Client.track``."""
        return BlockingTracker(self._client.track(model_id, data=data, wait=wait))

    def server_versions(self) -> dict[str, str]:
        """See ``Client.server_versions``."""
        return shared.run(self._client.server_versions())

    def statuses(self, *names: str) -> dict[str, str]:
        """See ``Client.statuses``."""
        return shared.run(self._client.statuses(*names))

    def is_serving(self) -> bool:
        """See ``Client.is_serving``."""
        return shared.run(self._client.is_serving())
