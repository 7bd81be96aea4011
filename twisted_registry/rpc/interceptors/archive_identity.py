"""
The interceptor that keeps clients from working with another archive than they believe.
"""

from typing import Any

from attrs import frozen

from twisted_registry.application.validation import check_archive
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.protocol.call_metadata import ARCHIVE_KEY, ASKED, archive_in
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Handler, Method


@frozen
class ArchiveIdentityCheck:
    """
    Refuses calls that are meant for another archive.
    """

    _status: ArchiveStatus

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls are checked, before their request is read.
        """
        if method.any_archive:
            return handler

        async def handle(request: Any, call: CallContext) -> Any:
            named = archive_in(call.metadata)
            if named:
                await self._check(named, call)
            return await handler(request, call)

        return handle

    async def _check(self, named: str, call: CallContext) -> None:
        """
        Refuse the call of a client that has worked with another archive, and send the id to a client that asks for it.

        Raises:
            ArchiveChanged: the client has worked with another archive.
        """
        served = self._status.identity.archive_id
        if named == ASKED:
            if served:
                await call.send_initial_metadata(((ARCHIVE_KEY, served),))
        else:
            check_archive(self._status, named)
