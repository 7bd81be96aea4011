"""
Tests of pruning on request in the registry.
"""

from collections.abc import Iterator
from typing import Any

from attrs import evolve
from twisted.logger import LogLevel

from tests.support.retention import KEEP_TWO, SCOPE, RetentionCase, prefix
from twisted_registry.domain.aliases import AliasChange
from twisted_registry.domain.annotations import Annotations, AnnotationUpdate
from twisted_registry.domain.errors import (
    CorruptModel,
    CorruptRetention,
    StorageFailure,
    Unavailable,
    UnknownModel,
)
from twisted_registry.domain.events import StorageFailed, VersionDeleted
from twisted_registry.domain.retention import (
    KeepBest,
    PruneRequest,
    RetentionPolicy,
    RetentionScope,
)
from twisted_registry.registry import prune_calls
from twisted_registry.registry.pruning import VERSIONS_AT_ONCE


class CountedNumbers(list[int]):
    """
    Numbers that count how often somebody looks at all of them.
    """

    def __init__(self, *numbers: int) -> None:
        super().__init__(numbers)
        self.looks = 0

    def __iter__(self) -> Iterator[int]:
        self.looks += 1
        return super().__iter__()

    def __contains__(self, number: object) -> bool:
        self.looks += 1
        return super().__contains__(number)


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

    def test_one_version(self) -> None:
        """
        The line in the log says when it was only one version.
        """
        self.prune(RetentionPolicy(keep_last=4))
        (line,) = self.lines(LogLevel.info)
        self.assertIn("deleted 1 version of 'm'", line)

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
        pruning = self.begin(PruneRequest(SCOPE, KEEP_TWO))
        self.plan(pruning)
        self.done(self.registry.move_alias(self.snapshot(), AliasChange("production", 1, None, "", "")))
        update = AnnotationUpdate.from_mask(Annotations({}, {"return": 1.0}), [])
        self.done(self.registry.annotate_version(self.snapshot(), 2, update))
        self.assertEqual(self.step(pruning), [3])
        self.assertEqual(self.numbers(), [1, 2, 4, 5])

    def test_only(self) -> None:
        """
        Only versions of a dry run are deleted, and of these only those that the policy still does not keep.
        """
        self.make("n")
        only = {"m": (1, 3, 4, 99), "gone": (1,)}
        self.label(3, "pin")
        pruning = self.begin(PruneRequest(prefix(""), KEEP_TWO, only=only))
        self.assertEqual([self.step(pruning), self.step(pruning)], [[1], None])
        self.assertEqual((self.numbers(), self.numbers("n")), ([2, 3, 4, 5], [1, 2, 3, 4, 5]))

    def test_large(self) -> None:
        """
        Neither the numbers of a large model nor those of a long dry run are gone through in the reactor's thread.
        """
        taken = []

        class Numbers:
            def __iter__(self) -> Iterator[int]:
                for number in range(1, 10 * VERSIONS_AT_ONCE):
                    taken.append(number)
                    yield number

        numbers: Any = Numbers()
        snapshot = evolve(self.snapshot(), numbers=numbers)
        run = self.registry.retention._pruner.run(snapshot, KEEP_TWO, 0)
        self.assertEqual(len(taken), 0)
        self.assertEqual(next(run.unread), list(range(1, VERSIONS_AT_ONCE + 1)))
        self.assertEqual(len(taken), VERSIONS_AT_ONCE)

        only = CountedNumbers(1, 3)
        pruning = self.begin(PruneRequest(SCOPE, KEEP_TWO, only={"m": only}))
        for _ in range(2):
            self.done(pruning.next())
        planning = pruning.next()
        self.assertEqual(only.looks, 0)
        self.disk.pump()
        self.assertEqual(only.looks, 1)
        self.done(planning)
        self.assertEqual([self.step(pruning), self.step(pruning)], [[1, 3], None])
        self.assertEqual(only.looks, 1)

    def test_policy_replaced(self) -> None:
        """
        Once a policy is set, even during a step, the one before deletes nothing more.
        """
        count = 4 * VERSIONS_AT_ONCE
        self.make("many", count)
        scope = RetentionScope("many")
        self.set_policy(KEEP_TWO, scope)
        pruning = self.begin(PruneRequest(scope))
        while len(self.numbers("many")) == count:
            self.done(pruning.next())
        step = pruning.next()
        setting = self.registry.retention.set_policy(scope, RetentionPolicy(keep_last=count // 2 - 10))
        while not setting.called:
            self.disk.pump(1)
            self.reactor.pump()
        left = self.numbers("many")
        self.assertEqual(len(left), count // 2)
        self.done(step)
        self.assertEqual([self.step(pruning), self.step(pruning)], [left[:10], None])
        self.assertEqual(self.numbers("many"), left[10:])

    def test_policy_of_prefix_replaced(self) -> None:
        """
        The models that follow are pruned by the policy of a prefix as it is then.
        """
        self.make("n")
        self.set_policy(KEEP_TWO, prefix(""))
        pruning = self.begin(PruneRequest(prefix("")))
        self.assertEqual(self.step(pruning), [1, 2, 3])
        self.set_policy(RetentionPolicy(keep_last=4), prefix(""))
        self.assertEqual([self.step(pruning), self.step(pruning)], [[1], None])
        self.assertEqual((self.numbers(), self.numbers("n")), ([4, 5], [2, 3, 4, 5]))

    def test_own_policy(self) -> None:
        """
        A request with a separate policy, and a dry run, go on whatever is set.
        """
        self.set_policy(KEEP_TWO)
        dry_run = self.begin(PruneRequest(SCOPE, dry_run=True))
        pruning = self.begin(PruneRequest(SCOPE, KEEP_TWO))
        self.plan(dry_run)
        self.plan(pruning)
        self.set_policy(RetentionPolicy(keep_last=100))
        self.assertEqual(self.step(dry_run), [1, 2, 3])
        self.assertEqual(self.step(pruning), [1, 2, 3])

    def test_closed(self) -> None:
        """
        Once the caller has gone, even during a step, nothing more is deleted; the log has what was.
        """
        self.make("many", 3 * VERSIONS_AT_ONCE)
        pruning = self.begin(PruneRequest(RetentionScope("many"), KEEP_TWO))
        while len(self.numbers("many")) == 3 * VERSIONS_AT_ONCE:
            self.done(pruning.next())
        step = pruning.next()
        self.assertNoResult(step)
        closing = pruning.close()
        self.pump()
        last: Any = self.successResultOf(step)
        self.assertEqual(len(last.plan.numbers), VERSIONS_AT_ONCE)
        self.successResultOf(closing)
        self.assertEqual(len(self.numbers("many")), VERSIONS_AT_ONCE)
        (line,) = self.lines(LogLevel.info)
        self.assertIn(f"deleted {2 * VERSIONS_AT_ONCE} versions of 'many'", line)

    def test_stopping(self) -> None:
        """
        A registry that stops makes no further step, and begins with none.
        """
        pruning = self.begin(PruneRequest(SCOPE, KEEP_TWO))
        self.registry.retention.stop()
        self.fails(pruning.next(), Unavailable)
        self.fails(self.begin(PruneRequest(SCOPE, KEEP_TWO)).next(), Unavailable)
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])

    def test_model_deleted_meanwhile(self) -> None:
        """
        A model that is deleted before or while it is pruned is left out, and the others are pruned.
        """
        for model_id in ("a", "b"):
            self.make(model_id)
        pruning = self.begin(PruneRequest(prefix(""), KEEP_TWO))
        self.done(pruning.next())
        self.done(self.registry.delete_model("a"))
        self.done(self.registry.delete_model("b"))
        for model_id in ("a", "b"):
            skipped: Any = self.done(pruning.next())
            self.assertEqual((skipped.model_id, type(skipped.error)), (model_id, UnknownModel))
        self.assertEqual(self.step(pruning), [1, 2, 3])

    def test_damaged_model(self) -> None:
        """
        A model of several whose policy or folder is damaged is left out; a single one fails.
        """
        self.make("a")
        self.make("b")
        self.archive.damaged = ["a"]
        self.archive.delete_model("b")
        self.set_policy(KEEP_TWO, prefix(""))
        pruning = self.begin(PruneRequest(prefix("")))
        for error in (CorruptRetention, CorruptModel):
            self.assertIsInstance(self.step(pruning), error)
        self.assertEqual(self.step(pruning), [1, 2, 3])
        self.fails(self.begin(PruneRequest(RetentionScope("a"))).next(), CorruptRetention)

    def test_long_dry_run(self) -> None:
        """
        A dry run reports many versions a part at a time.
        """
        self.patch(prune_calls, "NUMBERS_AT_ONCE", 2)
        pruning = self.begin(PruneRequest(SCOPE, KEEP_TWO, dry_run=True))
        self.assertEqual([self.step(pruning) for _ in range(3)], [[1, 2], [3], None])

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
        failed: list[StorageFailed] = []
        self.registry.subscribe(failed.append, StorageFailed)
        pruning = self.begin(PruneRequest(SCOPE, KEEP_TWO))
        self.plan(pruning)
        self.fails(pruning.next(), StorageFailure)
        self.assertEqual([event.operation for event in failed], ["delete version"])
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])

    def test_unknown(self) -> None:
        """
        A model that does not exist is not pruned, and has no policy.
        """
        scope = RetentionScope("no")
        self.fails(self.registry.retention.prune(PruneRequest(scope, KEEP_TWO)), UnknownModel)
        self.fails(self.registry.retention.set_policy(scope, KEEP_TWO), UnknownModel)
        self.fails(self.registry.retention.find_policy(scope), UnknownModel)
