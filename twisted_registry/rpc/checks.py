"""
Health checks, after U{https://github.com/grpc/grpc/blob/master/doc/health-checking.md}.
"""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from twisted_registry.rpc.messages import SERVICE_NAME

_aio: Any = health.aio  # type: ignore[attr-defined]  # the stubs do not know it

_SERVICES = (health.OVERALL_HEALTH, SERVICE_NAME)


class Checks(_aio.HealthServicer):  # type: ignore[misc]
    """
    The health of the server, overall and by the registry's name: not serving, until told otherwise.
    """

    def __init__(self) -> None:
        super().__init__()
        self._over = asyncio.Event()

    async def say(self, *, serving: bool) -> None:
        """
        Tell whoever asks, and whoever watches.
        """
        statuses = health_pb2.HealthCheckResponse
        for service in _SERVICES:
            await self.set(service, statuses.SERVING if serving else statuses.NOT_SERVING)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802
        """
        Tell the health, and each change of it.
        """
        watch, over = asyncio.create_task(super().Watch(request, context)), asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait((watch, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            over.cancel()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the registry has stopped")

    def end_watches(self) -> None:
        """
        End all watches: a server that is told to stop would wait for them.
        """
        self._over.set()
