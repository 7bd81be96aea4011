"""
Methods of the client that are about the server.
"""

from typing import TYPE_CHECKING

from twisted_registry.client._server_types import CallerInfo, Follower, ServerStatus
from twisted_registry.client.methods.base import MethodsBase

if TYPE_CHECKING:
    from twisted_registry.client._iterators import Items


class ServerMethods(MethodsBase):
    """
    The methods of a client that are about the server.
    """

    async def server_versions(self) -> dict[str, str]:
        """
        Return the versions of the server and of the libraries that it runs on.

        Returns:
            The versions, by name.

        Raises:
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return await self._session.queries.server_versions()

    async def statuses(self, *names: str) -> dict[str, str]:
        """
        Return statuses of the server, such as ``overall_load`` and ``uptime_seconds``.

        Args:
            names: the names of the statuses; ``"*"`` for all.

        Returns:
            The values of those that the server has, by name.

        Raises:
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return await self._session.queries.statuses(*names)

    async def is_serving(self) -> bool:
        """
        Return whether the server is up and has opened its archive, according to its health service.

        Returns:
            ``True`` if it is serving.

        Raises:
            Unavailable: the server was away for longer than ``retry_seconds``.
        """
        return await self._session.queries.is_serving()

    async def server_status(self) -> ServerStatus:
        """
        Return the state of the server: its memory, its archive, and its clients.

        Returns:
            The state.  The archive is counted from the first question on, so that the first answer may not have that.

        Raises:
            NotPermitted: the caller may not read the status.
            Unsupported: the server does not have this call.
        """
        return await self._session.server.status()

    async def caller(self, model_id: str = "") -> CallerInfo:
        """
        Return who this client is for the server, and what it may do.

        Args:
            model_id: the model whose permissions are of interest; empty for those on any model.

        Returns:
            The caller.

        Raises:
            NotAuthenticated: the server does not accept the credentials.
            Unsupported: the server does not have this call.
        """
        return await self._session.server.caller(model_id)

    def followers(self, model_id: str = "") -> "Items[Follower]":
        """
        List the streams that clients follow models with: who, from where, since when, and the last version that they
        were sent.  The list is fetched in pages during the iteration, which raises the errors.

        Args:
            model_id: the model that they show; empty for all models that the caller may see.

        Returns:
            An iterator over the streams, the oldest first.

        Raises:
            NotPermitted: the caller may not read the status and the model.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        from twisted_registry.client._iterators import Items

        return Items(self._session.server.followers(model_id))
