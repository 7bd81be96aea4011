"""
The quotas of calls and bytes a second, as token buckets.

A bucket holds what a second permits, at least one call.  Its state is one number: when it will be full again.
"""

import time
from collections.abc import Callable, Sequence
from itertools import islice

from attrs import frozen
from zope.interface import implementer

from twisted_registry.access.policy.subject_map import ANYONE, SubjectMap
from twisted_registry.contracts.quotas import IMeter, IRateQuotas
from twisted_registry.domain.access import Identity
from twisted_registry.domain.errors import QuotaExceeded
from twisted_registry.domain.quotas import Quota
from twisted_registry.domain.scope_map import ScopeMap

_BURST_SECONDS = 1.0
_MOST_BUCKETS = 100_000
_MOST_IDENTITIES = 10_000
_ROUNDING_SECONDS = 1e-6
"""A client that waits as long as it was asked to must not be too early because numbers were rounded."""

BucketKey = tuple[Quota, str, str]
"""The quota, its unit, and the subject whose bucket it is; an empty one for a bucket that all share."""


class Buckets:
    """
    Token buckets.  Only those that are not full take memory.
    """

    def __init__(self, now_seconds: Callable[[], float] = time.monotonic, most: int = _MOST_BUCKETS) -> None:
        """

        Args:
            now_seconds: returns the time in seconds from any fixed point.
            most: the most buckets; beyond, another one counts as full for each one that is added.
        """
        self._now_seconds = now_seconds
        self._most = most
        self._full_at: dict[BucketKey, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_seconds(self, key: BucketKey, slack_seconds: float) -> float:
        """
        Return how long to wait until a bucket is full in ``slack_seconds`` or less; 0 if it is already.
        """
        wait = self._full_at.get(key, 0.0) - self._now_seconds() - slack_seconds
        return wait if wait > _ROUNDING_SECONDS else 0.0

    def take(self, key: BucketKey, seconds: float) -> None:
        """
        Take from a bucket what flows into it in so many seconds.  It may go into debt.
        """
        now = self._now_seconds()
        full_at = self._full_at.get(key)
        self._full_at[key] = (now if full_at is None else max(full_at, now)) + seconds
        if full_at is None:
            self._drop_full(now)

    def _drop_full(self, now: float) -> None:
        # Two are looked at for each one added, in turns, so that full ones do not accumulate.
        for key in [*islice(self._full_at, 2)]:
            full_at = self._full_at.pop(key)
            if full_at > now and len(self._full_at) < self._most:
                self._full_at[key] = full_at


@frozen
class _Rate:
    """
    A limit, with the bucket that it is measured with.

    Attributes:
        per_second: what flows into the bucket.
        slack_seconds: how much emptier than full the bucket may be, in seconds of its flow.
    """

    key: BucketKey
    per_second: float
    slack_seconds: float
    buckets: Buckets

    def check(self) -> None:
        """
        Raises:
            QuotaExceeded: nothing may be taken now.
        """
        wait_seconds = self.buckets.wait_seconds(self.key, self.slack_seconds)
        if wait_seconds:
            quota, unit, subject = self.key
            limit = f"{unit}_per_second = {self.per_second:.15g}"
            raise QuotaExceeded(quota.name, limit, f"{subject or 'all its callers'} used it up", wait_seconds)

    def take(self, amount: float) -> None:
        """
        Take an amount.
        """
        self.buckets.take(self.key, amount / self.per_second)

    def debt_seconds(self) -> float:
        """
        Return how long it takes until something may be taken again.
        """
        return self.buckets.wait_seconds(self.key, self.slack_seconds)


@implementer(IMeter)
class Meter:
    """
    The limits of one call.

    Attributes:
        counts_bytes: see ``IMeter``.
    """

    __slots__ = ("_bytes", "_calls", "counts_bytes")

    def __init__(self, quotas: Sequence[Quota], subject: str, buckets: Buckets) -> None:
        """

        Args:
            subject: the caller.
        """
        self._calls: list[_Rate] = []
        self._bytes: list[_Rate] = []
        for quota in quotas:
            whose = "" if quota.is_shared else subject
            if quota.calls_per_second is not None:
                rate = quota.calls_per_second
                # One call must fit in.
                slack_seconds = max(rate * _BURST_SECONDS, 1.0) / rate - 1.0 / rate
                self._calls.append(_Rate((quota, "calls", whose), rate, slack_seconds, buckets))
            if quota.bytes_per_second is not None:
                key = (quota, "bytes", whose)
                self._bytes.append(_Rate(key, quota.bytes_per_second, _BURST_SECONDS, buckets))
        self.counts_bytes = bool(self._bytes)

    def take_call(self, upload_bytes: int | None = None) -> None:
        """See ``IMeter.take_call``."""
        for rate in self._calls:
            rate.check()
        if upload_bytes is not None:
            self.take_bytes(upload_bytes)
        for rate in self._calls:
            rate.take(1)

    def take_bytes(self, size_bytes: int) -> None:
        """See ``IMeter.take_bytes``."""
        for rate in self._bytes:
            rate.check()
        self.count_bytes(size_bytes)

    def count_bytes(self, size_bytes: int) -> float:
        """See ``IMeter.count_bytes``."""
        for rate in self._bytes:
            rate.take(size_bytes)
        return max((rate.debt_seconds() for rate in self._bytes), default=0.0)

    def return_bytes(self, size_bytes: int) -> None:
        """See ``IMeter.return_bytes``."""
        for rate in self._bytes:
            rate.take(-size_bytes)


@frozen(eq=False)
class _Limits:
    """
    The quotas of one identity.

    Attributes:
        meter: those that do not depend on the model.
        by_model: those that do.
    """

    subject: str
    anywhere: Sequence[Quota]
    meter: Meter | None
    by_model: Sequence[ScopeMap[Quota]]


@implementer(IRateQuotas)
class RateQuotas:
    """
    The quotas in force.  ``replace`` changes them; the buckets of those that stay keep what they hold.
    """

    def __init__(self, now_seconds: Callable[[], float] = time.monotonic) -> None:
        """

        Args:
            now_seconds: returns the time in seconds from any fixed point.
        """
        self._buckets = Buckets(now_seconds)
        self.replace(())

    def replace(self, quotas: Sequence[Quota]) -> None:
        """
        Replace the quotas.  May be called in any thread.
        """
        limiting = [quota for quota in quotas if quota.limits_rates]
        pairs = [(subject, quota) for quota in limiting for subject in quota.subjects or (ANYONE,)]
        anywhere = SubjectMap((subject, quota) for subject, quota in pairs if not quota.scopes)
        by_model: dict[str, ScopeMap[Quota]] = {}
        for subject, quota in pairs:
            for scope in quota.scopes:
                by_model.setdefault(subject, ScopeMap()).add(scope, quota)
        # One assignment: the edge's thread sees all of it or nothing.
        self._rules = _Rules(anywhere, SubjectMap(by_model.items()), {}) if limiting else None

    def meter(self, identity: Identity, model_id: Callable[[], str | None]) -> Meter | None:
        """See ``IRateQuotas.meter``."""
        rules = self._rules
        if rules is None:
            return None
        known = rules.known.get((identity.kind, identity.name, identity.groups))
        limits = known or self._limits(rules, identity)
        if not limits.by_model:
            return limits.meter
        about = model_id()
        if about is None:
            return limits.meter
        of_model = (quota for by_model in limits.by_model for quota in by_model.find(about))
        quotas = [*dict.fromkeys((*limits.anywhere, *of_model))]
        return Meter(quotas, limits.subject, self._buckets) if quotas else None

    def _limits(self, rules: "_Rules", identity: Identity) -> _Limits:
        subjects = (ANYONE,) if identity.is_anonymous else (identity.subject, *identity.groups, ANYONE)
        anywhere = [*dict.fromkeys(quota for subject in subjects for quota in rules.anywhere.find(subject))]
        meter = Meter(anywhere, identity.subject, self._buckets) if anywhere else None
        by_model = [each for subject in subjects for each in rules.by_model.find(subject)]
        limits = _Limits(identity.subject, anywhere, meter, by_model)
        if len(rules.known) >= _MOST_IDENTITIES:
            rules.known.clear()
        rules.known[identity.kind, identity.name, identity.groups] = limits
        return limits


@frozen(eq=False)
class _Rules:
    """
    The quotas, prepared for look-ups.

    Attributes:
        anywhere: by subject, those without models.
        by_model: by subject, those with models.
        known: the limits of identities that were looked up.
    """

    anywhere: SubjectMap[Quota]
    by_model: SubjectMap[ScopeMap[Quota]]
    known: dict[tuple[str, str, tuple[str, ...]], _Limits]
