"""
The closing of connections whose clients go on to send what is refused.
"""

import asyncio
import time
from collections.abc import Callable, Collection

from twisted.logger import Logger

from twisted_registry.repeated_lines import CallLater, RepeatedLines
from twisted_registry.rpc.sockets import disconnect

_log = Logger()

_PAUSE_SECONDS = 0.005
_PAUSE_PER_SEARCH = 9
"""The sockets of the process are searched for the connections.  It takes at most a tenth of a processor's time."""

_RECENT_SECONDS = 1.0


class HangUp:
    """
    The connections to close, in another thread.
    """

    def __init__(
        self,
        busy: Callable[[], Collection[str]],
        disconnect: Callable[[Collection[str]], Collection[str]] = disconnect,
        now_seconds: Callable[[], float] = time.monotonic,
        call_later: CallLater | None = None,
    ) -> None:
        """

        Args:
            busy: returns the peers with calls of callers that were accepted.  They stay connected: a proxy sends the
                calls of several clients on one connection.
            disconnect: closes the connections with peers, and returns those that existed.
            now_seconds: returns the time in seconds.
            call_later: see ``RepeatedLines``.
        """
        self._busy = busy
        self._disconnect = disconnect
        self._now_seconds = now_seconds
        self._peers: set[str] = set()
        self._recent: dict[str, float] = {}
        self._closing: asyncio.Task[None] | None = None
        self._lines = RepeatedLines(now_seconds, call_later)

    def close(self, peer: str) -> None:
        """
        Close a connection soon.
        """
        self._peers.add(peer)
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close_all())

    def is_closed(self, peer: str) -> bool:
        """
        Return whether a connection was closed within the last second.  gRPC delivers its calls all the same.
        """
        seconds = self._recent.get(peer)
        # Later, another client may have the port.
        return seconds is not None and self._now_seconds() <= seconds + _RECENT_SECONDS

    async def _close_all(self) -> None:
        run = asyncio.get_running_loop().run_in_executor
        try:
            while self._peers:
                peers = self._peers.difference(self._busy())
                self._peers.clear()
                closed, search_seconds = await run(None, self._search, peers)
                self._count(closed)
                await asyncio.sleep(max(_PAUSE_SECONDS, _PAUSE_PER_SEARCH * search_seconds))
        except Exception:  # the next refusal tries again
            _log.failure("cannot close connections")
        finally:
            self._closing = None

    def _search(self, peers: Collection[str]) -> tuple[Collection[str], float]:
        if not peers:
            return (), 0.0
        began = time.thread_time()  # without the time for which other threads run
        closed = self._disconnect(peers)
        return closed, time.thread_time() - began

    def _count(self, closed: Collection[str]) -> None:
        now = self._now_seconds()
        for peer in [peer for peer, seconds in self._recent.items() if seconds < now - _RECENT_SECONDS]:
            del self._recent[peer]
        self._recent.update(dict.fromkeys(closed, now))
        if not closed:
            return

        def write(times: int) -> None:
            _log.warn(
                "closed {times} connections whose clients went on to send wrong credentials, or none; the last one was "
                "{peer}; look for its user",
                times=times,
                peer=next(iter(closed)),
            )

        self._lines.happened("closed", write, len(closed))
