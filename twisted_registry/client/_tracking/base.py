"""
The base of the subscriptions of trackers.
"""

import asyncio
import time
from abc import ABC, abstractmethod

from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.forks import fork_guard
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.retries import is_retryable_forever, retry
from twisted_registry.client._transport.retry_log import retry_log
from twisted_registry.client.errors import CorruptVersion, RegistryError
from twisted_registry.domain.models import VersionInfo


class SubscriptionBase(ABC):
    """
    A subscription that keeps the version to follow up to date.

    Attributes:
        latest: the version to follow now; ``None`` for none.
        position: the place of the version to follow in the order of versions; 0 before the first one.  A version is
            newer than another one if its position is higher.
        damage: the error of the version to follow, if its info cannot be read; otherwise ``None``.
        changed: set when ``position`` changes, and when the subscription ends.
        subject: the address of the registry and the model's id, for the log.
        is_connected: whether the server currently announces new versions.
        connection_changed_ns: the time of the last change of ``is_connected``, in nanoseconds since the Unix epoch;
            ``None`` before the first one.
    """

    def __init__(self, calls: Calls, model_id: str) -> None:
        self.latest: VersionInfo | None = None
        self.position = 0
        self.damage: CorruptVersion | None = None
        self.changed = asyncio.Event()
        self.subject = (calls.connection.address, model_id)
        self.is_connected = False
        self.connection_changed_ns: int | None = None
        self._calls = calls
        self._queries = Queries(calls)
        self._model_id = model_id
        self._error: RegistryError | None = None
        self._before_absence: VersionInfo | None = None

    def check(self) -> None:
        """
        Check that the subscription is alive.

        Raises:
            RegistryError: the subscription has ended; this is the error that ended it.
        """
        fork_guard.check()
        if self._error is not None:
            raise self._error

    @abstractmethod
    async def open(self) -> None:
        """
        Subscribe, and find the version to follow.

        Raises:
            RegistryError: there is no such model or alias, or the server is away.
        """

    async def listen(self) -> None:
        """
        Listen until there is no longer anything to follow.
        """
        try:
            while True:
                await retry(self._receive, None, is_retryable_forever, self.subject)
        except RegistryError as error:
            self._error = error
        finally:
            self.close()
            self.changed.set()

    @abstractmethod
    async def _receive(self) -> None:
        """
        Wait for the next announcement.
        """

    @abstractmethod
    def close(self) -> None:
        """
        Cancel the call.
        """

    def _set_connected(self, is_connected: bool) -> None:
        if self.is_connected != is_connected:
            self.is_connected, self.connection_changed_ns = is_connected, time.time_ns()
            if not is_connected:
                self._before_absence = self.latest

    def _log_missed(self) -> None:
        """
        Log that the version to follow changed while the server was away.
        """
        before, self._before_absence = self._before_absence, None
        if before is not None and self.latest is not None and before.version_number != self.latest.version_number:
            retry_log.missed(self.subject, before.version_number, self.latest.version_number)
