"""
Tests for the access log of a daemon.
"""

from typing import ClassVar

from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.support.client import DEADLINE_SECONDS
from tests.support.registry_case import RegistryTestCase
from twisted_registry.protocol.messages import api


class AccessLogTests(RegistryTestCase):
    """
    A daemon that logs at level debug.
    """

    flags: ClassVar = ["--log-level", "debug"]

    def test_calls_are_logged(self) -> None:
        """
        Each call is logged, including health checks, with the request id that its client chose.
        """
        HealthStub(self.client.channel).Check(
            HealthCheckRequest(), metadata=[("x-request-id", "check-1")], timeout=DEADLINE_SECONDS
        )
        self.wait_until_logged("request check-1")
        (line,) = [line for line in self.daemon.lines if "check-1" in line]
        self.assertRegex(
            line,
            r"/grpc\.health\.v1\.Health/Check from ipv[46]:.*: OK after .* ms, 0 bytes in, 2 out, request check-1$",
        )

    def test_clients_get_the_ids(self) -> None:
        """
        A client that chose no id gets that of its call, with the trailing metadata that the call has anyway.
        """
        self.client.save_model("m")
        self.client.create("m", b"data")
        call = self.client.call("RetrieveVersionData", api.RetrieveVersionDataRequest(model_id="m", version_number=1))
        self.assertEqual(len(list(call)), 1)
        trailing = dict(call.trailing_metadata())
        self.assertLessEqual({"x-request-id", "twisted-registry-checksum"}, trailing.keys())
        self.wait_until_logged(f"request {trailing['x-request-id']}")


class NoAccessLogTests(RegistryTestCase):
    """
    A daemon that logs at the default level.
    """

    def test_calls_are_not_logged(self) -> None:
        """
        No call is logged.
        """
        self.client.save_model("m")
        self.daemon.stop()
        self.assertNotIn("CreateOrUpdateModel", self.daemon.log)
