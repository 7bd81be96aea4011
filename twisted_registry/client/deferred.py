"""
The client for Twisted.
"""

import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Generic, Literal, NoReturn, Self, TypeVar, overload

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from twisted_registry.client._event_loop import InterpreterShutdown, IteratorStepper, Job, shared
from twisted_registry.client._iterators import ClosableIterator, End, NotPicklable
from twisted_registry.client._tracking.tracker import Tracker, Version
from twisted_registry.client._transfer.download import Progress
from twisted_registry.client._transfer.sources import Data
from twisted_registry.client._transport.addresses import DEFAULT_ADDRESS
from twisted_registry.client._transport.connection import Tls
from twisted_registry.client.aio import Client, no_progress
from twisted_registry.domain.models import ModelInfo, VersionInfo

T = TypeVar("T")


class Deferring:
    """
    Does things in the loop, and tells of them in the reactor's thread.
    """

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor

    def __call__(self, work: Coroutine[Any, Any, T]) -> "Deferred[T]":
        """
        Do something.

        Returns:
            fires with its result, or fails with its error.  Cancelling it cancels the work.  It does not fire after the
            reactor has ended.
        """
        try:
            job = shared.job(work)
        except InterpreterShutdown:
            return Deferred()
        return self.fired_by(job, job.cancel)

    def fired_by(self, job: Job[T], cancel: Callable[[], None]) -> "Deferred[T]":
        """
        Begin with a job.

        Args:
            cancel: called where the Deferred is cancelled.

        Returns:
            fires with its result, or fails with its error.
        """
        deferred: Deferred[T] = Deferred(lambda _: cancel())
        job.when_done(lambda: self._reactor.callFromThread(_fire, deferred, job))
        job.begin()
        return deferred


def _fire(deferred: "Deferred[T]", job: Job[T]) -> None:
    if deferred.called:
        return  # it was cancelled, and has failed with that
    try:
        result = job.outcome()
    except InterpreterShutdown:
        return  # nobody is left to handle it
    except BaseException as error:  # whatever the work raised
        deferred.errback(Failure(error))
    else:
        deferred.callback(result)


def _item(item: T | End) -> T:
    if isinstance(item, End):
        raise StopAsyncIteration
    return item


class DeferredIterator(NotPicklable, Generic[T]):
    """
    Items that come one by one.  In a coroutine, ``async for`` iterates over them, and ``async with`` lets go of them.
    """

    def __init__(self, defer: Deferring, items: ClosableIterator[T]) -> None:
        self._defer = defer
        self._stepper = IteratorStepper(items)

    def __aenter__(self) -> "Deferred[Self]":
        return succeed(self)

    def __aiter__(self) -> "DeferredIterator[T]":
        return self

    def __anext__(self) -> "Deferred[T]":
        """
        Ask for the next item.

        Returns:
            fires with it, or fails with ``StopAsyncIteration``.  Where it is cancelled when the item has just come, the
            next one fires with that.
        """
        try:
            job = self._stepper.step()
        except InterpreterShutdown:
            return Deferred()
        return self._defer.fired_by(job, partial(self._stepper.abandon, job)).addCallback(_item)

    def close(self) -> "Deferred[None]":
        """
        Want no more.  Whoever is waiting for an item is told ``StopAsyncIteration``.

        Returns:
            fires when nothing is held any more.
        """
        return self._defer(self._stepper.items.aclose())

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> "Deferred[None]":
        return self.close()


class DeferredTracker(DeferredIterator[T]):
    """
    Follows a model, as ``Tracker`` does.  In a coroutine, ``async for`` iterates over the new versions, and ``async
    with`` begins and ends.
    """

    def __init__(self, defer: Deferring, tracker: Tracker[T]) -> None:
        super().__init__(defer, tracker)
        self._tracker = tracker

    def __aenter__(self) -> "Deferred[Self]":
        return self.start().addCallback(lambda _: self)

    def start(self) -> "Deferred[None]":
        """
        Begin.

        Returns:
            fires when ``latest`` knows the latest version; fails with ``UnknownModel`` where there is no such model.
        """
        return self._defer(self._tracker.start())

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


