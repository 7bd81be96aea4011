"""
What the registry knows of one model.
"""

from attrs import define, evolve, field

from twisted_registry.domain.errors import NumbersExhausted
from twisted_registry.domain.models import MAX_VERSION_NUMBER, VersionInfo, VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot, VersionNumbers


@define(eq=False)
class Model:
    """
    A model's state.  Changed in the reactor's thread alone; ``snapshot``, replaced whole at each change, may be read in
    any.

    Attributes:
        incarnation: tells it from an earlier model of the same id that was deleted.
        snapshot: its versions; ``None`` until they are read from the archive, and where the archive has lost them.
        last_number: the highest number that may have been given out.
        high_water_mark: the archive's mark: numbers up to it may be given out without another write.
        found: it was there when the archive was opened.
        raised: by how much its numbers were raised in this process, because clients had seen higher ones.
        told_seen: the log was told of a client that has seen a higher number.
        saves: how often its metadata was written in this process.
        is_raising_mark: the mark is being raised.
        checked: its metadata was read or written in this process.
        damaged: its metadata was found to be damaged.
        going: its deletion has begun.
    """

    model_id: str
    incarnation: int
    snapshot: ModelSnapshot | None = None
    last_number: int = 0
    high_water_mark: int = 0
    found: bool = False
    raised: int = 0
    told_seen: bool = False
    saves: int = 0
    is_raising_mark: bool = False
    checked: bool = False
    damaged: bool = False
    going: bool = False
    _archived: list[int] = field(factory=list)

    def load(self, archived: list[int], high_water_mark: int) -> ModelSnapshot:
        """
        Take up what the archive holds of the model.

        Args:
            archived: numbers, rising; the list is this model's from now on.
        """
        self._archived = archived
        self.high_water_mark = high_water_mark
        self.last_number = max(self.last_number, high_water_mark, archived[-1] if archived else 0)
        numbers = VersionNumbers(archived, len(archived))
        self.snapshot = ModelSnapshot(self.model_id, self.incarnation, numbers)
        return self.snapshot

    @property
    def loaded(self) -> ModelSnapshot:
        """
        The snapshot of a model whose versions are known to be read.
        """
        assert self.snapshot is not None, "the model's versions are not read yet"
        return self.snapshot

    def went_back(self, seen: int) -> bool:
        """
        Return whether a client that has seen a number must have seen it before the archive went back to an earlier
        state.  Of a model that was made since the start it has seen an earlier one of the same id.
        """
        return self.found and self.snapshot is not None and seen > self.last_number

    def next_number(self) -> int:
        """
        Give the number of the version that is committed next.

        Raises:
            NumbersExhausted: there is none.
        """
        if self.last_number >= MAX_VERSION_NUMBER:
            raise NumbersExhausted(self.model_id)
        return self.last_number + 1

    def latest_transient(self) -> VersionKey | None:
        """
        Give the highest transient version, which the next commit supersedes; ``None`` where there is none.
        """
        transient = self.loaded.numbers.transient
        return self.loaded.key(transient[-1]) if transient else None

    def is_latest_transient(self, number: int) -> bool:
        """
        Return whether a version is the model's latest, and is not on the archive.
        """
        if self.snapshot is None:
            return False
        numbers = self.snapshot.numbers
        return numbers.is_transient(number) and numbers.at(len(numbers) - 1) == number

    def add_archived(self, info: VersionInfo) -> None:
        """
        Publish a new archived version.
        """
        self.last_number = info.version_number
        self._archived.append(info.version_number)
        numbers = evolve(self.loaded.numbers, archived=self._archived, archived_count=len(self._archived))
        self.snapshot = evolve(self.loaded, numbers=numbers, latest=info)

    def add_transient(self, info: VersionInfo) -> None:
        """
        Publish a new transient version.
        """
        self.last_number = info.version_number
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
        Publish the archived versions that others brought.

        Args:
            archived: numbers that the archive has now.
            highest: a number that no later version may have.

        Returns:
            those that were not known.
        """
        before = self.loaded
        known = set(self._archived).union(before.numbers.transient)
        found = sorted(set(archived) - known)
        self._archived = sorted([*self._archived, *found])
        self.last_number = max([self.last_number, highest, *found])
        numbers = evolve(before.numbers, archived=self._archived, archived_count=len(self._archived))
        is_latest = not found or (before.latest is not None and before.latest.version_number > found[-1])
        self.snapshot = evolve(before, numbers=numbers, latest=before.latest if is_latest else None)
        return found

    def evict(self, number: int) -> int:
        """
        Publish that a version left the memory: a transient one is gone with that.

        Returns:
            how many bytes of data it had.
        """
        if self.snapshot is None:
            return 0  # the model was lost with all its versions
        before = self.loaded
        held = dict(before.held)
        info = held.pop(number, None)
        if info is None:
            return 0
        if not before.numbers.is_transient(number):
            self.snapshot = evolve(before, held=held)
            return info.size_bytes
        numbers = before.numbers.without_transient(number)
        latest = before.latest
        if latest is not None and latest.version_number == number:
            latest = held.get(numbers.at(len(numbers) - 1)) if numbers else None
        self.snapshot = evolve(before, numbers=numbers, held=held, latest=latest)
        return info.size_bytes

    def forget_info(self, number: int) -> None:
        """
        Publish that a version's info is to be read from the archive again.
        """
        if self.snapshot is None:
            return
        latest = self.loaded.latest
        known = latest is None or latest.version_number != number
        self.snapshot = evolve(self.loaded, latest=latest if known else None)

    def know_latest(self, info: VersionInfo) -> None:
        """
        Publish the latest version's info, once it is read from the archive.
        """
        if self.snapshot is None:
            return
        numbers = self.loaded.numbers
        if numbers and numbers.at(len(numbers) - 1) == info.version_number:
            self.snapshot = evolve(self.loaded, latest=info)
