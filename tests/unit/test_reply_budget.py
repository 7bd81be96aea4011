"""
Tests for ``twisted_registry.rpc.budgets``.
"""

import asyncio
from collections.abc import Collection
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.support.calls import FakeContext, call_on
from twisted_registry.config.limits import Limits
from twisted_registry.contracts.application import IReceiver, IReplyReservation
from twisted_registry.rpc.budgets import COUNTED_BYTES, ReplyBudget
from twisted_registry.rpc.call import CallContext

MIB = 2**20


class SlowReader(FakeContext):
    """
    A call whose client takes messages when the test lets it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.reads = asyncio.Event()

    async def write(self, message: Any) -> None:
        """
        Send a message.
        """
        await self.reads.wait()

    def end(self) -> None:
        """
        End the call.
        """
        super().end()
        self.reads.set()


class ReplyBudgetTests(SynchronousTestCase):
    """
    ``ReplyBudget`` bounds what is on its way to clients.
    """

    def setUp(self) -> None:
        """
        Make a budget of 7 MiB for large versions.
        """
        self.now_seconds = 0.0
        self.disconnected: list[str] = []
        self.contexts: dict[str, FakeContext] = {}
        limits = Limits(0, 0, 0.0, 0.0, 8 * MIB, 0.1, 0.0)
        self.budget = ReplyBudget(limits, self.disconnect, lambda: self.now_seconds)

    def disconnect(self, peers: Collection[str]) -> set[str]:
        """
        Record peers that are disconnected, and end their calls.
        """
        self.disconnected += sorted(peers)
        for peer in peers:
            self.contexts[peer].end()
        return set(peers)

    def call(self, name: str) -> CallContext:
        """
        Make a call.
        """
        self.contexts[name] = FakeContext(name)
        return call_on(self.contexts[name])

    def test_released_when_the_call_is_over(self) -> None:
        """
        A call waits until another is over, and no client that reads is disconnected.
        """

        async def test() -> None:
            await self.budget.reserve(self.call("first"), 5 * MIB)
            second = asyncio.create_task(self.budget.reserve(self.call("second"), 5 * MIB))
            await asyncio.sleep(0.1)
            self.assertFalse(second.done())
            self.contexts["first"].end()
            await second

        asyncio.run(test())
        self.assertEqual(self.disconnected, [])

    def test_idle_clients_are_disconnected(self) -> None:
        """
        The clients that have been idle for longest are disconnected, as many as others need.
        """

        async def test() -> None:
            reservations = [await self.budget.reserve(self.call(name), 2 * MIB) for name in ("a", "b", "c")]
            for reservation in (*reservations[1:], reservations[0]):
                reservation.start_idle_timer()
                self.now_seconds += 1.0
            await self.budget.reserve(self.call("d"), 3 * MIB)

        asyncio.run(test())
        self.assertEqual(self.disconnected, ["b"])

    def test_replies_are_counted(self) -> None:
        """
        A reply of a kilobyte or more is counted until its call is over; a shorter one is not counted.
        """

        async def test() -> None:
            for number in range(16):
                self.assertIsNotNone(self.budget.receiver(self.call(str(number))).try_reserve(64 * 1024))
            receiver = self.budget.receiver(self.call("b"))
            verifyObject(IReceiver, receiver)
            self.assertIsNone(receiver.try_reserve(COUNTED_BYTES))
            waiting = asyncio.create_task(receiver.reserve(COUNTED_BYTES))
            short = self.budget.receiver(self.call("c")).try_reserve(COUNTED_BYTES - 1)
            verifyObject(IReplyReservation, short)
            await asyncio.sleep(0)
            self.assertFalse(waiting.done())
            self.contexts["0"].end()
            verifyObject(IReplyReservation, await waiting)

        asyncio.run(test())

    def test_updates_are_counted(self) -> None:
        """
        An update is counted while it is sent.  A client that does not take it is disconnected if another waits.
        """

        async def test() -> None:
            stalled = [SlowReader(str(number)) for number in range(4)]
            self.contexts.update((context.peer(), context) for context in stalled)
            writing = []
            for context in stalled:
                writing.append(asyncio.create_task(self.budget.write(call_on(context), bytes(256 * 1024))))
                await asyncio.sleep(0)
                self.now_seconds += 0.01
            short, long = SlowReader("short"), SlowReader("long")
            long.reads.set()
            waiting = asyncio.create_task(self.budget.write(call_on(long), bytes(256 * 1024)))
            short.reads.set()
            await self.budget.write(call_on(short), bytes(1023))
            self.now_seconds = 1.0
            await waiting
            for context in stalled:
                context.end()
            await asyncio.gather(*writing)

        asyncio.run(test())
        self.assertEqual(self.disconnected, ["0"])

    def test_waiting_for_the_server_is_not_idle(self) -> None:
        """
        A client that waits for the server, whose disk may be slow, is not disconnected.
        """

        async def test() -> None:
            first = await self.budget.reserve(self.call("a"), 6 * MIB)
            first.start_idle_timer()
            first.stop_idle_timer()
            self.now_seconds = 60.0
            waiting = asyncio.create_task(self.budget.reserve(self.call("b"), 6 * MIB))
            await asyncio.sleep(0.1)
            self.assertFalse(waiting.done())
            first.start_idle_timer()
            self.now_seconds = 120.0
            await waiting

        asyncio.run(test())
        self.assertEqual(self.disconnected, ["a"])

    def test_idle_while_no_other_waits(self) -> None:
        """
        An idle client is not disconnected while no other call waits for its bytes.
        """

        async def test() -> None:
            (await self.budget.reserve(self.call("a"), 6 * MIB)).start_idle_timer()
            self.now_seconds = 1.0
            await asyncio.sleep(0.1)

        asyncio.run(test())
        self.assertEqual(self.disconnected, [])
