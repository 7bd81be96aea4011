"""
Models as the registry holds them.
"""

from bisect import bisect_left

from attrs import define, evolve, field

from twisted_registry.contracts.coordination import ICoordination, INumberSequence
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.domain.models import VersionInfo, VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot, VersionNumbers


@define(eq=False)
class Model:
    """
    A model's state.  Only the reactor's thread changes it; any thread may read ``snapshot``, which is replaced whole.

    Attributes:
        incarnation: tells the model from earlier ones with the same id.
        sequence: its version numbers.
        snapshot: its versions; ``None`` until they are read from the archive, and if the archive has lost them.
        was_found: whether it existed when the archive was opened.
        is_seen_logged: whether the log has a line about a client that has seen a higher number.
        revision: how often its metadata was written in this process.
        is_checked: whether its metadata was read or written in this process.
        is_damaged: whether its metadata was found to be damaged.
        is_deleting: whether its deletion has begun.
        are_keys_loaded: whether the idempotency keys that the archive remembers for it are in memory.
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
    _archived: list[int] = field(factory=list)

    def load(self, archived: list[int]) -> ModelSnapshot:
        """
        Publish the versions that the archive holds.

        Args:
            archived: their numbers, ascending; the model owns the list from now on.
        """
        self._archived = archived
        numbers = VersionNumbers(archived, len(archived))
        self.snapshot = ModelSnapshot(self.model_id, self.incarnation, numbers)
        return self.snapshot

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

    def latest_transient(self) -> VersionKey | None:
        """
        Return the highest transient version, which the next commit supersedes; ``None`` if there is none.
        """
        transient = self.loaded.numbers.transient
        return self.loaded.key(transient[-1]) if transient else None

    def is_latest_transient(self, number: int) -> bool:
        """
        Return whether a version is the model's latest and not archived.
        """
        if self.snapshot is None:
            return False
        numbers = self.snapshot.numbers
        return numbers.is_transient(number) and numbers.at(len(numbers) - 1) == number

    def add_archived(self, info: VersionInfo) -> None:
        """
        Publish a new archived version.
        """
        self.sequence.use(info.version_number)
        self._archived.append(info.version_number)
        numbers = evolve(self.loaded.numbers, archived=self._archived, archived_count=len(self._archived))
        self.snapshot = evolve(self.loaded, numbers=numbers, latest=info)

    def add_transient(self, info: VersionInfo) -> None:
        """
        Publish a new transient version.
        """
        self.sequence.use(info.version_number)
        numbers = self.loaded.numbers.with_transient(info.version_number)
        held = {**self.loaded.held, info.version_number: info}
        self.snapshot = evolve(self.loaded, numbers=numbers, held=held, latest=info)

    def hold_copy(self, info: VersionInfo) -> None:
        """
        Publish that a copy of an archived version is in memory.
        """
        self.snapshot = evolve(self.loaded, held={**self.loaded.held, info.version_number: info})

    def adopt(self, archived: list[int], highest: int) -> list[int]:
        """
        Publish archived versions that other programs have added.

        Args:
            archived: the numbers that the archive has now.
            highest: a number that no later version may have.

        Returns:
            the numbers that were not known.
        """
        before = self.loaded
        known = set(self._archived).union(before.numbers.transient)
        found = sorted(set(archived) - known)
        self._archived = sorted([*self._archived, *found])
        self.sequence.use(max([highest, *found]))
        numbers = evolve(before.numbers, archived=self._archived, archived_count=len(self._archived))
        is_latest = not found or (before.latest is not None and before.latest.version_number > found[-1])
        self.snapshot = evolve(before, numbers=numbers, latest=before.latest if is_latest else None)
        return found

    def evict(self, number: int) -> VersionInfo | None:
        """
        Publish that a version has left memory; a transient one no longer exists then.

        Returns:
            the version; ``None`` if it was not in memory.
        """
        if self.snapshot is None:
            return None  # the model was lost with all its versions
        before = self.loaded
        held = dict(before.held)
        info = held.pop(number, None)
        if info is None:
            return None
        if not before.numbers.is_transient(number):
            self.snapshot = evolve(before, held=held)
            return info
        numbers = before.numbers.without_transient(number)
        latest = before.latest
        if latest is not None and latest.version_number == number:
            latest = held.get(numbers.at(len(numbers) - 1)) if numbers else None
        self.snapshot = evolve(before, numbers=numbers, held=held, latest=latest)
        return info

    def forget_info(self, number: int) -> None:
        """
        Publish that a version's info has to be read from the archive again.
        """
        if self.snapshot is None:
            return
        latest = self.loaded.latest
        is_known = latest is None or latest.version_number != number
        self.snapshot = evolve(self.loaded, latest=latest if is_known else None)

    def know_latest(self, info: VersionInfo) -> None:
        """
        Publish the latest version's info, if this is the one, after it was read from the archive.
        """
        if self.snapshot is None:
            return
        numbers = self.loaded.numbers
        if numbers and numbers.at(len(numbers) - 1) == info.version_number:
            self.snapshot = evolve(self.loaded, latest=info)


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
