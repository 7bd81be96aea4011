"""
The client for asyncio.

``make faces`` writes ``blocking.py`` and ``deferred.py`` from this module.
"""

import os
import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

from attrs import asdict

from twisted_registry.client._transport.addresses import DEFAULT_ADDRESS
from twisted_registry.client._transport.options import Options, Tls
from twisted_registry.client._types import AnyReference, Data, Event, Progress, Pruned, Retention, Version
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.records import ModelRecord, VersionRecord
from twisted_registry.domain.retention import RetentionPolicy

if TYPE_CHECKING:
    from twisted_registry.client._iterators import Items
    from twisted_registry.client._session import Session
    from twisted_registry.client._tracking.tracker import Tracker


class Client:
    """
    A client of a model registry, for asyncio.

    The first call loads gRPC, which takes some tenths of a second, and connects.  From then on the client belongs to
    the event loop of that call.

    Methods raise the errors of ``twisted_registry.client.errors``.  A call that fails because the server is away is
    retried if repeating it is harmless.
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
        patience_seconds: float | None = None,
    ) -> None:
        """
        Create a client.  It connects at its first call.

        Args:
            address: ``HOST:PORT``; ``unix:PATH`` for a socket; or another target that gRPC knows, such as
                ``ipv4:10.0.0.1:9000,10.0.0.2:9000``.
            tls: certificates for an encrypted connection; ``None`` for an unencrypted one.
            token: sent with each call as ``authorization: Bearer TOKEN``; at most 16 KiB.
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
        if patience_seconds is not None:
            warnings.warn("patience_seconds is now retry_seconds", DeprecationWarning, stacklevel=2)
            retry_seconds = patience_seconds
        self._options = Options(address, tls, token, deadline_seconds, retry_seconds, idle_seconds)
        self._is_closed = False
        self._sessions: list[Session] = []

    @property
    def address(self) -> str:
        """
        The address of the registry.
        """
        return self._options.address

    def __reduce__(self) -> tuple[Any, ...]:
        """
        Return the arguments, to pickle or copy the client: the copy connects at its first call.  The token and the
        private key are included.
        """
        return partial(type(self), **self._arguments()), (self.address,)

    def _arguments(self) -> dict[str, Any]:
        options = asdict(self._options, recurse=False)
        return {name: value for name, value in options.items() if name not in ("address", "parsed")}

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """
        Close the client.  Its trackers end, and its calls in progress raise ``ClientUnusable``.
        """
        self._is_closed = True
        for session in self._sessions[:1]:
            await session.close()

    # Models

    async def save_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> ModelInfo:
        """
        Create a model, or replace all metadata of an existing one.  ``ensure_model`` and ``update_model`` keep what
        others have written.

        Args:
            model_id: 1 to 200 bytes of UTF-8 without control characters.
            metadata: the metadata, at most 256 KiB; ``None`` for none.

        Returns:
            The model as it is now.

        Raises:
            InvalidModelId: the id is not allowed.
            InvalidRequest: the metadata is too large, or not text.
        """
        return await self._session.models.save(model_id, metadata)

    async def ensure_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> ModelInfo:
        """
        Create a model if it does not exist.  An existing model keeps all its metadata, and gets those pairs whose keys
        it does not have, so a trainer can call this each time it starts.  Nothing is written if no pair is missing.

        On a server without ``twisted_registry.v1``, this reads, merges and writes, like ``update_model``.

        Args:
            model_id: 1 to 200 bytes of UTF-8 without control characters.
            metadata: the metadata, at most 256 KiB; ``None`` for none.

        Returns:
            The model as it is now.

        Raises:
            InvalidModelId: the id is not allowed.
            InvalidRequest: the metadata is too large, or not text.
            CorruptModel: the model's metadata is damaged; ``save_model`` replaces it.
        """
        return await self._session.models.ensure(model_id, metadata)

    async def update_model(
        self,
        model_id: str,
        metadata: Mapping[str, str] | None = None,
        *,
        remove: Iterable[str] = (),
        etag: str = "",
    ) -> ModelInfo:
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
            The model as it is now.

        Raises:
            UnknownModel: there is no such model.
            EtagChanged: the model's etag is another.
            InvalidRequest: the metadata is too large, or not text.
            CorruptModel: the model's metadata is damaged; ``save_model`` replaces it.
            Unsupported: an etag was given, and the server has no etags.
        """
        return await self._session.models.update(model_id, metadata, remove, etag)

    async def delete_model(self, model_id: str) -> None:
        """
        Delete a model with all its versions, including archived ones.

        If the connection is lost before the answer, this fails with ``Unavailable`` and is not retried, because the
        model may have been created again meanwhile.

        Args:
            model_id: the model.

        Raises:
            UnknownModel: there is no such model.
            Unavailable: the connection was lost; the model may be deleted or not.
        """
        await self._session.models.delete(model_id)

    async def model(self, model_id: str) -> ModelInfo:
        """
        Return the info of a model.

        Args:
            model_id: the model.

        Returns:
            The model's id and metadata.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: the model's metadata is damaged.
        """
        return await self._session.queries.model(model_id)

    async def model_record(self, model_id: str) -> ModelRecord:
        """
        Return a model with its aliases, the number of its versions, and its etag.

        Args:
            model_id: the model.

        Returns:
            The model's record.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: the model's metadata is damaged.
            Unsupported: the server does not have this call.
        """
        return await self._session.model_records.get(model_id)

    def models(self) -> "Items[ModelInfo]":
        """
        List all models, ordered by id.  The list is fetched in pages during the iteration, which raises the errors.

        Returns:
            An iterator over the models' infos.
        """
        from twisted_registry.client._iterators import Items

        return Items(self._session.queries.models())

    def search_models(self, filter: str = "", order_by: str = "") -> "Items[ModelRecord]":
        """
        List the models that match a filter, in an order.  The list is fetched in pages during the iteration.
        ``docs/reference/filters.md`` describes filters and orders.

        Args:
            filter: such as ``metadata.owner = ada``; empty for all models.
            order_by: such as ``version_count desc``; empty for by id.

        Returns:
            An iterator over the models' records.

        Raises:
            InvalidFilter: the filter or the order has a mistake.  This and the other errors are raised during the
                iteration.
            Unsupported: the server does not have this call.
        """
        from twisted_registry.client._iterators import Items

        return Items(self._session.model_records.search(filter, order_by))

    # Versions

    async def publish(
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
    ) -> VersionInfo:
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
                The same creation with the same key again, within a day, returns the version that it made.  If the
                first one was interrupted, also in another process, it goes on with the data that the server has not
                received yet.  The data is hashed before it is sent.

        Returns:
            The version's info, with its number.

        Raises:
            UnknownModel: there is no such model.
            ModelReplaced: the model was deleted during the call.
            InvalidRequest: the metadata is too large, or not text; or a time or a size is out of range; or a file is
                at its end; or an iterable was used up before.
            DataChanged: a file changed while it was sent.
            SizeMismatch: the data has another size than ``size_bytes``.
            TooLarge: the server does not accept versions of this size.
            Overloaded: the server has no memory for the version, and had none for ``retry_seconds``.
            CreationUncertain: the connection was lost, and the client could not find out whether the version exists.
            CorruptTransfer: other bytes were stored than were sent.
            DeadlineExceeded: the call took longer than ``deadline_seconds``; the version may exist or not.
            Unavailable: the server is away; no version was created.
            TypeError: the data is of a type that cannot be published.
            OSError: a file cannot be read.
        """
        return await self._session.create(
            model_id, False, data, metadata, size_bytes, created_ns, progress, deadline_seconds, idempotency_key
        )

    async def store(
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
    ) -> VersionInfo:
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
                The same creation with the same key again, within a day, returns the version that it made.  If the
                first one was interrupted, also in another process, it goes on with the data that the server has not
                received yet.  The data is hashed before it is sent.

        Returns:
            The version's info, with its number.

        Raises:
            StorageFull: the server's disk is full; nothing was stored.
            StorageReadOnly: the server's archive is read-only.
            StorageFailure: the server's disk failed.
            UnknownModel: there is no such model.
            ModelReplaced: the model was deleted during the call.
            InvalidRequest: the metadata is too large, or not text; or a time or a size is out of range; or a file is
                at its end; or an iterable was used up before.
            DataChanged: a file changed while it was sent.
            SizeMismatch: the data has another size than ``size_bytes``.
            TooLarge: the server does not accept versions of this size.
            Overloaded: the server has no memory for the upload, and had none for ``retry_seconds``.
            CreationUncertain: the connection was lost, and the client could not find out whether the version exists.
            CorruptTransfer: other bytes were stored than were sent.
            DeadlineExceeded: the call took longer than ``deadline_seconds``; the version may exist or not.
            Unavailable: the server is away; no version was created.
            TypeError: the data is of a type that cannot be published.
            OSError: a file cannot be read.
        """
        return await self._session.create(
            model_id, True, data, metadata, size_bytes, created_ns, progress, deadline_seconds, idempotency_key
        )

    async def latest(self, model_id: str) -> VersionInfo:
        """
        Return the info of a model's latest version.

        Args:
            model_id: the model.

        Returns:
            The version's info.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no version.
            CorruptVersion: the version's files are damaged.
        """
        return await self._session.queries.version(model_id, -1)

    async def version(self, model_id: str, selector: int) -> VersionInfo:
        """
        Return the info of a version.

        Args:
            model_id: the model.
            selector: the version's number; or -1 for the latest version, -2 for the one before, and so on.

        Returns:
            The version's info.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            CorruptVersion: the version's files are damaged.
        """
        return await self._session.queries.version(model_id, selector)

    def versions(self, model_id: str, since: int = 1) -> "Items[VersionInfo]":
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
        from twisted_registry.client._iterators import Items

        return Items(self._session.queries.versions(model_id, since))

    async def retrieve(
        self, model_id: str, version: int | VersionInfo = -1, *, progress: Progress | None = None
    ) -> bytes:
        """
        Retrieve a version's data.  Its size and hash are checked.

        Args:
            model_id: the model.
            version: the version's number; or -1 for the latest version, -2 for the one before, and so on; or an info
                that is known already: then the data must have the SHA-256 of that info, whatever the server says.
            progress: if given, it is called with the number of bytes received since its last call.

        Returns:
            The data.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            CorruptVersion: the version's files are damaged.
            CorruptTransfer: the data was damaged on its way.
            BadReply: the server sent another version.
            DeadlineExceeded: less than 64 KiB arrived within ``idle_seconds``.
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        download = await self._session.download(model_id, version, progress)
        return await download.whole()

    async def retrieve_file(
        self,
        model_id: str,
        path: "str | os.PathLike[str]",
        version: int | VersionInfo = -1,
        *,
        progress: Progress | None = None,
    ) -> VersionInfo:
        """
        Retrieve a version's data into a file.  The file gets its name once the hash has matched and the data is synced,
        so a reader finds the old data or the new data, complete.

        If a version of 8 MiB or more has not arrived completely, the data stays beside the file, as
        ``NAME.XXXXXXXXXXXXXXXX.part``.  The next call for the same version and file goes on from there, in this or
        another process.  A call for another version of the file removes it.

        Args:
            model_id: the model.
            path: the file.  An existing file is replaced; its mode and, if possible, its owner are kept.
            version: the version's number; or -1 for the latest version, -2 for the one before, and so on; or an info
                that is known already: then the data must have the SHA-256 of that info, whatever the server says.
            progress: if given, it is called with the number of bytes received since its last call.  Data from an
                earlier call counts, too.  If that turns out to be damaged, the function is called with a negative
                number that takes back what was counted.

        Returns:
            The version's info.

        Raises:
            OSError: the file cannot be written; or it cannot be replaced, such as a mount point, which is raised before
                the data is requested.
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            CorruptVersion: the version's files are damaged.
            CorruptTransfer: the data was damaged on its way.
            BadReply: the server sent another version.
            DeadlineExceeded: less than 64 KiB arrived within ``idle_seconds``.
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return await self._session.retrieve_file(model_id, path, version, progress)

    def retrieve_chunks(
        self, model_id: str, version: int | VersionInfo = -1, *, progress: Progress | None = None
    ) -> "Items[memoryview]":
        """
        Retrieve a version's data in chunks of some megabytes, as they arrive.  The last chunk comes once size and hash
        have been checked, so an iteration that ends without an error has yielded the right bytes.

        Args:
            model_id: the model.
            version: the version's number; or -1 for the latest version, -2 for the one before, and so on; or an info
                that is known already: then the data must have the SHA-256 of that info, whatever the server says.
            progress: if given, it is called with the number of bytes received since its last call.

        Returns:
            An iterator over the chunks.

        Raises:
            UnknownModel: there is no such model; like all errors, raised during the iteration.
            UnknownVersion: the model has no such version, or it was evicted.
            CorruptVersion: the version's files are damaged.
            CorruptTransfer: the data was damaged on its way.
            BadReply: the server sent another version.
            DeadlineExceeded: less than 64 KiB arrived within ``idle_seconds``.
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return self._session.chunks(model_id, version, progress)

    # Versions by reference

    async def get(self, version: AnyReference) -> VersionRecord:
        """
        Return a version with its labels, metrics and aliases.

        This and the following methods need a server with ``twisted_registry.v1``.

        Args:
            version: a reference, such as ``walker@production``, ``walker@3`` or ``walker@latest``; or the info or
                record of a version.  ``walker`` alone means its latest version.  An ``@`` of a model's id is written
                ``%40`` in a reference.

        Returns:
            The version's record.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            UnknownAlias: the model has no such alias.
            CorruptVersion: the version's files are damaged.
            InvalidRequest: the text is not a reference.
            InvalidModelId: the text names a model that cannot exist.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.get(version)

    def search(self, model_id: str, filter: str = "", order_by: str = "") -> "Items[VersionRecord]":
        """
        List the versions of a model that match a filter, in an order::

            async for record in client.search("walker", "archived AND metrics.return > 200", "metrics.return desc"):
                print(record.number, record.metrics["return"])

        The list is fetched in pages during the iteration.  ``docs/reference/filters.md`` describes filters and orders.

        Args:
            model_id: the model.
            filter: such as ``archived AND metrics.return > 200``; empty for all versions.
            order_by: such as ``metrics.return desc, number``; empty for by number.

        Returns:
            An iterator over the versions' records.

        Raises:
            InvalidFilter: the filter or the order has a mistake.  This and the other errors are raised during the
                iteration.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        from twisted_registry.client._iterators import Items

        return Items(self._session.versions.search(model_id, filter, order_by))

    async def best(self, model_id: str, metric: str, *, lowest: bool = False, filter: str = "") -> VersionRecord:
        """
        Return the version with the best value of a metric; among equal ones, the one with the lowest number.

        Args:
            model_id: the model.
            metric: the metric, such as ``return``.
            lowest: whether lower values are better.
            filter: selects the versions to compare, such as ``archived``; empty for all.

        Returns:
            The version's record.

        Raises:
            NoMatchingVersion: no version has the metric and matches the filter.
            InvalidFilter: the filter has a mistake.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.best(model_id, metric, lowest, filter)

    async def annotate(
        self,
        version: AnyReference,
        *,
        labels: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        remove_labels: Iterable[str] = (),
        remove_metrics: Iterable[str] = (),
    ) -> VersionRecord:
        """
        Set some labels and metrics of a version, and remove some.  All others stay.

        Args:
            version: the version; see ``get``.
            labels: the labels to set; at most 256 in all, each at most 4 KiB.
            metrics: the metrics to set; at most 256 in all.  They may be infinite.
            remove_labels: the labels to remove; missing ones are ignored.
            remove_metrics: the metrics to remove; missing ones are ignored.

        Returns:
            The version as it is now.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            UnknownAlias: the model has no such alias.
            InvalidRequest: a label or metric is not allowed, such as NaN; or there are too many.
            CorruptAnnotations: the version's labels and metrics are damaged.
            StorageFull: the server's disk is full.
            UnsupportedByArchive: the server's archive cannot store labels and metrics.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.annotate(version, labels, metrics, remove_labels, remove_metrics)

    async def archive(self, version: AnyReference) -> VersionRecord:
        """
        Move a transient version to the server's archive.  Its number and its data stay the same, and the data does not
        cross the wire.  An archived version stays as it is.

        The answer may take ``deadline_seconds``, and a second more for each MiB.

        Args:
            version: the version; see ``get``.

        Returns:
            The version as it is now.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the model has no such alias.
            StorageFull: the server's disk is full; the version is still transient.
            UnsupportedByArchive: the server's archive cannot take transient versions.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.archive(version)

    async def delete_version(self, version: AnyReference) -> None:
        """
        Delete a version.  No other version gets its number.  Downloads of it that have begun can end.

        If the answer is lost, the call is repeated only if the same version still exists.

        Args:
            version: the version; see ``get``.  A model alone, which would mean its latest version, is refused.

        Raises:
            InvalidRequest: the reference names a model without a version, or a version that cannot exist.
            AliasedVersion: an alias names the version.
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            UnknownAlias: the model has no such alias.
            UnsupportedByArchive: the server's archive cannot delete versions.
            Unsupported: the server does not have this call.
        """
        await self._session.versions.delete(version)

    async def copy(
        self,
        version: AnyReference,
        model_id: str,
        *,
        transient: bool = False,
        aliases: Iterable[str] = (),
        reason: str = "",
    ) -> VersionRecord:
        """
        Create a version in another model with the data and metadata of a version.  The data does not cross the wire.

        The answer may take ``deadline_seconds``, and a second more for each MiB.

        Args:
            version: the version to copy; see ``get``.
            model_id: the model that gets the new version.
            transient: whether the new version is transient; otherwise it is archived.
            aliases: aliases of the new version, set in the same commit.  A transient version can have none.
            reason: why the aliases are set, at most 1 KiB; may be empty.

        Returns:
            The new version.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the model has no such alias.
            CorruptVersion: the version's files are damaged.
            InvalidRequest: an alias or the reason is not allowed.
            StorageFull: the server's disk is full; nothing was created.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.copy(version, model_id, transient, aliases, reason)

    # Aliases

    async def set_alias(
        self, version: AnyReference, alias: str, *, expected_number: int | None = None, reason: str = ""
    ) -> AliasMove:
        """
        Point an alias at a version.  A transient version is archived first.  The server writes the alias to its disk
        before it replies.  An aliased version is never evicted, pruned or deleted.

        If the answer is lost, the call is repeated only if the alias does not name the version with this reason.

        Args:
            version: the version; see ``get``.
            alias: a letter, then at most 127 letters, digits, ``_`` and ``-``.
            expected_number: the number that the alias must name now; 0 if it must not exist; ``None`` for any.
            reason: why it moves, at most 1 KiB; may be empty.  The history of the alias keeps it.

        Returns:
            The move that was made; if the alias names the version already, the move that made it so.

        Raises:
            AliasMoved: the alias does not name the expected version.
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the reference names an alias that does not exist.
            InvalidRequest: the alias or the reason is not allowed.
            StorageFull: the server's disk is full; the alias has not moved.
            UnsupportedByArchive: the server's archive cannot store aliases.
            Unsupported: the server does not have this call.
        """
        return await self._session.aliases.set(version, alias, expected_number, reason)

    async def delete_alias(
        self, model_id: str, alias: str, *, expected_number: int | None = None, reason: str = ""
    ) -> None:
        """
        Delete an alias.  Its history stays, and the version that it named as well.

        If the answer is lost, the call is repeated only if the alias still exists.

        Args:
            model_id: the model.
            alias: the alias.
            expected_number: the number that the alias must name now; ``None`` for any.
            reason: why it is deleted, at most 1 KiB; may be empty.  The history of the alias keeps it.

        Raises:
            AliasMoved: the alias does not name the expected version.
            UnknownAlias: the model has no such alias.
            UnknownModel: there is no such model.
            InvalidRequest: the reason is not allowed.
            Unsupported: the server does not have this call.
        """
        await self._session.aliases.delete(model_id, alias, expected_number, reason)

    async def aliases(self, model_id: str) -> dict[str, AliasMove]:
        """
        Return the aliases of a model.

        Args:
            model_id: the model.

        Returns:
            The last move of each alias, by alias.  ``to_number`` is the version that it names.

        Raises:
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return await self._session.aliases.of_model(model_id)

    def alias_moves(self, model_id: str, alias: str = "") -> "Items[AliasMove]":
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
        from twisted_registry.client._iterators import Items

        return Items(self._session.aliases.moves(model_id, alias))

    # Retention

    async def set_retention(
        self, policy: RetentionPolicy | None, model_id: str | None = None, *, prefix: str | None = None
    ) -> None:
        """
        Set the retention policy of a model, or of all models whose ids begin with a prefix.

        A policy of a model takes precedence over that of a prefix, and a longer prefix over a shorter one.  The server
        deletes in the background the versions that no rule keeps.  It never deletes a model's latest version, a version
        that an alias names, or one with the label ``pin``.

        Args:
            policy: the policy; ``None`` to remove the one that is set.
            model_id: the model; ``None`` if a prefix is given.
            prefix: the beginning of the models' ids; empty for all models; ``None`` if a model is given.

        Raises:
            InvalidRequest: the policy or the prefix is not allowed; or neither a model nor a prefix is given, or both.
            UnknownModel: there is no such model.
            StorageFull: the server's disk is full.
            UnsupportedByArchive: the server's archive cannot store policies.
            Unsupported: the server does not have this call.
        """
        await self._session.retention.set(policy, model_id, prefix)

    async def retention(self, model_id: str | None = None, *, prefix: str | None = None) -> Retention:
        """
        Return the retention policy that applies to a model, or that is set for a prefix.

        Args:
            model_id: the model; ``None`` if a prefix is given.
            prefix: the beginning of the models' ids; ``None`` if a model is given.

        Returns:
            The policy, and where it is set.

        Raises:
            InvalidRequest: the prefix is not allowed; or neither a model nor a prefix is given, or both.
            UnknownModel: there is no such model.
            CorruptRetention: the policy is damaged.
            Unsupported: the server does not have this call.
        """
        return await self._session.retention.get(model_id, prefix)

    async def prune(
        self,
        model_id: str | None = None,
        *,
        prefix: str | None = None,
        policy: RetentionPolicy | None = None,
        dry_run: bool = False,
    ) -> Pruned:
        """
        Delete the versions that the retention policies do not keep, and wait until that is done.

        If the connection is lost before the answer, this fails with ``Unavailable`` and is not retried, because the
        answer would lack what was deleted before.

        Args:
            model_id: the model; ``None`` if a prefix is given.
            prefix: the beginning of the models' ids; empty for all models; ``None`` if a model is given.
            policy: the policy to use; ``None`` for those that are set.
            dry_run: only report what would be deleted.

        Returns:
            The versions that were, or would be, deleted.

        Raises:
            InvalidRequest: the policy or the prefix is not allowed; or neither a model nor a prefix is given, or both.
            UnknownModel: there is no such model.
            CorruptRetention: a policy is damaged.
            Unavailable: the connection was lost; some versions may be deleted.
            Unsupported: the server does not have this call.
        """
        return await self._session.retention.prune(model_id, prefix, policy, dry_run)

    # Following

    @overload
    def track(self, model_id: str, *, data: Literal[False] = False, wait: bool = False) -> "Tracker[VersionInfo]": ...

    @overload
    def track(self, model_id: str, *, data: Literal[True], wait: bool = False) -> "Tracker[Version]": ...

    @overload
    def track(self, model_id: str, *, data: bool, wait: bool = False) -> "Tracker[Any]": ...

    def track(self, model_id: str, *, data: bool = False, wait: bool = False) -> "Tracker[Any]":
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
        return self._session.track(model_id, data, wait)

    def events(
        self, model_id: str = "", *, prefix: str = "", kinds: Iterable[str] = (), cursor: str = ""
    ) -> "Items[Event]":
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
            InvalidRequest: there is no such kind of event, or the cursor is not one.
            Unavailable: the server was away for longer than ``retry_seconds`` at the start.
            Unsupported: the server does not have this call.
        """
        return self._session.events(model_id, prefix, kinds, cursor)

    # The server

    async def server_versions(self) -> dict[str, str]:
        """
        Return the versions of the server and of the libraries that it runs on.

        Returns:
            The versions, by name.

        Raises:
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return await self._session.queries.server_versions()

    async def statuses(self, *names: str) -> dict[str, str]:
        """
        Return statuses of the server, such as ``overall_load`` and ``uptime_seconds``.

        Args:
            names: the names of the statuses; ``"*"`` for all.

        Returns:
            The values of those that the server has, by name.

        Raises:
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return await self._session.queries.statuses(*names)

    async def is_serving(self) -> bool:
        """
        Return whether the server is up and has opened its archive, according to its health service.

        Returns:
            ``True`` if it is serving.

        Raises:
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return await self._session.queries.is_serving()

    @property
    def _session(self) -> "Session":
        if not self._sessions:
            from twisted_registry.client._session import Session

            # A blocking client may get here in several threads at once; all of them use the first.
            self._sessions.append(Session(self._options, self._is_closed))
        return self._sessions[0]
