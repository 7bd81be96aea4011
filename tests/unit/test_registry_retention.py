"""
Tests of retention in the registry: policies, what they delete, and when.
"""

from itertools import pairwise
from typing import Any

from twisted.logger import LogLevel

from tests.support.retention import KEEP_TWO, SCOPE, RetentionCase, prefix
from twisted_registry.domain.annotations import Annotations, AnnotationUpdate
from twisted_registry.domain.errors import (
    CorruptRetention,
    InvalidRequest,
)
from twisted_registry.domain.retention import (
    KeepBest,
    PruneRequest,
    RetentionPolicy,
    RetentionScope,
)
from twisted_registry.registry.pruning import VERSIONS_AT_ONCE
from twisted_registry.registry.retention import IDLE_SECONDS, INTERVAL_SECONDS, PAUSE_SECONDS
from twisted_registry.registry.retention_policies import MAX_PREFIXES


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

    def test_unknown_metric(self) -> None:
        """
        If no version has the metric of a rule, all are kept, and one line in the log names the metric, however many
        runs find that; once a version has it, the policy is applied.
        """
        self.set_policy(RetentionPolicy(keep_last=1, keep_best=(KeepBest("return", 1),)))
        for _ in range(2):
            self.apply_all()
            self.clock.advance(2 * INTERVAL_SECONDS)
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])
        (line,) = self.lines(LogLevel.warn)
        self.assertIn("all versions of 'm' are kept, because none has the metric 'return'", line)
        update = AnnotationUpdate.from_mask(Annotations({}, {"return": 1.0}), [])
        self.done(self.registry.annotate_version(self.snapshot(), 2, update))
        self.apply_all()
        self.assertEqual(self.numbers(), [2, 5])

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
        self.fails(self.begin(PruneRequest(SCOPE)).next(), CorruptRetention)
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
        self.fails(self.registry.retention.prune(PruneRequest(prefix(""))), CorruptRetention)

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
