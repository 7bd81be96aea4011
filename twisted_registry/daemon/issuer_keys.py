"""
The refresh of issuers' keys while the daemon runs.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_registry.access.issuers.authenticator import IssuerTokens, Keys

_log = Logger()

_CHECK_SECONDS = 1.0


class KeyRefresher:
    """
    A timer that reads the keys of issuers again when they are due, those of each issuer once at a time.
    """

    def __init__(
        self,
        clock: IReactorTime,
        issuers: IssuerTokens | None,
        defer: Callable[[Callable[[], None]], "Deferred[None]"],
    ) -> None:
        """

        Args:
            clock: the clock.
            issuers: the issuers of the policy; ``None`` if there is none.
            defer: runs a function that blocks in a thread.
        """
        self._issuers = issuers
        self._defer = defer
        self._running: set[Keys] = set()
        self._loop = LoopingCall(self.check)
        self._loop.clock = clock

    def start(self) -> None:
        """
        Read the keys now, and again when they are due.
        """
        if self._issuers is not None:
            self._loop.start(_CHECK_SECONDS)

    def stop(self) -> None:
        """
        Read them no more.
        """
        if self._loop.running:
            self._loop.stop()

    def check(self) -> None:
        """
        Read the keys again that are due, unless that is under way.
        """
        for keys in () if self._issuers is None else self._issuers.due():
            if keys not in self._running:
                self._running.add(keys)
                done = self._defer(keys.refresh)
                done.addErrback(lambda failure: _log.failure("cannot read the keys of an issuer", failure))
                done.addBoth(self._done, keys)

    def _done(self, _: object, keys: Keys) -> None:
        self._running.discard(keys)
