"""
The calls about the service itself.
"""

import os
import platform
import time
from collections.abc import Callable

import grpc
import twisted
from attrs import frozen

import twisted_registry
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.protocol.messages import common
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.connections import Connections
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.updates import Hub
from twisted_registry.rpc.wire import parse

_NAMES_MAX = 1_000


def _overall_load() -> str:
    """
    The machine's load of the last minute, per processor, at most 1.
    """
    return f"{min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)):.3f}"


@frozen
class AboutCalls:
    """
    ``Version`` and ``Status``.
    """

    _lookup: Lookup
    _hub: Hub
    _started_seconds: float
    _connections: Connections
    _tracker: CallTracker
    _archive_status: ArchiveStatus

    async def version(self, raw: bytes, call: CallContext) -> bytes:
        """
        Tell the versions of the service and of what it runs on.
        """
        parse(common.VersionRequest, raw)
        versions = {
            "twisted-registry": twisted_registry.__version__,
            "grpc": grpc.__version__,
            "python": platform.python_version(),
            "twisted": twisted.__version__,
        }
        pairs = [common.VersionInfo.Version(name=name, version=version) for name, version in versions.items()]
        return common.VersionInfo(versions=pairs).SerializeToString()

    async def status(self, raw: bytes, call: CallContext) -> bytes:
        """
        Tell the statuses asked for, of those there are.
        """
        request = parse(common.StatusRequest, raw)
        if len(request.names) > _NAMES_MAX:
            raise InvalidRequest(f"the request names {len(request.names)} statuses; name at most {_NAMES_MAX}, or '*'")
        names = set(request.names)
        known = self._statuses()
        asked = {name: tell() for name, tell in known.items() if name in names or "*" in names}
        if "connections" in names or "*" in names:
            asked["connections"] = str(await self._connections.count())
        return common.StatusReply(statuses=asked).SerializeToString()

    def _statuses(self) -> dict[str, Callable[[], str]]:
        registry, archive_status = self._lookup.registry, self._archive_status
        statuses = {
            "overall_load": _overall_load,
            "uptime_seconds": lambda: f"{time.monotonic() - self._started_seconds:.3f}",
            "versions_in_memory": lambda: str(registry.usage().items),
            "bytes_in_memory": lambda: str(registry.usage().size_bytes),
            "evicted_latest": lambda: str(registry.evicted_latest()),
            "subscribers": lambda: str(len(self._hub)),
            "calls": lambda: str(len(self._tracker)),
            "archive": lambda: archive_status.problem or "usable",
        }
        if archive_status.identity.archive_id:
            statuses["archive_id"] = lambda: str(archive_status.identity.archive_id)
            statuses["archive_restores"] = lambda: str(archive_status.identity.restores)
        return statuses
