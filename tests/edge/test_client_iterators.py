"""
Tests of iterators: cancelled steps, and iterators that are closed while a step waits.
"""

import asyncio
import contextlib
import gc
import os
from collections.abc import Awaitable
from typing import Any

from tests.support.edge import EdgeTestCase
from tests.support.relay import Relay
from tests.support.styles import AsyncioStyle
from twisted_registry.client import BlockingClient, Client, errors

DATA = os.urandom(10_000_000)
SHORT_SECONDS = 0.1
"""How long one waits for what will not come; the tests do not depend on it."""


class StepCase(EdgeTestCase):
    """
    A client for asyncio behind a relay, and a model with one version.
    """

    def setUp(self) -> None:
        """
        Make them, and connect.
        """
        super().setUp()
        self.relay = Relay(self.daemon.port)
        self.addCleanup(self.relay.close)
        self.style = AsyncioStyle(self.relay.address, deadline_seconds=5)
        self.addCleanup(self.style.close)
        self.registry: Client = self.style.client
        self.client.save_model("walker")
        self.client.create("walker", DATA)
        self.style.call("model", "walker")

    async def cancelled_step(self, step: Awaitable[Any]) -> None:
        """
        Begin a step that does not finish, and cancel it.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHORT_SECONDS):
                await step
                self.fail("it came to its end")

    async def wait_until(self, condition: Any) -> None:
        """
        Let the loop run until something is so.
        """
        while not condition():
            await asyncio.sleep(0.01)


class ItemsTests(StepCase):
    """
    Iterators over data and infos.
    """

    def test_step_that_was_cancelled(self) -> None:
        """
        After a cancelled step, the next one raises an error instead of ending the iterator.
        """

        async def scenario() -> None:
            for items in (self.registry.retrieve_chunks("walker", 1), self.registry.versions("walker")):
                self.relay.mute()
                await self.cancelled_step(anext(items))
                self.relay.cut()
                with self.assertRaises(errors.ClientUnusable):
                    await anext(items)

        self.style.run(scenario())

    def test_step_that_failed(self) -> None:
        """
        After a failed step, the next one raises an error instead of ending the iterator.
        """

        async def scenario() -> None:
            versions = self.registry.versions("nobody")
            with self.assertRaises(errors.UnknownModel):
                await anext(versions)
            with self.assertRaises(errors.ClientUnusable):
                await anext(versions)

        self.style.run(scenario())

    def test_two_at_once(self) -> None:
        """
        A second step while one is awaited raises an error, and the first one gets the item.
        """

        async def scenario() -> None:
            chunks = self.registry.retrieve_chunks("walker", 1)
            first = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0)
            with self.assertRaises(errors.ClientUnusable):
                await anext(chunks)
            received = bytes(await first) + b"".join([bytes(chunk) async for chunk in chunks])
            self.assertEqual(received, DATA)

        self.style.run(scenario())

    def test_closing_while_a_step_is_under_way(self) -> None:
        """
        A step that waits while the iterator is closed ends the iteration.
        """

        async def scenario() -> None:
            chunks = self.registry.retrieve_chunks("walker", 1)
            self.relay.mute()
            waiting = asyncio.ensure_future(anext(chunks, "the end"))
            await asyncio.sleep(SHORT_SECONDS)
            await chunks.aclose()
            self.assertEqual(await waiting, "the end")
            self.assertEqual(await anext(chunks, "the end"), "the end")

        self.style.run(scenario())


class TrackerTests(StepCase):
    """
    Trackers.
    """

    def test_step_that_was_cancelled(self) -> None:
        """
        If a step is cancelled while it fetches the data of a version, the next step returns that version.
        """

        async def scenario() -> None:
            async with self.registry.track("walker", data=True) as tracker:
                self.relay.mute()
                await self.cancelled_step(anext(tracker))
                self.relay.cut()
                version = await anext(tracker)
                self.assertEqual((version.info.version_number, version.data == DATA), (1, True))

        self.style.run(scenario())

    def test_two_readers(self) -> None:
        """
        Two who read from one tracker at the same time are not given the same version.
        """

        async def scenario() -> None:
            async with self.registry.track("walker") as tracker:
                reading = [asyncio.ensure_future(anext(tracker)) for _ in range(2)]
                await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
                self.client.create("walker", b"2")
                self.assertEqual({(await each).version_number for each in reading}, {1, 2})

        self.style.run(scenario())

    def test_closing_while_it_begins(self) -> None:
        """
        A tracker that waits for a server can be closed, and the waiting step learns it.
        """

        async def scenario() -> None:
            self.relay.port = 0
            self.relay.cut()
            tracker = self.registry.track("walker", wait=True)
            beginning = asyncio.ensure_future(tracker.start())
            reading = asyncio.ensure_future(anext(tracker, "the end"))
            await asyncio.sleep(SHORT_SECONDS)
            await tracker.aclose()
            with self.assertRaises(errors.ClientUnusable):
                await beginning
            self.assertEqual(await reading, "the end")

        self.style.run(scenario())

    def test_closing_while_data_comes(self) -> None:
        """
        A tracker that fetches data can be closed, and so can its client: the iteration ends.
        """

        async def scenario() -> None:
            for is_by_client in (False, True):
                tracker = self.registry.track("walker", data=True)
                await tracker.start()
                self.relay.mute()
                reading = asyncio.ensure_future(anext(tracker, "the end"))
                await asyncio.sleep(SHORT_SECONDS)
                await (self.registry.close() if is_by_client else tracker.aclose())
                self.assertEqual(await reading, "the end")
                self.relay.cut()

        self.style.run(scenario())

    def test_cancelled_while_it_is_closed(self) -> None:
        """
        A step that is cancelled while the tracker is closed is cancelled, rather than ending the iteration.
        """

        async def scenario() -> None:
            tracker = self.registry.track("walker")
            await anext(tracker)
            reading = asyncio.ensure_future(anext(tracker))
            await asyncio.sleep(SHORT_SECONDS)
            reading.cancel()
            await tracker.aclose()
            with self.assertRaises(asyncio.CancelledError):
                await reading

        self.style.run(scenario())

    def test_tracker_that_nobody_holds(self) -> None:
        """
        The subscription of a tracker ends where a loop over it was left, and nobody holds it.
        """

        async def scenario() -> None:
            async for _ in self.registry.track("walker"):
                break
            gc.collect()
            await asyncio.to_thread(self.wait_for_subscribers, 0)

        self.style.run(scenario())

    def test_blocking_tracker_that_nobody_holds(self) -> None:
        """
        So it does where it is a blocking one.
        """
        with BlockingClient(self.daemon.address) as registry:
            for _ in registry.track("walker"):
                break
            gc.collect()
            self.wait_for_subscribers(0)


class ClosedClientTests(StepCase):
    """
    A client that is closed while calls are under way.
    """

    def test_calls_under_way(self) -> None:
        """
        Calls that are under way in other tasks say that the client was closed; the tasks are not cancelled.
        """

        async def scenario() -> None:
            self.relay.mute()
            under_way = [
                asyncio.ensure_future(call)
                for call in (
                    self.registry.latest("walker"),
                    self.registry.retrieve("walker", 1),
                    self.registry.publish("walker", DATA),
                    self.registry.is_serving(),
                    anext(self.registry.versions("walker")),
                )
            ]
            await asyncio.sleep(SHORT_SECONDS)
            await self.registry.close()
            for call in under_way:
                with self.assertRaises(errors.ClientUnusable):
                    await call

        self.style.run(scenario())
