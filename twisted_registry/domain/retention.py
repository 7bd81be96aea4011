"""
Retention: which versions of a model are kept.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import heappush, heapreplace
from math import isfinite, isnan
from typing import Any

from attrs import define, field, frozen

from twisted_registry.domain.annotations import MAX_KEY_BYTES
from twisted_registry.domain.errors import InvalidRequest, RegistryError, shown
from twisted_registry.domain.records import VersionRecord

PIN = "pin"
"""The label that protects a version, with any value."""

MAX_BEST_RULES = 20
MAX_COUNT = 2**31 - 1

MAX_AGE_SECONDS = 315_576_000_000
"""The longest ``google.protobuf.Duration``, about ten thousand years."""

_NS = 1_000_000_000


@frozen
class KeepBest:
    """
    A rule that keeps the versions with the best values of a metric.  If no version of a model has the metric, the whole
    policy keeps all versions of that model: the name may be misspelled.

    Attributes:
        metric: the name of the metric.
        count: how many versions are kept; among equal ones, the newest.
        lowest: whether lower values are better.
    """

    metric: str
    count: int
    lowest: bool = False


@frozen
class RetentionPolicy:
    """
    Rules for a model's versions.  A version is kept if any rule keeps it; without a rule, all are.

    Attributes:
        keep_last: how many of the newest versions are kept; 0 for no such rule.
        keep_best: rules by metrics.
        keep_every: keeps the lowest number in each block of so many numbers: with 10, one of 1 to 10, one of 11 to 20;
            0 for no such rule.
        younger_than_seconds: versions younger than this are kept; 0 for no such rule.
    """

    keep_last: int = 0
    keep_best: tuple[KeepBest, ...] = ()
    keep_every: int = 0
    younger_than_seconds: float = 0.0

    @property
    def keeps_all(self) -> bool:
        """
        Return whether there is no rule, so that all versions are kept.
        """
        return not (self.keep_last or self.keep_best or self.keep_every or self.younger_than_seconds)


def check_policy(policy: RetentionPolicy) -> RetentionPolicy:
    """
    Return a policy, if it is allowed.

    Raises:
        InvalidRequest: it is not allowed.
    """
    counts = {"keep_last": policy.keep_last, "keep_every": policy.keep_every}
    for rule in policy.keep_best:
        if not rule.metric:
            raise InvalidRequest("a rule of keep_best names no metric; name one")
        if len(rule.metric.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
            raise InvalidRequest(f"no metric has a name of over {MAX_KEY_BYTES} bytes, as {shown(rule.metric)} has")
        if not rule.count:
            raise InvalidRequest(f"the rule for metric {shown(rule.metric)} keeps 0 versions; keep at least 1")
        counts[f"the count of metric {shown(rule.metric)}"] = rule.count
    for name, count in counts.items():
        if not 0 <= count <= MAX_COUNT:
            raise InvalidRequest(f"{name} is {count}; it must be from 0 to {MAX_COUNT}")
    if len(policy.keep_best) > MAX_BEST_RULES:
        raise InvalidRequest(f"a policy may have {MAX_BEST_RULES} rules of keep_best, not {len(policy.keep_best)}")
    seconds = policy.younger_than_seconds
    if not (isfinite(seconds) and seconds >= 0):
        raise InvalidRequest(f"the age is {seconds:g} s; it must be a finite number of seconds, and not negative")
    if seconds > MAX_AGE_SECONDS:
        raise InvalidRequest(f"the age is {seconds:g} s; at most {MAX_AGE_SECONDS} are allowed")
    return policy


def policy_for(
    model_id: str, model_policy: RetentionPolicy | None, prefix_policies: Mapping[str, RetentionPolicy]
) -> tuple[str | None, RetentionPolicy | None]:
    """
    Return the policy that applies to a model, and the prefix that it is from.

    The model's policy wins, also if it has no rules.  Otherwise that of the longest prefix of its id wins.

    Returns:
        the prefix, or ``None`` if the policy is the model's; the policy, or ``None`` if none applies.
    """
    if model_policy is not None:
        return None, model_policy
    for length in range(len(model_id), -1, -1):
        prefix = model_id[:length]
        if prefix in prefix_policies:
            return prefix, prefix_policies[prefix]
    return None, None


@frozen
class PrunePlan:
    """
    The versions that a policy does not keep.

    Attributes:
        sizes: how many bytes of data each has, by number, ascending.
        unknown_metrics: the metrics of ``keep_best`` that no version has, because of which all versions are kept.
    """

    sizes: Mapping[int, int] = field(factory=dict)
    unknown_metrics: tuple[str, ...] = ()

    @property
    def numbers(self) -> list[int]:
        """
        Their numbers, ascending.
        """
        return list(self.sizes)

    @property
    def size_bytes(self) -> int:
        """
        How many bytes of data they have in all.
        """
        return sum(self.sizes.values())


@frozen
class RetentionScope:
    """
    The target of a policy: one model, or all models whose ids begin with a prefix.

    Attributes:
        model_id: the model's id; ``None`` for a prefix.
        prefix: the beginning of the ids, which may be empty.
    """

    model_id: str | None
    prefix: str = ""

    def covers(self, model_id: str) -> bool:
        """
        Return whether a model is in the scope.
        """
        return model_id.startswith(self.prefix) if self.model_id is None else model_id == self.model_id


Deleted = Callable[[str, Sequence[int]], None]
"""A function that takes a model, and the numbers of its versions that retention has just deleted."""


def ignore_deleted(model_id: str, numbers: Sequence[int]) -> None:
    """
    Take no notice of versions that retention has deleted.
    """


@frozen
class PruneRequest:
    """
    A request to delete the versions that policies do not keep.

    Attributes:
        scope: the model, or the models.
        policy: used instead of the policies that are set; ``None`` for those.
        dry_run: whether nothing is deleted.
        only: the numbers of the versions that may be deleted, by model; ``None`` for all.
    """

    scope: RetentionScope
    policy: RetentionPolicy | None = None
    dry_run: bool = False
    only: Mapping[str, Collection[int]] | None = None


@frozen
class PrunedModel:
    """
    Versions that were deleted of a model, or would be.
    """

    model_id: str
    plan: PrunePlan


@frozen
class SkippedModel:
    """
    A model that was left out, or not pruned to the end.

    Attributes:
        error: why: the model was deleted meanwhile, or is damaged.
    """

    model_id: str
    error: RegistryError


def _is_protected(record: VersionRecord) -> bool:
    """
    Return whether a version is kept whatever the policy: an alias names it, or it has the label ``pin``.
    """
    return bool(record.aliases) or PIN in record.labels


class PrunePlanner:
    """
    The plan of what a policy deletes, made from one version at a time, so that not all of them are in memory at once.
    """

    def __init__(self, policy: RetentionPolicy, now_ns: int) -> None:
        """

        Args:
            now_ns: the present time in nanoseconds since the Unix epoch.
        """
        self._policy = policy
        self._youngest_ns = now_ns - int(policy.younger_than_seconds * _NS)
        self._best = [(rule.metric, -1.0 if rule.lowest else 1.0, _Highest(rule.count)) for rule in policy.keep_best]
        self._unknown_metrics = dict.fromkeys(rule.metric for rule in policy.keep_best)
        self._blocks: dict[int, int] = {}
        self._numbers: list[int] = []
        self._sizes: dict[int, int] = {}

    def add(self, record: VersionRecord, *, is_protected: bool = False) -> None:
        """
        Add a version, in any order.

        Args:
            is_protected: keep it whatever the policy, because it may be protected.
        """
        number, policy = record.number, self._policy
        self._numbers.append(number)
        for metric, sign, highest in self._best:
            value = record.metrics.get(metric)
            if value is not None:
                self._unknown_metrics.pop(metric, None)
            if value is not None and not isnan(value):  # NaN is not the best
                highest.add((sign * value, number), number)
        if policy.keep_every:
            block = (number - 1) // policy.keep_every
            self._blocks[block] = min(self._blocks.get(block, number), number)
        is_young = policy.younger_than_seconds > 0 and record.created_ns > self._youngest_ns
        if not (is_young or is_protected or _is_protected(record)):
            self._sizes[number] = record.size_bytes

    def plan(self) -> PrunePlan:
        """
        Return what the policy deletes of the versions that were added, which are all of the model.
        """
        if self._policy.keeps_all:
            return PrunePlan()
        if self._numbers and self._unknown_metrics:
            return PrunePlan(unknown_metrics=tuple(self._unknown_metrics))
        newest = sorted(self._numbers)[-max(self._policy.keep_last, 1) :]
        kept = set(newest).union(self._blocks.values(), *(highest.items() for _, _, highest in self._best))
        return PrunePlan({number: self._sizes[number] for number in sorted(self._sizes.keys() - kept)})


def plan(policy: RetentionPolicy, versions: Iterable[VersionRecord], now_ns: int) -> PrunePlan:
    """
    Return what a policy deletes.

    The latest version is never deleted, and neither are those that an alias names or that have the label ``pin``.
    These count for the rules as well: with ``keep_last`` 3, the newest three are kept, whether or not an alias names
    one.  If no version has the metric of a rule of ``keep_best``, all are kept.

    Args:
        versions: all versions of the model, in any order.  They are read once.
        now_ns: the present time in nanoseconds since the Unix epoch.
    """
    planner = PrunePlanner(policy, now_ns)
    for record in versions:
        planner.add(record)
    return planner.plan()


@define
class _Highest:
    """
    The items with the highest keys among those that were added.
    """

    _count: int
    _heap: list[tuple[Any, int]] = field(factory=list)

    def add(self, key: Any, item: int) -> None:
        if len(self._heap) < self._count:
            heappush(self._heap, (key, item))
        elif (key, item) > self._heap[0]:
            heapreplace(self._heap, (key, item))

    def items(self) -> set[int]:
        return {item for _, item in self._heap}
