"""
The registry itself.
"""

import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_registry.contracts.archive import IArchiveWriter
from twisted_registry.contracts.execution import IExecutor
from twisted_registry.contracts.ownership import ILocatedArchive
from twisted_registry.contracts.registry import IObserver, IRegistry
from twisted_registry.contracts.transfers import IDownload
from twisted_registry.contracts.transient import ITransientStore, ITransientWriter, Usage
from twisted_registry.domain.errors import (
    CannotStart,
    CorruptModel,
    CorruptVersion,
    RegistryError,
    StorageFailure,
    TooLarge,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.models import ModelInfo, VersionHeader, VersionInfo, VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.commits import Committer
from twisted_registry.registry.downloads import ArchiveDownload, Copy, Digests, Framing, Watch
from twisted_registry.registry.loading import Loader
from twisted_registry.registry.log import log
from twisted_registry.registry.lost_models import LossDetectingArchive, LostModel
from twisted_registry.registry.model import Model
from twisted_registry.registry.numbers import Numbers
from twisted_registry.registry.state import State
from twisted_registry.registry.transients import LostLatest, Transients
from twisted_registry.registry.uploads import Upload

T = TypeVar("T")


@implementer(IRegistry)
class Registry:
    """
    The policy over an archive and a transient store.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        archive: ILocatedArchive,
        archive_executor: IExecutor,
        store: ITransientStore,
        store_executor: IExecutor,
        framing: Framing,
        now_ns: Callable[[], int] = time.time_ns,
        seconds: Callable[[], float] = time.monotonic,
        checking_executor: IExecutor | None = None,
    ) -> None:
        """

        Args:
            archive_executor: where the archive's calls run.
            checking_executor: where the archive is checked, if not there, where all may wait for a slow disk.
            store_executor: where the transient store's calls run.
            now_ns: gives nanoseconds since the Unix epoch.
            seconds: gives the time, from whenever, by which the log repeats itself.
        """
        self._reactor = reactor
        detecting = LossDetectingArchive(
            archive, self._current, lambda model: reactor.callFromThread(self._lose, model)
        )
        self._state = State(
            detecting, archive_executor, Transients(store, store_executor), framing, LostLatest(seconds)
        )
        self._loader = Loader(self._state)
        self._numbers = Numbers(self._state, self._run)
        self._committer = Committer(self._state, self._numbers, now_ns)
        self._checking_executor = checking_executor or archive_executor
        self._pending: set[Deferred[Any]] = set()

    # Its life

    def open(self) -> None:
        """See ``IRegistry.open``."""
        self._state.archive.open()
        try:
            model_ids = self._state.archive.model_ids()
        except StorageFailure as error:
            self._state.archive.close()
            raise CannotStart(f"the archive's models cannot be listed: {error.reason}") from error
        for model_id in model_ids:
            self._state.index.add(model_id).found = True
        log.info(
            "the archive {archive} holds {count} models",
            archive=self._state.archive.description,
            count=len(model_ids),
        )

    def close(self) -> Deferred[None]:
        """See ``IRegistry.close``."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        while self._pending:
            await DeferredList(list(self._pending), consumeErrors=True)
        models = self._state.index.models()
        await DeferredList([Deferred.fromCoroutine(self._numbers.give_back(model)) for model in models])
        await self._state.executor.defer(self._state.archive.close)

    def observe(self, observer: IObserver) -> None:
        """See ``IRegistry.observe``."""
        self._state.observers.append(observer)

    def _run(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        deferred = Deferred.fromCoroutine(coroutine)
        self._pending.add(deferred)

        def done(result: T | Failure) -> T | Failure:
            self._pending.discard(deferred)
            return result

        return deferred.addBoth(done)

    # Called in any thread

    def snapshot(self, model_id: str) -> ModelSnapshot | None:
        """See ``ISnapshots.snapshot``."""
        return self._state.index.get(model_id).snapshot

    def version_info(self, snapshot: ModelSnapshot, version_number: int) -> VersionInfo | None:
        """See ``ISnapshots.version_info``."""
        latest = snapshot.latest
        if latest is not None and latest.version_number == version_number:
            return latest
        held = snapshot.held.get(version_number)
        return held or self._state.version_infos.peek(snapshot.key(version_number))

    def model_info(self, model_id: str) -> ModelInfo | None:
        """See ``ISnapshots.model_info``."""
        self._state.index.get(model_id)
        return self._state.model_infos.peek(model_id)

    def model_ids(self) -> tuple[str, ...] | None:
        """See ``ISnapshots.model_ids``."""
        return self._state.index.listed

    def usage(self) -> Usage:
        """See ``ISnapshots.usage``."""
        return self._state.transients.store.usage()

    def went_back(self, model_id: str, seen: int) -> bool:
        """See ``ISnapshots.went_back``."""
        return self._state.index.get(model_id).went_back(seen)

    def evicted_latest(self) -> int:
        """See ``ISnapshots.evicted_latest``."""
        return self._state.lost_latest.count

    def upload(self, header: VersionHeader, snapshot: ModelSnapshot) -> Upload:
        """See ``ISnapshots.upload``."""
        return self._archived(header, snapshot) if header.archived else self._transient(header, snapshot)

    def _archived(self, header: VersionHeader, snapshot: ModelSnapshot) -> Upload:
        archive_writer = self._state.archive.create_version(header.model_id)
        copy_writer = self._state.transients.copy_writer(header.size_bytes)
        return self._upload(
            header, 0 if copy_writer is None else header.size_bytes, snapshot, archive_writer, copy_writer
        )

    def _transient(self, header: VersionHeader, snapshot: ModelSnapshot) -> Upload:
        transients = self._state.transients
        if header.size_bytes > transients.store.max_bytes:
            raise TooLarge(
                f"a version of {header.size_bytes} bytes can never be held in memory, of which versions may take "
                f"{transients.store.max_bytes} bytes; create it archived, or start the registry with a larger cache"
            )
        held_bytes = header.size_bytes if transients.in_memory else 0
        return self._upload(header, held_bytes, snapshot, None, transients.store.create_version())

    def _upload(
        self,
        header: VersionHeader,
        held_bytes: int,
        snapshot: ModelSnapshot,
        archive_writer: IArchiveWriter | None,
        transient_writer: ITransientWriter | None,
    ) -> Upload:
        state = self._state
        return Upload(
            header,
            held_bytes,
            snapshot,
            archive_writer,
            transient_writer,
            state.framing.chunker(),
            state.transients.executor.serial(),
            state.executor.serial(),
            self._commit,
        )

    def _commit(self, upload: Upload) -> Deferred[VersionInfo]:
        return self._run(self._committer.commit(upload))

    def download(self, snapshot: ModelSnapshot, info: VersionInfo) -> IDownload:
        """See ``ISnapshots.download``."""
        key = snapshot.key(info.version_number)
        digests = self._state.digests.peek(key)
        if info.version_number in snapshot.held:
            try:
                # Of an archived version this is a copy, made when it was read and had its digests.
                return self._state.transients.download(key, digests.whole if digests else info.xxh3)
            except UnknownVersion:
                if snapshot.numbers.is_transient(info.version_number):
                    raise
        elif info.version_number not in snapshot.numbers:
            raise UnknownVersion(info.model_id, info.version_number)
        return self._archive_download(key, info, digests)

    def _archive_download(self, key: VersionKey, info: VersionInfo, digests: Digests | None) -> ArchiveDownload:
        state, tell = self._state, self._reactor.callFromThread
        watch = Watch(
            gone=lambda: state.current(key.model_id, key.incarnation) is None,
            damaged=lambda error: tell(state.note_damage, key, error),
            checked=lambda digests: tell(state.note_digests, key, digests),
        )
        return ArchiveDownload(
            info,
            state.archive,
            state.executor.serial(),
            state.framing,
            watch,
            digests,
            self._copy(key, info),
        )

    def _copy(self, key: VersionKey, info: VersionInfo) -> Copy | None:
        transients = self._state.transients
        writer = transients.copy_writer(info.size_bytes)
        if writer is None or not transients.begin_copy(key):
            return None
        return Copy(
            writer,
            keep=lambda: self._reactor.callFromThread(lambda: self._run(self._keep_copy(key, info, writer))),
            give_up=lambda: transients.end_copy(key),
        )

    async def _keep_copy(self, key: VersionKey, info: VersionInfo, writer: ITransientWriter) -> None:
        try:
            await self._committer.keep_copy(key, info, writer)
        finally:
            self._state.transients.end_copy(key)

    # Called in the reactor's thread

    def load_snapshot(self, model_id: str) -> Deferred[ModelSnapshot]:
        """See ``IRegistry.load_snapshot``."""
        return self._run(self._loader.snapshot(model_id))

    def load_version_infos(
        self, snapshot: ModelSnapshot, version_numbers: Sequence[int]
    ) -> Deferred[list[VersionInfo | CorruptVersion]]:
        """See ``IRegistry.load_version_infos``."""
        return self._run(self._loader.version_infos(snapshot, version_numbers))

    def load_model_infos(self, model_ids: Sequence[str]) -> Deferred[list[ModelInfo | CorruptModel | UnknownModel]]:
        """See ``IRegistry.load_model_infos``."""
        return self._run(self._loader.model_infos(model_ids))

    def survey(self) -> Deferred[tuple[str, ...]]:
        """See ``IRegistry.survey``."""
        return self._run(self._loader.survey())

    def check_archive(self) -> Deferred[None]:
        """See ``IRegistry.check_archive``."""
        return self._run(self._check_archive())

    async def _check_archive(self) -> None:
        archive = self._state.archive
        models = {model.model_id: model for model in self._state.index.models() if not (model.damaged or model.going)}
        await self._checking_executor.defer(archive.check)
        for model_id in await self._checking_executor.defer(lambda: archive.missing(list(models))):
            self._lose(models[model_id])

    def _current(self, model_id: str) -> Model | None:
        model = self._state.index.find(model_id)
        return None if model is None or model.going else model

    def _lose(self, model: Model) -> None:
        self._run(self._lose_model(model))

    async def _lose_model(self, model: Model) -> None:
        async with self._state.locks.hold(model.model_id):
            if self._current(model.model_id) is not model:
                return
            if not model.damaged:
                log.error("damage on the archive: {error}", error=LostModel(model.model_id))
            snapshot = self._state.lose(model)
            if snapshot is not None:
                await self._state.transients.remove(snapshot)
        self._state.changed(model.model_id)

    def note_seen(self, snapshot: ModelSnapshot, version_number: int) -> Deferred[None]:
        """See ``IRegistry.note_seen``."""
        return self._run(self._numbers.note_seen(snapshot, version_number))

    def save_model(self, info: ModelInfo) -> Deferred[None]:
        """See ``IRegistry.save_model``."""
        return self._run(self._save_model(info))

    async def _save_model(self, info: ModelInfo) -> None:
        async with self._state.locks.hold(info.model_id):
            known = self._state.index.find(info.model_id)
            async with self._state.writes.hold(info.model_id):
                is_lost = await self._state.executor.defer(partial(self._save, info, known is not None))
                if known is not None and is_lost:
                    await self._replace(known)
            model = self._state.index.find(info.model_id) or self._state.index.add(info.model_id)
            model.saves += 1
            self._loader.keep_model_info(model, info)
            await self._loader.versions_locked(model)
        if is_lost:
            self._state.changed(info.model_id)

    def _save(self, info: ModelInfo, is_known: bool) -> bool:
        # Called in the archive's thread.  A model that is gone the archive makes anew: then its versions are no longer
        # those that are known.
        is_lost = False
        if is_known:
            try:
                self._state.archive.load_model(info.model_id)
            except LostModel:
                is_lost = True
            except RegistryError:
                pass  # it is there, if perhaps damaged
        self._state.archive.save_model(info)
        return is_lost

    async def _replace(self, lost: Model) -> None:
        model_id, last = lost.model_id, lost.last_number
        snapshot = self._state.lose(lost)
        self._state.forget(lost)
        self._state.index.add(model_id).last_number = last
        log.warn(
            "{id!r} was gone from the archive and is made anew; numbers go on after {last}", id=model_id, last=last
        )
        if snapshot is not None:
            await self._state.transients.remove(snapshot)
        if last:
            await self._state.executor.defer(partial(self._state.archive.set_high_water_mark, model_id, last))

    def delete_model(self, model_id: str) -> Deferred[None]:
        """See ``IRegistry.delete_model``."""
        return self._run(self._delete_model(model_id))

    async def _delete_model(self, model_id: str) -> None:
        async with self._state.locks.hold(model_id):
            model = self._state.index.get(model_id)
            async with self._state.writes.hold(model_id):
                await self._delete_from_archive(model)
            self._state.forget(model)
            if model.snapshot is not None:
                await self._state.transients.remove(model.snapshot)
        self._state.changed(model_id)

    async def _delete_from_archive(self, model: Model) -> None:
        model.going = True
        try:
            await self._state.executor.defer(partial(self._state.archive.delete_model, model.model_id))
        except UnknownModel:
            log.warn("{id!r} was gone from the archive before it was deleted", id=model.model_id)
        except BaseException:
            model.going = False
            raise
