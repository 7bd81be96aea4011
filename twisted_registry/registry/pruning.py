"""
The deletion of the versions of one model that a retention policy does not keep, in small steps.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice

from attrs import define, field, frozen
from twisted.logger import Logger

from twisted_registry.domain.aliases import aliases_of
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import CorruptAnnotations, RegistryError
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.numbers import VersionNumbers
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.retention import PrunePlan, PrunePlanner, RetentionPolicy
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.deletion import VersionDeletion
from twisted_registry.registry.models import Model
from twisted_registry.registry.state import State

VERSIONS_AT_ONCE = 64
"""How many versions one step reads or deletes.  To delete so many takes some 15 ms."""

_log = Logger(namespace="twisted_registry.registry")


@define
class DeletedVersions:
    """
    A sum of the versions that a run has deleted, which may be many.

    Attributes:
        count: their number.
        size_bytes: how many bytes of data they had in all.
        first: the lowest number; 0 if there are none.
        last: the highest number; 0 if there are none.
    """

    count: int = 0
    size_bytes: int = 0
    first: int = 0
    last: int = 0

    def add(self, sizes: Mapping[int, int]) -> None:
        """
        Add versions, at least one.

        Args:
            sizes: how many bytes of data each had, by number.
        """
        self.first = min(sizes) if not self.count else min(self.first, *sizes)
        self.last = max(self.last, *sizes)
        self.count += len(sizes)
        self.size_bytes += sum(sizes.values())


@define(eq=False)
class PruneRun:
    """
    A run over the versions of a model.

    Attributes:
        snapshot: the model as it was at the start.
        unread: the numbers of the versions that the plan does not contain yet, in pieces.
        plan: what the policy deletes; ``None`` until all versions are read.
        only: the numbers of the versions that may be deleted; ``None`` for all.
        undeleted: the numbers in the plan that are still to be deleted.
        deleted: the versions that were deleted.
        annotated: the versions whose labels or metrics have changed since the start, about which the plan may be wrong.
        is_outdated: whether the run must delete nothing more, because another policy applies now.
        planning_seconds: how long the plan has taken so far.
    """

    snapshot: ModelSnapshot
    planner: PrunePlanner
    unread: Iterator[Sequence[int]]
    only: Collection[int] | None = None
    plan: PrunePlan | None = None
    undeleted: Iterator[int] = field(factory=lambda: iter(()))
    deleted: DeletedVersions = field(factory=DeletedVersions)
    annotated: set[int] = field(factory=set)
    is_outdated: bool = False
    planning_seconds: float = 0.0

    @property
    def next_planning_seconds(self) -> float:
        """
        How long the plan of the next run will take about, because it has fewer versions.
        """
        count = len(self.snapshot.numbers)
        return self.planning_seconds * (count - self.deleted.count) / max(count, 1)

    @property
    def model_id(self) -> str:
        """
        The model's id.
        """
        return self.snapshot.model_id

    def take(self, count: int) -> dict[int, int]:
        """
        Return the sizes of some more versions that are to be deleted, by number; none if nothing is left.
        """
        assert self.plan is not None, "the plan is not complete"
        return {number: self.plan.sizes[number] for number in islice(self.undeleted, count)}


@frozen
class _Loaded:
    """
    A version that was read from the archive.

    Attributes:
        is_protected: whether it may have a label that protects it, which is damaged.
    """

    info: VersionInfo
    annotations: Annotations
    is_protected: bool


@frozen(eq=False)
class Pruner:
    """
    The steps of runs.  Nothing that is read for a plan is kept, because it would push what clients ask for out of
    memory.
    """

    _state: State
    _deletion: VersionDeletion

    def run(
        self, snapshot: ModelSnapshot, policy: RetentionPolicy, now_ns: int, only: Collection[int] | None = None
    ) -> PruneRun:
        """
        Start a run.
        """
        return PruneRun(snapshot, PrunePlanner(policy, now_ns), _pieces(snapshot.numbers), only)

    async def plan_some(self, run: PruneRun) -> None:
        """
        Read some versions for the plan, or complete it.

        Raises:
            UnknownModel: the model was deleted.
            StorageFailure: the medium failed.
        """
        with self._publishing_failures(run):
            await self._plan_some(run)

    async def _plan_some(self, run: PruneRun) -> None:
        numbers = next(run.unread, None)
        if numbers is None:
            plan, undeleted = await self._state.executor.defer(partial(_plan, run.planner, run.only))
            run.undeleted = iter(undeleted)
            run.plan = plan
            return
        model = self._state.model(run.snapshot)
        snapshot = model.loaded
        unknown = []
        for number in (number for number in numbers if number in snapshot.numbers):
            record = self._known(model, number)
            if record is None:
                unknown.append(number)
            else:
                run.planner.add(record)
        # Also if nothing is read: other work of the reactor's thread goes on meanwhile.
        for loaded in await self._state.executor.defer(partial(self._load, snapshot.model_id, unknown)):
            aliases = aliases_of(snapshot.aliases, loaded.info.version_number)
            record = VersionRecord(loaded.info, loaded.annotations, aliases)
            run.planner.add(record, is_protected=loaded.is_protected)

    def _known(self, model: Model, number: int) -> VersionRecord | None:
        if model.loaded.key(number) in self._state.damaged:
            return None  # it may have lost a label that protects it
        if model.search is not None and model.search.is_loaded:
            return model.search.index.get(number)
        return self._state.version_record(model.loaded, number)

    def _load(self, model_id: str, numbers: Sequence[int]) -> list[_Loaded]:
        # Called in the archive's thread.
        archive = self._state.archive
        # Those that are damaged, or were deleted meanwhile, are not in the plan.
        infos = [info for info in archive.load_versions(model_id, numbers) if isinstance(info, VersionInfo)]
        found = archive.load_annotations(model_id, [info.version_number for info in infos])
        return [_loaded(info, annotations) for info, annotations in zip(infos, found, strict=True)]

    async def delete_some(self, run: PruneRun) -> dict[int, int]:
        """
        Delete some versions of the plan.

        Returns:
            the sizes of those that were deleted, by number; none if nothing of the plan is left.

        Raises:
            UnknownModel: the model was deleted.
            StorageReadOnly: the medium accepts no writes.
            StorageFailure: the medium failed.
        """
        with self._publishing_failures(run):
            while sizes := run.take(VERSIONS_AT_ONCE):
                deleted = await self._deletion.delete_unprotected(run.snapshot, sizes, run.annotated)
                if deleted:
                    run.deleted.add(deleted)
                    return deleted
        return {}

    @contextmanager
    def _publishing_failures(self, run: PruneRun) -> Iterator[None]:
        try:
            yield
        except RegistryError as error:
            self._state.publish_failure("delete version", run.model_id, error)
            raise


def _pieces(numbers: VersionNumbers) -> Iterator[Sequence[int]]:
    # Not all at once: that would take milliseconds in the reactor's thread for a large model.
    rest = iter(numbers)
    while piece := list(islice(rest, VERSIONS_AT_ONCE)):
        yield piece


def _plan(planner: PrunePlanner, only: Collection[int] | None) -> tuple[PrunePlan, Sequence[int]]:
    # Called in the archive's thread: both may take long.
    plan = planner.plan()
    if only is None:
        return plan, plan.numbers
    wanted = frozenset(only)
    return plan, [number for number in plan.sizes if number in wanted]


def _loaded(info: VersionInfo, annotations: Annotations | CorruptAnnotations) -> _Loaded:
    if isinstance(annotations, CorruptAnnotations):
        return _Loaded(info, NO_ANNOTATIONS, is_protected=True)
    return _Loaded(info, annotations, is_protected=False)


def log_unknown_metrics(model_id: str, metrics: Sequence[str]) -> None:
    """
    Log that a policy keeps all versions of a model, because none has these metrics.
    """
    _log.warn(
        "all versions of {id!r} are kept, because none has the metric {metrics} that its retention policy names under "
        "keep_best; correct the name, or record the metric",
        id=model_id,
        metrics=" or ".join(map(repr, metrics)),
    )


def log_run(model_id: str, deleted: DeletedVersions) -> None:
    """
    Log what a run has deleted, if anything.
    """
    if deleted.count:
        _log.info(
            "deleted {versions} of {id!r} that its retention policy does not keep, of {size_bytes} bytes, with "
            "numbers from {first} to {last}",
            versions=f"{deleted.count} version{'' if deleted.count == 1 else 's'}",
            count=deleted.count,
            id=model_id,
            size_bytes=deleted.size_bytes,
            first=deleted.first,
            last=deleted.last,
        )
