"""
Tests of retention in the registry: policies, what they delete, and when.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from twisted.logger import LogLevel, capturedLogs, formatEvent
from zope.interface import implementer

from tests.support.registry import PumpedRegistryCase
from twisted_registry.contracts.lifecycle import IDeferredRemovals
from twisted_registry.domain.aliases import AliasChange
from twisted_registry.domain.annotations import Annotations, AnnotationUpdate
from twisted_registry.domain.errors import CorruptRetention, InvalidRequest, StorageFailure, UnknownModel
from twisted_registry.domain.events import VersionDeleted
from twisted_registry.domain.retention import KeepBest, PrunedModel, RetentionPolicy, RetentionScope
from twisted_registry.registry.pruning import VERSIONS_AT_ONCE
from twisted_registry.registry.retention import IDLE_SECONDS, INTERVAL_SECONDS, PAUSE_SECONDS
from twisted_registry.registry.retention_policies import MAX_PREFIXES
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
        Prune, and return the numbers of each model.
        """
        pruned: Sequence[PrunedModel] = self.done(self.registry.retention.prune(scope, policy, dry_run))
        for each in pruned:
            self.assertEqual(each.plan.size_bytes, 10 * len(each.plan.numbers))
        return {each.model_id: each.plan.numbers for each in pruned}

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


