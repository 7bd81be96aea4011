"""
Models as the registry holds them.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TypeVar

from attrs import define, evolve

from twisted_registry.contracts.coordination import ICoordination, INumberSequence
from twisted_registry.domain.aliases import AliasMove, AliasState, aliases_of
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.numbers import VersionNumbers
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.index import ModelSearch

T = TypeVar("T")


@define(eq=False)
class Model:
    """
    A model's state.  Only the reactor's thread changes it; any thread may read ``snapshot``, which is replaced whole.

    Attributes:
        incarnation: tells the model from earlier ones with the same id.
        sequence: its version numbers.
        snapshot: its versions; ``None`` until they are read from the archive, and if the archive has lost them.
        was_found: whether it existed when the archive was opened, or may come back after the archive has lost it.
        is_seen_logged: whether the log has a line about a client that has seen a higher number.
        revision: how often its metadata was written in this process.
        is_checked: whether its metadata was read or written in this process.
        is_damaged: whether its metadata was found to be damaged.
        is_deleting: whether its deletion has begun.
        are_keys_loaded: whether the idempotency keys that the archive remembers for it are in memory.
        alias_sequence: the sequence number of the last move of its aliases.
        are_aliases_damaged: whether a part of the history of its aliases cannot be read.
        annotations_revision: rises before and after each change of an archived version's labels and metrics.
        search: the index of its versions; ``None`` unless somebody searches them.
        deleting: the numbers of archived versions whose deletion is under way.
        uncertain: the numbers of transient versions that may be in the archive, too: the commit of their promotion
            ended with an error.
    """

    model_id: str
    incarnation: int
    sequence: INumberSequence
    snapshot: ModelSnapshot | None = None
    was_found: bool = False
    is_seen_logged: bool = False
    revision: int = 0
    is_checked: bool = False
    is_damaged: bool = False
    is_deleting: bool = False
    are_keys_loaded: bool = False
    alias_sequence: int = 0
    are_aliases_damaged: bool = False
    annotations_revision: int = 0
    search: ModelSearch | None = None
    deleting: frozenset[int] = frozenset()
    uncertain: frozenset[int] = frozenset()

    def may_be_gone(self, number: int) -> bool:
        """
        Return whether a version is being deleted, or does not exist: that it cannot be read is not damage.
        """
        return number in self.deleting or (self.snapshot is not None and number not in self.snapshot.numbers)

    def load(self, archived: Sequence[int], aliases: AliasState) -> ModelSnapshot:
        """
        Publish the versions that the archive holds.

        Args:
            archived: their numbers, ascending.
            aliases: their aliases.
        """
        self.alias_sequence = aliases.sequence
        self.are_aliases_damaged = aliases.damaged_moves > 0
        numbers = VersionNumbers.of_archived(archived)
        self.snapshot = ModelSnapshot(self.model_id, self.incarnation, numbers, {}, None, aliases.aliases)
        return self.snapshot

    def _publish(self, numbers: VersionNumbers, held: Mapping[int, VersionInfo], latest: VersionInfo | None) -> None:
        before = self.loaded
        self.snapshot = ModelSnapshot(
            self.model_id, self.incarnation, numbers, held, latest, before.aliases, before.annotated
        )

    def _index(self, info: VersionInfo, annotations: Annotations, moves: Sequence[AliasMove] = ()) -> None:
        if self.search is not None:
            aliases = self.loaded.aliases
            record = VersionRecord(info, annotations, aliases_of(aliases, info.version_number))
            self.search.move_aliases(moves, aliases, record)

    @property
    def loaded(self) -> ModelSnapshot:
        """
        The snapshot of a model whose versions are known to be loaded.
        """
        assert self.snapshot is not None, "the model's versions are not loaded yet"
        return self.snapshot

    def went_back(self, seen: int) -> bool:
        """
        Return whether a client must have seen a number before the archive went back to an earlier state.  If the model
        was created since the start, the client has seen an earlier model with the same id instead.
        """
        return self.was_found and self.snapshot is not None and seen > self.sequence.last

    def is_latest_transient(self, number: int) -> bool:
        """
        Return whether a version is the model's latest and not archived.
        """
        if self.snapshot is None:
            return False
        numbers = self.snapshot.numbers
        return numbers.last == number == numbers.last_transient

    def add_archived(
        self, info: VersionInfo, annotations: Annotations = NO_ANNOTATIONS, moves: Sequence[AliasMove] = ()
    ) -> None:
        """
        Publish a new archived version, and the moves of aliases to it.
        """
        self.sequence.use(info.version_number)
        before = self.loaded
        numbers = before.numbers.with_archived(info.version_number)
        if moves:
            state = AliasState(before.aliases, self.alias_sequence)
            for move in moves:
                state = state.moved(move)
            self.alias_sequence = state.sequence
            self.snapshot = evolve(before, numbers=numbers, latest=info, aliases=state.aliases)
        else:
            self._publish(numbers, before.held, info)
        self._index(info, annotations, moves)

    def add_transient(self, info: VersionInfo, annotations: Annotations = NO_ANNOTATIONS) -> None:
        """
        Publish a new transient version.
        """
        self.sequence.use(info.version_number)
        before, number = self.loaded, info.version_number
        numbers, held = before.numbers.with_transient(number), {**before.held, number: info}
        if annotations == NO_ANNOTATIONS:
            self._publish(numbers, held, info)
        else:
            annotated = {**before.annotated, number: annotations}
            self.snapshot = evolve(before, numbers=numbers, held=held, latest=info, annotated=annotated)
        self._index(info, annotations)

    def hold_copy(self, info: VersionInfo) -> None:
        """
        Publish that a copy of an archived version is in memory.
        """
        before = self.loaded
        self._publish(before.numbers, {**before.held, info.version_number: info}, before.latest)

    def adopt(self, archived: Sequence[int], highest: int) -> list[int]:
        """
        Publish archived versions that other programs have added.

        Args:
            archived: the numbers that the archive has now.
            highest: a number that no later version may have.

        Returns:
            the numbers that were not known.
        """
        before = self.loaded
        found = sorted(set(archived).difference(before.numbers))
        self.sequence.use(max([highest, *found]))
        numbers = before.numbers.with_all_archived(found)
        is_latest = not found or (before.latest is not None and before.latest.version_number > found[-1])
        self._publish(numbers, before.held, before.latest if is_latest else None)
        self.search = None  # it does not know them
        return found

    def evict(self, number: int) -> VersionInfo | None:
        """
        Publish that a version has left memory.  If it was transient, it no longer exists.

        Returns:
            the version; ``None`` if it was not in memory.
        """
        if self.snapshot is None:
            return None  # the model was lost with all its versions
        before = self.loaded
        info = before.held.get(number)
        if info is None:
            return None
        if not before.numbers.is_transient(number):
            self._publish(before.numbers, _without(before.held, number), before.latest)
            return info
        self._publish_without(number)
        return info

    def promote(self, info: VersionInfo, annotations: Annotations = NO_ANNOTATIONS) -> None:
        """
        Publish that a transient version is archived, with the same number.  If it is in memory, it is the copy of an
        archived version from now on.

        Args:
            info: the version's info as an archived one.
            annotations: its labels and metrics.
        """
        before, number = self.loaded, info.version_number
        numbers = before.numbers
        if numbers.is_transient(number):
            numbers = numbers.promoted(number)
        elif number not in numbers:  # evicted while it was written to the archive, which has it now
            numbers = numbers.with_archived(number)
        held = {**before.held, number: info} if number in before.held else before.held
        latest = info if numbers.last == number else before.latest
        annotated = _without(before.annotated, number)
        self.snapshot = evolve(before, numbers=numbers, held=held, latest=latest, annotated=annotated)
        self._index(info, annotations)

    def annotate(self, info: VersionInfo, annotations: Annotations) -> None:
        """
        Publish the labels and metrics of a version.
        """
        before, number = self.loaded, info.version_number
        # A new snapshot in any case: replies that contain the version are kept as long as the snapshot is the same.
        annotated = (
            {**before.annotated, number: annotations} if before.numbers.is_transient(number) else before.annotated
        )
        self.snapshot = evolve(before, annotated=annotated)
        self._index(info, annotations)

    def move_alias(self, move: AliasMove) -> None:
        """
        Publish the move of an alias.
        """
        state = AliasState(self.loaded.aliases, self.alias_sequence).moved(move)
        self.alias_sequence = state.sequence
        self.snapshot = evolve(self.loaded, aliases=state.aliases)
        if self.search is not None:
            self.search.move_aliases([move], state.aliases)

    def remove(self, number: int) -> None:
        """
        Publish that a version no longer exists, whether it was transient or archived.
        """
        if self.snapshot is not None and number in self.loaded.numbers:
            self._publish_without(number)

    def _publish_without(self, number: int) -> None:
        before = self.loaded
        numbers = before.numbers.without(number)
        held = _without(before.held, number)
        latest = before.latest
        if latest is not None and latest.version_number == number:
            latest = None if numbers.last is None else held.get(numbers.last)
        annotated = _without(before.annotated, number)
        self.snapshot = evolve(before, numbers=numbers, held=held, latest=latest, annotated=annotated)
        if self.search is not None:
            self.search.remove(number)

    def forget_info(self, number: int) -> None:
        """
        Publish that a version's info has to be read from the archive again.
        """
        if self.snapshot is None:
            return
        before = self.loaded
        is_latest = before.latest is not None and before.latest.version_number == number
        # A new snapshot in any case: replies that contain the version are kept as long as the snapshot is the same.
        self._publish(before.numbers, before.held, None if is_latest else before.latest)

    def know_latest(self, info: VersionInfo) -> None:
        """
        Publish the latest version's info, if this is the one, after it was read from the archive.
        """
        before = self.snapshot
        if before is not None and before.numbers.last == info.version_number:
            self._publish(before.numbers, before.held, info)


def _without(entries: Mapping[int, T], number: int) -> Mapping[int, T]:
    if number not in entries:
        return entries
    return {other: entry for other, entry in entries.items() if other != number}


class ModelIndex:
    """
    The models by id.  Changed in the reactor's thread; any thread may look up a model.

    Attributes:
        listed: the ids of the models, ordered; ``None`` until all have been read, and while any of them is damaged.
    """

    def __init__(self, coordination: ICoordination) -> None:
        self._coordination = coordination
        self._models: dict[str, Model] = {}
        self._whole: list[str] = []
        self.listed: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self._models)

    def models(self) -> list[Model]:
        """
        Return all models, in no particular order.
        """
        return list(self._models.values())

    def find(self, model_id: str) -> Model | None:
        """
        Return a model; ``None`` if it does not exist.
        """
        return self._models.get(model_id)

    def get(self, model_id: str) -> Model:
        """
        Return a model.

        Raises:
            UnknownModel: the model does not exist.
        """
        model = self._models.get(model_id)
        if model is None:
            raise UnknownModel(model_id)
        return model

    def add(self, model_id: str) -> Model:
        """
        Add a model that is not there yet.
        """
        coordination = self._coordination
        model = Model(model_id, coordination.incarnation(model_id), coordination.sequence(model_id))
        self._models[model_id] = model
        return model

    def remove(self, model: Model) -> None:
        """
        Remove a model that was deleted.
        """
        del self._models[model.model_id]
        self._list(model.model_id, is_wanted=False)

    def mark(self, model: Model, *, is_whole: bool) -> None:
        """
        Record whether a model's metadata is undamaged.
        """
        # Damage is checked again for each list: the disk may have failed only for a short time.
        model.is_checked = is_whole
        model.is_damaged = not is_whole
        if is_whole:
            self._list(model.model_id, is_wanted=True)
        else:
            self.listed = None

    def _list(self, model_id: str, *, is_wanted: bool) -> None:
        if self.listed is None:
            return
        position = bisect_left(self._whole, model_id)
        is_there = position < len(self._whole) and self._whole[position] == model_id
        if is_wanted and not is_there:
            self._whole.insert(position, model_id)
        elif is_there and not is_wanted:
            del self._whole[position]
        else:
            return
        self.listed = tuple(self._whole)

    def publish(self) -> tuple[str, ...]:
        """
        List the models, after all of them have been read.
        """
        self._whole = sorted(model.model_id for model in self._models.values() if not model.is_damaged)
        listed = tuple(self._whole)
        self.listed = listed if len(listed) == len(self._models) else None
        return listed
