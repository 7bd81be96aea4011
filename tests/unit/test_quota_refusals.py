"""
Tests for the refusals by quotas.
"""

import asyncio

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

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
            await self.refusals.pause(error, is_upload=is_upload)
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

    def test_no_more_than_the_limit(self) -> None:
        """
        Not more than a number of calls are held back at once, and fewer uploads, of which gRPC holds data.
        """
        self.refuse(20)
        for is_upload, most in ((False, 2000), (True, 64)):
            self.most_at_once = 0
            self.refuse(2500, is_upload=is_upload)
            self.assertEqual(self.most_at_once, most)
