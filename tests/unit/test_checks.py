"""
What those who watch the health are told.
"""

import asyncio
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.rpc.checks import Checks


class SlowWatcher:
    """
    A call whose client is told nothing more while it is held.

    Attributes:
        told: what it was told.
    """

    def __init__(self) -> None:
        self.told: list[int] = []
        self.begun = asyncio.Event()
        self.free = asyncio.Event()

    async def write(self, response: HealthCheckResponse) -> None:
        """
        Tell it, which takes until it is free.
        """
        self.told.append(response.status)
        self.begun.set()
        await self.free.wait()

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any) -> None:
        """
        End the call.
        """
        raise grpc.aio.AbortError(code)


class ChecksTests(SynchronousTestCase):
    """
    The health of a server that stops.
    """

    def test_end_while_it_is_told(self) -> None:
        """
        Who is still being told that it serves when it stops is told that it does not, before the end.
        """

        async def told() -> list[int]:
            checks = Checks()
            watcher: Any = SlowWatcher()
            await checks.say(serving=True)
            call: Any = checks.Watch(HealthCheckRequest(), watcher)
            watching = asyncio.create_task(call)
            await watcher.begun.wait()
            await checks.say(serving=False)
            ending = asyncio.create_task(checks.end_watches())
            await asyncio.sleep(0)
            watcher.free.set()
            await ending
            with self.assertRaises(grpc.aio.AbortError):
                await watching
            return list(watcher.told)

        self.assertEqual(asyncio.run(told()), [HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING])

    def test_archive_cannot_be_used(self) -> None:
        """
        Where the archive cannot be used, the server is not serving, to whoever asks and to whoever watches.
        """

        async def told() -> list[int]:
            checks = Checks()
            watcher: Any = SlowWatcher()
            watcher.free.set()
            await checks.say(serving=True)
            call: Any = checks.Watch(HealthCheckRequest(), watcher)
            watching = asyncio.create_task(call)
            await watcher.begun.wait()
            asked: list[int] = []
            for usable in (False, True, False):
                checks.say_usable(usable)
                while len(watcher.told) < len(asked) + 2:
                    await asyncio.sleep(0)
                asked.append((await checks.Check(HealthCheckRequest(), None)).status)
            await checks.say(serving=False)
            self.assertEqual(watcher.told[1:], asked)
            ending = asyncio.create_task(checks.end_watches())
            with self.assertRaises(grpc.aio.AbortError):
                await watching
            await ending
            return asked

        serving, not_serving = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
        self.assertEqual(asyncio.run(told()), [not_serving, serving, not_serving])
