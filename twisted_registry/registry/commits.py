"""
Commits: how an upload becomes a version.
"""

from collections.abc import Callable, Sequence
from functools import partial

from attrs import evolve, frozen
from twisted.logger import Logger

from twisted_registry.contracts.lifecycle import ILifecycleWriter
from twisted_registry.contracts.streams import IArchiveWriter
from twisted_registry.contracts.tracing import CURRENT_SPAN, as_part_of, part_of
from twisted_registry.contracts.transient import EvictionRank
from twisted_registry.domain.aliases import AliasChange, AliasMove, check_alias_count
from twisted_registry.domain.annotations import NO_ANNOTATIONS
from twisted_registry.domain.creation import CreationDetails
from twisted_registry.domain.errors import (
    ArchiveMoved,
    CommitUncertain,
    CorruptModel,
    ModelReplaced,
    NumberTaken,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    UnknownModel,
)
from twisted_registry.domain.events import AliasChanged, VersionCommitted
from twisted_registry.domain.models import VersionHeader, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.idempotency import CreationKeys
from twisted_registry.registry.lost_models import LostModel
from twisted_registry.registry.models import Model
from twisted_registry.registry.state import State
from twisted_registry.registry.transients import Publication
from twisted_registry.registry.uploads import Upload

_SURELY_ABSENT = (ArchiveMoved, StorageFull, StorageReadOnly, StorageFailure, UnknownModel, CorruptModel, NumberTaken)
"""The errors after which a version certainly does not exist, except for ``CommitUncertain``."""

_log = Logger(namespace="twisted_registry.registry")


