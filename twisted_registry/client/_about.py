"""
What a server tells of itself.
"""

from attrs import frozen
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twisted_registry.client._calls import Calls
from twisted_registry.client._errors import translated
from twisted_registry.client._retries import repeated
from twisted_registry.protocol.messages import SERVICE_NAME, common


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
        reply = await self._calls.ask("Version", common.VersionRequest(), common.VersionInfo)
        return {version.name: version.version for version in reply.versions}

    async def statuses(self, *names: str) -> dict[str, str]:
        """
        Give the statuses that the server knows of those asked for.
        """
        reply = await self._calls.ask("Status", common.StatusRequest(names=names), common.StatusReply)
        return dict(reply.statuses)

    async def is_serving(self) -> bool:
        """
        Ask the health service.
        """
        return await repeated(self._health, self._calls.times.patience_seconds)

    async def _health(self) -> bool:
        connection = self._calls.connection
        stub = health_pb2_grpc.HealthStub(connection.channel)
        request = health_pb2.HealthCheckRequest(service=SERVICE_NAME)
        with translated(connection.address):
            reply = await stub.Check(request, timeout=self._calls.times.deadline_seconds, metadata=connection.metadata)
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)
