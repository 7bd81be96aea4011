"""
The limits on calls whose credentials are wrong or missing, for each client's address.

After ten wrong credentials, which come back at ten a minute, those that were not accepted before are refused without a
check, if that may block; only the first ones on a new connection are still checked, so that others behind the same
address can begin to call.  The registry's own tokens are always checked, because that costs next to nothing.  After a
hundred failures in a minute, connections that bring further ones are closed.

A proxy on this machine stands for many clients.  So this machine's connections are not closed, and more of its
credentials are checked.
"""

import time
from collections.abc import Callable

from attrs import define, field, frozen

from twisted_registry.domain.errors import SignInsThrottled
from twisted_registry.rpc.sockets import client_of, is_this_machine

_MINUTE = 60.0
_HOSTS_MAX = 10_000
"""The most addresses that are remembered; those not seen for longest are forgotten first."""

_NEW_CONNECTIONS_MAX = 1000
"""The most new connections of an address, each minute, whose first credentials are checked in any case."""


@frozen
class _Rate:
    """
    A number of events that may happen at once, which come back steadily.

    Attributes:
        burst: how many at once.
        per_second: how many come back each second.
    """

    burst: float
    per_second: float


def _a_minute(events: float) -> _Rate:
    return _Rate(events, events / _MINUTE)


_CHECKS = _a_minute(10)
_CHECKS_ON_THIS_MACHINE = _Rate(100, 20.0)
_FAILURES = _a_minute(100)
_MISSING = _a_minute(1000)
"""Calls without credentials: a misconfigured probe or client makes many, and costs little."""


@define
class _Allowance:
    """
    The events that may still happen.

    Attributes:
        left: how many, at ``since_seconds``.
    """

    rate: _Rate
    left: float
    since_seconds: float

    def refill(self, now: float) -> float:
        rate = self.rate
        self.left = min(rate.burst, self.left + (now - self.since_seconds) * rate.per_second)
        self.since_seconds = now
        return self.left

    def take(self, now: float) -> bool:
        """
        Use one, and return whether there was one.
        """
        if self.refill(now) < 1:
            return False
        self.left -= 1
        return True


def _full(rate: _Rate, now: float) -> _Allowance:
    return _Allowance(rate, rate.burst, now)


@define
class _Host:
    """
    An address with failures.

    Attributes:
        checks: the credentials that may be checked.
        failures: the wrong credentials until connections are closed.
        missing: the same of calls without credentials.
        checked: the new connections whose first credentials were checked in this minute.
        minute_ends_seconds: when that minute ends.
        seen_seconds: the time of the last failure.
    """

    checks: _Allowance
    failures: _Allowance
    missing: _Allowance
    seen_seconds: float
    checked: set[str] = field(factory=set)
    minute_ends_seconds: float = 0.0


class SignInThrottle:
    """
    The failures of clients, by their addresses.
    """

    def __init__(self, now_seconds: Callable[[], float] = time.monotonic, hosts_max: int = _HOSTS_MAX) -> None:
        """

        Args:
            now_seconds: returns the time in seconds.
            hosts_max: how many addresses are remembered at most.
        """
        self._now_seconds = now_seconds
        self._hosts_max = hosts_max
        self._hosts: dict[str, _Host] = {}

    def __len__(self) -> int:
        return len(self._hosts)

    def admit(self, peer: str) -> None:
        """
        Permit a check of credentials that were not accepted before.

        Args:
            peer: the client, as gRPC names it.

        Raises:
            SignInsThrottled: its address sent too many wrong ones.
        """
        host = self._hosts.get(client_of(peer))
        if host is None:
            return
        now = self._now_seconds()
        left = host.checks.refill(now)
        if left >= 1 or self._is_first_of_connection(host, peer, now):
            return
        wait_seconds = (1 - left) / host.checks.rate.per_second
        raise SignInsThrottled(
            "wrong credentials came from this address too often, so no others are checked now; stop the client that "
            f"sends them, and try again in {wait_seconds:.3g} s",
            wait_seconds,
        )

    def failed(self, peer: str) -> bool:
        """
        Record a call with wrong credentials, or one that ``admit`` refused.

        Returns:
            whether to close its connection.
        """
        host, now = self._host(peer), self._now_seconds()
        host.checks.take(now)
        return not host.failures.take(now) and not is_this_machine(peer)

    def missed(self, peer: str) -> bool:
        """
        Record a call that was refused because it has no credentials.

        Returns:
            whether to close its connection.
        """
        return not self._host(peer).missing.take(self._now_seconds()) and not is_this_machine(peer)

    def _is_first_of_connection(self, host: _Host, peer: str, now: float) -> bool:
        if now >= host.minute_ends_seconds:
            host.checked.clear()
            host.minute_ends_seconds = now + _MINUTE
        if peer in host.checked or len(host.checked) >= _NEW_CONNECTIONS_MAX:
            return False
        host.checked.add(peer)
        return True

    def _host(self, peer: str) -> _Host:
        name, now = client_of(peer), self._now_seconds()
        host = self._hosts.pop(name, None)
        if host is None:
            self._make_room(now)
            checks = _CHECKS_ON_THIS_MACHINE if is_this_machine(peer) else _CHECKS
            host = _Host(_full(checks, now), _full(_FAILURES, now), _full(_MISSING, now), now)
        host.seen_seconds = now
        self._hosts[name] = host
        return host

    def _make_room(self, now: float) -> None:
        # The order is that of the last failure.  After a minute without one, everything has come back.
        while self._hosts:
            oldest = next(iter(self._hosts))
            if self._hosts[oldest].seen_seconds > now - _MINUTE and len(self._hosts) < self._hosts_max:
                return
            del self._hosts[oldest]
