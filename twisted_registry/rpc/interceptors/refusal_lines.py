"""
The limit on the lines that the audit log has about refused calls: a flood of these must not become one of lines.

Strangers cannot take the lines of callers who are known: their calls are limited separately.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from twisted_registry.contracts.access import IAuditLog
from twisted_registry.domain.access import Identity
from twisted_registry.rpc.interceptors.call_tracker import host_of

_SECONDS = 1.0
_LINES_MAX = 50
_LINES_PER_CLIENT_MAX = 10
_CLIENTS_MAX = 100
_OTHERS = "others"
_NAME_MAX_CHARACTERS = 1024


class RefusalLines:
    """
    The lines about refused calls: some for each second.  The other calls of that second are counted, in a line.
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
        self._of_strangers = _Lines(log, "peers", seconds, call_later)
        self._of_callers = _Lines(log, "identities", seconds, call_later)

    def may_write(self, peer: str, caller: Identity | None = None) -> bool:
        """
        Return whether a refused call gets a line.  If not, it is counted.

        Args:
            peer: the connection that it came on.
            caller: who made it; ``None`` if that is not known.
        """
        if caller is None or caller.is_anonymous:
            return self._of_strangers.may_write(host_of(peer))
        return self._of_callers.may_write(caller.subject[:_NAME_MAX_CHARACTERS])

    def flush(self) -> None:
        """
        Write the lines about the calls that were counted, if there are any.
        """
        self._of_strangers.flush()
        self._of_callers.flush()


class _Lines:
    """
    The lines about calls of one kind of clients.
    """

    def __init__(
        self,
        log: IAuditLog,
        clients: str,
        seconds: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object] | None,
    ) -> None:
        """

        Args:
            clients: what the line calls them.
        """
        self._log = log
        self._clients = clients
        self._seconds = seconds
        self._call_later = call_later
        self._since_seconds = seconds() - _SECONDS
        self._written: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()

    def may_write(self, client: str) -> bool:
        now = self._seconds()
        if now >= self._since_seconds + _SECONDS:
            self._since_seconds = now
            self._written.clear()
        if self._written.total() < _LINES_MAX and self._written[client] < _LINES_PER_CLIENT_MAX:
            self._written[client] += 1
            return True
        if not self._counted:
            later = self._call_later or asyncio.get_running_loop().call_later
            later(_SECONDS, self.flush)
        known = client in self._counted or len(self._counted) < _CLIENTS_MAX
        self._counted[client if known else _OTHERS] += 1
        return False

    def flush(self) -> None:
        counted, self._counted = self._counted, Counter()
        if counted:
            self._log.append({"event": "refusals", "count": counted.total(), self._clients: dict(counted)})
