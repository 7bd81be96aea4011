"""
Tests for the refusals by quotas.
"""

import asyncio

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import FakeContext, call_on
from twisted_registry.domain.errors import QuotaExceeded
from twisted_registry.rpc.interceptors.quotas import Refusals


class RefusalsTests(SynchronousTestCase):
    """
    ``Refusals`` holds refusals back if there are many.
    """

    def setUp(self) -> None:
        """
        Make them with the test's clock.
        """
        self.clock = Clock()
        self.slept: list[float] = []
        self.most_at_once = self.at_once = 0
        self.refusals = Refusals(self.sleep, self.clock.seconds)

    async def sleep(self, seconds: float) -> None:
        """
        Record a pause.
        """
        self.slept.append(seconds)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1

    def refuse(self, count: int, *, is_upload: bool = False, retry_after_seconds: float = 5.0) -> list[float]:
        """
        Refuse calls, all at once, and return when their callers are asked to come back.
        """

        async def one() -> float:
            error = QuotaExceeded("q", "limit", "reason", retry_after_seconds)
            await self.refusals.pause(call_on(FakeContext()), error, is_upload=is_upload)
            return error.retry_after_seconds

        async def all_of_them() -> list[float]:
            return list(await asyncio.gather(*(one() for _ in range(count))))

        return asyncio.run(all_of_them())

    def test_a_few(self) -> None:
        """
        Twenty refusals a second are sent at once.
        """
        for _ in range(3):
            self.assertEqual(self.refuse(20), [5.0] * 20)
            self.clock.advance(1.0)
        self.assertEqual(self.slept, [])

    def test_many(self) -> None:
        """
        Further ones wait for a second, which counts as a part of the time until the client may come back.
        """
        self.assertEqual(self.refuse(100), [5.0] * 20 + [4.0] * 80)
        self.assertEqual(self.slept, [1.0] * 80)
        self.assertEqual(self.refuse(1, retry_after_seconds=0.5), [0.001])

    def test_permitted_meanwhile(self) -> None:
        """
        A call that is held back is served as soon as its quota permits it.
        """
        for waits, expected in ((1, True), (3, True), (100, False)):
            self.refuse(20)
            self.slept.clear()
            self.assertEqual(self.retry([0.5] * waits), expected)
            self.assertEqual(len(self.slept), min(waits, 5))

    def test_not_permitted_for_long(self) -> None:
        """
        A call that is not permitted for longer is refused after one pause.
        """
        self.refuse(20)
        self.assertFalse(self.retry([100.0] * 3))
        self.assertEqual(self.slept, [1.0])

    def test_deadline(self) -> None:
        """
        A pause takes at most half of the time until the client's deadline, so that it gets the refusal.
        """
        for remaining_seconds, expected in ((10.0, 1.0), (1.5, 0.75), (-1.0, 0.0)):
            self.refuse(20)
            self.slept.clear()
            self.assertFalse(self.retry([100.0] * 3, remaining_seconds))
            self.assertEqual(self.slept, [expected])

    def retry(self, waits: list[float], remaining_seconds: float | None = None) -> bool:
        """
        Return whether a call is served in the end.

        Args:
            waits: the times that its refusals name, one after the other.
            remaining_seconds: the time until its client gives up.
        """
        refusals = iter(waits[1:])

        def act() -> None:
            for seconds in refusals:
                raise QuotaExceeded("q", "limit", "reason", seconds)

        error, call = (
            QuotaExceeded("q", "limit", "reason", waits[0]),
            call_on(FakeContext(remaining_seconds=remaining_seconds)),
        )
        return asyncio.run(self.refusals.retry(call, act, error, is_upload=False))

    def test_no_more_than_the_limit(self) -> None:
        """
        Not more than a number of calls are held back at once, and fewer uploads, of which gRPC holds data.
        """
        self.refuse(20)
        for is_upload, most in ((False, 2000), (True, 64)):
            self.most_at_once = 0
            self.refuse(2500, is_upload=is_upload)
            self.assertEqual(self.most_at_once, most)