class PruneTests(RetentionCase):
    """
    Pruning on request.
    """

    def test_dry_run(self) -> None:
        """
        A dry run reports what pruning deletes, and deletes nothing.
        """
        self.assertEqual(self.prune(KEEP_TWO, dry_run=True), {"m": [1, 2, 3]})
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])
        self.assertEqual(self.prune(KEEP_TWO), {"m": [1, 2, 3]})
        self.assertEqual(self.numbers(), [4, 5])
        self.assertEqual(self.prune(KEEP_TWO), {})

    def test_restart(self) -> None:
        """
        Pruned versions are gone after a restart, and their numbers are not used again.
        """
        self.prune(RetentionPolicy(keep_last=1))
        self.open()
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.numbers(), [5])
        self.assertEqual(self.create().version_number, 6)

    def test_events(self) -> None:
        """
        Each deletion is an event, and a run is a line in the log, with numbers and bytes.
        """
        events: list[VersionDeleted] = []
        self.registry.subscribe(events.append, VersionDeleted)
        self.prune(KEEP_TWO)
        key = self.snapshot().key
        self.assertEqual(events, [VersionDeleted(key(number), 10, is_latest=False) for number in (1, 2, 3)])
        (line,) = self.lines(LogLevel.info)
        self.assertIn("deleted 3 versions of 'm'", line)
        self.assertIn("of 30 bytes, with numbers from 1 to 3", line)

    def test_protected(self) -> None:
        """
        The latest version, and those with an alias or the label pin, stay.
        """
        self.done(self.registry.move_alias(self.snapshot(), AliasChange("production", 1, None, "", "")))
        self.label(2, "pin")
        self.label(3, "other")
        self.assertEqual(self.prune(RetentionPolicy(keep_last=1)), {"m": [3, 4]})

    def test_damaged_aliases(self) -> None:
        """
        If the history of the aliases is damaged, an alias may name any archived version, and only transient ones go.
        """
        self.medium.models["m"].damaged_moves = 1
        self.open()
        self.done(self.registry.load_snapshot("m"))
        transient = [self.create(b"0123456789").version_number for _ in range(3)]
        self.assertEqual(self.prune(KEEP_TWO), {"m": transient[:1]})
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5, *transient[1:]])

    def test_protected_meanwhile(self) -> None:
        """
        A version that gets an alias or a label after the plan was made stays.
        """
        pruning = self.registry.retention.prune(SCOPE, KEEP_TWO, False)
        # Both own the model before the pruning does, which has begun to read the versions.
        change = AliasChange("production", 1, None, "", "")
        update = AnnotationUpdate.from_mask(Annotations({}, {"return": 1.0}), [])
        moving = self.registry.move_alias(self.snapshot(), change)
        annotating = self.registry.annotate_version(self.snapshot(), 2, update)
        self.assertEqual([each.plan.numbers for each in self.done(pruning)], [[3]])
        self.assertEqual(self.numbers(), [1, 2, 4, 5])
        self.successResultOf(moving)
        self.successResultOf(annotating)

    def test_transient(self) -> None:
        """
        Transient versions are pruned as well, and leave memory.
        """
        for _ in range(3):
            self.create(b"0123456789")
        self.assertEqual(self.prune(RetentionPolicy(keep_last=1)), {"m": [1, 2, 3, 4, 5, 6, 7]})
        self.assertEqual((self.numbers(), self.registry.usage().items), ([8], 1))

    def test_best(self) -> None:
        """
        Metrics on the archive and in memory count.
        """
        for number, value in ((2, 3.0), (3, 9.0)):
            update = AnnotationUpdate.from_mask(Annotations({}, {"return": value}), [])
            self.done(self.registry.annotate_version(self.snapshot(), number, update))
        self.open()
        self.done(self.registry.load_snapshot("m"))
        policy = RetentionPolicy(keep_best=(KeepBest("return", 1),))
        self.assertEqual(self.prune(policy), {"m": [1, 2, 4]})

    def test_damaged_version(self) -> None:
        """
        A damaged version, which might be protected, is not deleted.
        """
        del self.medium.models["m"].versions[2]
        self.open()
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.prune(KEEP_TWO), {"m": [1, 3]})

    def test_many(self) -> None:
        """
        Many versions are deleted a part at a time.
        """
        self.make("many", 2 * VERSIONS_AT_ONCE + 3)
        numbers = list(range(1, 2 * VERSIONS_AT_ONCE + 3))
        self.assertEqual(self.prune(RetentionPolicy(keep_last=1), RetentionScope("many")), {"many": numbers})
        self.assertEqual(self.archive.deletions, 3)

    def test_prefix(self) -> None:
        """
        With a prefix, each model is pruned by the policy that applies to it; a given one is used for all.
        """
        self.make("mm")
        self.make("x")
        self.set_policy(KEEP_TWO, prefix("m"))
        self.set_policy(RetentionPolicy(), RetentionScope("mm"))
        self.assertEqual(self.prune(scope=prefix(""), dry_run=True), {"m": [1, 2, 3]})
        four = RetentionPolicy(keep_last=4)
        self.assertEqual(self.prune(four, prefix("m"), dry_run=True), {"m": [1], "mm": [1]})
        self.assertEqual(self.prune(four, prefix("")), {"m": [1], "mm": [1], "x": [1]})

    def test_failure(self) -> None:
        """
        If the archive fails, the caller learns it, and the versions stay.
        """
        self.archive.fails_to_delete = True
        self.fails(self.registry.retention.prune(SCOPE, KEEP_TWO, False), StorageFailure)
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])

    def test_unknown(self) -> None:
        """
        A model that does not exist is not pruned, and has no policy.
        """
        scope = RetentionScope("no")
        self.fails(self.registry.retention.prune(scope, KEEP_TWO, False), UnknownModel)
        self.fails(self.registry.retention.set_policy(scope, KEEP_TWO), UnknownModel)
        self.fails(self.registry.retention.find_policy(scope), UnknownModel)


