"""
The deletion of single versions.
"""

from functools import partial

from attrs import frozen

from twisted_registry.domain.aliases import aliases_of
from twisted_registry.domain.errors import AliasedVersion, CorruptAliases, UnknownVersion
from twisted_registry.domain.events import VersionDeleted
from twisted_registry.domain.models import VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.models import Model
from twisted_registry.registry.state import State


@frozen(eq=False)
class VersionDeletion:
    """
    The deletion of versions, transient and archived.
    """

    _state: State

    async def delete(self, snapshot: ModelSnapshot, number: int) -> None:
        """
        See ``IVersionChanges.delete_version``.
        """
        try:
            async with self._state.coordination.exclusive(snapshot.model_id):
                await self._delete_owned(self._state.model(snapshot), number)
        except BaseException as error:
            self._state.publish_failure("delete version", snapshot.model_id, error)
            raise

    async def _delete_owned(self, model: Model, number: int) -> None:
        before = model.loaded
        if number not in before.numbers:
            raise UnknownVersion(model.model_id, number)
        aliases = aliases_of(before.aliases, number)
        if aliases:
            raise AliasedVersion(model.model_id, number, aliases[0])
        if model.are_aliases_damaged and not before.numbers.is_transient(number):
            raise CorruptAliases(model.model_id)
        info = self._state.version_info(before, number)
        was_latest = before.numbers.last == number
        if not before.numbers.is_transient(number):
            await self._delete_archived(model, number)
        key = before.key(number)
        model.remove(number)
        self._state.forget_version(key)
        await self._state.transients.drop(key, self._latest_transient(model))
        self._state.coordination.publish(VersionDeleted(key, 0 if info is None else info.size_bytes, was_latest))

    def _latest_transient(self, model: Model) -> VersionKey | None:
        key = model.latest_transient()
        return key if key is not None and model.is_latest_transient(key.version_number) else None

    async def _delete_archived(self, model: Model, number: int) -> None:
        self._state.check_lifecycle()
        async with self._state.coordination.writing(model.model_id):
            await self._state.executor.defer(partial(self._state.archive.delete_version, model.model_id, number))
