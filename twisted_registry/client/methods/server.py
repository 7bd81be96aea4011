"""
Methods of the client that are about the server.
"""

from twisted_registry.client.methods.base import MethodsBase


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