class PolicyTests(RetentionCase):
    """
    Policies that are set.
    """

    def find(self, scope: RetentionScope = SCOPE) -> Any:
        """
        Find a policy.
        """
        return self.done(self.registry.retention.find_policy(scope))

    def test_own_policy_wins(self) -> None:
        """
        A model's own policy applies, else that of the longest prefix, and the scope says which.
        """
        self.assertEqual(self.find(), (SCOPE, None))
        policies = [RetentionPolicy(keep_last=count) for count in (1, 2, 3)]
        for scope, policy in zip((prefix(""), prefix("m"), SCOPE), policies, strict=True):
            self.set_policy(policy, scope)
            self.assertEqual(self.find(), (scope, policy))
        self.set_policy(None)
        self.assertEqual(self.find(), (prefix("m"), policies[1]))
        self.assertEqual(self.find(prefix("m")), (prefix("m"), policies[1]))
        self.assertEqual(self.find(prefix("x")), (prefix("x"), None))

    def test_restart(self) -> None:
        """
        Policies survive a restart.
        """
        self.set_policy(KEEP_TWO)
        self.open()
        self.assertEqual(self.find(), (SCOPE, KEEP_TWO))

    def test_too_many_prefixes(self) -> None:
        """
        The number of prefixes is bounded; one that has a policy can be changed.
        """
        self.medium.prefixes.update({str(number): KEEP_TWO for number in range(MAX_PREFIXES)})
        self.fails(self.registry.retention.set_policy(prefix("m"), KEEP_TWO), InvalidRequest)
        self.set_policy(RetentionPolicy(keep_last=9), prefix("7"))
        self.set_policy(None, prefix("7"))
        self.set_policy(KEEP_TWO, prefix("m"))


