"""
Tests for the quotas of the data of uploads and downloads.
"""

import asyncio
from typing import Any

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import METHOD, FakeContext, call_on
from twisted_registry.access.rate_quotas import Meter, RateQuotas
from twisted_registry.config.limits import Limits
from twisted_registry.domain.access import Action, Caller, Identity, Permissions
from twisted_registry.domain.errors import QuotaExceeded, TooLarge
from twisted_registry.domain.quotas import Quota
from twisted_registry.rpc.budgets import CallReceiver, ReplyBudget
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


async def write_to(receiver: CallReceiver, message: bytes) -> None:
    """
    Send a message.
    """
    await receiver.write(message)


class _QuotasCase(SynchronousTestCase):
    """
    A quota of one byte a second.
    """

    def setUp(self) -> None:
        """
        Make quotas with the test's clock.
        """
        self.clock = Clock()
        self.quotas = RateQuotas(self.clock.seconds)
        self.quotas.replace([METER])

    def debt_seconds(self) -> float:
        """
        Return how long it takes until data is permitted again.
        """
        return self.meter().count_bytes(0)

    def meter(self) -> Meter:
        """
        Return the quotas of a call.
        """
        meter = self.quotas.meter(ANN.identity, lambda: None)
        assert meter is not None
        return meter


class UploadQuotasTests(_QuotasCase):
    """
    An upload counts as its header declares, and when it ends, as it came.
    """

    def upload(self, size_bytes: int, *messages: bytes, handler: Any = receive) -> None:
        """
        Make an upload that declares a size.
        """
        method = evolve(METHOD, handler=handler, action=Action.PUBLISH, upload_bytes=lambda header: size_bytes)
        wrapped: Any = QuotaChecks(self.quotas).intercept(method, handler)
        call = call_on(FakeContext(messages=[b"", *messages, None]), method)
        call.caller = ANN
        asyncio.run(wrapped(RequestStream(call, IdleTimeout(60)), call))

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


class DownloadQuotasTests(_QuotasCase):
    """
    A download counts with its size, and when it ends, with what was sent.
    """

    def test_cancelled(self) -> None:
        """
        Data that was not sent is returned when the call ends.
        """
        for sent in (b"x" * 11, b"x" * 90):
            context = FakeContext()
            call = call_on(context)
            call.meter = self.meter()
            receiver = ReplyBudget(Limits(), lambda peers: set()).receiver(call)
            receiver.count_stream(100)
            self.assertAlmostEqual(self.debt_seconds(), 99)
            asyncio.run(write_to(receiver, sent))
            context.end()
            self.assertAlmostEqual(self.debt_seconds(), len(sent) - 1)
            self.assertRaises(QuotaExceeded, receiver.count_stream, 1)
            self.clock.advance(len(sent))
