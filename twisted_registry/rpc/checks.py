"""
Health checks, after https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
"""

import asyncio
from typing import Any

from grpc_health.v1 import health, health_pb2

from twisted_registry.domain.errors import Unavailable
from twisted_registry.protocol.messages import SERVICE_NAME
from twisted_registry.rpc.gate import Gate
from twisted_registry.rpc.status import guarded

_aio: Any = health.aio  # type: ignore[attr-defined]  # the stubs do not know it

_SERVICES = (health.OVERALL_HEALTH, SERVICE_NAME)
_PATIENCE_SECONDS = 1.0
_Status = health_pb2.HealthCheckResponse


class Checks(_aio.HealthServicer):  # type: ignore[misc]
    """
    The health of the server, overall and by the registry's name: not serving, until told otherwise.

    Watches are our own: those of the package hold a lock while they send, so that one client that does not read would
    keep the health from ever changing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._serving = False
        self._usable = True
        # An event loop keeps no hold on its tasks.
        self._telling: set[asyncio.Task[None]] = set()
        self._over = False
        self._watches: set[asyncio.Event] = set()
        self._gate = Gate()
        self._gate.open()
        self.Watch = guarded(self._watch, self._gate.call)

    async def say(self, *, serving: bool) -> None:
        """
        Tell whoever asks, and whoever watches.
        """
        self._serving = serving
        await self._tell()

    def say_usable(self, usable: bool) -> None:
        """
        Say whether the archive can be used.  Where it cannot, the server is not serving, though it answers what it can.
        """
        self._usable = usable
        task = asyncio.get_running_loop().create_task(self._tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        for service in _SERVICES:
            await self.set(service, self._status(service))
        self._wake()

    def _wake(self) -> None:
        for changed in self._watches:
            changed.set()

    def _status(self, service: str) -> Any:
        if service not in _SERVICES:
            return _Status.SERVICE_UNKNOWN
        return _Status.SERVING if self._serving and self._usable else _Status.NOT_SERVING

    async def _watch(self, request: Any, context: Any) -> None:
        changed = asyncio.Event()
        self._watches.add(changed)
        try:
            told = None
            while True:
                changed.clear()
                # Read together: while the last but one is told, the last may come, and the end with it.
                status, over = self._status(request.service), self._over
                if status != told:
                    told = status
                    await context.write(_Status(status=status))
                if over:
                    raise Unavailable("the registry has stopped; try again when it is back")
                await changed.wait()
        finally:
            self._watches.discard(changed)

    async def end_watches(self) -> None:
        """
        End all watches, each once it has told the last of the health: a server that is told to stop would wait for
        them.  Who does not read is cut off.
        """
        self._gate.close()
        self._over = True
        self._wake()
        await self._gate.empty(_PATIENCE_SECONDS)
        self._gate.cut()
        await self._gate.empty()
