"""
Tests for the quotas of calls and bytes a second.
"""

from collections.abc import Callable
from functools import partial

from hypothesis import given, strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_registry.access.rate_quotas import Buckets, Meter, RateQuotas
from twisted_registry.contracts.quotas import IMeter, IRateQuotas
from twisted_registry.domain.access import ANONYMOUS, Identity, Scope
from twisted_registry.domain.errors import QuotaExceeded
from twisted_registry.domain.quotas import Quota

ANN, BOB = Identity("token", "ann"), Identity("token", "bob")
CALLS = Quota("calls", calls_per_second=10)
BYTES = Quota("bytes", bytes_per_second=1000)


class RateQuotasTests(SynchronousTestCase):
    """
    ``RateQuotas``, with the test's clock.
    """

    def setUp(self) -> None:
        """
        Make the clock, and no quotas.
        """
        self.clock = Clock()
        self.quotas = RateQuotas(self.clock.seconds)

    def meter(self, identity: Identity = ANN, model_id: str | None = None) -> Meter:
        """
        Return the quotas of a call, which has some.
        """
        meter = self.quotas.meter(identity, lambda: model_id)
        assert meter is not None
        return meter

    def is_limited(self, identity: Identity, model_id: str | None = None) -> bool:
        """
        Return whether a call has quotas.
        """
        return self.quotas.meter(identity, lambda: model_id) is not None

    def calls(self, identity: Identity = ANN, model_id: str | None = None) -> int:
        """
        Return how many calls are permitted now, up to 1000, and make them.
        """
        for count in range(1000):
            try:
                self.meter(identity, model_id).take_call()
            except QuotaExceeded:
                return count
        return 1000

    def test_interfaces(self) -> None:
        """
        They provide the contracts.
        """
        self.assertTrue(verifyObject(IRateQuotas, self.quotas))
        self.quotas.replace([CALLS])
        self.assertTrue(verifyObject(IMeter, self.meter()))

    def test_no_quota(self) -> None:
        """
        Without quotas, or with those of what is stored, no call is limited, and nobody is asked about its model.
        """

        def unexpected() -> str:
            raise AssertionError("no quota depends on the model")

        for quotas in ([], [Quota("stored", memory_bytes=1)]):
            self.quotas.replace(quotas)
            self.assertIsNone(self.quotas.meter(ANN, unexpected))
        self.quotas.replace([CALLS])
        self.assertIsNotNone(self.quotas.meter(ANN, unexpected))

    def test_a_second_of_calls(self) -> None:
        """
        A second's worth of calls is permitted at once, not one more, and then as many as the time permits.
        """
        self.quotas.replace([CALLS])
        self.assertEqual(self.calls(), 10)
        error = self.assertRaises(QuotaExceeded, self.meter().take_call)
        self.assertEqual((error.quota, error.limit), ("calls", "calls_per_second = 10"))
        self.assertIn("token:ann", str(error))
        self.clock.advance(error.retry_after_seconds)
        self.assertEqual(self.calls(), 1)
        self.clock.advance(100)
        self.assertEqual(self.calls(), 10)

    def test_less_than_a_call_a_second(self) -> None:
        """
        A rate below one call a second permits a call, and the next one when the time for it has passed.
        """
        self.quotas.replace([Quota("slow", calls_per_second=0.1)])
        self.assertEqual(self.calls(), 1)
        self.clock.advance(9.9)
        self.assertEqual(self.calls(), 0)
        self.clock.advance(0.1)
        self.assertEqual(self.calls(), 1)

    def test_bytes_go_into_debt(self) -> None:
        """
        Data of any size is permitted unless there is a debt, and delays what follows.
        """
        self.quotas.replace([BYTES])
        meter = self.meter()
        meter.take_bytes(1000)
        meter.take_bytes(9000)
        error = self.assertRaises(QuotaExceeded, meter.take_bytes, 1)
        self.assertAlmostEqual(error.retry_after_seconds, 9.0)
        self.clock.advance(error.retry_after_seconds)
        meter.take_bytes(1)
        self.assertRaises(QuotaExceeded, meter.take_bytes, 1)

    def test_exactly_a_second_of_bytes(self) -> None:
        """
        Data that fills the bucket exactly leaves no debt; a byte more does.
        """
        self.quotas.replace([BYTES])
        self.meter().take_bytes(1000)
        self.meter().take_bytes(0)
        self.meter().take_bytes(1)
        self.assertRaises(QuotaExceeded, self.meter().take_bytes, 0)

    def test_counted_bytes(self) -> None:
        """
        Data that is sent in any case makes the sender wait for as long as it exceeds the quota.
        """
        self.quotas.replace([BYTES])
        self.assertEqual(self.meter().count_bytes(1000), 0)
        self.assertAlmostEqual(self.meter().count_bytes(500), 0.5)
        self.quotas.replace([CALLS])
        self.assertFalse(self.meter().counts_bytes)
        self.assertEqual(self.meter().count_bytes(10**9), 0)

    def test_each_caller_has_its_own(self) -> None:
        """
        Each caller has a separate bucket, unless the quota says that they share one.
        """
        self.quotas.replace([CALLS])
        self.assertEqual([self.calls(ANN), self.calls(BOB), self.calls(ANONYMOUS)], [10, 10, 10])
        self.quotas.replace([Quota("shared", is_shared=True, calls_per_second=10)])
        self.assertEqual([self.calls(ANN), self.calls(BOB)], [10, 0])

    def test_callers(self) -> None:
        """
        A quota is for the subjects that it names, exactly or by prefix, or for groups, or for anyone.
        """
        table = [
            ("token:ann", [True, False, False]),
            ("token:*", [True, True, False]),
            ("token:a-*", [False, False, False]),
            ("unix-group:ml", [False, False, True]),
            ("anyone", [True, True, True]),
        ]
        caller = Identity("unix", "1000", groups=("unix-group:ml",))
        for subject, expected in table:
            self.quotas.replace([Quota("q", subjects=(subject,), calls_per_second=1)])
            self.assertEqual([self.is_limited(each) for each in (ANN, BOB, caller)], expected, subject)

    def test_models(self) -> None:
        """
        A quota with models is for calls about them, and not for calls about none.
        """
        scopes = (Scope("walker"), Scope("team-a/", is_prefix=True))
        self.quotas.replace([Quota("q", scopes=scopes, calls_per_second=1)])
        table = {"walker": True, "walker2": False, "team-a/x": True, "team-ab": False, None: False}
        for model_id, expected in table.items():
            self.assertEqual(self.is_limited(ANN, model_id), expected, model_id)

    def test_the_smallest_counts(self) -> None:
        """
        Of several quotas each must permit the call, and one that is refused uses up none of the others.
        """
        wide = Quota("wide", calls_per_second=10)
        narrow = Quota("narrow", scopes=(Scope("walker"),), calls_per_second=2)
        self.quotas.replace([wide, narrow])
        self.assertEqual(self.calls(ANN, "walker"), 2)
        self.assertEqual(self.calls(ANN, "other"), 8)

    def test_reload(self) -> None:
        """
        A quota that stays as it is keeps its state; one that changes begins again.
        """
        self.quotas.replace([CALLS])
        self.assertEqual(self.calls(), 10)
        self.quotas.replace([Quota("other", calls_per_second=50), CALLS])
        self.assertEqual(self.calls(), 0)
        self.quotas.replace([Quota("calls", calls_per_second=20)])
        self.assertEqual(self.calls(), 20)
        self.quotas.replace([])
        self.assertFalse(self.is_limited(ANN))

    @given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 30)), max_size=12), st.sampled_from([0.3, 1, 7, 1000.5]))
    def test_never_more_than_permitted(self, acts: list[tuple[float, int]], rate: float) -> None:
        """
        Over any time, not more calls pass than the rate permits, and a second's worth at once.
        """
        self.quotas = RateQuotas(self.clock.seconds)
        self.quotas.replace([Quota("q", calls_per_second=rate)])
        began, passed = self.clock.seconds(), 0
        for pause, tries in acts:
            self.clock.advance(pause)
            for _ in range(tries):
                try:
                    self.meter().take_call()
                except QuotaExceeded as error:
                    self.assertGreater(error.retry_after_seconds, 0)
                else:
                    passed += 1
            most = max(rate, 1.0) + rate * (self.clock.seconds() - began)
            self.assertLessEqual(passed, most + 0.001)

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5000), st.floats(0, 2)), max_size=12))
    def test_bytes_are_the_sum(self, acts: list[tuple[str, int, float]]) -> None:
        """
        The state of each bucket is what a plain simulation of it says.
        """
        self.quotas = RateQuotas(self.clock.seconds)
        self.quotas.replace([BYTES])
        levels = dict.fromkeys("abc", 1000.0)
        for name, size_bytes, pause in acts:
            meter = self.meter(Identity("token", name))
            if abs(levels[name]) > 0.1:
                self.assertEqual(_is_refused(partial(meter.take_bytes, size_bytes)), levels[name] < 0)
                levels[name] -= size_bytes if levels[name] >= 0 else 0
            self.clock.advance(pause)
            levels = {each: min(1000.0, level + 1000 * pause) for each, level in levels.items()}


def _is_refused(act: Callable[[], None]) -> bool:
    try:
        act()
    except QuotaExceeded:
        return True
    return False


class BucketsTests(SynchronousTestCase):
    """
    ``Buckets`` takes memory only for buckets that are not full.
    """

    def test_full_ones_are_forgotten(self) -> None:
        """
        A thousand callers a second leave no more buckets than those of the last second.
        """
        clock = Clock()
        buckets = Buckets(clock.seconds)
        for number in range(10_000):
            buckets.take((CALLS, "calls", str(number)), 1.0)
            clock.advance(0.001)
        self.assertLess(len(buckets), 2100)

    def test_no_more_than_the_limit(self) -> None:
        """
        However many there are in debt, their number has a limit.
        """
        clock = Clock()
        buckets = Buckets(clock.seconds, most=10)
        for number in range(100):
            buckets.take((CALLS, "calls", str(number)), 1e6)
        self.assertLessEqual(len(buckets), 10)
