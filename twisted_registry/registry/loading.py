"""
The reader of models and versions that are not in memory.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from attrs import frozen
from twisted.logger import Logger

from twisted_registry.domain.aliases import AliasState
from twisted_registry.domain.errors import (
    CorruptModel,
    CorruptVersion,
    RegistryError,
    UnknownModel,
    UnknownVersion,
    Unreadable,
)
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.models import Model
from twisted_registry.registry.state import State, info_size_bytes

T = TypeVar("T")

_FILES_PER_JOB = 64
"""The number of files read in one job, so that a long list does not keep other jobs waiting."""

_log = Logger(namespace="twisted_registry.registry")


def pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """
    Divide files that are to be read into jobs.
    """
    return (items[start : start + _FILES_PER_JOB] for start in range(0, len(items), _FILES_PER_JOB))


@frozen(eq=False)
class _Before:
    """
    A model and its revision before it was read; ``None`` for a model that does not exist.
    """

    model: Model | None
    revision: int

    @classmethod
    def of(cls, model: Model | None) -> "_Before":
        """
        Record a model.
        """
        return cls(model, 0 if model is None else model.revision)


@frozen(eq=False)
class Loader:
    """
    The reader of models and versions, which keeps in memory what it has read.

    Attributes:
        _loaded: called with the id of each model whose versions were read.
    """

    _state: State
    _loaded: Callable[[str], None] = lambda model_id: None

    async def snapshot(self, model_id: str) -> ModelSnapshot:
        """
        See ``IRegistry.load_snapshot``.
        """
        async with self._state.coordination.exclusive(model_id):
            model = self._state.index.get(model_id)
            if model.snapshot is None:
                await self.owned_model_info(model)
            return await self.owned_versions(model)

    async def owned_versions(self, model: Model) -> ModelSnapshot:
        """
        Read which versions a model has, unless that is known.  The caller owns the model.
        """
        if model.snapshot is not None:
            return model.snapshot
        numbers, aliases = await self._state.executor.defer(partial(self._load_owned_versions, model.model_id))
        highest = numbers[-1] if numbers else 0
        await model.sequence.load(highest)
        named = _missing_number(aliases, highest, model.sequence.last)
        if named:
            model.sequence.use(named)
            _log_went_back(model, "names" if named in aliases.numbers.values() else "named", named, highest)
        lost = [name for name, number in sorted(aliases.numbers.items()) if not _contains(numbers, number)]
        if lost:
            _log_lost(model, lost)
        self._state.alias_requests.load(model.incarnation, aliases.requested)
        snapshot = model.load(numbers, aliases)
        self._loaded(model.model_id)
        return snapshot

    def _load_owned_versions(self, model_id: str) -> tuple[list[int], AliasState]:
        numbers = self._state.archive.version_numbers(model_id)
        return numbers, self._state.archive.load_aliases(model_id)

    async def owned_model_info(self, model: Model) -> ModelInfo:
        """
        Return the info of a model.  The caller owns the model.

        Raises:
            CorruptModel: its metadata is damaged.
        """
        known = self._state.model_infos.peek(model.model_id)
        if known is not None:
            return known
        (result,) = await self.model_infos([model.model_id])
        if isinstance(result, ModelInfo):
            return result
        raise result

    async def model_infos(self, model_ids: Sequence[str]) -> list[ModelInfo | CorruptModel | UnknownModel]:
        """
        See ``IRegistry.load_model_infos``.
        """
        results: list[ModelInfo | CorruptModel | UnknownModel] = []
        for piece in pieces(model_ids):
            before = [_Before.of(self._state.index.find(model_id)) for model_id in piece]
            found = await self._state.executor.defer(partial(self._load_models, piece))
            for model_id, known, result in zip(piece, before, found, strict=True):
                results.append(await self._take_model(model_id, known, result))
        return results

    def _load_models(self, model_ids: Sequence[str]) -> list[ModelInfo | RegistryError]:
        return [self._load_model(model_id) for model_id in model_ids]

    def _load_model(self, model_id: str) -> ModelInfo | RegistryError:
        try:
            return self._state.archive.load_model(model_id)
        except (CorruptModel, UnknownModel) as error:
            return error

    async def _take_model(
        self, model_id: str, before: _Before, result: ModelInfo | RegistryError
    ) -> ModelInfo | CorruptModel | UnknownModel:
        model = before.model
        was_deleting = model is not None and model.is_deleting and await self._state.settle(model_id)
        if model is None or self._state.current(model_id, model.incarnation) is None:
            return UnknownModel(model_id)
        if was_deleting or model.revision != before.revision:
            return await self._read_again(model)
        if not isinstance(result, ModelInfo):
            return self._found_damaged(model, result)
        self.keep_model_info(model, result)
        return result

    async def _read_again(self, model: Model) -> ModelInfo | CorruptModel | UnknownModel:
        # It was saved while it was read: the result may be older than what others have seen since.
        known = self._state.model_infos.peek(model.model_id)
        if known is not None:
            return known
        (result,) = await self.model_infos([model.model_id])
        return result

    def keep_model_info(self, model: Model, info: ModelInfo) -> None:
        """
        Keep a model's info as the archive has it.
        """
        self._state.index.mark(model, is_whole=True)
        self._state.model_infos.add(model.model_id, info, info_size_bytes(info.metadata))

    def _found_damaged(self, model: Model, error: RegistryError) -> CorruptModel:
        if not model.is_damaged:
            _log.error("damage in the archive: {error}; run 'twisted-registry archive verify'", error=error)
        self._state.index.mark(model, is_whole=False)
        if isinstance(error, CorruptModel):
            return error
        return CorruptModel(model.model_id, "its files are gone")

    async def survey(self) -> tuple[str, ...]:
        """
        See ``IRegistry.survey``.
        """
        async with self._state.surveys.hold("survey"):  # a second caller gets the result of the first
            if self._state.index.listed is not None:
                return self._state.index.listed
            await self.model_infos([model.model_id for model in self._state.index.models() if not model.is_checked])
            return self._state.index.publish()

    async def version_info(self, snapshot: ModelSnapshot, number: int) -> VersionInfo:
        """
        Return the info of one version.

        Raises:
            CorruptVersion: the version is damaged.
            UnknownVersion: it was deleted meanwhile.
        """
        known = self._state.version_info(snapshot, number)
        if known is not None:
            return known
        (result,) = await self.version_infos(snapshot, [number])
        if isinstance(result, Unreadable):
            raise result
        return result

    async def version_infos(
        self, snapshot: ModelSnapshot, version_numbers: Sequence[int]
    ) -> list[VersionInfo | Unreadable]:
        """
        See ``IRegistry.load_version_infos``.
        """
        results: list[VersionInfo | Unreadable] = []
        for numbers in pieces(version_numbers):
            found = await self._read_versions(snapshot.model_id, numbers)
            model = self._state.current(snapshot.model_id, snapshot.incarnation)
            if model is None:
                raise UnknownModel(snapshot.model_id)
            results.extend(self._take_version(model, snapshot, result) for result in found)
        return results

    async def _read_versions(self, model_id: str, numbers: Sequence[int]) -> Sequence[VersionInfo | CorruptVersion]:
        job = partial(self._state.archive.load_versions, model_id, numbers)
        found = await self._state.executor.defer(job)
        if any(isinstance(one, CorruptVersion) for one in found) and await self._state.settle(model_id):
            return await self._state.executor.defer(job)  # the deletion may have failed
        return found

    def _take_version(
        self, model: Model, snapshot: ModelSnapshot, result: VersionInfo | CorruptVersion
    ) -> VersionInfo | Unreadable:
        number = result.version_number
        if isinstance(result, VersionInfo):
            self._state.add_version_info(snapshot.key(number), result)
            model.know_latest(result)
        elif model.may_be_gone(number):
            return UnknownVersion(model.model_id, number)
        else:
            self._state.note_damage(snapshot.key(number), result)
        return result


def _contains(numbers: Sequence[int], number: int) -> bool:
    position = bisect_left(numbers, number)
    return position < len(numbers) and numbers[position] == number


def _missing_number(aliases: AliasState, highest: int, last: int) -> int:
    """
    Return the highest number that only the aliases still prove; 0 if there is none.

    Args:
        highest: the highest number of an archived version.
        last: the highest number that may have been assigned, as far as the archive shows otherwise.  A version that
            was deleted does not raise a false alarm: its number is not above.
    """
    named = max(aliases.numbers.values(), default=0)
    if aliases.highest_number > last:
        return aliases.highest_number
    return named if named > highest else 0


def _log_lost(model: Model, aliases: Sequence[str]) -> None:
    _log.error(
        "the archive has lost the versions that these aliases of {id!r} name: {aliases}; restore their files, or move "
        "or delete the aliases",
        id=model.model_id,
        aliases=", ".join(aliases),
    )


def _log_went_back(model: Model, verb: str, named: int, highest: int) -> None:
    _log.warn(
        "an alias of {id!r} {verb} version {named}, and the highest version in the archive is {highest}: the "
        "archive went back to an earlier state, or has lost versions; numbers continue after {last}. After a backup "
        "was restored, stop the daemon and run 'twisted-registry archive raise-numbers DIR'",
        id=model.model_id,
        verb=verb,
        named=named,
        highest=highest,
        last=model.sequence.last,
    )
