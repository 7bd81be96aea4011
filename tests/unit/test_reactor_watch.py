"""
Tests for ``twisted_registry.rpc.reactor_watch``.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.rpc.reactor_watch import watch_reactor


class FakeReactor:
    """
    A reactor that answers, or keeps what it is to call.
    """

    def __init__(self) -> None:
        self.is_stalled = False
        self.asked = 0
        self.kept: list[Callable[[], Any]] = []
        self.changes: asyncio.Queue[bool] = asyncio.Queue()

    def call_from_thread(self, call: Callable[[], Any]) -> None:
        """
        Call a function, now or when the reactor runs again.
        """
        self.asked += 1
        if self.is_stalled:
            self.kept.append(call)
        else:
            call()


class ReactorWatchTests(SynchronousTestCase):
    """
    The watch over a reactor.
    """

    def test_runs(self) -> None:
        """
        While the reactor answers, nothing changes.
        """

        async def asked() -> bool:
            reactor = FakeReactor()
            watching = asyncio.create_task(watch_reactor(reactor.call_from_thread, reactor.changes.put_nowait, 60, 0))
            while reactor.asked < 5:
                await asyncio.sleep(0)
            watching.cancel()
            await asyncio.wait([watching])
            return reactor.changes.empty()

        self.assertTrue(asyncio.run(asked()))

    def test_stalled(self) -> None:
        """
        A reactor that does not answer is reported and logged once, and so is that it runs again; it is not asked more
        meanwhile.
        """

        async def changes() -> tuple[list[bool], int]:
            reactor = FakeReactor()
            reactor.is_stalled = True
            watching = asyncio.create_task(watch_reactor(reactor.call_from_thread, reactor.changes.put_nowait, 0.01, 0))
            found = [await reactor.changes.get()]
            asked = reactor.asked
            reactor.is_stalled = False
            reactor.kept.pop()()
            found.append(await reactor.changes.get())
            watching.cancel()
            await asyncio.wait([watching])
            return found, asked

        with capturedLogs() as events:
            self.assertEqual(asyncio.run(changes()), ([True, False], 1))
        self.assertEqual([event["log_level"] for event in events[:2]], [LogLevel.critical, LogLevel.info])

    def test_answer_after_the_end(self) -> None:
        """
        An answer that comes when the loop is closed does no harm.
        """

        async def asked() -> list[Callable[[], Any]]:
            reactor = FakeReactor()
            reactor.is_stalled = True
            watching = asyncio.create_task(watch_reactor(reactor.call_from_thread, reactor.changes.put_nowait, 60, 0))
            while not reactor.kept:
                await asyncio.sleep(0)
            watching.cancel()
            await asyncio.wait([watching])
            return reactor.kept

        (answer,) = asyncio.run(asked())
        answer()
