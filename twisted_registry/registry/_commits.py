"""
How an upload becomes a version, and how a copy of an archived one comes to memory.
"""

from collections.abc import Callable
from functools import partial

from attrs import frozen

from twisted_registry.errors import CommitUncertain, ModelReplaced
from twisted_registry.interfaces import ITransientWriter, Rank
from twisted_registry.registry._infos import info_size_bytes
from twisted_registry.registry._model import Model
from twisted_registry.registry._state import State
from twisted_registry.registry._upload import Upload
from twisted_registry.values import MAX_VERSION_NUMBER, VersionInfo, VersionKey

RESERVED_AT_ONCE = 100
"""
How many version numbers are reserved on the archive at a time: transient versions cost one sync in a hundred, and a
crash leaves a gap of at most so many.
"""


@frozen(eq=False)
class Committer:
    """
    Gives versions their numbers, in the order of their commits.

    A model's commits wait for one another, also those of transient versions for those of archived ones: were a higher
    number to be seen before a lower one, lists would change behind a reader's back.
    """

    _state: State
    _now_ns: Callable[[], int]

    async def commit(self, upload: Upload) -> VersionInfo:
        """
        See L{IUpload.commit}.
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
        info = upload.info(model.next_number(), self._now_ns())
        if upload.archive_writer is None:
            await self._commit_transient(model, upload, info)
        else:
            await self._commit_archived(model, upload, info)
        return info

    async def _commit_archived(self, model: Model, upload: Upload, info: VersionInfo) -> None:
        assert upload.archive_writer is not None
        try:
            await self._state.threads.defer(partial(upload.archive_writer.commit, info))
        except CommitUncertain:
            model.last_number = info.version_number
            raise
        self._state.transients.supersede(model.loaded)
        model.add_archived(info)
        key = model.loaded.key(info.version_number)
        self._state.version_infos.add(key, info, info_size_bytes(info.user_data))
        if upload.transient_writer is not None:
            await self.keep_copy(key, info, upload.transient_writer)

    async def _commit_transient(self, model: Model, upload: Upload, info: VersionInfo) -> None:
        assert upload.transient_writer is not None
        await self._reserve(model, info.version_number)
        self._state.transients.supersede(model.loaded)
        key = model.loaded.key(info.version_number)
        evicted = await self._state.transients.commit(upload.transient_writer, key, Rank.LATEST)
        model.add_transient(info)
        self._state.evict(evicted)

    async def _reserve(self, model: Model, number: int) -> None:
        if number <= model.reserved:
            return
        highest = min(number + RESERVED_AT_ONCE - 1, MAX_VERSION_NUMBER)
        await self._state.threads.defer(partial(self._state.archive.reserve, model.model_id, highest))
        model.reserved = highest

    async def keep_copy(self, key: VersionKey, info: VersionInfo, writer: ITransientWriter) -> None:
        """
        Keep the copy of an archived version, unless there is one or the model is gone.
        """
        model = self._state.current(key.model_id, key.incarnation)
        if model is None or key.version_number in model.loaded.held:
            writer.abort()
            return
        evicted = await self._state.transients.commit(writer, key, Rank.COPY)
        model.hold_copy(info)
        self._state.evict(evicted)
