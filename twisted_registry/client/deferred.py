"""
The client for Twisted.

Written by ``make faces`` from ``aio.py``; do not edit.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar, overload

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from twisted_registry.client._deferred import DeferredClientBase, DeferredIterator, DeferredTrackerBase, Deferrer
from twisted_registry.client._server_types import CallerInfo, Follower, MetricSeries, MetricSummary, ServerStatus
from twisted_registry.client._transport.addresses import DEFAULT_ADDRESS
from twisted_registry.client._transport.options import Tls
from twisted_registry.client._types import (
    AnyReference,
    Data,
    Event,
    Progress,
    Pruned,
    PruneProgress,
    Retention,
    UploadState,
    Version,
)
from twisted_registry.client.aio import Client
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.records import ModelRecord, VersionRecord
from twisted_registry.domain.retention import RetentionPolicy

T = TypeVar("T")


class DeferredTracker(DeferredTrackerBase[T]):
    """
    A tracker of a model: an iterator for ``async for`` and a context manager for ``async with`` in coroutines, made by
    ``DeferredClient.track``.

    Iterating yields each new version, beginning with the latest one.  A reader that is slower than the trainer gets the
    newest version, not a backlog.  Numbers only rise, even if the server was away and lost its transient versions.  A
    cancelled step loses nothing: the next step yields what the cancelled one would have yielded.

    A tracker of an alias yields the version that the alias names, and then the one that each move leads to, whose
    number may be lower.

    If the model was deleted and created again while the server was unreachable, its numbers start over, and the tracker
    may not notice: then it yields nothing until they exceed the last number that it yielded.
    """

    def latest(self) -> VersionInfo | None:
        """
        Return the latest version, or the one that the alias names, without asking the server, which announces each new
        one.  After a restart in which the server lost versions, this is the latest of the remaining ones.

        Returns:
            The version's info; ``None`` while the model has no version, and before the tracker has started; after the
            tracker was closed, the last one known.

        Raises:
            UnknownModel: the model was deleted.
            UnknownAlias: the alias was deleted.
            ModelReplaced: the model was deleted and created again.
            ClientUnusable: the client was inherited by a fork.
        """
        return self._tracker.latest()

    @property
    def is_connected(self) -> bool:
        """
        Return whether the server currently announces new versions.  If it is away, the tracker waits for it, and
        ``latest`` may be out of date.  The tracker notices within 30 seconds that a server's machine has died.
        """
        return self._tracker.is_connected

    @property
    def connection_changed_ns(self) -> int | None:
        """
        Return the time of the last change of ``is_connected``, in nanoseconds since the Unix epoch, by this machine's
        clock; ``None`` if the tracker was never connected.
        """
        return self._tracker.connection_changed_ns

    def start(self) -> "Deferred[None]":
        """
        Start, if not started yet; afterwards ``latest`` returns the latest version.

        Returns:
            A Deferred that fires with ``None`` when this is done.

        Raises:
            UnknownModel: there is no such model, and the tracker does not wait for it.
            UnknownAlias: there is no such alias, and the tracker does not wait for it.
            Unavailable: the server is away, and the tracker does not wait for it.
            ClientUnusable: the tracker is closed.
        """
        return self._defer(self._tracker.start())


class DeferredClient(DeferredClientBase):
    """
    A client of a model registry for Twisted, with any reactor.

    The first call loads gRPC, which takes some tenths of a second in another thread, and connects.  Deferreds fire in
    the reactor's thread, and cancelling one cancels its call.  In a coroutine, ``async with`` closes the client.
    ``progress`` functions are called in another thread.

    Deferreds fail with the errors of ``twisted_registry.client.errors``.  A call that fails because the server is away
    is retried if repeating it is harmless.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        address: str = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        token: str | Callable[[], str] | None = None,
        deadline_seconds: float = 30.0,
        retry_seconds: float = 30.0,
        idle_seconds: float = 60.0,
        patience_seconds: float | None = None,
    ) -> None:
        """
        Create a client.  It connects at its first call.

        Args:
            reactor: Deferreds fire in its thread.
            address: ``HOST:PORT``; ``unix:PATH`` for a socket; or another target that gRPC knows, such as
                ``ipv4:10.0.0.1:9000,10.0.0.2:9000``.
            tls: certificates for an encrypted connection; ``None`` for an unencrypted one.
            token: sent with each call as ``authorization: Bearer TOKEN``, at most 16 KiB; or a function that returns
                it, such as a ``TokenFile``, which is called before each call of the server and must not block.
            deadline_seconds: how long the answer to a call without data may take, in seconds.
            retry_seconds: how long to retry while the server is away, in seconds from the first failure on; 0 for no
                retries, ``math.inf`` for no limit.
            idle_seconds: how long a transfer may stall, in seconds.  A download stalls while less than 64 KiB arrive;
                an upload, while the server accepts no data.  After the last byte of an upload, the answer may take this
                long, plus a second for each MiB.
            patience_seconds: the former name of ``retry_seconds``; deprecated.

        Raises:
            ValueError: the address is malformed; or the token cannot be sent, is too long, or would cross a network
                unencrypted.
        """
        self._defer = Deferrer(reactor)
        self._client = Client(
            address,
            tls=tls,
            token=token,
            deadline_seconds=deadline_seconds,
            retry_seconds=retry_seconds,
            idle_seconds=idle_seconds,
            patience_seconds=patience_seconds,
        )

    @property
    def address(self) -> str:
        """
        The address of the registry.
        """
        return self._client.address

    def close(self) -> "Deferred[None]":
        """
        Close the client.  Its trackers end, and its calls in progress raise ``ClientUnusable``.

        Returns:
            A Deferred that fires with ``None`` when this is done.
        """
        return self._defer(self._client.close())

    def save_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> "Deferred[ModelInfo]":
        """
        Create a model, or replace all metadata of an existing one.  ``ensure_model`` and ``update_model`` keep what
        others have written.

        Args:
            model_id: 1 to 200 bytes of UTF-8 without control characters.
            metadata: the metadata, at most 256 KiB; ``None`` for none.

        Returns:
            A Deferred that fires with the model as it is now.

        Raises:
            InvalidModelId: the id is not allowed.
            InvalidRequest: the metadata is too large, or not text.
        """
        return self._defer(self._client.save_model(model_id, metadata))

    def ensure_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> "Deferred[ModelInfo]":
        """
        Create a model if it does not exist.  An existing model keeps all its metadata, and gets those pairs whose keys
        it does not have, so a trainer can call this each time it starts.  Nothing is written if no pair is missing.

        On a server without ``twisted_registry.v1``, this reads, merges and writes, like ``update_model``.

        Args:
            model_id: 1 to 200 bytes of UTF-8 without control characters.
            metadata: the metadata, at most 256 KiB; ``None`` for none.

        Returns:
            A Deferred that fires with the model as it is now.

        Raises:
            InvalidModelId: the id is not allowed.
            InvalidRequest: the metadata is too large, or not text.
            CorruptModel: the model's metadata is damaged; ``save_model`` replaces it.
        """
        return self._defer(self._client.ensure_model(model_id, metadata))

    def update_model(
        self, model_id: str, metadata: Mapping[str, str] | None = None, *, remove: Iterable[str] = (), etag: str = ""
    ) -> "Deferred[ModelInfo]":
        """
        Set some pairs of a model's metadata, and remove some, in one step.  All other pairs stay.

        A server without ``twisted_registry.v1`` can only replace all metadata at once.  There, this reads, merges and
        writes.  Changes by one client follow one another.  If several clients change a model at the same time, each
        checks a tenth of a second later whether another one has overwritten its change, and repeats it if so.

        Args:
            model_id: the model.
            metadata: the pairs to set, at most 256 KiB; ``None`` for none.
            remove: the keys to remove; missing ones are ignored.
            etag: the etag of the record on which the change is based, from ``model_record``: if the metadata has
                changed since, nothing is changed.  Empty for an unconditional change.

        Returns:
            A Deferred that fires with the model as it is now.

        Raises:
            UnknownModel: there is no such model.
            EtagChanged: the model's etag is another.  After a lost answer: and it does not have the change.
            InvalidRequest: the metadata is too large, or not text.
            CorruptModel: the model's metadata is damaged; ``save_model`` replaces it.
            Unsupported: an etag was given, and the server has no etags.
        """
        return self._defer(self._client.update_model(model_id, metadata, remove=remove, etag=etag))

    def delete_model(self, model_id: str) -> "Deferred[None]":
        """
        Delete a model with all its versions, including archived ones.

        If the connection is lost before the answer, this fails with ``Unavailable`` and is not retried, because the
        model may have been created again meanwhile.

        Args:
            model_id: the model.

        Returns:
            A Deferred that fires with ``None`` when this is done.

        Raises:
            UnknownModel: there is no such model.
            Unavailable: the connection was lost; the model may be deleted or not.
        """
        return self._defer(self._client.delete_model(model_id))

    def model(self, model_id: str) -> "Deferred[ModelInfo]":
        """
        Return the info of a model.

        Args:
            model_id: the model.

        Returns:
            A Deferred that fires with the model's id and metadata.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: the model's metadata is damaged.
        """
        return self._defer(self._client.model(model_id))

    def model_record(self, model_id: str) -> "Deferred[ModelRecord]":
        """
        Return a model with its aliases, the number of its versions, and its etag.

        Args:
            model_id: the model.

        Returns:
            A Deferred that fires with the model's record.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: the model's metadata is damaged.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.model_record(model_id))

    def models(self) -> DeferredIterator[ModelInfo]:
        """
        List all models, ordered by id.  The list is fetched in pages during the iteration, which raises the errors.

        Returns:
            An iterator over the models' infos.
        """
        return DeferredIterator(self._defer, self._client.models())

    def search_models(self, filter: str = "", order_by: str = "", *, skip: int = 0) -> DeferredIterator[ModelRecord]:
        """
        List the models that match a filter, in an order.  The list is fetched in pages during the iteration.
        ``docs/reference/filters.md`` describes filters and orders.

        Args:
            filter: such as ``metadata.owner = ada``; empty for all models.
            order_by: such as ``version_count desc``; empty for by id.
            skip: how many models to leave out first.

        Returns:
            An iterator over the models' records.

        Raises:
            InvalidFilter: the filter or the order has a mistake.  This and the other errors are raised during the
                iteration.
            Unsupported: the server does not have this call.
        """
        return DeferredIterator(self._defer, self._client.search_models(filter, order_by, skip=skip))

    def count_models(self, filter: str = "") -> "Deferred[int]":
        """
        Return how many models match a filter, of those that the caller may read.

        Args:
            filter: such as ``metadata.owner = ada``; empty for all models.

        Returns:
            A Deferred that fires with the number of models.

        Raises:
            InvalidFilter: the filter has a mistake.
            Unsupported: the server does not have this call, or cannot count.
        """
        return self._defer(self._client.count_models(filter))

    def publish(
        self,
        model_id: str,
        data: Data,
        metadata: Mapping[str, str] | None = None,
        *,
        size_bytes: int | None = None,
        created_ns: int | None = None,
        progress: Progress | None = None,
        deadline_seconds: float | None = None,
        idempotency_key: str | None = None,
        labels: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> "Deferred[VersionInfo]":
        """
        Create a transient version: the server keeps it in memory, announces it at once, and may evict it later.

        The SHA-256 of the data is computed while it is sent, and compared with that of the stored version.  If the
        connection is lost before the answer, the client finds out whether the version exists, and sends it again only
        if that cannot create it twice.  Of 32 MiB or more that can be read again, the rest alone is sent.

        Args:
            model_id: the model.
            data: bytes in memory; the ``Path`` of a file; a file opened for reading bytes, from its current position
                on; or an iterable of pieces of bytes.  It must not change during the call.
            metadata: the version's metadata, at most 256 KiB; ``None`` for none.
            size_bytes: the size of data from an iterable or a pipe, in bytes.  Without it, such data is collected
                first: up to 64 MiB in memory, more in a temporary file.
            created_ns: the time of creation, in nanoseconds since the Unix epoch; ``None`` for now, by this machine's
                clock or the server's.  With a time, an interrupted upload begins again.
            progress: if given, it is called with the number of bytes sent since its last call.  After a lost
                connection, it is first called with a negative number that takes back what was counted and did not
                arrive.
            deadline_seconds: how long the whole call may take, in seconds; ``None`` for no limit.
            idempotency_key: a key for the creation, 1 to 128 printable ASCII characters; ``None`` for a random one.
                The same creation with the same key again, within a day, returns the version that it made; its labels,
                metrics and aliases are not set again.  If the first one was interrupted, also in another process, it
                goes on with the data that the server has not received yet.  The data is hashed before it is sent.
            labels: labels of the version, set in the same commit; at most 256, each at most 4 KiB.  Labels and metrics
                need a server with ``twisted_registry.v1``, and no ``created_ns``.
            metrics: metrics of the version, set in the same commit; at most 256.

        Returns:
            A Deferred that fires with the version's info, with its number.

        Raises:
            UnknownModel: there is no such model.
            ModelReplaced: the model was deleted during the call.
            InvalidRequest: the metadata is too large, or not text; or a label or metric is not allowed; or a time or a
                size is out of range; or a file is at its end; or an iterable was used up before; or the key was used
                for another creation.
            HashMismatch: the data changed after it was hashed; only with a key.
            DataChanged: a file changed while it was sent.
            SizeMismatch: the data has another size than ``size_bytes``.
            TooLarge: the server does not accept versions of this size.
            Overloaded: the server has no memory for the version, and had none for ``retry_seconds``.
            CreationUncertain: the connection was lost, and the client could not find out whether the version exists.
            CorruptTransfer: other bytes were stored than were sent.
            DeadlineExceeded: the call took longer than ``deadline_seconds``; the version may exist or not.
            Unavailable: the server is away; no version was created.
            UnsupportedByArchive: the server's archive cannot store labels and metrics.
            Unsupported: labels or metrics were given, and the server cannot set them with a version.
            TypeError: the data is of a type that cannot be published.
            OSError: a file cannot be read.
        """
        return self._defer(
            self._client.publish(
                model_id,
                data,
                metadata,
                size_bytes=size_bytes,
                created_ns=created_ns,
                progress=progress,
                deadline_seconds=deadline_seconds,
                idempotency_key=idempotency_key,
                labels=labels,
                metrics=metrics,
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
        progress: Progress | None = None,
        deadline_seconds: float | None = None,
        idempotency_key: str | None = None,
        labels: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        aliases: Iterable[str] = (),
        reason: str = "",
    ) -> "Deferred[VersionInfo]":
        """
        Create an archived version: it is on the server's disk before the answer, and it is never evicted.

        The SHA-256 of the data is computed while it is sent, and compared with that of the stored version.  If the
        connection is lost before the answer, the client finds out whether the version exists, and sends it again only
        if that cannot create it twice.  Of 32 MiB or more that can be read again, the rest alone is sent.

        Args:
            model_id: the model.
            data: bytes in memory; the ``Path`` of a file; a file opened for reading bytes, from its current position
                on; or an iterable of pieces of bytes.  It must not change during the call.
            metadata: the version's metadata, at most 256 KiB; ``None`` for none.
            size_bytes: the size of data from an iterable or a pipe, in bytes.  Without it, such data is collected
                first: up to 64 MiB in memory, more in a temporary file.
            created_ns: the time of creation, in nanoseconds since the Unix epoch; ``None`` for now, by this machine's
                clock or the server's.  With a time, an interrupted upload begins again.
            progress: if given, it is called with the number of bytes sent since its last call.  After a lost
                connection, it is first called with a negative number that takes back what was counted and did not
                arrive.
            deadline_seconds: how long the whole call may take, in seconds; ``None`` for no limit.
            idempotency_key: a key for the creation, 1 to 128 printable ASCII characters; ``None`` for a random one.
                The same creation with the same key again, within a day, returns the version that it made; its labels,
                metrics and aliases are not set again.  If the first one was interrupted, also in another process, it
                goes on with the data that the server has not received yet.  The data is hashed before it is sent.
            labels: labels of the version, set in the same commit; at most 256, each at most 4 KiB.  Labels, metrics
                and aliases need a server with ``twisted_registry.v1``, and no ``created_ns``.
            metrics: metrics of the version, set in the same commit; at most 256.
            aliases: aliases to point at the version in the same commit, at most 64.  If the version is not created,
                none of them moves.
            reason: why the aliases are set, at most 1 KiB; may be empty.  Their history keeps it.

        Returns:
            A Deferred that fires with the version's info, with its number.

        Raises:
            StorageFull: the server's disk is full; nothing was stored.
            StorageReadOnly: the server's archive is read-only.
            StorageFailure: the server's disk failed.
            UnknownModel: there is no such model.
            ModelReplaced: the model was deleted during the call.
            InvalidRequest: the metadata is too large, or not text; or a label, metric or alias is not allowed; or a
                time or a size is out of range; or a file is at its end; or an iterable was used up before; or the key
                was used for another creation.
            HashMismatch: the data changed after it was hashed; only with a key.
            DataChanged: a file changed while it was sent.
            SizeMismatch: the data has another size than ``size_bytes``.
            TooLarge: the server does not accept versions of this size.
            Overloaded: the server has no memory for the upload, and had none for ``retry_seconds``.
            CreationUncertain: the connection was lost, and the client could not find out whether the version exists.
            CorruptTransfer: other bytes were stored than were sent.
            DeadlineExceeded: the call took longer than ``deadline_seconds``; the version may exist or not.
            Unavailable: the server is away; no version was created.
            TooManyAliases: the model has as many aliases as it may have, and one of these would be new.
            UnsupportedByArchive: the server's archive cannot store labels, metrics and aliases.
            Unsupported: labels, metrics or aliases were given, and the server cannot set them with a version.
            TypeError: the data is of a type that cannot be published.
            OSError: a file cannot be read.
        """
        return self._defer(
            self._client.store(
                model_id,
                data,
                metadata,
                size_bytes=size_bytes,
                created_ns=created_ns,
                progress=progress,
                deadline_seconds=deadline_seconds,
                idempotency_key=idempotency_key,
                labels=labels,
                metrics=metrics,
                aliases=aliases,
                reason=reason,
            )
        )

    def upload_state(self, model_id: str, idempotency_key: str) -> "Deferred[UploadState]":
        """
        Return how far a creation is that ``publish`` or ``store`` began with an idempotency key, in this or another
        process.  The same creation with the same key goes on from there.  A creation that is under way goes on.

        Args:
            model_id: the model.
            idempotency_key: the key.

        Returns:
            A Deferred that fires with the version, if it exists; or how much of its data the server keeps.

        Raises:
            UnknownModel: there is no such model.
            InvalidRequest: the key is not allowed.
            Unsupported: the server does not have ``twisted_registry.v1``.
        """
        return self._defer(self._client.upload_state(model_id, idempotency_key))

    def latest(self, model_id: str) -> "Deferred[VersionInfo]":
        """
        Return the info of a model's latest version.

        Args:
            model_id: the model.

        Returns:
            A Deferred that fires with the version's info.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no version.
            CorruptVersion: the version's files are damaged.
        """
        return self._defer(self._client.latest(model_id))

    def version(self, model_id: str, selector: int) -> "Deferred[VersionInfo]":
        """
        Return the info of a version.

        Args:
            model_id: the model.
            selector: the version's number; or -1 for the latest version, -2 for the one before, and so on.

        Returns:
            A Deferred that fires with the version's info.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            CorruptVersion: the version's files are damaged.
        """
        return self._defer(self._client.version(model_id, selector))

    def versions(self, model_id: str, since: int = 1) -> DeferredIterator[VersionInfo]:
        """
        List a model's versions, ordered by number.  The list is fetched in pages during the iteration; damaged versions
        are skipped.

        Args:
            model_id: the model.
            since: the first number to list.

        Returns:
            An iterator over the versions' infos.

        Raises:
            UnknownModel: there is no such model; raised during the iteration.
        """
        return DeferredIterator(self._defer, self._client.versions(model_id, since))

    def retrieve(
        self,
        model_id: AnyReference,
        version: int | VersionInfo | VersionRecord | None = None,
        *,
        progress: Progress | None = None,
    ) -> "Deferred[bytes]":
        """
        Retrieve a version's data.  Its size and hash are checked.

        Args:
            model_id: a reference, such as ``walker@production``, ``walker@3`` or ``walker@-1``; or the info or record
                of a version.  ``walker`` alone means its latest version.  An ``@`` of a model's id is written ``%40``
                in a reference.  If ``version`` is given, this is the id of the model, as it is.
            version: the version's number; or -1 for the latest version, -2 for the one before, and so on; or its info
                or record; ``None`` if ``model_id`` names the version.  If an info or record is given, the data must
                have its SHA-256, whatever the server says.
            progress: if given, it is called with the number of bytes received since its last call.

        Returns:
            A Deferred that fires with the data.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the model has no such alias.
            InvalidRequest: the text is not a reference, or the version is named twice.
            InvalidModelId: the text names a model that cannot exist.
            CorruptVersion: the version's files are damaged.
            CorruptTransfer: the data was damaged on its way.
            BadReply: the server sent another version.
            DeadlineExceeded: less than 64 KiB arrived within ``idle_seconds``.
            Unavailable: the server was away for longer than ``retry_seconds``.
            Unsupported: the reference has an alias, and the server has no aliases.
        """
        return self._defer(self._client.retrieve(model_id, version, progress=progress))

    def retrieve_file(
        self,
        model_id: AnyReference,
        path: "str | os.PathLike[str]",
        version: int | VersionInfo | VersionRecord | None = None,
        *,
        progress: Progress | None = None,
    ) -> "Deferred[VersionInfo]":
        """
        Retrieve a version's data into a file.  The file gets its name once the hash has matched and the data is synced,
        so a reader finds the old data or the new data, complete.

        If a version of 8 MiB or more has not arrived completely, the data stays beside the file, as
        ``NAME.XXXXXXXXXXXXXXXX.part``.  The next call for the same version and file goes on from there, in this or
        another process.  A call for another version of the file removes it.

        Args:
            model_id: a reference, such as ``walker@production``, ``walker@3`` or ``walker@-1``; or the info or record
                of a version.  ``walker`` alone means its latest version.  An ``@`` of a model's id is written ``%40``
                in a reference.  If ``version`` is given, this is the id of the model, as it is.
            path: the file.  An existing file is replaced; its mode and, if possible, its owner are kept.
            version: the version's number; or -1 for the latest version, -2 for the one before, and so on; or its info
                or record; ``None`` if ``model_id`` names the version.  If an info or record is given, the data must
                have its SHA-256, whatever the server says.
            progress: if given, it is called with the number of bytes received since its last call.  Data from an
                earlier call counts, too.  If that turns out to be damaged, the function is called with a negative
                number that takes back what was counted.

        Returns:
            A Deferred that fires with the version's info.

        Raises:
            OSError: the file cannot be written; or it cannot be replaced, such as a mount point, which is raised before
                the data is requested.
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the model has no such alias.
            InvalidRequest: the text is not a reference, or the version is named twice.
            InvalidModelId: the text names a model that cannot exist.
            CorruptVersion: the version's files are damaged.
            CorruptTransfer: the data was damaged on its way.
            BadReply: the server sent another version.
            DeadlineExceeded: less than 64 KiB arrived within ``idle_seconds``.
            Unavailable: the server was away for longer than ``retry_seconds``.
            Unsupported: the reference has an alias, and the server has no aliases.
        """
        return self._defer(self._client.retrieve_file(model_id, path, version, progress=progress))

    def retrieve_chunks(
        self,
        model_id: AnyReference,
        version: int | VersionInfo | VersionRecord | None = None,
        *,
        progress: Progress | None = None,
    ) -> DeferredIterator[memoryview]:
        """
        Retrieve a version's data in chunks of some megabytes, as they arrive.  The last chunk comes once size and hash
        have been checked, so an iteration that ends without an error has yielded the right bytes.

        Args:
            model_id: a reference, such as ``walker@production``, ``walker@3`` or ``walker@-1``; or the info or record
                of a version.  ``walker`` alone means its latest version.  An ``@`` of a model's id is written ``%40``
                in a reference.  If ``version`` is given, this is the id of the model, as it is.
            version: the version's number; or -1 for the latest version, -2 for the one before, and so on; or its info
                or record; ``None`` if ``model_id`` names the version.  If an info or record is given, the data must
                have its SHA-256, whatever the server says.
            progress: if given, it is called with the number of bytes received since its last call.

        Returns:
            An iterator over the chunks.

        Raises:
            UnknownModel: there is no such model; like all errors, raised during the iteration.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the model has no such alias.
            InvalidRequest: the text is not a reference, or the version is named twice.
            InvalidModelId: the text names a model that cannot exist.
            CorruptVersion: the version's files are damaged.
            CorruptTransfer: the data was damaged on its way.
            BadReply: the server sent another version.
            DeadlineExceeded: less than 64 KiB arrived within ``idle_seconds``.
            Unavailable: the server was away for longer than ``retry_seconds``.
            Unsupported: the reference has an alias, and the server has no aliases.
        """
        return DeferredIterator(self._defer, self._client.retrieve_chunks(model_id, version, progress=progress))

    def get(self, version: AnyReference) -> "Deferred[VersionRecord]":
        """
        Return a version with its labels, metrics and aliases.

        This and the following methods need a server with ``twisted_registry.v1``.

        Args:
            version: a reference, such as ``walker@production``, ``walker@3`` or ``walker@latest``; or the info or
                record of a version.  ``walker`` alone means its latest version.  An ``@`` of a model's id is written
                ``%40`` in a reference.

        Returns:
            A Deferred that fires with the version's record.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            UnknownAlias: the model has no such alias.
            CorruptVersion: the version's files are damaged.
            InvalidRequest: the text is not a reference.
            InvalidModelId: the text names a model that cannot exist.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.get(version))

    def search(
        self, model_id: str, filter: str = "", order_by: str = "", *, skip: int = 0
    ) -> DeferredIterator[VersionRecord]:
        """
        List the versions of a model that match a filter, in an order::

            async for record in client.search("walker", "archived AND metrics.return > 200", "metrics.return desc"):
                print(record.number, record.metrics["return"])

        The list is fetched in pages during the iteration.  ``docs/reference/filters.md`` describes filters and orders.

        Args:
            model_id: the model.
            filter: such as ``archived AND metrics.return > 200``; empty for all versions.
            order_by: such as ``metrics.return desc, number``; empty for by number.
            skip: how many versions to leave out first.  The server finds the next one at once if there is no filter.

        Returns:
            An iterator over the versions' records.

        Raises:
            InvalidFilter: the filter or the order has a mistake.  This and the other errors are raised during the
                iteration.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return DeferredIterator(self._defer, self._client.search(model_id, filter, order_by, skip=skip))

    def count_versions(self, model_id: str, filter: str = "") -> "Deferred[int]":
        """
        Return how many versions of a model match a filter.

        Args:
            model_id: the model.
            filter: such as ``archived AND metrics.return > 200``; empty for all versions.

        Returns:
            A Deferred that fires with the number of versions.

        Raises:
            InvalidFilter: the filter has a mistake.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call, or cannot count.
        """
        return self._defer(self._client.count_versions(model_id, filter))

    def best(self, model_id: str, metric: str, *, lowest: bool = False, filter: str = "") -> "Deferred[VersionRecord]":
        """
        Return the version with the best value of a metric; among equal ones, the newest.

        Args:
            model_id: the model.
            metric: the metric, such as ``return``.
            lowest: whether lower values are better.
            filter: selects the versions to compare, such as ``archived``; empty for all.

        Returns:
            A Deferred that fires with the version's record.

        Raises:
            NoMatchingVersion: no version has the metric and matches the filter.
            InvalidFilter: the filter has a mistake.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.best(model_id, metric, lowest=lowest, filter=filter))

    def metrics(self, model_id: str, *, first_number: int = 0, last_number: int = 0) -> DeferredIterator[MetricSummary]:
        """
        List the metrics that versions of a model have, by name.  The list is fetched in pages during the iteration.

        Args:
            model_id: the model.
            first_number: the lowest number of the versions to look at; 0 for no limit.
            last_number: the highest number of them; 0 for no limit.

        Returns:
            An iterator over the metrics, each with its newest value and its extremes.

        Raises:
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return DeferredIterator(
            self._defer, self._client.metrics(model_id, first_number=first_number, last_number=last_number)
        )

    def metric_series(
        self, model_id: str, *metrics: str, first_number: int = 0, last_number: int = 0, max_points: int = 1000
    ) -> "Deferred[dict[str, MetricSeries]]":
        """
        Return the values of metrics over the numbers of a model's versions, thinned out for a plot.

        If there are more than ``max_points`` values, the numbers are divided into equal parts, and of each part the
        lowest and the highest value are kept, so that no peak is lost.

        Args:
            model_id: the model.
            metrics: the names of 1 to 16 metrics.
            first_number: the lowest number of the versions; 0 for no limit.
            last_number: the highest number of them; 0 for no limit.
            max_points: the most values of each metric, 4 to 10000.

        Returns:
            A Deferred that fires with the values, by the name of the metric.

        Raises:
            InvalidRequest: there are too many metrics or none, or too few points.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return self._defer(
            self._client.metric_series(
                model_id, *metrics, first_number=first_number, last_number=last_number, max_points=max_points
            )
        )

    def annotate(
        self,
        version: AnyReference,
        *,
        labels: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        remove_labels: Iterable[str] = (),
        remove_metrics: Iterable[str] = (),
        replace: bool = False,
    ) -> "Deferred[VersionRecord]":
        """
        Set some labels and metrics of a version, and remove some.  All others stay, unless ``replace`` is true.

        Args:
            version: the version; see ``get``.
            labels: the labels to set; at most 256 in all, each at most 4 KiB.
            metrics: the metrics to set; at most 256 in all.  They may be infinite.
            remove_labels: the labels to remove; missing ones are ignored.
            remove_metrics: the metrics to remove; missing ones are ignored.
            replace: whether all labels and metrics that are not given here are removed.  Damaged ones are repaired so.

        Returns:
            A Deferred that fires with the version as it is now.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            UnknownAlias: the model has no such alias.
            InvalidRequest: a label or metric is not allowed, such as NaN; or there are too many.
            CorruptAnnotations: the version's labels and metrics are damaged, and ``replace`` is false.
            StorageFull: the server's disk is full.
            UnsupportedByArchive: the server's archive cannot store labels and metrics.
            Unsupported: the server does not have this call.
        """
        return self._defer(
            self._client.annotate(
                version,
                labels=labels,
                metrics=metrics,
                remove_labels=remove_labels,
                remove_metrics=remove_metrics,
                replace=replace,
            )
        )

    def archive(self, version: AnyReference) -> "Deferred[VersionRecord]":
        """
        Move a transient version to the server's archive.  Its number and its data stay the same, and the data does not
        cross the wire.  An archived version stays as it is.

        The answer may take ``deadline_seconds``, and a second more for each MiB.

        Args:
            version: the version; see ``get``.

        Returns:
            A Deferred that fires with the version as it is now.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the model has no such alias.
            StorageFull: the server's disk is full; the version is still transient.
            UnsupportedByArchive: the server's archive cannot take transient versions.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.archive(version))

    def delete_version(self, version: AnyReference) -> "Deferred[None]":
        """
        Delete a version, which may be damaged.  No other version gets its number.  Downloads of it that have begun can
        end.

        If the answer is lost, the call is repeated only if the same version still exists.

        Args:
            version: the version; see ``get``.  A model alone, which would mean its latest version, is refused.

        Returns:
            A Deferred that fires with ``None`` when this is done.

        Raises:
            InvalidRequest: the reference names a model without a version, or a version that cannot exist.
            AliasedVersion: an alias names the version.
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            UnknownAlias: the model has no such alias.
            UnsupportedByArchive: the server's archive cannot delete versions.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.delete_version(version))

    def copy(
        self,
        version: AnyReference,
        model_id: str,
        *,
        transient: bool = False,
        aliases: Iterable[str] = (),
        reason: str = "",
        idempotency_key: str | None = None,
    ) -> "Deferred[VersionRecord]":
        """
        Create a version in another model with the data and metadata of a version.  The data does not cross the wire.

        The answer may take ``deadline_seconds``, and a second more for each MiB.

        Args:
            version: the version to copy; see ``get``.
            model_id: the model that gets the new version.
            transient: whether the new version is transient; otherwise it is archived.
            aliases: aliases of the new version, set in the same commit.  A transient version can have none.
            reason: why the aliases are set, at most 1 KiB; may be empty.
            idempotency_key: a key for the creation, 1 to 128 printable ASCII characters; ``None`` for a random one.
                The same copy with the same key again, within a day, also in another process, returns the version that
                it made.

        Returns:
            A Deferred that fires with the new version.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the model has no such alias.
            CorruptVersion: the version's files are damaged.
            InvalidRequest: an alias, the reason or the key is not allowed; or the key was used for another creation.
            TooManyAliases: the target has as many aliases as it may have, and one of these would be new.
            StorageFull: the server's disk is full; nothing was created.
            Unsupported: the server does not have this call.
        """
        return self._defer(
            self._client.copy(
                version, model_id, transient=transient, aliases=aliases, reason=reason, idempotency_key=idempotency_key
            )
        )

    def set_alias(
        self, version: AnyReference, alias: str, *, expected_number: int | None = None, reason: str = ""
    ) -> "Deferred[AliasMove]":
        """
        Point an alias at a version.  A transient version is archived first.  The server writes the alias to its disk
        before it replies.  An aliased version is never evicted, pruned or deleted.

        If the answer is lost, the call is repeated without a second move: it does not undo what others have done since.

        Args:
            version: the version; see ``get``.
            alias: a letter, then at most 127 letters, digits, ``_`` and ``-``.
            expected_number: the number that the alias must name now; 0 if it must not exist; ``None`` for any.
            reason: why it moves, at most 1 KiB; may be empty.  The history of the alias keeps it.

        Returns:
            A Deferred that fires with the move that was made; if the alias names the version already, the move that
            made it so.

        Raises:
            AliasMoved: the alias does not name the expected version.
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the reference names an alias that does not exist.
            InvalidRequest: the alias or the reason is not allowed.
            TooManyAliases: the model has as many aliases as it may have, and this one would be new.
            StorageFull: the server's disk is full; the alias has not moved.
            UnsupportedByArchive: the server's archive cannot store aliases.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.set_alias(version, alias, expected_number=expected_number, reason=reason))

    def delete_alias(
        self, model_id: str, alias: str, *, expected_number: int | None = None, reason: str = ""
    ) -> "Deferred[None]":
        """
        Delete an alias.  Its history stays, and the version that it named as well.

        If the answer is lost, the call is repeated without a second deletion: an alias that was set since stays.

        Args:
            model_id: the model.
            alias: the alias.
            expected_number: the number that the alias must name now; ``None`` for any.
            reason: why it is deleted, at most 1 KiB; may be empty.  The history of the alias keeps it.

        Returns:
            A Deferred that fires with ``None`` when this is done.

        Raises:
            AliasMoved: the alias does not name the expected version.
            UnknownAlias: the model has no such alias.
            UnknownModel: there is no such model.
            InvalidRequest: the reason is not allowed.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.delete_alias(model_id, alias, expected_number=expected_number, reason=reason))

    def aliases(self, model_id: str) -> "Deferred[dict[str, AliasMove]]":
        """
        Return the aliases of a model.

        Args:
            model_id: the model.

        Returns:
            A Deferred that fires with the last move of each alias, by alias. ``to_number`` is the version that it
            names.

        Raises:
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.aliases(model_id))

    def alias_moves(self, model_id: str, alias: str = "") -> DeferredIterator[AliasMove]:
        """
        List the moves of a model's aliases, the newest first.  The list is fetched in pages during the iteration.

        Args:
            model_id: the model.
            alias: one alias, which may have been deleted since; empty for all.

        Returns:
            An iterator over the moves.

        Raises:
            UnknownModel: there is no such model; like all errors, raised during the iteration.
            Unsupported: the server does not have this call.
        """
        return DeferredIterator(self._defer, self._client.alias_moves(model_id, alias))

    def set_retention(
        self, model_id: str | None = None, *, prefix: str | None = None, policy: RetentionPolicy | None
    ) -> "Deferred[None]":
        """
        Set the retention policy of a model, or of all models whose ids begin with a prefix.

        A policy of a model takes precedence over that of a prefix, and a longer prefix over a shorter one.  The server
        deletes in the background the versions that no rule keeps.  It never deletes a model's latest version, a version
        that an alias names, or one with the label ``pin``.

        Args:
            model_id: the model; ``None`` if a prefix is given.
            prefix: the beginning of the models' ids; empty for all models; ``None`` if a model is given.
            policy: the policy; ``None`` to remove the one that is set.

        Returns:
            A Deferred that fires with ``None`` when this is done.

        Raises:
            InvalidRequest: the policy or the prefix is not allowed; or neither a model nor a prefix is given, or both.
            UnknownModel: there is no such model.
            StorageFull: the server's disk is full.
            UnsupportedByArchive: the server's archive cannot store policies.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.set_retention(model_id, prefix=prefix, policy=policy))

    def retention(self, model_id: str | None = None, *, prefix: str | None = None) -> "Deferred[Retention]":
        """
        Return the retention policy that applies to a model, or that is set for a prefix.

        Args:
            model_id: the model; ``None`` if a prefix is given.
            prefix: the beginning of the models' ids; ``None`` if a model is given.

        Returns:
            A Deferred that fires with the policy, and where it is set.

        Raises:
            InvalidRequest: the prefix is not allowed; or neither a model nor a prefix is given, or both.
            UnknownModel: there is no such model.
            CorruptRetention: the policy is damaged.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.retention(model_id, prefix=prefix))

    def prune(
        self,
        model_id: str | None = None,
        *,
        prefix: str | None = None,
        policy: RetentionPolicy | None = None,
        dry_run: bool = False,
        only: Pruned | None = None,
        progress: PruneProgress | None = None,
    ) -> "Deferred[Pruned]":
        """
        Delete the versions that the retention policies do not keep, and wait until that is done.

        If this is cancelled, the server deletes no more than some tens of further versions.  If the connection is lost,
        it fails with ``Unavailable`` and is not retried, because the result would lack what was deleted before;
        ``progress`` knows that.

        Args:
            model_id: the model; ``None`` if a prefix is given.
            prefix: the beginning of the models' ids; empty for all models; ``None`` if a model is given.
            policy: the policy to use; ``None`` for those that are set.
            dry_run: only report what would be deleted.
            only: what a dry run has reported: nothing else is deleted, and of these versions only those that the policy
                still does not keep.
            progress: if given, it is called with the versions that were deleted since its last call, of one model each
                time.

        Returns:
            A Deferred that fires with the versions that were, or would be, deleted; and the models of a prefix that
            were left out because they were deleted meanwhile, or are damaged.

        Raises:
            InvalidRequest: the policy or the prefix is not allowed; or neither a model nor a prefix is given, or both.
            UnknownModel: there is no such model.
            CorruptRetention: the policy is damaged.
            Unavailable: the connection was lost, or the server is stopping; some versions may be deleted.
            Unsupported: the server does not have this call.
        """
        return self._defer(
            self._client.prune(model_id, prefix=prefix, policy=policy, dry_run=dry_run, only=only, progress=progress)
        )

    @overload
    def track(
        self, model_id: str, *, data: Literal[False] = False, wait: bool = False
    ) -> DeferredTracker[VersionInfo]: ...

    @overload
    def track(self, model_id: str, *, data: Literal[True], wait: bool = False) -> DeferredTracker[Version]: ...

    @overload
    def track(self, model_id: str, *, data: bool, wait: bool = False) -> DeferredTracker[Any]: ...

    def track(self, model_id: str, *, data: bool = False, wait: bool = False) -> DeferredTracker[Any]:
        """
        Follow a model, or an alias such as ``walker@production``::

            async with client.track("walker", data=True) as tracker:
                async for version in tracker:
                    policy.load(version.data)

        The tracker survives restarts of the server.  While the server is away, it retries without a time limit.

        Args:
            model_id: the model, or a reference to an alias.  An ``@`` of a model's id is written ``%40``.
            data: whether to retrieve each version's data: the tracker then yields a ``Version``, otherwise a
                ``VersionInfo``.
            wait: whether to wait at the start for a model or alias that does not exist yet, and for a server that is
                away.

        Returns:
            The tracker, not started yet: an iterator and a context manager.

        Raises:
            InvalidRequest: the reference names a single version, or is malformed.
            InvalidModelId: the reference names a model that cannot exist.
            UnknownModel: the model does not exist or was deleted.  This and the following errors are raised by the
                tracker.
            UnknownAlias: the alias does not exist or was deleted.
            ModelReplaced: the model was deleted and created again.
            CorruptVersion: the version to follow is damaged.
            Unavailable: the server is away at the start, and ``wait`` is false.
            Unsupported: the server has no aliases.
        """
        return DeferredTracker(self._defer, self._client.track(model_id, data=data, wait=wait))

    def events(
        self, model_id: str = "", *, prefix: str = "", kinds: Iterable[str] = (), cursor: str = ""
    ) -> DeferredIterator[Event]:
        """
        Follow what happens in the registry::

            async for event in client.events(kinds=["alias_moved"]):
                print(event.kind, event.model_id, event.move)

        The first event is ``started``: all events from then on, or after the cursor, will follow.  If the connection is
        lost, the iterator waits for the server without a time limit, and goes on after the last event.  That is not
        possible after a restart of the server, or if more than 10,000 events were missed: then the iterator raises
        ``CursorExpired``.  Read again what you need to know, and follow without a cursor.

        Args:
            model_id: one model; empty for all.
            prefix: the beginning of the models' ids; empty for all.
            kinds: the kinds of events, such as ``version_created`` or ``alias_moved``; empty for all.
            cursor: the cursor of the last event that was received; empty to begin now.

        Returns:
            An iterator over the events, which does not end by itself.

        Raises:
            CursorExpired: events after the cursor are no longer kept.  This and the other errors are raised during the
                iteration.
            InvalidRequest: there is no such kind of event, the cursor is not one, or both a model and a prefix are
                given.
            Unavailable: the server was away for longer than ``retry_seconds`` at the start.
            Unsupported: the server does not have this call.
        """
        return DeferredIterator(self._defer, self._client.events(model_id, prefix=prefix, kinds=kinds, cursor=cursor))

    def server_versions(self) -> "Deferred[dict[str, str]]":
        """
        Return the versions of the server and of the libraries that it runs on.

        Returns:
            A Deferred that fires with the versions, by name.

        Raises:
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return self._defer(self._client.server_versions())

    def statuses(self, *names: str) -> "Deferred[dict[str, str]]":
        """
        Return statuses of the server, such as ``overall_load`` and ``uptime_seconds``.

        Args:
            names: the names of the statuses; ``"*"`` for all.

        Returns:
            A Deferred that fires with the values of those that the server has, by name.

        Raises:
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return self._defer(self._client.statuses(*names))

    def is_serving(self) -> "Deferred[bool]":
        """
        Return whether the server is up and has opened its archive, according to its health service.

        Returns:
            A Deferred that fires with ``True`` if it is serving.

        Raises:
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return self._defer(self._client.is_serving())

    def server_status(self) -> "Deferred[ServerStatus]":
        """
        Return the state of the server: its memory, its archive, and its clients.

        Returns:
            A Deferred that fires with the state. The archive is counted from the first question on, so that the first
            answer may not have that.

        Raises:
            NotPermitted: the caller may not read the status.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.server_status())

    def caller(self, model_id: str = "") -> "Deferred[CallerInfo]":
        """
        Return who this client is for the server, and what it may do.

        Args:
            model_id: the model whose permissions are of interest; empty for those on any model.

        Returns:
            A Deferred that fires with the caller.

        Raises:
            NotAuthenticated: the server does not accept the credentials.
            Unsupported: the server does not have this call.
        """
        return self._defer(self._client.caller(model_id))

    def followers(self, model_id: str = "") -> DeferredIterator[Follower]:
        """
        List the streams that clients follow models with: who, from where, since when, and the last version that they
        were sent.  The list is fetched in pages during the iteration, which raises the errors.

        Args:
            model_id: the model that they show; empty for all models that the caller may see.

        Returns:
            An iterator over the streams, the oldest first.

        Raises:
            NotPermitted: the caller may not read the status and the model.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return DeferredIterator(self._defer, self._client.followers(model_id))
