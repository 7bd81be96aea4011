"""
The log of TLS handshakes that led to nothing.

gRPC's own lines about failed handshakes are off: it prints one for each to stderr, without the client's address, in
words that the client chooses.  So the handshakes that begin are counted here, and the connections that made calls.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from itertools import count

from twisted.logger import Logger

from twisted_registry.rpc.sockets import Address

_log = Logger()

_LOG_SECONDS = 60.0
_FAILED_MIN = 60
"""Fewer in a minute are not worth a line: a probe that only connects causes some, and a client that retries, too."""


class Handshakes:
    """
    The handshakes that began.
    """

    def __init__(self, callers: Sequence[set[str]], unused: Callable[[], Awaitable[Collection[Address]]]) -> None:
        """

        Args:
            callers: the connections that have made calls, in several sets, which are cleared when they are read.
            unused: returns the connections that carry no call now.
        """
        self._callers = callers
        self._known: set[str] = set()
        self._unused = unused
        self._numbers = count(1)
        self._begun = 0
        self._logged = 0

    def begin(self) -> None:
        """
        Count a handshake.  May be called in any thread.
        """
        self._begun = next(self._numbers)

    async def watch(self, log_seconds: float = _LOG_SECONDS) -> None:
        """
        Log periodically, until cancelled.
        """
        while True:
            await asyncio.sleep(log_seconds)
            try:
                await self.log()
            except Exception:  # the next time may succeed
                _log.failure("cannot count the TLS handshakes")

    async def log(self) -> None:
        """
        Log how many handshakes since the last time led to nothing, if they are many.
        """
        begun = self._begun - self._logged
        self._logged += begun
        callers = set[str]().union(*self._callers)
        for each in self._callers:
            each.clear()
        failed = begun - len(callers - self._known)
        self._known = callers
        if failed < _FAILED_MIN:
            return
        hosts = Counter(host for host, _ in await self._unused())
        most = hosts.most_common(1)
        _log.warn(
            "{failed} of {begun} TLS connections of the last minute made no call: their handshakes failed, or nothing "
            "came; {open} without a call are open now{most}",
            failed=failed,
            begun=begun,
            open=hosts.total(),
            most=f", {most[0][1]} of them from {most[0][0]}" if most else "",
        )
