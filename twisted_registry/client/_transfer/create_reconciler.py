"""
The reconciliation of a creation whose answer was lost and that cannot be repeated, because the server does not support
idempotency keys, or the data can be read only once.

A server with ``twisted_registry.v1`` knows the version by the key of its creation.  For other servers, and if it was
forgotten, a version can be recognized: the client sends its time of creation in nanoseconds, and no other client
creates the same bytes in the same nanosecond.  So if the connection is lost before the answer, the client looks for the
version.  If it does not exist, it is sent again only if the server that received it is
certainly gone, because the server that answers was started after the connection was lost.
"""

import re
import time

from attrs import frozen

from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.retries import is_retryable_forever, retry
from twisted_registry.client._transport.uploads import upload_state
from twisted_registry.client.errors import (
    ArchiveChanged,
    BadReply,
    CorruptTransfer,
    CorruptVersion,
    CreationUncertain,
    DeadlineExceeded,
    StorageUnavailable,
    Unavailable,
    UnknownVersion,
    Unsupported,
)
from twisted_registry.domain.models import VersionHeader, VersionInfo

_MOST_SEARCHED = 1000
"""How many later versions of other clients are searched: a trainer creates one every few seconds."""

_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_UPTIME_STEP_SECONDS = 0.001


class _Pending(Exception):
    """
    The version does not exist, but may still be created.
    """


def _may_be_decided_later(error: BaseException) -> bool:
    return is_retryable_forever(error) or isinstance(error, _Pending)


@frozen
class CreateReconciler:
    """
    The search for a version that was sent completely, and may have been created.

    Attributes:
        _calls: calls without retries.
        _retry_seconds: how long to try.
        _header: the header that was sent.
        _key: the idempotency key that was sent.
        _lost: the time when the connection was lost, by the monotonic clock in seconds.
        _sha256: the SHA-256 of the data that was sent, in base64.
    """

    _calls: Calls
    _retry_seconds: float
    _header: VersionHeader
    _key: str
    _lost: float
    _sha256: str

    async def reconcile(self, reason: str) -> VersionInfo | None:
        """
        Search until it is certain whether the version was created.

        Args:
            reason: how the connection was lost.

        Returns:
            The version's info; ``None`` if it was certainly not created.

        Raises:
            CreationUncertain: it remained uncertain.
            CorruptTransfer: the version has other data than was sent.
        """
        subject = (self._calls.connection.address, self._header.model_id)
        try:
            return await retry(self._search, self._retry_seconds, _may_be_decided_later, subject)
        except _Pending:
            raise CreationUncertain(self._header.model_id, reason) from None
        except (Unavailable, StorageUnavailable, DeadlineExceeded, ArchiveChanged, BadReply):
            raise CreationUncertain(self._header.model_id, reason, is_absent=False) from None

    async def _search(self) -> VersionInfo | None:
        # The order matters: a version that is missing on a server that started after the loss will never be created.
        is_later_server = await self._is_later_server()
        info = await self._find_with_key() or await self._find_like_it()
        if info is None and not is_later_server:
            raise _Pending
        return info

    async def _is_later_server(self) -> bool:
        asked = time.monotonic()
        uptime = (await Queries(self._calls).statuses("uptime_seconds")).get("uptime_seconds", "")
        return _SECONDS.fullmatch(uptime) is not None and asked - float(uptime) > self._lost + _UPTIME_STEP_SECONDS

    async def _find_with_key(self) -> VersionInfo | None:
        # The key alone tells a transient version that was archived since from another one that was always archived.
        try:
            state = await upload_state(RegistryApi(self._calls), self._header.model_id, self._key)
        except (Unsupported, CorruptVersion):
            return None
        if state.version is None:
            return None
        info = state.version.info
        if info.sha256 != self._sha256 or (self._header.archived and not info.archived):
            raise CorruptTransfer(info.model_id, info.version_number, "other bytes were stored than were sent")
        return info

    async def _find_like_it(self) -> VersionInfo | None:
        queries = Queries(self._calls)
        try:
            newest = (await queries.version(self._header.model_id, -1)).version_number
        except UnknownVersion:
            return None
        except CorruptVersion as damaged:
            newest = damaged.version_number
        async for info in queries.versions(self._header.model_id, max(1, newest - _MOST_SEARCHED + 1)):
            if self._is_sent_version(info):
                return info
        return None

    def _is_sent_version(self, info: VersionInfo) -> bool:
        header = self._header
        sent = (header.created_ns, self._sha256, header.archived, dict(header.metadata))
        return sent == (info.created_ns, info.sha256, info.archived, dict(info.metadata))
