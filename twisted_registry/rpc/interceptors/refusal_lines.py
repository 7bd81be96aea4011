"""
The limit on the lines that the audit log has about refused calls: a flood of these must not become one of lines.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from twisted_registry.contracts.access import IAuditLog
from twisted_registry.rpc.interceptors.call_tracker import host_of

_SECONDS = 1.0
_LINES_MAX = 50
_LINES_PER_HOST_MAX = 10
_HOSTS_MAX = 100
_OTHERS = "others"


class RefusalLines:
    """
    The lines about refused calls: some for each second.  The other calls of that second are counted, in one line.
    """

    def __init__(
        self,
        log: IAuditLog,
        seconds: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """

        Args:
            seconds: returns the time in seconds from any fixed point.
            call_later: calls a function after some seconds; ``None`` for the running event loop's.
        """
        self._log = log
        self._seconds = seconds
        self._call_later = call_later
        self._since_seconds = seconds() - _SECONDS
        self._written: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()

    def may_write(self, peer: str) -> bool:
        """
        Return whether a refused call of a peer gets a line.  If not, it is counted.
        """
        now, host = self._seconds(), host_of(peer)
        if now >= self._since_seconds + _SECONDS:
            self._since_seconds = now
            self._written.clear()
        if self._written.total() < _LINES_MAX and self._written[host] < _LINES_PER_HOST_MAX:
            self._written[host] += 1
            return True
        if not self._counted:
            later = self._call_later or asyncio.get_running_loop().call_later
            later(_SECONDS, self.flush)
        known = host in self._counted or len(self._counted) < _HOSTS_MAX
        self._counted[host if known else _OTHERS] += 1
        return False

    def flush(self) -> None:
        """
        Write the line about the calls that were counted, if there are any.
        """
        counted, self._counted = self._counted, Counter()
        if counted:
            self._log.append({"event": "refusals", "count": counted.total(), "peers": dict(counted)})
