"""
How an upload becomes a version, and how a copy of an archived one comes to memory.
"""

from collections.abc import Callable
from functools import partial

from attrs import evolve, frozen

from twisted_registry.contracts.archive import IArchiveWriter
from twisted_registry.contracts.transient import EvictionRank, ITransientWriter
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
from twisted_registry.domain.models import VersionInfo, VersionKey
from twisted_registry.registry.info_cache import info_size_bytes
from twisted_registry.registry.log import log
from twisted_registry.registry.lost_models import LostModel
from twisted_registry.registry.model import Model
from twisted_registry.registry.numbers import Numbers
from twisted_registry.registry.state import State
from twisted_registry.registry.transients import Publication
from twisted_registry.registry.uploads import Upload

_SURELY_ABSENT = (ArchiveMoved, StorageFull, StorageReadOnly, StorageFailure, UnknownModel, CorruptModel, NumberTaken)


@frozen(eq=False)
class Committer:
    """
    Gives versions their numbers, in the order of their commits.

    A model's commits wait for one another, also those of transient versions for those of archived ones: were a higher
    number to be seen before a lower one, lists would change behind a reader's back.
    """

    _state: State
    _numbers: Numbers
    _now_ns: Callable[[], int]

    async def commit(self, upload: Upload) -> VersionInfo:
        """
        See ``IUpload.commit``.
        """
        model_id = upload.header.model_id
        try:
            async with self._state.locks.hold(model_id):
                info = await self._commit_locked(upload)
        except BaseException:
            upload.abort()
            raise
        self._state.changed(model_id)
        return info

    async def _commit_locked(self, upload: Upload) -> VersionInfo:
        model = self._state.current(upload.snapshot.model_id, upload.snapshot.incarnation)
        if model is None:
            raise ModelReplaced(upload.snapshot.model_id)
        if model.snapshot is None:
            raise LostModel(model.model_id)
        info = upload.info(model.next_number(), self._now_ns())
        if upload.archive_writer is None:
            await self._commit_transient(model, upload, info)
            return info
        return await self._commit_archived(model, upload, upload.archive_writer, info)

    async def _commit_archived(
        self, model: Model, upload: Upload, writer: IArchiveWriter, info: VersionInfo
    ) -> VersionInfo:
        async with self._state.writes.hold(model.model_id):
            info = await self._commit_to_archive(model, writer, info)
        superseded = model.latest_transient()
        model.add_archived(info)
        key = model.loaded.key(info.version_number)
        self._state.version_infos.add(key, info, info_size_bytes(info.metadata))
        if superseded is not None:
            await self._state.transients.supersede(superseded)
        if upload.transient_writer is not None:
            await self.keep_copy(key, info, upload.transient_writer)
        return info

    async def _commit_to_archive(self, model: Model, writer: IArchiveWriter, info: VersionInfo) -> VersionInfo:
        while True:
            try:
                await self._commit_once(model, writer, info)
                return info
            except NumberTaken as error:
                await self._adopt(model, error)
                info = evolve(info, version_number=model.next_number())

    async def _adopt(self, model: Model, error: NumberTaken) -> None:
        numbers = await self._state.executor.defer(partial(self._state.archive.version_numbers, model.model_id))
        found = model.adopt(numbers, error.highest)
        log.warn(
            "others have put files into the folder of {id!r} while the daemon runs, {count} versions: numbers go on "
            "after {last}",
            id=model.model_id,
            count=len(found),
            last=model.last_number,
        )

    async def _commit_once(self, model: Model, writer: IArchiveWriter, info: VersionInfo) -> None:
        try:
            await self._state.executor.defer(partial(writer.commit, info))
        except BaseException as error:
            # Whatever a provider says beyond what it promised, its version may be there after a restart.
            if isinstance(error, CommitUncertain) or not isinstance(error, _SURELY_ABSENT):
                model.last_number = info.version_number
            raise

    async def _commit_transient(self, model: Model, upload: Upload, info: VersionInfo) -> None:
        assert upload.transient_writer is not None
        await self._numbers.cover(model, info.version_number)
        await self._state.transients.commit(
            upload.transient_writer,
            model.loaded.key(info.version_number),
            EvictionRank.LATEST,
            Publication(partial(model.add_transient, info), self._state.evict),
            model.latest_transient(),
        )

    async def keep_copy(self, key: VersionKey, info: VersionInfo, writer: ITransientWriter) -> None:
        """
        Keep the copy of an archived version, unless there is one or the model is gone.  Never fails: who archived or
        read the version needs no copy.
        """
        model = self._state.current(key.model_id, key.incarnation)
        if model is None or model.snapshot is None or key.version_number in model.snapshot.held:
            writer.abort()
            return
        publication = Publication(partial(model.hold_copy, info), self._state.evict)
        try:
            await self._state.transients.commit(writer, key, EvictionRank.COPY, publication)
        except Exception:  # whatever the store says, the version itself is on the archive
            log.failure("no copy of {key} is kept", key=key)
