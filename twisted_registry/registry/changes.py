"""
Changes of models: saving, deleting, and losing them.
"""

from collections.abc import Callable
from functools import partial

from attrs import frozen
from twisted.logger import Logger

from twisted_registry.domain.errors import RegistryError, UnknownModel
from twisted_registry.domain.events import ModelDeleted, ModelSaved
from twisted_registry.domain.models import ModelInfo
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.loading import Loader
from twisted_registry.registry.lost_models import LostModel
from twisted_registry.registry.models import Model
from twisted_registry.registry.state import State

_log = Logger(namespace="twisted_registry.registry")


@frozen(eq=False)
class ModelChanges:
    """
    The changes of models, on the archive and in memory.
    """

    _state: State
    _loader: Loader

    async def save(self, info: ModelInfo) -> None:
        """
        See ``IRegistry.save_model``.
        """
        try:
            async with self._state.coordination.exclusive(info.model_id):
                await self._save_owned(info)
        except BaseException as error:
            self._state.publish_failure("save model", info.model_id, error)
            raise

    async def edit(self, model_id: str, edit: Callable[[ModelInfo | None], ModelInfo]) -> ModelInfo:
        """
        See ``IRegistry.edit_model``.
        """
        try:
            async with self._state.coordination.exclusive(model_id):
                return await self._edit_owned(model_id, edit)
        except BaseException as error:
            self._state.publish_failure("save model", model_id, error)
            raise

    async def _edit_owned(self, model_id: str, edit: Callable[[ModelInfo | None], ModelInfo]) -> ModelInfo:
        model = self._state.index.find(model_id)
        try:
            present = None if model is None else await self._loader.owned_model_info(model)
            info = edit(present)
        except LostModel as lost:
            # An edit that may create the model replaces it, as its advice says.
            present, info = None, _created(edit, lost)
        if info != present:
            await self._save_owned(info)
        return info

    async def _save_owned(self, info: ModelInfo) -> None:
        model_id = info.model_id
        known = self._state.index.find(model_id)
        async with self._state.coordination.writing(model_id):
            is_lost = await self._state.executor.defer(partial(self._save, info, known is not None))
        model = known or self._state.index.add(model_id)
        if known is not None and is_lost:
            model = await self._replace(known)
        model.revision += 1
        self._loader.keep_model_info(model, info)
        await self._loader.owned_versions(model)
        if is_lost and model.sequence.last:
            await model.sequence.reserve(model.sequence.last)
        self._state.coordination.publish(ModelSaved(info, model.incarnation, is_new=known is None or is_lost))

    def _save(self, info: ModelInfo, is_known: bool) -> bool:
        # Called in the archive's thread.  If the model is gone, the archive creates it again: then its versions are no
        # longer those that the registry knows.
        is_lost = False
        if is_known:
            try:
                self._state.archive.load_model(info.model_id)
            except LostModel:
                is_lost = True
            except RegistryError:
                pass  # it is there, though perhaps damaged
        self._state.archive.save_model(info)
        return is_lost

    async def _replace(self, lost: Model) -> Model:
        last = lost.sequence.last
        snapshot = self._state.lose(lost)
        lost.sequence.retire()
        self._state.forget(lost)
        model = self._state.index.add(lost.model_id)
        model.sequence.use(last)
        _log.warn(
            "{id!r} had disappeared from the archive and was created again; its numbers continue after {last}",
            id=lost.model_id,
            last=last,
        )
        if snapshot is not None:
            await self._state.transients.remove(snapshot)
        return model

    async def delete(self, model_id: str, check: Callable[[ModelInfo], None] | None = None) -> ModelSnapshot | None:
        """
        Delete a model; see ``IRegistry.delete_model``.

        Returns:
            the versions that it had; ``None`` if they were not read.
        """
        try:
            async with self._state.coordination.exclusive(model_id):
                model = self._state.index.get(model_id)
                if check is not None:
                    check(await self._loader.owned_model_info(model))
                await self._delete_owned(model)
                return model.snapshot
        except BaseException as error:
            self._state.publish_failure("delete model", model_id, error)
            raise

    async def _delete_owned(self, model: Model) -> None:
        async with self._state.coordination.writing(model.model_id):
            await self._delete_from_archive(model)
            model.sequence.retire()
        self._state.forget(model)
        if model.snapshot is not None:
            await self._state.transients.remove(model.snapshot)
        self._state.coordination.publish(ModelDeleted(model.model_id, model.incarnation))

    async def _delete_from_archive(self, model: Model) -> None:
        model.is_deleting = True
        try:
            await self._state.executor.defer(partial(self._state.archive.delete_model, model.model_id))
        except UnknownModel:
            _log.warn("{id!r} had disappeared from the archive before it was deleted", id=model.model_id)
        except BaseException:
            model.is_deleting = False
            raise

    async def lose(self, model: Model) -> None:
        """
        Drop what is known about a model that the archive has lost, and log it.
        """
        async with self._state.coordination.exclusive(model.model_id):
            if self._state.current(model.model_id, model.incarnation) is not model:
                return
            if not model.is_damaged:
                _log.error(
                    "damage in the archive: {error}; run 'twisted-registry archive verify'",
                    error=LostModel(model.model_id),
                )
            snapshot = self._state.lose(model)
            if snapshot is not None:
                await self._state.transients.remove(snapshot)

    async def note_seen(self, snapshot: ModelSnapshot, seen: int) -> None:
        """
        See ``IRegistry.note_seen``.
        """
        async with self._state.coordination.exclusive(snapshot.model_id):
            model = self._state.current(snapshot.model_id, snapshot.incarnation)
            if model is None or not model.went_back(seen):
                return
            highest = model.sequence.last
            is_raised = await model.sequence.raise_to(seen)
            self._log_seen(model, seen, highest, is_raised)

    def _log_seen(self, model: Model, seen: int, highest: int, is_raised: bool) -> None:
        # It is logged once for each model, because every one of its clients comes back with such a number.
        if model.is_seen_logged:
            return
        model.is_seen_logged = True
        _log.warn(
            "a client has seen version {seen} of {id!r}, and the highest number assigned here is {highest}: the "
            "archive went back to an earlier state, or the model was created again; {outcome}. After a backup was "
            "restored, stop the daemon and run 'twisted-registry archive raise-numbers DIR'",
            seen=seen,
            id=model.model_id,
            highest=highest,
            outcome=f"the next number is {seen + 1}" if is_raised else "that is implausible, and is ignored",
        )


def _created(edit: Callable[[ModelInfo | None], ModelInfo], lost: LostModel) -> ModelInfo:
    try:
        return edit(None)
    except UnknownModel:
        raise lost from None
