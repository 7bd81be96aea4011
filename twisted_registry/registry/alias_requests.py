"""
The requests for moves of aliases, so that a repeated one makes no second move.
"""

from collections.abc import Callable, Iterable

from attrs import frozen

from twisted_registry.domain.aliases import AliasMove, AliasRequest
from twisted_registry.domain.idempotency import KEY_SECONDS

MAX_REQUESTS = 20_000
"""With the longest reasons, they take some 40 MB."""


@frozen
class _Answered:
    """
    A request, and what the registry has answered.

    Attributes:
        answered_ns: when that was, in nanoseconds since the Unix epoch.
    """

    request: AliasRequest
    move: AliasMove
    answered_ns: int


class AliasRequests:
    """
    The requests of a day with the moves that they made, of all models; if there are too many, the oldest are forgotten
    first.  Changed in the reactor's thread; any thread may look up a request.

    Requests that moved an alias are in the archive's history, too, and the last of each model are read again after a
    restart.  Those that found the alias where it should be are only kept here.
    """

    def __init__(self, now_ns: Callable[[], int], max_requests: int = MAX_REQUESTS) -> None:
        """

        Args:
            now_ns: returns the time in nanoseconds since the Unix epoch.
            max_requests: the largest number of requests.
        """
        self._now_ns = now_ns
        self._max_requests = max_requests
        self._answered: dict[tuple[int, str], _Answered] = {}

    def find(self, incarnation: int, request: AliasRequest | None) -> AliasMove | None:
        """
        Return the move that a request has made before; ``None`` if it is new, or has no id.  May be called in any
        thread.

        Args:
            incarnation: tells the model from others.

        Raises:
            InvalidRequest: there was another request with the same id.
        """
        if request is None:
            return None
        answered = self._answered.get((incarnation, request.request_id))
        if answered is None or self._is_expired(answered.answered_ns):
            return None
        request.check_same(answered.request)
        return answered.move

    def _is_expired(self, answered_ns: int) -> bool:
        # A clock that was set back must not make a request last for years.
        return abs(self._now_ns() - answered_ns) >= KEY_SECONDS * 10**9

    def add(self, incarnation: int, request: AliasRequest | None, move: AliasMove) -> None:
        """
        Remember the answer to a request.
        """
        if request is not None:
            self._add(incarnation, _Answered(request, move, self._now_ns()))

    def load(self, incarnation: int, moves: Iterable[AliasMove]) -> None:
        """
        Remember the requests for moves that the archive has returned.
        """
        for move in moves:
            if move.request is not None and not self._is_expired(move.moved_ns):
                self._add(incarnation, _Answered(move.request, move, move.moved_ns))

    def _add(self, incarnation: int, answered: _Answered) -> None:
        self._answered[incarnation, answered.request.request_id] = answered
        while len(self._answered) > self._max_requests:
            del self._answered[next(iter(self._answered))]