@frozen(eq=False)
class Committer:
    """
    The commits of all uploads, which give versions their numbers.

    The commits of a model follow each other, those of transient and of archived versions alike: if a higher number
    could be seen before a lower one, lists would change while clients read them.

    Attributes:
        _count: counts what models have in the archive, for quotas.
    """

    _state: State
    _keys: CreationKeys
    _now_ns: Callable[[], int]
    _count: Callable[[Sequence[str]], None]

    async def commit(self, upload: Upload) -> VersionInfo:
        """
        See ``IUpload.commit``.
        """
        with part_of(upload.span, "commit"):
            return await self._commit_or_abort(upload)

    async def _commit_or_abort(self, upload: Upload) -> VersionInfo:
        model_id = upload.header.model_id
        archiver = self._state.transients.archiver
        try:
            if archiver is not None and upload.archive_writer is None:
                await archiver.room()
            if upload.key_sha256:
                return await self._commit_once_per_key(upload)
            async with self._state.coordination.exclusive(model_id):
                return await self._commit(self._model(upload), upload)
        except BaseException as error:
            upload.abort()
            self._state.publish_failure("create version", model_id, error)
            raise

    async def _commit_once_per_key(self, upload: Upload) -> VersionInfo:
        self._keys.begin(upload)
        try:
            async with self._state.coordination.exclusive(upload.header.model_id):
                model = self._model(upload)
                known = await self._keys.find_committed(model, upload.header, upload.sha256, upload.key_sha256)
                if known is not None:
                    upload.abort()
                    return known
                now_seconds = self._keys.now_seconds()
                if upload.archive_writer is not None:
                    self._state.archive.set_key(upload.archive_writer, upload.key_sha256, now_seconds)
                info = await self._commit(model, upload)
                self._keys.add(upload, model.loaded.key(info.version_number), info, now_seconds)
                return info
        finally:
            self._keys.end(upload)

    async def find_created(self, header: VersionHeader, snapshot: ModelSnapshot, key_sha256: str) -> VersionInfo | None:
        """
        See ``IRegistry.find_created``.
        """
        async with self._state.coordination.exclusive(header.model_id):
            model = self._state.current(snapshot.model_id, snapshot.incarnation)
            if model is None or model.snapshot is None:
                return None  # the commit reports it
            return await self._keys.find_committed(model, header, header.sha256, key_sha256)

    async def find_version_with_key(self, snapshot: ModelSnapshot, key_sha256: str) -> VersionInfo | None:
        """
        See ``IRegistry.find_version_with_key``.
        """
        async with self._state.coordination.exclusive(snapshot.model_id):
            model = self._state.current(snapshot.model_id, snapshot.incarnation)
            if model is None or model.snapshot is None:
                return None
            return await self._keys.find_version(model, key_sha256)

    def _model(self, upload: Upload) -> Model:
        model = self._state.current(upload.snapshot.model_id, upload.snapshot.incarnation)
        if model is None:
            raise ModelReplaced(upload.snapshot.model_id)
        if model.snapshot is None:
            raise LostModel(model.model_id)
        return model

    async def _commit(self, model: Model, upload: Upload) -> VersionInfo:
        info = upload.info(model.sequence.next(), self._now_ns())
        if upload.archive_writer is None:
            await self._commit_transient(model, upload, info)
            return info
        return await self._commit_archived(model, upload, upload.archive_writer, info)

    async def _commit_archived(
        self, model: Model, upload: Upload, writer: IArchiveWriter, info: VersionInfo
    ) -> VersionInfo:
        details = upload.details
        async with self._state.coordination.writing(model.model_id):
            info, moves = await self._commit_to_archive(model, writer, info, details)
        lowered = self._state.ranks.lowered(model.loaded)
        model.add_archived(info, details.annotations, moves)
        if upload.reservation is not None:
            upload.reservation.settle(info.version_number)
        key = model.loaded.key(info.version_number)
        self._state.add_version_info(key, info)
        if details.annotations != NO_ANNOTATIONS:
            self._state.add_annotations(key, details.annotations)
        await self._state.transients.set_ranks((change.key, change.after) for change in lowered)
        if upload.transient_writer is not None:
            await self._state.keep_copy(key, info, upload.transient_writer)
        # Not earlier: subscribers read the version at once, and would have to read it from the archive.
        upload.note_created(info)
        self._state.coordination.publish(VersionCommitted(key, info, details.annotations))
        for move in moves:
            self._state.coordination.publish(AliasChanged(model.model_id, model.incarnation, move))
        return info

    async def _commit_to_archive(
        self, model: Model, writer: IArchiveWriter, info: VersionInfo, details: CreationDetails
    ) -> tuple[VersionInfo, Sequence[AliasMove]]:
        if details.annotations != NO_ANNOTATIONS:
            ILifecycleWriter(writer).set_annotations(details.annotations)
        while True:
            moves = self._moves(model, info, details) if details.aliases else ()
            if moves:
                ILifecycleWriter(writer).set_alias_moves(moves)
            try:
                await self._try_number(model, writer, info)
                return info, moves
            except NumberTaken as error:
                await self._adopt(model, error)
                info = evolve(info, version_number=model.sequence.next())

    def _moves(self, model: Model, info: VersionInfo, details: CreationDetails) -> Sequence[AliasMove]:
        moved_ns, moves = self._now_ns(), []
        check_alias_count(model.model_id, model.loaded.aliases, details.aliases)
        for sequence, alias in enumerate(details.aliases, model.alias_sequence + 1):
            change = AliasChange(alias, info.version_number, None, details.actor, details.reason)
            moves.append(change.move(change.check(model.model_id, model.loaded.aliases), moved_ns, sequence))
        return moves

    async def _adopt(self, model: Model, error: NumberTaken) -> None:
        numbers = await self._state.executor.defer(partial(self._state.archive.version_numbers, model.model_id))
        found = model.adopt(numbers, error.highest)
        self._count([model.model_id])
        _log.warn(
            "another program has put {count} versions into the folder of {id!r} while the daemon was running: numbers "
            "continue after {last}",
            id=model.model_id,
            count=len(found),
            last=model.sequence.last,
        )

    async def _try_number(self, model: Model, writer: IArchiveWriter, info: VersionInfo) -> None:
        try:
            commit = as_part_of(CURRENT_SPAN.get(), "archive commit", partial(writer.commit, info))
            await self._state.executor.defer(commit)
        except BaseException as error:
            # After an error that the contract does not name, too, the version may be there after a restart.
            if isinstance(error, CommitUncertain) or not isinstance(error, _SURELY_ABSENT):
                model.sequence.use(info.version_number)
            raise

    async def _commit_transient(self, model: Model, upload: Upload, info: VersionInfo) -> None:
        assert upload.transient_writer is not None
        try:
            await model.sequence.reserve(info.version_number)
        except UnknownModel as error:
            raise self._state.archive.lost(model, error) from error
        key = model.loaded.key(info.version_number)

        def publish() -> None:
            model.add_transient(info, upload.details.annotations)
            upload.note_created(info)
            self._state.coordination.publish(VersionCommitted(key, info, upload.details.annotations))

        await self._state.transients.commit(
            upload.transient_writer,
            key,
            EvictionRank.LATEST,
            Publication(publish, self._state.evict),
            self._state.ranks.lowered(model.loaded),
            info.size_bytes,
        )
