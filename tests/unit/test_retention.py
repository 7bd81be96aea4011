"""
Which versions a retention policy keeps.
"""

from collections.abc import Iterable
from math import inf, nan

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.retention import (
    KeepBest,
    PrunePlan,
    RetentionPolicy,
    check_policy,
    plan,
    policy_for,
)

NS = 1_000_000_000
NOW_NS = 10_000 * NS


def version(
    number: int,
    *,
    age_seconds: int = 5000,
    score: float | None = None,
    pinned: bool = False,
    aliases: Iterable[str] = (),
) -> VersionRecord:
    """
    Make a version of 10 bytes.
    """
    info = VersionInfo("m", number, NOW_NS - age_seconds * NS, True, "", 10)
    metrics = {} if score is None else {"score": score}
    return VersionRecord(info, Annotations({"pin": ""} if pinned else {}, metrics), tuple(aliases))


def kept(policy: RetentionPolicy, versions: Iterable[VersionRecord]) -> list[int]:
    """
    Return the numbers of the versions that are kept.
    """
    versions = list(versions)
    return sorted({each.number for each in versions} - set(plan(policy, iter(versions), NOW_NS).numbers))


scores = st.none() | st.sampled_from([0.0, 1.0, 2.0, inf, -inf, nan])
versions_of_a_model = st.lists(
    st.builds(
        version,
        st.integers(1, 40),
        age_seconds=st.integers(-5, 30),
        score=scores,
        pinned=st.booleans(),
        aliases=st.sampled_from([(), (), ("production",)]),
    ),
    unique_by=lambda each: each.number,
)
policies = st.builds(
    RetentionPolicy,
    st.integers(0, 5),
    st.lists(st.builds(KeepBest, st.just("score"), st.integers(1, 4), st.booleans()), max_size=2).map(tuple),
    st.integers(0, 7),
    st.sampled_from([0.0, 0.5, 10.0, 20.0]),
)


class PlanTests(SynchronousTestCase):
    """
    The versions that a policy deletes.
    """

    def test_no_rules(self) -> None:
        """
        Without a rule all are kept.
        """
        self.assertEqual(plan(RetentionPolicy(), map(version, range(1, 10)), NOW_NS), PrunePlan())

    def test_last(self) -> None:
        """
        The newest are kept, in whatever order the versions come.
        """
        for numbers in ([1, 2, 5, 9], [9, 2, 1, 5]):
            self.assertEqual(plan(RetentionPolicy(2), map(version, numbers), NOW_NS), PrunePlan({1: 10, 2: 10}))

    def test_best(self) -> None:
        """
        The best by a metric are kept, among equals the newest; a version without it or with NaN is not among them.
        """
        versions = [version(each, score=score) for each, score in enumerate((3.0, 1.0, 3.0, nan, -inf, None, None), 1)]
        self.assertEqual(kept(RetentionPolicy(keep_best=(KeepBest("score", 1),)), versions), [3, 7])
        self.assertEqual(kept(RetentionPolicy(keep_best=(KeepBest("score", 2, lowest=True),)), versions), [2, 5, 7])
        self.assertEqual(kept(RetentionPolicy(keep_best=(KeepBest("score", 9),)), versions), [1, 2, 3, 5, 7])

    def test_unknown_metric(self) -> None:
        """
        If no version has the metric of a rule, all are kept, whatever the other rules: its name may be misspelled.
        """
        versions = [version(each, score=1.0) for each in range(1, 5)]
        typo, score = KeepBest("scroe", 1), KeepBest("score", 1)
        for rules in ((typo,), (typo, score), (score, typo)):
            found = plan(RetentionPolicy(1, rules, 2, 1.0), versions, NOW_NS)
            self.assertEqual(found, PrunePlan(unknown_metrics=("scroe",)))
        self.assertEqual(kept(RetentionPolicy(keep_best=(score,)), [version(1, score=nan), version(2)]), [2])

    def test_every(self) -> None:
        """
        The lowest number of each block is kept, also if numbers are missing.
        """
        self.assertEqual(kept(RetentionPolicy(keep_every=10), map(version, range(1, 36))), [1, 11, 21, 31, 35])
        self.assertEqual(kept(RetentionPolicy(keep_every=10), map(version, (3, 4, 25, 26))), [3, 25, 26])

    def test_young(self) -> None:
        """
        Versions younger than the limit are kept, also those from the future.
        """
        ages = {1: 100, 2: 60, 3: 59, 4: -5, 5: 70, 6: 61}
        versions = [version(number, age_seconds=age) for number, age in ages.items()]
        self.assertEqual(kept(RetentionPolicy(younger_than_seconds=60), versions), [3, 4, 6])

    def test_union(self) -> None:
        """
        A version is kept if any rule keeps it.
        """
        policy = RetentionPolicy(2, (KeepBest("score", 1),), 4, 10)
        versions = [version(each, score=float(each == 3), age_seconds=5 if each == 4 else 50) for each in range(1, 13)]
        self.assertEqual(kept(policy, versions), [1, 3, 4, 5, 9, 11, 12])

    def test_protected(self) -> None:
        """
        Aliased and pinned versions are kept, and so is the latest.
        """
        versions = [version(1, aliases=["production"]), version(2, pinned=True), version(3), version(4, score=1.0)]
        policy = RetentionPolicy(keep_best=(KeepBest("score", 1),))
        self.assertEqual(kept(policy, versions), [1, 2, 4])

    @given(policies, versions_of_a_model)
    @settings(deadline=None, max_examples=300)
    def test_naive(self, policy: RetentionPolicy, versions: list[VersionRecord]) -> None:
        """
        A plan is what the rules say one by one, and after it there is nothing to delete.
        """
        expected = naive(policy, versions)
        found = plan(policy, iter(versions), NOW_NS)
        self.assertEqual(found.sizes, dict.fromkeys(sorted(expected), 10))
        rest = [each for each in versions if each.number not in expected]
        self.assertEqual(plan(policy, rest, NOW_NS).numbers, [])


