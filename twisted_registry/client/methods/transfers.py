"""
Methods of the client that create, list and retrieve versions.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from twisted_registry.client._transfer.new_version import NewVersion
from twisted_registry.client._types import AnyReference, Data, Progress, UploadState
from twisted_registry.client.methods.base import MethodsBase
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import VersionRecord

if TYPE_CHECKING:
    from twisted_registry.client._iterators import Items


class TransferMethods(MethodsBase):
    """
    The methods of a client that create, list and retrieve versions.
    """

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
        labels: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
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
                The same creation with the same key again, within a day, returns the version that it made; its labels,
                metrics and aliases are not set again.  If the first one was interrupted, also in another process, it
                goes on with the data that the server has not received yet.  The data is hashed before it is sent.
            labels: labels of the version, set in the same commit; at most 256, each at most 4 KiB.  Labels and metrics
                need a server with ``twisted_registry.v1``, and no ``created_ns``.
            metrics: metrics of the version, set in the same commit; at most 256.

        Returns:
            The version's info, with its number.

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
        new = NewVersion(
            model_id=model_id,
            archived=False,
            data=data,
            metadata=metadata,
            size_bytes=size_bytes,
            created_ns=created_ns,
            progress=progress,
            deadline_seconds=deadline_seconds,
            idempotency_key=idempotency_key,
            labels=labels,
            metrics=metrics,
        )
        return await self._session.create(new)

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
        labels: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        aliases: Iterable[str] = (),
        reason: str = "",
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
            The version's info, with its number.

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
        new = NewVersion(
            model_id=model_id,
            archived=True,
            data=data,
            metadata=metadata,
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
        return await self._session.create(new)

    async def upload_state(self, model_id: str, idempotency_key: str) -> UploadState:
        """
        Return how far a creation is that ``publish`` or ``store`` began with an idempotency key, in this or another
        process.  The same creation with the same key goes on from there.  A creation that is under way goes on.

        Args:
            model_id: the model.
            idempotency_key: the key.

        Returns:
            The version, if it exists; or how much of its data the server keeps.

        Raises:
            UnknownModel: there is no such model.
            InvalidRequest: the key is not allowed.
            Unsupported: the server does not have ``twisted_registry.v1``.
        """
        return await self._session.upload_state(model_id, idempotency_key)

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
        self,
        model_id: AnyReference,
        version: int | VersionInfo | VersionRecord | None = None,
        *,
        progress: Progress | None = None,
    ) -> bytes:
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
            The data.

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
        return await self._session.retrieve(model_id, version, progress)

    async def retrieve_file(
        self,
        model_id: AnyReference,
        path: "str | os.PathLike[str]",
        version: int | VersionInfo | VersionRecord | None = None,
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
            The version's info.

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
        return await self._session.retrieve_file(model_id, path, version, progress)

    def retrieve_chunks(
        self,
        model_id: AnyReference,
        version: int | VersionInfo | VersionRecord | None = None,
        *,
        progress: Progress | None = None,
    ) -> "Items[memoryview]":
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
        return self._session.chunks(model_id, version, progress)
