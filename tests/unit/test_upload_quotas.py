"""
Tests for the quotas of the data of uploads.
"""

import asyncio
from typing import Any

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import METHOD, FakeContext, call_on
from twisted_registry.access.rate_quotas import RateQuotas
from twisted_registry.domain.access import Action, Caller, Identity, Permissions
from twisted_registry.domain.errors import QuotaExceeded, TooLarge
from twisted_registry.domain.quotas import Quota
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout, RequestStream
from twisted_registry.rpc.interceptors.quotas import QuotaChecks

METER = Quota("slow", bytes_per_second=1)
ANN = Caller(Identity("token", "ann"), Permissions([]), None)


async def receive(messages: RequestStream, call: CallContext) -> Any:
    """
    Receive all data.
    """
    async for _ in messages:
        pass


async def refuse(messages: RequestStream, call: CallContext) -> Any:
    """
    Refuse the upload when its header is known.
    """
    raise TooLarge("too much; send less")


class UploadQuotasTests(SynchronousTestCase):
    """
    An upload counts as its header declares, and when it ends, as it came.
    """

    def setUp(self) -> None:
        """
        Make quotas with the test's clock.
        """
        self.clock = Clock()
        self.quotas = RateQuotas(self.clock.seconds)
        self.quotas.replace([METER])

    def upload(self, size_bytes: int, *messages: bytes, handler: Any = receive) -> None:
        """
        Make an upload that declares a size.
        """
        method = evolve(METHOD, handler=handler, action=Action.PUBLISH, upload_bytes=lambda header: size_bytes)
        wrapped: Any = QuotaChecks(self.quotas).intercept(method, handler)
        call = call_on(FakeContext(messages=[b"", *messages, None]), method)
        call.caller = ANN
        asyncio.run(wrapped(RequestStream(call, IdleTimeout(60)), call))

    def debt_seconds(self) -> float:
        """
        Return how long it takes until data is permitted again.
        """
        meter = self.quotas.meter(ANN.identity, lambda: None)
        assert meter is not None
        return meter.count_bytes(0)

    def test_whole(self) -> None:
        """
        Data that came counts.
        """
        self.upload(100, b"x" * 60, b"x" * 40)
        self.assertAlmostEqual(self.debt_seconds(), 99)

    def test_refused(self) -> None:
        """
        An upload that is refused, or that ends early, counts only with what came, whatever its header declares.
        """
        for size_bytes in (100, 2**64 - 1):
            self.assertRaises(TooLarge, self.upload, size_bytes, handler=refuse)
            self.assertLess(self.debt_seconds(), 1)
        self.upload(2**64 - 1, b"x" * 11)
        self.assertAlmostEqual(self.debt_seconds(), 10, 0)

    def test_not_permitted(self) -> None:
        """
        An upload that a quota refuses takes nothing from it, and returns nothing to it.
        """
        self.upload(100, b"x" * 100)
        self.assertRaises(QuotaExceeded, self.upload, 50, b"x" * 50)
        self.assertAlmostEqual(self.debt_seconds(), 99)
