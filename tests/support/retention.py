"""
Models with versions to prune.
"""

from collections.abc import Sequence
from typing import Any

from twisted.logger import LogLevel, capturedLogs, formatEvent
from zope.interface import implementer

from tests.support.registry import PumpedRegistryCase
from twisted_registry.contracts.lifecycle import IDeferredRemovals
from twisted_registry.contracts.retention import IPruning
from twisted_registry.domain.annotations import Annotations, AnnotationUpdate
from twisted_registry.domain.errors import (
    CorruptRetention,
    StorageFailure,
)
from twisted_registry.domain.retention import (
    PrunedModel,
    PrunePlan,
    PruneRequest,
    RetentionPolicy,
    RetentionScope,
)
from twisted_registry.registry.retention import IDLE_SECONDS
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium

SCOPE = RetentionScope("m")
KEEP_TWO = RetentionPolicy(keep_last=2)


def prefix(text: str) -> RetentionScope:
    """
    Return the scope of a prefix.
    """
    return RetentionScope(None, text)


@implementer(IDeferredRemovals)
class FailingArchive(MemoryArchive):
    """
    An archive whose policies can be damaged, whose deletions can fail, and which has files to remove.
    """

    removals = 0

    damaged: Sequence[str] = ()
    are_prefixes_damaged = False
    fails_to_delete = False
    deletions = 0

    def load_retention(self, model_id: str) -> RetentionPolicy | None:
        """See ``IRetentionStore.load_retention``."""
        if model_id in self.damaged:
            raise CorruptRetention(f"the retention policy of model {model_id!r}", "a test says so")
        return super().load_retention(model_id)

    def retention_prefixes(self) -> Any:
        """See ``IRetentionStore.retention_prefixes``."""
        if self.are_prefixes_damaged:
            raise CorruptRetention("the retention policies of prefixes", "a test says so")
        return super().retention_prefixes()

    def delete_versions(self, model_id: str, version_numbers: Sequence[int]) -> None:
        """See ``IVersionRemoval.delete_versions``."""
        if self.fails_to_delete:
            raise StorageFailure("a test says so")
        self.deletions += 1
        super().delete_versions(model_id, version_numbers)

    def removal_seconds(self) -> float | None:
        """See ``IDeferredRemovals.removal_seconds``."""
        return 0.0 if self.removals else None

    def remove_some(self) -> None:
        """See ``IDeferredRemovals.remove_some``."""
        self.removals -= 1


class RetentionCase(PumpedRegistryCase):
    """
    A model with five archived versions of ten bytes.
    """

    archive: FailingArchive

    def setUp(self) -> None:
        """
        Make it, and listen to deletions and the log.
        """
        super().setUp()
        self.logged = self.enterContext(capturedLogs())
        self.make()

    def make_archive(self, medium: MemoryMedium) -> MemoryArchive:
        """
        Make the archive.
        """
        return FailingArchive(medium)

    def make(self, model_id: str = "m", count: int = 5) -> None:
        """
        Make a model with archived versions.
        """
        self.save(model_id)
        for _ in range(count):
            self.create(b"0123456789", model_id, archived=True)

    def set_policy(self, policy: RetentionPolicy | None, scope: RetentionScope = SCOPE) -> None:
        """
        Set a policy.
        """
        self.done(self.registry.retention.set_policy(scope, policy))

    def prune(
        self, policy: RetentionPolicy | None = None, scope: RetentionScope = SCOPE, *, dry_run: bool = False
    ) -> dict[str, list[int]]:
        """
        Prune to the end, and return the numbers of each model.
        """
        pruning = self.begin(PruneRequest(scope, policy, dry_run))
        numbers: dict[str, list[int]] = {}
        while (step := self.done(pruning.next())) is not None:
            assert isinstance(step, PrunedModel), step
            self.assertEqual(step.plan.size_bytes, 10 * len(step.plan.numbers))
            if step.plan.numbers:
                numbers.setdefault(step.model_id, []).extend(step.plan.numbers)
        return numbers

    def begin(self, request: PruneRequest) -> IPruning:
        """
        Begin to prune.
        """
        pruning: IPruning = self.done(self.registry.retention.prune(request))
        return pruning

    def step(self, pruning: IPruning) -> Any:
        """
        Make steps until one has found something, and return that: the numbers, the error of a model that was left out,
        or ``None`` at the end.
        """
        while True:
            step = self.done(pruning.next())
            if not isinstance(step, PrunedModel):
                return step and step.error
            if step.plan.numbers:
                return step.plan.numbers

    def plan(self, pruning: IPruning) -> None:
        """
        Make the steps of a single small model before the first that deletes: find the policy, read, plan.
        """
        for _ in range(3):
            self.assertEqual(self.done(pruning.next()), PrunedModel("m", PrunePlan()))

    def apply(self) -> float:
        """
        Call the background work once.
        """
        return self.done(self.registry.retention.apply_policies())

    def apply_all(self) -> None:
        """
        Call the background work until it has nothing to do.
        """
        while self.apply() != IDLE_SECONDS:
            pass

    def label(self, number: int, label: str) -> None:
        """
        Set a label of a version.
        """
        update = AnnotationUpdate.from_mask(Annotations({label: ""}), [])
        self.done(self.registry.annotate_version(self.snapshot(), number, update))

    def lines(self, level: LogLevel) -> list[str]:
        """
        Return the log's lines of a level that are about retention.
        """
        lines = [formatEvent(event) for event in self.logged if event["log_level"] is level]
        return [line for line in lines if "polic" in line]
