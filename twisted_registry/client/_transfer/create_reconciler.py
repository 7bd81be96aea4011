"""
What became of a version whose answer was lost.

The API has no way to say "this one again", so a creation is not simply repeated.  But it can be told apart: the client
sends the time of creation, to the nanosecond, and nobody else creates the same bytes in the same nanosecond.  So where
the connection breaks before the answer, the client looks whether the version is there.  Where it is not, it is created
again only if the server that got it is certainly gone: if the one that answers began after the connection was lost.
"""

import re
import time

from attrs import frozen

from twisted_registry.client._transport.about import About
from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.retries import is_retryable_forever, retry
from twisted_registry.client.errors import (
    ArchiveChanged,
    BadReply,
    CorruptVersion,
    CreationUncertain,
    DeadlineExceeded,
    StorageUnavailable,
    Unavailable,
    UnknownVersion,
)
from twisted_registry.domain.models import VersionHeader, VersionInfo

_MOST_LOOKED_AT = 1000
"""Versions that others may have created since: a trainer makes one every few seconds."""


_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_UPTIME_STEP_SECONDS = 0.001


class _StillOpen(Exception):
    """
    The version is not there, but may yet come.
    """


def _may_yet_be_told(error: BaseException) -> bool:
    return is_retryable_forever(error) or isinstance(error, _StillOpen)


@frozen
class CreateReconciler:
    """
    Finds out what became of an attempt to create a version, all of which was sent.

    Attributes:
        _calls: those that try nothing again by themselves.
        _retry_seconds: for how long to look.
        _lost: when the connection was lost, by the monotonic clock in seconds.
        _data_hash: of what was sent.
    """

    _calls: Calls
    _retry_seconds: float
    _header: VersionHeader
    _lost: float
    _data_hash: str

    async def reconcile(self, lost: str) -> VersionInfo | None:
        """
        Look until it is certain.

        Args:
            lost: how the connection was lost.

        Returns:
            the version, or ``None`` where it is certain that there is none.

        Raises:
            CreationUncertain: it cannot be found out.
        """
        try:
            about = (self._calls.connection.address, self._header.model_id)
            return await retry(self._look, self._retry_seconds, _may_yet_be_told, about)
        except _StillOpen:
            raise CreationUncertain(self._header.model_id, lost) from None
        except (Unavailable, StorageUnavailable, DeadlineExceeded, ArchiveChanged, BadReply):
            raise CreationUncertain(self._header.model_id, lost, is_absent=False) from None

    async def _look(self) -> VersionInfo | None:
        # In this order: what a server has not that began after the loss will not come any more.
        is_later_server = await self._is_later_server()
        info = await self._find()
        if info is None and not is_later_server:
            raise _StillOpen
        return info

    async def _is_later_server(self) -> bool:
        asked = time.monotonic()
        uptime = (await About(self._calls).statuses("uptime_seconds")).get("uptime_seconds", "")
        return _SECONDS.fullmatch(uptime) is not None and asked - float(uptime) > self._lost + _UPTIME_STEP_SECONDS

    async def _find(self) -> VersionInfo | None:
        lists = Queries(self._calls)
        try:
            newest = (await lists.version(self._header.model_id, -1)).version_number
        except UnknownVersion:
            return None
        except CorruptVersion as damaged:
            newest = damaged.version_number
        async for info in lists.versions(self._header.model_id, max(1, newest - _MOST_LOOKED_AT + 1)):
            if self._is_it(info):
                return info
        return None

    def _is_it(self, info: VersionInfo) -> bool:
        header = self._header
        sent = (header.created_ns, self._data_hash, header.archived, dict(header.metadata))
        return sent == (info.created_ns, info.sha256, info.archived, dict(info.metadata))
