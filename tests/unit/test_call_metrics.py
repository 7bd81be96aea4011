"""
Tests of the interceptor that reports calls.
"""

import asyncio
from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import METHOD, Aborted, FakeContext, call_on
from tests.support.exposition import Samples, samples_of
from twisted_registry.domain.errors import NotPermitted, Overloaded, QuotaExceeded, SignInsThrottled, UnknownModel
from twisted_registry.observability import metrics
from twisted_registry.observability.call_metrics import EdgeMetrics
from twisted_registry.observability.instruments import HistogramSeries
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.chain import end_failed_calls
from twisted_registry.rpc.interceptors.metrics import CallMetrics, watch_lag

_LABELS = {"service": "tests.Tests", "method": "Test"}


class CallMetricsTests(SynchronousTestCase):
    """
    Calls through the interceptor.
    """

    def setUp(self) -> None:
        """
        Make the interceptor, with a time that passes by a quarter of a second each time it is asked for.
        """
        self.lag = HistogramSeries(metrics.LOOP_LAG_SECONDS)
        self.edge = EdgeMetrics(self.lag)
        self.now_seconds = 0.0
        self.metrics = CallMetrics(self.edge, self.time_seconds)

    def time_seconds(self) -> float:
        """
        Return the time.
        """
        self.now_seconds += 0.25
        return self.now_seconds

    def samples(self) -> Samples:
        """
        Return what was reported.
        """
        return samples_of(self.edge, self.lag)

    def make(self, error: BaseException | None = None) -> Any:
        """
        Make a call whose handler raises an error, or returns a reply.
        """

        async def handle(request: Any, call: CallContext) -> str:
            if error is not None:
                raise error
            return "reply"

        handler = self.metrics.intercept(METHOD, end_failed_calls(METHOD, handle))
        call = call_on(FakeContext())

        async def run() -> Any:
            return await handler(None, call)

        return asyncio.run(run())

    def calls(self, code: str) -> float | None:
        """
        Return how many calls ended with a code.
        """
        return self.samples().value(metrics.CALLS.name, code=code, **_LABELS)

    def test_success(self) -> None:
        """
        A call that succeeds is reported with its time, and its reply passes.
        """
        self.assertEqual(self.make(), "reply")
        self.assertEqual(self.calls("OK"), 1)
        self.assertEqual(self.samples().value(f"{metrics.CALL_SECONDS.name}_sum", **_LABELS), 0.25)

    def test_errors(self) -> None:
        """
        A call that fails is reported with its code; only a refusal is one.
        """
        self.assertRaises(Aborted, self.make, UnknownModel("m"))
        self.assertEqual(self.calls("NOT_FOUND"), 1)
        self.assertEqual(self.calls("OK"), 0)
        refusals = {labels for (name, labels), value in self.samples().all() if name == metrics.REFUSALS.name and value}
        self.assertEqual(refusals, set())

    def test_cancelled(self) -> None:
        """
        A call that its client cancels is reported as such.
        """
        self.assertRaises(asyncio.CancelledError, self.make, asyncio.CancelledError())
        self.assertEqual(self.calls(grpc.StatusCode.CANCELLED.name), 1)

    def test_refusals(self) -> None:
        """
        Each kind of refusal is counted, a special kind of error as what it is.
        """
        for error, kind in (
            (NotPermitted("no"), "denied"),
            (Overloaded("too many"), "overloaded"),
            (QuotaExceeded("too much", "calls", "test"), "quota"),
            (SignInsThrottled("later"), "throttled"),
        ):
            self.assertRaises(Aborted, self.make, error)
            self.assertEqual(self.samples().value(metrics.REFUSALS.name, kind=kind), 1, kind)
        self.assertEqual(self.samples().value(metrics.REFUSALS.name, kind="unavailable"), 0)

    def test_bytes(self) -> None:
        """
        The bytes of messages are counted where they are serialized, and pass unchanged.
        """
        self.assertEqual(self.metrics.deserializer(METHOD)(b"12345"), b"12345")
        self.assertEqual(self.metrics.serializer(METHOD)(b"123"), b"123")
        samples = self.samples()
        self.assertEqual(samples.value(metrics.RECEIVED_BYTES.name, **_LABELS), 5)
        self.assertEqual(samples.value(metrics.SENT_BYTES.name, **_LABELS), 3)

    def test_lag(self) -> None:
        """
        The lag of the loop is reported each second.
        """
        seen: list[float] = []
        paused: list[float] = []

        async def sleep(seconds: float) -> None:
            paused.append(seconds)
            if len(paused) == 3:
                raise asyncio.CancelledError

        self.assertRaises(asyncio.CancelledError, asyncio.run, watch_lag(seen.append, sleep))
        self.assertEqual(paused, [1.0, 1.0, 1.0])
        self.assertEqual(seen, [0.0, 0.0])  # each timer fired too early
