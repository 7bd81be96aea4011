"""
Promotion: how a transient version becomes an archived one.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from attrs import evolve, field, frozen

from twisted_registry.contracts.lifecycle import ILifecycleWriter
from twisted_registry.contracts.streams import ISizedWriter
from twisted_registry.contracts.transient import EvictionRank, ITransientReader
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import CommitUncertain, NumberTaken, StorageFailure, UnknownVersion
from twisted_registry.domain.events import VersionArchived
from twisted_registry.domain.models import Chunk, VersionInfo, VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.mutexes import KeyedMutexes
from twisted_registry.registry.idempotency import CreationKeys
from twisted_registry.registry.loading import Loader
from twisted_registry.registry.state import State

_BYTES_PER_JOB = 8 * 1024 * 1024
"""How much is written in one job, so that a large version does not keep other jobs waiting."""


@frozen(eq=False)
class Promoter:
    """
    The promotions of transient versions.

    The data is written and synced beside commits and reads of the same model, from the chunks in memory.  Only the
    commit takes the model's mutex.  Meanwhile the version is pinned: it is evicted after everything else.

    Attributes:
        _counted: waits until it is known what models have in the archive, if a quota needs that.
    """

    _state: State
    _loader: Loader
    _keys: CreationKeys
    _counted: Callable[[], Awaitable[None]]
    _mutexes: KeyedMutexes = field(factory=KeyedMutexes)

    async def archive(self, snapshot: ModelSnapshot, number: int) -> VersionInfo:
        """
        See ``IVersionChanges.archive_version``.
        """
        key = snapshot.key(number)
        await self._state.settle(snapshot.model_id)
        async with self._mutexes.hold(str(key)):  # a second caller finds it archived
            model = self._state.model(snapshot)
            if number not in model.loaded.numbers:
                raise UnknownVersion(model.model_id, number)
            if not model.loaded.numbers.is_transient(number):
                return await self._loader.version_info(model.loaded, number)
            self._state.check_lifecycle()
            info = evolve(model.loaded.held[number], archived=True)
            try:
                return await self._archive(key, info)
            except BaseException as error:
                self._state.publish_failure("create version", model.model_id, error)
                raise

    async def _archive(self, key: VersionKey, info: VersionInfo) -> VersionInfo:
        await self._counted()
        reservation = self._state.usage.reserve(key.model_id, info.size_bytes)
        try:
            await self._write_and_commit(key, info)
            reservation.settle(key.version_number)
        finally:
            reservation.release()
        return info

    async def _write_and_commit(self, key: VersionKey, info: VersionInfo) -> None:
        transients = self._state.transients
        reader = await transients.pin(key)
        writer = ILifecycleWriter(self._state.archive.create_version(key.model_id))
        ISizedWriter(writer).expect(info.size_bytes)
        try:
            await self._write(reader, writer, info)
            await self._commit(key, info, writer)
        except BaseException:
            await self._state.executor.defer(writer.abort)
            raise
        finally:
            reader.close()
            await transients.unpin(key, self._rank(key))

    def _rank(self, key: VersionKey) -> EvictionRank:
        model = self._state.current(key.model_id, key.incarnation)
        if model is None or model.snapshot is None:
            return EvictionRank.COPY
        return self._state.ranks.rank(model.snapshot.numbers, key.version_number)

    async def _write(self, reader: ITransientReader, writer: ILifecycleWriter, info: VersionInfo) -> None:
        written_bytes = 0
        while size_bytes := await self._state.executor.defer(partial(_write_some, reader.read, writer)):
            written_bytes += size_bytes
        if written_bytes != info.size_bytes:
            raise StorageFailure(f"of {info.size_bytes} bytes in memory, {written_bytes} could be read")
        await self._state.executor.defer(writer.finish)

    async def _commit(self, key: VersionKey, info: VersionInfo, writer: ILifecycleWriter) -> None:
        async with self._state.coordination.exclusive(key.model_id):
            model = self._state.current(key.model_id, key.incarnation)
            if model is None or model.snapshot is None or not model.loaded.numbers.is_transient(key.version_number):
                raise UnknownVersion(key.model_id, key.version_number)  # deleted or evicted meanwhile
            annotations = model.loaded.annotated.get(key.version_number, NO_ANNOTATIONS)
            writer.set_annotations(annotations)
            stored = self._keys.key_to_archive(key)
            if stored is not None:
                self._state.archive.set_key(writer, *stored)
            async with self._state.coordination.writing(key.model_id):
                try:
                    await self._state.executor.defer(partial(self._commit_or_find, writer, info, annotations))
                except CommitUncertain:
                    model.uncertain |= {key.version_number}
                    raise
            model.promote(info, annotations)
            self._keys.note_archived(key, info)
            model.uncertain -= {key.version_number}
            self._state.add_version_info(key, info)
            self._state.add_annotations(key, annotations)
            self._state.coordination.publish(VersionArchived(key, info, annotations))

    def _commit_or_find(self, writer: ILifecycleWriter, info: VersionInfo, annotations: Annotations) -> None:
        # Called in the archive's thread.  An earlier attempt whose end was uncertain may have succeeded.
        try:
            writer.commit_between(info)
        except NumberTaken:
            if self._state.archive.load_version(info.model_id, info.version_number) != info:
                raise
            writer.abort()
            # They may have changed since.  Saving them also makes the version durable, whose sync had failed.
            self._state.archive.save_annotations(info.model_id, info.version_number, annotations)


def _write_some(read: Callable[[], Chunk | None], writer: ILifecycleWriter) -> int:
    size_bytes = 0
    while size_bytes < _BYTES_PER_JOB and (chunk := read()) is not None:
        writer.write(chunk)
        size_bytes += chunk.size_bytes
    return size_bytes