class BackgroundTests(RetentionCase):
    """
    Policies applied in the background.
    """

    def test_replaced_while_it_is_read(self) -> None:
        """
        Once a policy is set, the one before deletes nothing more.
        """
        self.set_policy(KEEP_TWO)
        applying = self.registry.retention.apply_policies()
        setting = self.registry.retention.set_policy(SCOPE, RetentionPolicy(keep_last=100))
        self.pump()
        self.successResultOf(applying)
        self.successResultOf(setting)
        self.apply_all()
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])

    def test_applied(self) -> None:
        """
        A policy is applied once it is set, and after each commit, once the pause of the model is over.
        """
        self.set_policy(KEEP_TWO)
        self.apply_all()
        self.assertEqual(self.numbers(), [4, 5])
        self.create(archived=True)
        self.apply_all()
        self.assertEqual(self.numbers(), [4, 5, 6])
        self.clock.advance(INTERVAL_SECONDS / 2)
        self.apply_all()
        self.assertEqual(self.numbers(), [5, 6])
        self.assertEqual(len(self.lines(LogLevel.info)), 2)

    def test_restart(self) -> None:
        """
        After a restart it goes on by itself, though nobody has asked for the model.
        """
        self.set_policy(KEEP_TWO, prefix(""))
        self.open()
        self.apply_all()
        self.assertEqual(self.numbers(), [4, 5])

    def test_stopped_in_the_middle(self) -> None:
        """
        After a restart in the middle of a run, the rest is deleted.
        """
        self.make("many", 3 * VERSIONS_AT_ONCE)
        self.set_policy(KEEP_TWO, RetentionScope("many"))
        while len(self.numbers("many")) == 3 * VERSIONS_AT_ONCE:
            self.apply()
        self.assertEqual(len(self.numbers("many")), 2 * VERSIONS_AT_ONCE)
        self.open()
        self.apply_all()
        self.assertEqual(len(self.numbers("many")), 2)

    def test_rate(self) -> None:
        """
        One call deletes a few versions at most, and asks for a pause.
        """
        self.make("many", 3 * VERSIONS_AT_ONCE)
        self.set_policy(KEEP_TWO, prefix(""))
        left = [5 + 3 * VERSIONS_AT_ONCE]
        pauses = []
        while left[-1] > 4:
            pauses.append(self.apply())
            left.append(len(self.numbers()) + len(self.numbers("many")))
        self.assertGreaterEqual(min(pauses), PAUSE_SECONDS)
        self.assertLessEqual(max(before - after for before, after in pairwise(left)), VERSIONS_AT_ONCE + 3)

    def test_removal_first(self) -> None:
        """
        While files of deleted versions are removed, it waits, so that one thread of the archive is busy at most.
        """
        self.set_policy(KEEP_TWO)
        self.archive.removals = 2
        self.registry.check_archive()
        while not self.registry._removal.is_running:
            self.disk.pump(1)
            self.reactor.pump()
        waiting = self.registry.retention.apply_policies()
        self.assertEqual(self.successResultOf(waiting), PAUSE_SECONDS)
        self.pump()
        self.assertEqual(self.archive.removals, 0)
        self.apply_all()
        self.assertEqual(self.numbers(), [4, 5])

    def test_grown_old(self) -> None:
        """
        Versions that have grown old are deleted without an event.
        """
        self.set_policy(RetentionPolicy(younger_than_seconds=100))
        self.apply_all()
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])
        self.clock.advance(101)
        self.apply_all()
        self.assertEqual(self.numbers(), [5])

    def test_changed_policy(self) -> None:
        """
        Once another policy is set, nothing more is deleted by the first one.
        """
        self.make("many", 3 * VERSIONS_AT_ONCE)
        self.set_policy(KEEP_TWO, RetentionScope("many"))
        while len(self.numbers("many")) == 3 * VERSIONS_AT_ONCE:
            self.apply()
        self.set_policy(RetentionPolicy(), RetentionScope("many"))
        self.apply_all()
        self.assertEqual(len(self.numbers("many")), 2 * VERSIONS_AT_ONCE)

    def test_damaged_policy(self) -> None:
        """
        A damaged policy deletes nothing; it is logged once, callers learn it, and it can be replaced.
        """
        self.set_policy(KEEP_TWO)
        self.set_policy(KEEP_TWO, prefix(""))
        self.archive.damaged = ["m"]
        self.open()
        for _ in range(3):
            self.apply_all()
            self.clock.advance(INTERVAL_SECONDS)
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])
        (line,) = self.lines(LogLevel.error)
        self.assertIn("'m'", line)
        self.fails(self.registry.retention.find_policy(SCOPE), CorruptRetention)
        self.fails(self.registry.retention.prune(SCOPE, None, False), CorruptRetention)
        self.archive.damaged = []
        self.set_policy(KEEP_TWO)
        self.apply_all()
        self.assertEqual(self.numbers(), [4, 5])

    def test_damaged_prefixes(self) -> None:
        """
        If the policies of prefixes are damaged, only models with their own lose versions.
        """
        self.make("n")
        self.set_policy(KEEP_TWO, prefix(""))
        self.set_policy(KEEP_TWO, RetentionScope("n"))
        self.archive.are_prefixes_damaged = True
        self.apply_all()
        self.assertEqual((self.numbers(), self.numbers("n")), ([1, 2, 3, 4, 5], [4, 5]))
        self.fails(self.registry.retention.find_policy(SCOPE), CorruptRetention)

    def test_failure(self) -> None:
        """
        After a failure of the archive it is tried again later.
        """
        self.set_policy(KEEP_TWO)
        self.archive.fails_to_delete = True
        self.apply_all()
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])
        self.archive.fails_to_delete = False
        self.clock.advance(INTERVAL_SECONDS)
        self.apply_all()
        self.assertEqual(self.numbers(), [4, 5])

    def test_deleted_model(self) -> None:
        """
        The policy of a deleted model does not apply to a new one with its id.
        """
        self.set_policy(KEEP_TWO)
        self.apply_all()
        self.done(self.registry.delete_model("m"))
        self.make()
        self.clock.advance(INTERVAL_SECONDS)
        self.apply_all()
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])

    def test_stopped(self) -> None:
        """
        A registry that closes deletes nothing more.
        """
        self.set_policy(KEEP_TWO)
        self.done(self.registry.close())
        self.assertEqual(self.apply(), IDLE_SECONDS)
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])
