"""
Tests for ``twisted_registry.rpc.services.health``.
"""

import asyncio
from typing import Any

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import FakeContext, call_on
from twisted_registry.client._transport.health import WRITES
from twisted_registry.domain.errors import Unavailable
from twisted_registry.protocol.messages import REGISTRY_SERVICE_NAME, SERVICE_NAME, WRITES_NAME
from twisted_registry.rpc.services.health import Health


class SlowWatcher(FakeContext):
    """
    A watch whose client takes nothing more until it is released.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.released = asyncio.Event()

    @property
    def statuses(self) -> list[int]:
        """
        The statuses that were sent.
        """
        return [response.status for response in self.written]

    async def write(self, message: Any) -> None:
        """
        Record a message, and wait until the client is released.
        """
        await super().write(message)
        self.begun.set()
        await self.released.wait()


class HealthTests(SynchronousTestCase):
    """
    The health of a server that stops.
    """

    def test_end_while_a_status_is_sent(self) -> None:
        """
        A watch to which SERVING is still being sent when the server stops gets NOT_SERVING before its end.
        """

        async def statuses() -> list[int]:
            health = Health()
            watcher = SlowWatcher()
            health.set_serving(True)
            watching = asyncio.create_task(health.watch(HealthCheckRequest(), call_on(watcher)))
            await watcher.begun.wait()
            health.set_serving(False)
            health.end_watches()
            watcher.released.set()
            with self.assertRaises(Unavailable):
                await watching
            return watcher.statuses

        self.assertEqual(asyncio.run(statuses()), [HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING])

    def test_archive_cannot_be_used(self) -> None:
        """
        If the archive cannot be used, checks and watches are answered with NOT_SERVING.
        """

        async def statuses() -> list[int]:
            health = Health()
            watcher = SlowWatcher()
            watcher.released.set()
            health.set_serving(True)
            watching = asyncio.create_task(health.watch(HealthCheckRequest(), call_on(watcher)))
            await watcher.begun.wait()
            checked: list[int] = []
            for usable in (False, True, False):
                health.set_usable(usable)
                while len(watcher.written) < len(checked) + 2:
                    await asyncio.sleep(0)
                checked.append((await health.check(HealthCheckRequest(), call_on(FakeContext()))).status)
            health.set_serving(False)
            self.assertEqual(watcher.statuses[1:], checked)
            health.end_watches()
            with self.assertRaises(Unavailable):
                await watching
            return checked

        serving, not_serving = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
        self.assertEqual(asyncio.run(statuses()), [not_serving, serving, not_serving])

    def test_writes(self) -> None:
        """
        If versions cannot be stored, or the reactor is stalled, only the name for writes does not serve; if the archive
        cannot be used, no name does.
        """
        serving, not_serving = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING

        async def check() -> None:
            health = Health()

            async def statuses() -> tuple[set[int], int]:
                found = [
                    (await health.check(HealthCheckRequest(service=name), call_on(FakeContext()))).status
                    for name in ("", SERVICE_NAME, REGISTRY_SERVICE_NAME, WRITES_NAME)
                ]
                return set(found[:3]), found[3]

            self.assertEqual(await statuses(), ({not_serving}, not_serving))
            health.set_serving(True)
            self.assertEqual(await statuses(), ({serving}, serving))
            health.set_usable(True, False)
            self.assertEqual(await statuses(), ({serving}, not_serving))
            health.set_usable(True, True)
            health.set_stalled(True)
            self.assertEqual(await statuses(), ({serving}, not_serving))
            health.set_stalled(False)
            self.assertEqual(await statuses(), ({serving}, serving))
            health.set_usable(False, True)
            self.assertEqual(await statuses(), ({not_serving}, not_serving))

        asyncio.run(check())

    def test_name_of_writes(self) -> None:
        """
        The command ``health`` asks for the same name.
        """
        self.assertEqual(WRITES, WRITES_NAME)
