"""
Long bodies of replies: what clients have not read yet is bounded, in bytes and in time.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

PIECE_BYTES = 64 * 1024
"""Shorter bodies are written at once: a connection holds as much in any case."""

UNREAD_SECONDS = 30.0
"""A client that reads less than about a piece in so long is disconnected."""

_CLIENT_MAX_BYTES = 32 * 2**20
_ALL_MAX_BYTES = 256 * 2**20


class UnreadBodies:
    """
    The bytes of long bodies that clients have not read, by address.
    """

    def __init__(self, client_max_bytes: int = _CLIENT_MAX_BYTES, all_max_bytes: int = _ALL_MAX_BYTES) -> None:
        """

        Args:
            client_max_bytes: the limit for one address, unless it holds a single body.
            all_max_bytes: the limit for all together, unless the address holds nothing yet.
        """
        self._client_max_bytes = client_max_bytes
        self._all_max_bytes = all_max_bytes
        self._held: Counter[str] = Counter()

    def reserve(self, address: str, size_bytes: int) -> bool:
        """
        Count a body, if the limits permit it, and return whether they do.
        """
        held = self._held[address]
        if held and (
            held + size_bytes > self._client_max_bytes or self._held.total() + size_bytes > self._all_max_bytes
        ):
            return False
        self._held[address] += size_bytes
        return True

    def release(self, address: str, size_bytes: int) -> None:
        """
        Count a body no longer: it was sent, or the client has left.
        """
        self._held[address] -= size_bytes
        if not self._held[address]:
            del self._held[address]


@implementer(IPushProducer)
class BodySender:
    """
    A body on its way to a client, in pieces, at the client's speed.
    """

    def __init__(self, request: Any, body: bytes, clock: IReactorTime, finished: Callable[[], None]) -> None:
        """

        Args:
            request: the request.
            body: the body.
            clock: the clock.
            finished: called when all of it was written.
        """
        self._request = request
        self._body = memoryview(body)
        self._clock = clock
        self._finished = finished
        self._is_paused = False
        self._abort: IDelayedCall | None = None

    def start(self) -> None:
        """
        Begin to send.
        """
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self._is_paused = True
        self._stop_timer()
        self._abort = self._clock.callLater(UNREAD_SECONDS, self._request.connection.abortConnection)

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._is_paused = False
        self._stop_timer()
        while self._body and not self._is_paused:
            piece, self._body = self._body[:PIECE_BYTES], self._body[PIECE_BYTES:]
            self._request.write(bytes(piece))
        if not self._body and self._request.producer is self:
            self._stop_timer()
            self._request.unregisterProducer()
            self._finished()

    def stopProducing(self) -> None:
        """See ``IPushProducer``."""
        self._stop_timer()
        self._body = memoryview(b"")

    def _stop_timer(self) -> None:
        if self._abort is not None and self._abort.active():
            self._abort.cancel()
        self._abort = None
