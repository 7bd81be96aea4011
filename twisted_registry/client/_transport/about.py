"""
What a server tells of itself.
"""

from attrs import frozen
from grpc_health.v1 import health_pb2

from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.connection import HEALTH_CHECK
from twisted_registry.protocol.messages import SERVICE_NAME, common

_MOST_NAMES = 1000


@frozen
class About:
    """
    Asks a server about itself.
    """

    _calls: Calls

    async def versions(self) -> dict[str, str]:
        """
        Give the versions of the service, and of what it runs on.
        """
        reply = await self._calls.ask("Version", common.VersionRequest(), common.VersionInfo, most=_MOST_NAMES)
        return {version.name: version.version for version in reply.versions}

    async def statuses(self, *names: str) -> dict[str, str]:
        """
        Give the statuses that the server knows of those asked for.
        """
        reply = await self._calls.ask("Status", common.StatusRequest(names=names), common.StatusReply, most=_MOST_NAMES)
        return dict(reply.statuses)

    async def is_serving(self) -> bool:
        """
        Ask the health service.
        """
        request = health_pb2.HealthCheckRequest(service=SERVICE_NAME)
        reply = await self._calls.ask(HEALTH_CHECK, request, health_pb2.HealthCheckResponse)
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)
