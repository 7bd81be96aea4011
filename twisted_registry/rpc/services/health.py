"""
Health checks, after https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
"""

import asyncio
from functools import partial
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from twisted_registry.domain.access import Action
from twisted_registry.domain.errors import Unavailable
from twisted_registry.protocol.messages import REGISTRY_SERVICE_NAME, SERVICE_NAME, WRITES_NAME
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Method, Service

_SERVICES = (health.OVERALL_HEALTH, SERVICE_NAME, REGISTRY_SERVICE_NAME, WRITES_NAME)
_Status = health_pb2.HealthCheckResponse


class Health:
    """
    The health of the server, overall and by the names of the registry's services; and by ``WRITES_NAME`` whether
    versions can be stored.  It does not serve until ``set_serving`` is called.
    """

    def __init__(self) -> None:
        self._serving = False
        self._usable = True
        self._writable = True
        self._stalled = False
        self._over = False
        self._watches: set[asyncio.Event] = set()

    @property
    def service(self) -> Service:
        """
        The service to add to a server.
        """
        method = partial(
            Method,
            action=Action.NONE,
            request=health_pb2.HealthCheckRequest,
            reply=health_pb2.HealthCheckResponse,
            always_served=True,
            any_archive=True,
        )
        # Checks are answered even if too many calls are under way.
        methods = [method("Check", self.check, is_limited=False), method("Watch", self.watch, lasts=True)]
        return Service(health.SERVICE_NAME, methods, unimplemented=["List"])

    def set_serving(self, serving: bool) -> None:
        """
        Set whether the registry serves.
        """
        self._serving = serving
        self._wake()

    def set_usable(self, usable: bool, writable: bool = True) -> None:
        """
        Set whether the archive can be used.  If not, the health is NOT_SERVING, though other calls are answered as far
        as they can be.

        Args:
            writable: whether versions can be stored.  If not, only the health of writes is NOT_SERVING.
        """
        self._usable = usable
        self._writable = writable
        self._wake()

    def set_stalled(self, stalled: bool) -> None:
        """
        Set whether the reactor is stalled.  While it is, nothing can be committed, so the health of writes is
        NOT_SERVING; versions in memory are still read.
        """
        self._stalled = stalled
        self._wake()

    def end_watches(self) -> None:
        """
        End all watches, each once it has sent the last status.
        """
        self._over = True
        self._wake()

    def _wake(self) -> None:
        for changed in self._watches:
            changed.set()

    def _status(self, service: str) -> Any:
        if service not in _SERVICES:
            return _Status.SERVICE_UNKNOWN
        serves = self._serving and self._usable
        if service == WRITES_NAME:
            serves = serves and self._writable and not self._stalled
        return _Status.SERVING if serves else _Status.NOT_SERVING

    async def check(self, request: Any, call: CallContext) -> Any:
        """
        Return the current status.
        """
        if request.service not in _SERVICES:
            await call.abort(grpc.StatusCode.NOT_FOUND, "")
        return _Status(status=self._status(request.service))

    async def watch(self, request: Any, call: CallContext) -> None:
        """
        Send the current status, and each later one.
        """
        changed = asyncio.Event()
        self._watches.add(changed)
        try:
            sent = None
            while True:
                changed.clear()
                # Both are read at once: the last status and the end may arrive while the status before is being sent.
                status, over = self._status(request.service), self._over
                if status != sent:
                    sent = status
                    await call.write(_Status(status=status))
                if over:
                    raise Unavailable("the registry has stopped; try again when it is back")
                await changed.wait()
        finally:
            self._watches.discard(changed)
