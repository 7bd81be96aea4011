"""
The deletion of single versions.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
        key = before.key(number)
        with _deleting(model, [number]):
            if not before.numbers.is_transient(number):
                job = partial(self._state.archive.delete_version, model.model_id, number)
                await self._delete_archived(model, job)
            elif number in model.uncertain:
                # Otherwise it would be back after a restart.
                await self._delete_archived(model, partial(self._delete_if_stored, model.model_id, number))
                model.uncertain -= {number}
            model.remove(number)
        self._state.forget_version(key)
        await self._drop(model, [key])
        self._state.coordination.publish(VersionDeleted(key, 0 if info is None else info.size_bytes, was_latest))

    def _delete_if_stored(self, model_id: str, number: int) -> None:
        # Called in the archive's thread.
        with suppress(UnknownVersion):
            self._state.archive.delete_version(model_id, number)

    async def delete_unprotected(
        self, snapshot: ModelSnapshot, sizes: Mapping[int, int], kept: Container[int]
    ) -> dict[int, int]:
        """
        Delete those of some versions that exist and that nothing protects: neither an alias nor being the latest.  If
        the history of the aliases is damaged, any archived version may have one.

        Args:
            snapshot: the versions' model.
            sizes: how many bytes of data they have, by number.
            kept: the numbers of versions that are not deleted.  Looked at when nobody else changes the model.

        Returns:
            the sizes of those that were deleted.

        Raises:
            UnknownModel: the model was deleted.
            StorageReadOnly: the medium accepts no writes.
            StorageFailure: the medium failed.
        """
        async with self._state.coordination.exclusive(snapshot.model_id):
            model = self._state.model(snapshot)
            before = model.loaded
            protected = {*(move.to_number for move in before.aliases.values()), *model.uncertain}
            found = [number for number in sizes if number in before.numbers and number != before.numbers.last]
            numbers = [number for number in found if number not in protected and number not in kept]
            if model.are_aliases_damaged:
                numbers = [number for number in numbers if before.numbers.is_transient(number)]
            archived = [number for number in numbers if not before.numbers.is_transient(number)]
            with _deleting(model, numbers):
                if archived:
                    job = partial(self._state.archive.delete_versions, model.model_id, archived)
                    await self._delete_archived(model, job)
                for number in numbers:
                    model.remove(number)
            deleted = {number: sizes[number] for number in numbers}
            await self._publish(before, model, deleted)
            return deleted

    async def _publish(self, before: ModelSnapshot, model: Model, deleted: Mapping[int, int]) -> None:
        keys = [before.key(number) for number in deleted]
        for key in keys:
            self._state.forget_version(key)
        await self._drop(model, keys)
        for key in keys:
            event = VersionDeleted(key, deleted[key.version_number], is_latest=False)
            self._state.coordination.publish(event)

    async def _drop(self, model: Model, keys: Sequence[VersionKey]) -> None:
        transients = self._state.transients
        await transients.drop(keys)
        await transients.set_ranks(self._state.ranks.raised(model.loaded))

    async def _delete_archived(self, model: Model, job: Callable[[], None]) -> None:
        self._state.check_lifecycle()
        async with self._state.coordination.writing(model.model_id):
            await self._state.executor.defer(job)


@contextmanager
def _deleting(model: Model, numbers: Sequence[int]) -> Iterator[None]:
    """
    Mark versions as being deleted, until the model's snapshot no longer has them: another thread that finds one of them
    gone from the archive must not take that for damage.
    """
    model.deleting = frozenset(numbers)
    try:
        yield
    finally:
        model.deleting = frozenset()
