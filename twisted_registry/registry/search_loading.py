"""
The reader of the versions for a search index.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice

from attrs import define, evolve, field, frozen

from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import CorruptAnnotations, CorruptVersion, TooLarge
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.domain.sorted_tree import SortedTree
from twisted_registry.domain.version_index import Records
from twisted_registry.registry.index import aliases_by_number, record_size_bytes
from twisted_registry.registry.models import Model
from twisted_registry.registry.state import State

VERSIONS_PER_JOB = 64


@frozen(eq=False)
class Batch:
    """
    Some versions as the archive has them.

    Attributes:
        records: the versions that can be read, without their aliases.
        size_bytes: the approximate memory for them.
        damaged: the errors of the others, some of which may be deleted meanwhile.
        damaged_annotations: the errors of labels and metrics; their versions are in ``records`` without any.
    """

    records: Sequence[VersionRecord] = ()
    size_bytes: int = 0
    damaged: Sequence[CorruptVersion] = ()
    damaged_annotations: Sequence[CorruptAnnotations] = ()


@define(eq=False)
class Loaded:
    """
    The archived versions read so far.

    Attributes:
        size_bytes: the approximate memory for the versions.
    """

    size_bytes: int = 0
    _records: list[VersionRecord] = field(factory=list)

    @property
    def count(self) -> int:
        """
        The number of versions.
        """
        return len(self._records)

    def add(self, batch: Batch) -> None:
        """
        Add versions, whose numbers are higher than those before.
        """
        self._records += batch.records
        self.size_bytes += batch.size_bytes

    def clear(self) -> None:
        """
        Drop all versions.
        """
        self._records, self.size_bytes = [], 0

    def tree(self) -> Records:
        """
        Return the versions by number.
        """
        return SortedTree.from_sorted([record.info.version_number for record in self._records], self._records)


@frozen(eq=False)
class VersionReader:
    """
    The reader of versions with their labels and metrics, past the caches: these hold what other calls need.
    """

    _state: State
    _max_bytes: int

    async def batch(self, model: Model, numbers: Sequence[int]) -> Batch:
        """
        Read archived versions.

        Args:
            numbers: their numbers, which may be none.

        Raises:
            StorageFailure: the archive cannot be read.
        """
        # All that takes time for each version is done in the archive's thread.  Without numbers there is a job, too, so
        # that the reactor gets a chance to run between many transient versions.
        batch = await self._state.executor.defer(partial(self._read, model.model_id, numbers))
        for error in batch.damaged_annotations:
            self._state.note_corrupt_annotations(model.loaded.key(error.version_number), error)
        return batch

    def _read(self, model_id: str, numbers: Sequence[int]) -> Batch:
        if not numbers:
            return Batch()
        archive = self._state.archive
        results = archive.load_versions(model_id, numbers)
        infos = [result for result in results if isinstance(result, VersionInfo)]
        found = archive.load_annotations(model_id, [info.version_number for info in infos])
        records = [
            VersionRecord(info, annotations if isinstance(annotations, Annotations) else NO_ANNOTATIONS)
            for info, annotations in zip(infos, found, strict=True)
        ]
        return Batch(
            records,
            sum(map(record_size_bytes, records)),
            [result for result in results if isinstance(result, CorruptVersion)],
            [each for each in found if isinstance(each, CorruptAnnotations)],
        )

    def add(self, model: Model, loaded: Loaded, batch: Batch) -> None:
        """
        Add versions to those that are loaded.

        Raises:
            TooLarge: they do not fit into the memory for indexes.
        """
        loaded.add(batch)
        if loaded.size_bytes > self._max_bytes:
            raise TooLarge(
                f"the versions of {model.model_id!r} do not fit into the {self._max_bytes} bytes of memory for "
                "searches; list them without a filter and by number, delete some, or start the registry with a larger "
                "--search-index-max-bytes"
            )


def next_numbers(model: Model, last: int) -> list[int]:
    """
    Return the numbers to read after a number, in one job.
    """
    return list(islice(model.loaded.numbers.starting_at(last + 1), VERSIONS_PER_JOB))


def with_transient(batch: Batch, snapshot: ModelSnapshot, numbers: Sequence[int]) -> Batch:
    """
    Return archived versions with the transient ones among them, which are in memory.

    Args:
        batch: the archived versions.
        snapshot: the model as it is now.
        numbers: the numbers of both.
    """
    transient = [
        VersionRecord(info, snapshot.annotated.get(number, NO_ANNOTATIONS))
        for number in numbers
        if snapshot.numbers.is_transient(number) and (info := snapshot.held.get(number)) is not None
    ]
    if not transient:
        return batch
    records = sorted([*batch.records, *transient], key=lambda record: record.number)
    return evolve(batch, records=records, size_bytes=batch.size_bytes + sum(map(record_size_bytes, transient)))


def with_aliases(record: VersionRecord, aliases: Mapping[str, AliasMove]) -> VersionRecord:
    """
    Return a version with its aliases.
    """
    names = aliases_by_number(aliases).get(record.number, ())
    return evolve(record, aliases=names) if names else record
