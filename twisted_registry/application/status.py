"""
The status of the server, as named values.
"""

import os
import time
from collections.abc import Awaitable, Callable, Collection

from attrs import frozen

from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.contracts.snapshots import ISnapshots
from twisted_registry.domain.errors import InvalidRequest

_NAMES_MAX = 1_000
_ALL = "*"


@frozen
class ServerStatus:
    """
    The status of the server.

    Attributes:
        _started_seconds: when the server started, in seconds of the monotonic clock.
        _subscribers: returns the number of subscriptions.
        _calls: returns the number of calls under way.
        _connections: returns the number of connections.
    """

    _registry: ISnapshots
    _archive: ArchiveStatus
    _started_seconds: float
    _subscribers: Callable[[], int]
    _calls: Callable[[], int]
    _connections: Callable[[], Awaitable[int]]

    async def read(self, names: Collection[str]) -> dict[str, str]:
        """
        Return the values that exist of those asked for.

        Args:
            names: the names of the values; '*' stands for all of them.

        Raises:
            InvalidRequest: there are too many names.
        """
        if len(names) > _NAMES_MAX:
            raise InvalidRequest(f"the request names {len(names)} statuses; name at most {_NAMES_MAX}, or '*'")
        names = set(names)
        read_by_name = self._values()
        values = {name: read() for name, read in read_by_name.items() if name in names or _ALL in names}
        if "connections" in names or _ALL in names:
            values["connections"] = str(await self._connections())
        return values

    def _values(self) -> dict[str, Callable[[], str]]:
        registry, archive = self._registry, self._archive
        values = {
            "overall_load": _overall_load,
            "uptime_seconds": lambda: f"{time.monotonic() - self._started_seconds:.3f}",
            "versions_in_memory": lambda: str(registry.usage().items),
            "bytes_in_memory": lambda: str(registry.usage().size_bytes),
            "evicted_latest": lambda: str(registry.evicted_latest()),
            "subscribers": lambda: str(self._subscribers()),
            "calls": lambda: str(self._calls()),
            "idempotency_keys": lambda: "transient,archived" if registry.keeps_archived_keys() else "transient",
            "archive": lambda: archive.problem or "usable",
        }
        if archive.identity.archive_id:
            values["archive_id"] = lambda: str(archive.identity.archive_id)
            values["archive_restores"] = lambda: str(archive.identity.restores)
        return values


def _overall_load() -> str:
    """
    Return the machine's load of the last minute per processor, at most 1.
    """
    return f"{min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)):.3f}"