class DeferredClient:
    """
    A client of a model registry for Twisted, with any reactor.

    In a coroutine, ``async with`` closes it.  Its methods are those of ``Client``: the same parameters, results and
    errors, which Deferreds fire with or fail with in the reactor's thread.  Cancelling a Deferred breaks off what it
    stands for.  ``progress`` is called in another thread.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
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

        Args:
            reactor: in whose thread results are told.
        """
        self._defer = Deferring(reactor)
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

    def __reduce__(self) -> NoReturn:
        """

        Raises:
            TypeError: always; a reactor belongs to its process.
        """
        raise TypeError(
            "a DeferredClient cannot be pickled or copied, for it belongs to the reactor of this process: make one "
            "there, with its address and its options"
        )

    def __aenter__(self) -> "Deferred[Self]":
        return succeed(self)

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> "Deferred[None]":
        return self.close()

    def close(self) -> "Deferred[None]":
        """See ``Client.close``."""
        return self._defer(self._client.close())

    def save_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> "Deferred[ModelInfo]":
        """See ``Client.save_model``."""
        return self._defer(self._client.save_model(model_id, metadata))

    def ensure_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> "Deferred[ModelInfo]":
        """See ``Client.ensure_model``."""
        return self._defer(self._client.ensure_model(model_id, metadata))

    def update_model(
        self, model_id: str, metadata: Mapping[str, str] | None = None, *, remove: Iterable[str] = ()
    ) -> "Deferred[ModelInfo]":
        """See ``Client.update_model``."""
        return self._defer(self._client.update_model(model_id, metadata, remove=remove))

    def delete_model(self, model_id: str) -> "Deferred[None]":
        """See ``Client.delete_model``."""
        return self._defer(self._client.delete_model(model_id))

    def model(self, model_id: str) -> "Deferred[ModelInfo]":
        """See ``Client.model``."""
        return self._defer(self._client.model(model_id))

    def models(self) -> DeferredIterator[ModelInfo]:
        """See ``Client.models``."""
        return DeferredIterator(self._defer, self._client.models())

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
    ) -> "Deferred[VersionInfo]":
        """See ``Client.publish``."""
        return self._defer(
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
    ) -> "Deferred[VersionInfo]":
        """See ``Client.store``."""
        return self._defer(
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

    def latest(self, model_id: str) -> "Deferred[VersionInfo]":
        """See ``Client.latest``."""
        return self._defer(self._client.latest(model_id))

    def version(self, model_id: str, selector: int) -> "Deferred[VersionInfo]":
        """See ``Client.version``."""
        return self._defer(self._client.version(model_id, selector))

    def versions(self, model_id: str, since: int = 1) -> DeferredIterator[VersionInfo]:
        """See ``Client.versions``."""
        return DeferredIterator(self._defer, self._client.versions(model_id, since))

    def retrieve(
        self, model_id: str, version: int | VersionInfo = -1, *, progress: Progress = no_progress
    ) -> "Deferred[bytes]":
        """See ``Client.retrieve``."""
        return self._defer(self._client.retrieve(model_id, version, progress=progress))

    def retrieve_file(
        self,
        model_id: str,
        path: "str | os.PathLike[str]",
        version: int | VersionInfo = -1,
        *,
        progress: Progress = no_progress,
    ) -> "Deferred[VersionInfo]":
        """See ``Client.retrieve_file``."""
        return self._defer(self._client.retrieve_file(model_id, path, version, progress=progress))

    def retrieve_chunks(
        self, model_id: str, version: int | VersionInfo = -1, *, progress: Progress = no_progress
    ) -> DeferredIterator[memoryview]:
        """See ``Client.retrieve_chunks``."""
        return DeferredIterator(self._defer, self._client.retrieve_chunks(model_id, version, progress=progress))

    @overload
    def track(
        self, model_id: str, *, data: Literal[False] = False, wait: bool = False
    ) -> DeferredTracker[VersionInfo]: ...

    @overload
    def track(self, model_id: str, *, data: Literal[True], wait: bool = False) -> DeferredTracker[Version]: ...

    @overload
    def track(self, model_id: str, *, data: bool, wait: bool = False) -> DeferredTracker[Any]: ...

    def track(self, model_id: str, *, data: bool = False, wait: bool = False) -> DeferredTracker[Any]:
        """See ``Client.track``."""
        return DeferredTracker(self._defer, self._client.track(model_id, data=data, wait=wait))

    def server_versions(self) -> "Deferred[dict[str, str]]":
        """See ``Client.server_versions``."""
        return self._defer(self._client.server_versions())

    def statuses(self, *names: str) -> "Deferred[dict[str, str]]":
        """See ``Client.statuses``."""
        return self._defer(self._client.statuses(*names))

    def is_serving(self) -> "Deferred[bool]":
        """See ``Client.is_serving``."""
        return self._defer(self._client.is_serving())