def naive(policy: RetentionPolicy, versions: list[VersionRecord]) -> set[int]:
    """
    Return what a policy deletes, from its definition.
    """
    if policy == RetentionPolicy() or (policy.keep_best and not any(each.metrics for each in versions)):
        return set()
    numbers = sorted(each.number for each in versions)
    keep = {each.number for each in versions if each.aliases or each.labels} | set(numbers[-1:])
    keep |= set(numbers[len(numbers) - min(policy.keep_last, len(numbers)) :])
    for rule in policy.keep_best:
        scored = [each for each in versions if each.metrics.get("score", nan) in (0.0, 1.0, 2.0, inf, -inf)]
        scored.sort(key=lambda each: (-each.metrics["score"] if rule.lowest else each.metrics["score"], each.number))
        keep |= {each.number for each in scored[::-1][: rule.count]}
    for number in numbers if policy.keep_every else []:
        block = [each for each in numbers if (each - 1) // policy.keep_every == (number - 1) // policy.keep_every]
        keep.add(block[0])
    if policy.younger_than_seconds:
        keep |= {each.number for each in versions if NOW_NS - each.created_ns < policy.younger_than_seconds * NS}
    return set(numbers) - keep


class PolicyTests(SynchronousTestCase):
    """
    Policies, and to which models they apply.
    """

    def test_allowed(self) -> None:
        """
        Counts are not negative, metrics are named, ages are finite.
        """
        for policy in (RetentionPolicy(), RetentionPolicy(3, (KeepBest("return", 1),), 100, 86_400.5)):
            self.assertIs(check_policy(policy), policy)

    def test_refused(self) -> None:
        """
        Each broken rule is named.
        """
        for policy, said in (
            (RetentionPolicy(-1), "keep_last is -1"),
            (RetentionPolicy(keep_every=2**31), f"keep_every is {2**31}"),
            (RetentionPolicy(keep_best=(KeepBest("", 1),)), "names no metric"),
            (RetentionPolicy(keep_best=(KeepBest("loss", 0),)), "'loss' keeps 0"),
            (RetentionPolicy(keep_best=(KeepBest("loss", -2),)), "'loss' is -2"),
            (RetentionPolicy(keep_best=(KeepBest("loss", 2),) * 21), "20 rules"),
            (RetentionPolicy(younger_than_seconds=-1), "-1 s"),
            (RetentionPolicy(younger_than_seconds=nan), "nan s"),
            (RetentionPolicy(younger_than_seconds=inf), "inf s"),
            (RetentionPolicy(younger_than_seconds=2.0**63), "at most 315576000000"),
            (RetentionPolicy(keep_best=(KeepBest("l" * 129, 1),)), "over 128 bytes"),
        ):
            self.assertIn(said, str(self.assertRaises(InvalidRequest, check_policy, policy)))

    def test_longest_prefix(self) -> None:
        """
        The policy of a model wins over prefixes, and the longest prefix over shorter ones.
        """
        short, long, mine = RetentionPolicy(1), RetentionPolicy(2), RetentionPolicy()
        prefixes = {"": short, "team/": long, "team/x": mine}
        self.assertEqual(policy_for("team/a", None, prefixes), ("team/", long))
        self.assertEqual(policy_for("other", None, prefixes), ("", short))
        self.assertEqual(policy_for("team/a", mine, prefixes), (None, mine))
        self.assertEqual(policy_for("team/x", None, prefixes), ("team/x", mine))
        self.assertEqual(policy_for("team", None, {"team/": long}), (None, None))
