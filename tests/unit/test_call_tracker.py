"""
Tests for ``twisted_registry.rpc.interceptors.call_tracker``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import METHOD, FakeContext, call_on
from twisted_registry.config.limits import ClientLimits
from twisted_registry.domain.errors import Overloaded, Unavailable
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.methods import Method

CLIENT = "ipv4:10.0.0.1:5000"

ALWAYS_SERVED = evolve(METHOD, always_served=True)
UNLIMITED = evolve(METHOD, always_served=True, is_limited=False)


class LimitsTests(SynchronousTestCase):
    """
    ``CallTracker`` refuses calls beyond the limits.
    """

    def setUp(self) -> None:
        """
        Make a tracker that admits 3 calls, 2 of them from one address.
        """
        self.tracker = CallTracker(ClientLimits(1, 1, calls_per_client_max=2, calls_max=3))
        self.tracker.open()

    def make(self, peer: str, method: Method = METHOD) -> FakeContext:
        """
        Make a call whose handler returns at once, and whose status is not sent yet.
        """

        async def handler(request: Any, call: CallContext) -> None:
            return None

        async def run() -> None:
            await self.tracker.intercept(method, handler)(None, call_on(context, method))

        context = FakeContext(peer)
        asyncio.run(run())
        return context

    def refusal(self, peer: str) -> str:
        """
        Return the text with which a call is refused.
        """
        return str(self.assertRaises(Overloaded, self.make, peer))

    def test_per_address(self) -> None:
        """
        The limit per address covers all its connections, and no other address.
        """
        first = self.make("ipv4:10.0.0.1:5000")
        self.make("ipv4:10.0.0.1:5001")
        self.assertIn("--max-calls-per-client", self.refusal("ipv4:10.0.0.1:5002"))
        other = self.make("ipv6:%5B::1%5D:5000")
        other.end()
        first.end()
        self.make("ipv4:10.0.0.1:5002")

    def test_of_all(self) -> None:
        """
        There is a limit on all calls together.
        """
        contexts = [self.make(f"ipv4:10.0.0.{number}:5000") for number in range(3)]
        self.assertIn("--max-calls", self.refusal("ipv4:10.0.0.9:5000"))
        self.assertEqual(len(self.tracker), 3)
        contexts[0].end()
        self.make("ipv4:10.0.0.9:5000")

    def test_unlimited(self) -> None:
        """
        Calls of some methods count, and are never refused.
        """
        for _ in range(4):
            self.make(CLIENT, UNLIMITED)
        self.assertEqual(len(self.tracker), 4)
        self.refusal(CLIENT)

    def test_nothing_is_kept(self) -> None:
        """
        Nothing remains of calls that are over, or that were refused.
        """
        contexts = [self.make(CLIENT) for _ in range(2)]
        self.refusal(CLIENT)
        self.assertEqual(set(self.tracker.busy_peers), {CLIENT})
        for context in contexts:
            context.end()
        self.assertEqual((len(self.tracker), set(self.tracker.busy_peers)), (0, set()))


class EmptyCallsTests(SynchronousTestCase):
    """
    ``CallTracker`` closes connections whose calls send no request.
    """

    def setUp(self) -> None:
        """
        Begin without calls.
        """
        self.now_seconds = 100.0
        self.disconnected: list[str] = []
        self.contexts: list[FakeContext] = []
        self.tracker = CallTracker(ClientLimits(1, 1, 10_000, 10_000), self.disconnect, lambda: self.now_seconds)

    def disconnect(self, peers: Collection[str]) -> Collection[str]:
        """
        Record whose connections are closed.
        """
        self.disconnected += sorted(peers)
        return peers

    def open(self, peer: str, count: int) -> list[CallContext]:
        """
        Open calls that send no request.
        """
        contexts = [FakeContext(peer) for _ in range(count)]
        calls = [call_on(context) for context in contexts]
        for call in calls:
            self.tracker.admit(call)
            self.tracker.begin_wait(call)
        self.contexts += contexts
        return calls

    def end_all(self) -> None:
        """
        End all calls.
        """
        for context in self.contexts:
            context.end()
        self.contexts = []

    def test_open(self) -> None:
        """
        If five hundred are open, the connections with more than a few of them are closed, once.
        """
        self.open("ipv4:10.0.0.1:1", 15)
        self.open("ipv4:10.0.0.1:2", 16)
        self.open("ipv4:10.0.0.1:3", 468)
        self.assertEqual(self.disconnected, [])
        self.open("ipv4:10.0.0.1:3", 100)
        self.assertEqual(self.disconnected, ["ipv4:10.0.0.1:2", "ipv4:10.0.0.1:3"])

    def test_many_with_requests(self) -> None:
        """
        No connection with one or two such calls is closed, nor one whose requests have arrived.
        """
        for number in range(2000):
            self.open(f"ipv4:10.0.0.1:{number}", 2)
        for call in self.open("ipv4:10.0.0.2:1", 20):
            self.tracker.end_wait(call)
        self.now_seconds += 1.0
        self.open("ipv4:10.0.0.3:1", 15)
        self.assertEqual(self.disconnected, [])

    def test_opened_and_reset(self) -> None:
        """
        Calls that end without a request count for a second.
        """
        for _ in range(3):
            self.open("ipv4:10.0.0.1:1", 300)
            self.end_all()
            self.now_seconds += 2.0
        self.assertEqual(self.disconnected, [])
        for _ in range(2):
            self.open("ipv4:10.0.0.1:1", 300)
            self.end_all()
        self.assertEqual(self.disconnected, ["ipv4:10.0.0.1:1"])


class ServingTests(SynchronousTestCase):
    """
    ``CallTracker`` admits calls while the registry serves, and waits for the last of them.
    """

    def setUp(self) -> None:
        """
        Make a tracker.
        """
        self.tracker = CallTracker(ClientLimits(1, 1, 10_000, 10_000))

    def call(self, method: Method = METHOD, until: Callable[[], Awaitable[Any]] | None = None) -> Awaitable[Any]:
        """
        Make a call.

        Args:
            until: what its handler does; by default it returns at once.
        """

        async def handler(request: Any, call: CallContext) -> None:
            if until is not None:
                await until()

        return self.tracker.intercept(method, handler)(None, call_on(FakeContext(), method))

    def run_call(self, method: Method = METHOD) -> None:
        """
        Make a call that ends at once, in its own event loop.
        """

        async def run() -> None:
            await self.call(method)

        asyncio.run(run())

    def wait_for_start(self, timeout_seconds: float) -> None:
        """
        Wait for the start, in an event loop for that alone.
        """
        asyncio.run(self.tracker.wait_for_start(timeout_seconds))

    def test_refused_before_the_start_and_after_the_stop(self) -> None:
        """
        Calls are refused if the registry does not start, and once it stops.
        """
        self.assertIn("starting", str(self.assertRaises(Unavailable, self.wait_for_start, 0.0)))
        self.tracker.open()
        self.run_call()
        self.tracker.close()
        self.assertIn("stopping", str(self.assertRaises(Unavailable, self.run_call)))

    def test_always_served(self) -> None:
        """
        Calls of methods that are always served are not refused.
        """
        self.run_call(ALWAYS_SERVED)
        self.tracker.close()
        self.run_call(ALWAYS_SERVED)

    def test_waits_for_the_start(self) -> None:
        """
        A call that comes while the registry starts waits, and then is served or refused.
        """

        async def outcome(decide: Callable[[], None]) -> None:
            waiting = asyncio.ensure_future(self.call())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.assertFalse(waiting.done())
            decide()
            await waiting

        asyncio.run(outcome(self.tracker.open))
        self.tracker = CallTracker(ClientLimits(1, 1, 10_000, 10_000))
        stopping = self.assertRaises(Unavailable, lambda: asyncio.run(outcome(self.tracker.close)))
        self.assertIn("stopping", str(stopping))

    def test_only_so_many_wait_for_the_start(self) -> None:
        """
        A call is refused if very many wait already.
        """

        async def one_too_many() -> None:
            waiting = [asyncio.create_task(self.tracker.wait_for_start()) for _ in range(1000)]
            await asyncio.sleep(0)
            with self.assertRaises(Unavailable):
                await self.tracker.wait_for_start()
            self.tracker.open()
            await asyncio.gather(*waiting)

        asyncio.run(one_too_many())

    def test_waits_for_the_last_call(self) -> None:
        """
        The group is empty when the last call in it has ended, also if it failed.
        """

        async def calls() -> list[str]:
            ends = [asyncio.Event(), asyncio.Event()]
            log = []

            async def fail(end: asyncio.Event) -> None:
                await end.wait()
                log.append("ended")
                raise ZeroDivisionError

            self.tracker.open()
            running = [asyncio.ensure_future(self.call(until=partial(fail, end))) for end in ends]
            await asyncio.sleep(0)
            self.tracker.close()
            await self.tracker.serving.wait_until_empty(0)
            log.append("not empty")
            for end in ends:
                end.set()
            await self.tracker.serving.wait_until_empty()
            log.append("empty")
            await asyncio.gather(*running, return_exceptions=True)
            return log

        self.assertEqual(asyncio.run(calls()), ["not empty", "ended", "ended", "empty"])

    def test_cancelled_by_the_server_or_by_the_client(self) -> None:
        """
        A call that the server cancels is unavailable; one that its client cancels stays cancelled.
        """

        async def calls() -> list[object]:
            self.tracker.open()
            left, cut = (asyncio.ensure_future(self.call(until=asyncio.Event().wait)) for _ in range(2))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.wait([left])
            await self.tracker.serving.drain(0)
            return list(await asyncio.gather(left, cut, return_exceptions=True))

        left, cut = asyncio.run(calls())
        self.assertIsInstance(left, asyncio.CancelledError)
        self.assertIsInstance(cut, Unavailable)
