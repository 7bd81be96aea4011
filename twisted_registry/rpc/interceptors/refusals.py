"""
The refusals of callers: they are counted, logged at most once a minute, and end with closed connections.
"""

import time
from collections import Counter
from collections.abc import Callable

from twisted.logger import Logger

from twisted_registry.domain.access import Credentials
from twisted_registry.domain.errors import NotPermitted, RegistryError, SignInsThrottled
from twisted_registry.repeated_lines import CallLater, RepeatedLines, more
from twisted_registry.rpc.hang_up import HangUp
from twisted_registry.rpc.interceptors.sign_in_throttle import SignInThrottle

_log = Logger()

_WRONG, _MISSING, _UNCHECKED, _UNPERMITTED = "wrong", "missing", "not checked", "without any permission"


class Refusals:
    """
    The calls that were refused because of their credentials.

    The log has a line at once, then at most one a minute, so that a flood of calls is not one of lines.
    """

    def __init__(
        self,
        throttle: SignInThrottle | None = None,
        hang_up: HangUp | None = None,
        now_seconds: Callable[[], float] = time.monotonic,
        call_later: CallLater | None = None,
    ) -> None:
        """

        Args:
            throttle: limits the failures of each client; ``None`` for the usual limits.
            hang_up: closes connections; ``None`` if none are closed.
            now_seconds: returns the time in seconds.
            call_later: see ``RepeatedLines``.
        """
        self.throttle = SignInThrottle(now_seconds) if throttle is None else throttle
        self._hang_up = hang_up
        self._lines = RepeatedLines(now_seconds, call_later)
        self._counts: Counter[str] = Counter()

    def is_closed(self, peer: str) -> bool:
        """
        Return whether a client's connection was closed within the last second.
        """
        return self._hang_up is not None and self._hang_up.is_closed(peer)

    def refused(self, peer: str, credentials: Credentials | None, error: RegistryError) -> None:
        """
        Record that a caller was refused.

        Args:
            credentials: what it presented; ``None`` if that could not be read.
        """
        kind = _kind(credentials, error)
        self._counts[kind] += 1
        if kind != _UNPERMITTED:
            is_over = self.throttle.missed(peer) if kind == _MISSING else self.throttle.failed(peer)
            if is_over and self._hang_up is not None:
                self._hang_up.close(peer)

        def write(times: int) -> None:
            _log.warn(
                "{times} calls were refused because of their credentials ({kinds}); the last one came from {peer}: "
                "{error}",
                times=times,
                kinds=", ".join(f"{count} {kind}" for kind, count in self._counts.most_common()),
                peer=peer,
                error=error,
            )
            self._counts.clear()

        self._lines.happened("refused", write)

    def exposed(self, peer: str, token_id: str) -> None:
        """
        Record that a token crossed a network unencrypted.

        Args:
            token_id: the public part of the token; empty if it has none.
        """

        def write(times: int) -> None:
            _log.warn(
                "{peer} sent the token {token_id} unencrypted from another machine; revoke it: others may know "
                "it{more}",
                peer=peer,
                token_id=token_id or "of an unknown kind",
                more=more(times),
            )

        self._lines.happened("exposed", write)


def _kind(credentials: Credentials | None, error: RegistryError) -> str:
    if isinstance(error, NotPermitted):
        return _UNPERMITTED
    if isinstance(error, SignInsThrottled):
        return _UNCHECKED
    is_missing = credentials is not None and not credentials.token and not credentials.certificate_names
    return _MISSING if is_missing else _WRONG
