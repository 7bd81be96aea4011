"""
Tests for ``twisted_registry.rpc.methods`` and for the method tables of the services.
"""

from typing import Any

from grpc_health.v1 import health_pb2
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import header
from twisted_registry.config.limits import Limits
from twisted_registry.domain.access import Action
from twisted_registry.protocol.messages import SERVICE, SERVICE_NAME, api
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Method, Service
from twisted_registry.rpc.services.cogment.methods import cogment_service
from twisted_registry.rpc.services.health import Health

ABOUT_MODEL_M: dict[str, Any] = {
    "CreateOrUpdateModel": api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id="m")),
    "DeleteModel": api.DeleteModelRequest(model_id="m"),
    "CreateVersion": header("m", 0),
    "RetrieveVersionInfos": api.RetrieveVersionInfosRequest(model_id="m"),
    "RetrieveVersionData": api.RetrieveVersionDataRequest(model_id="m", version_number=1),
    "VersionUpdate": api.VersionUpdateRequest(model_id="m"),
}
"""A request of each call that is about a single model."""


async def handle(request: Any, call: CallContext) -> None:
    """
    Serve a call with nothing.
    """


def rows(without: str = "") -> list[Method]:
    """
    Return a table of Cogment's service.

    Args:
        without: the method that it lacks.
    """
    return [Method(method.name, handle, Action.READ) for method in SERVICE.methods if method.name != without]


class ServiceTests(SynchronousTestCase):
    """
    ``Service`` checks its method table.
    """

    def test_bound(self) -> None:
        """
        A method gets its path and its streaming sides from the .proto file.
        """
        methods = {method.name: method for method in Service(SERVICE_NAME, rows()).methods}
        create, retrieve = methods["CreateVersion"], methods["RetrieveVersionData"]
        self.assertEqual(create.path, "/cogmentAPI.ModelRegistrySP/CreateVersion")
        self.assertEqual((create.streams_requests, create.streams_replies), (True, False))
        self.assertEqual((retrieve.streams_requests, retrieve.streams_replies), (False, True))

    def test_unknown_method(self) -> None:
        """
        A method that the .proto file does not have is an error.
        """
        error = self.assertRaises(ValueError, Service, SERVICE_NAME, [*rows(), Method("Nonsense", handle, Action.READ)])
        self.assertIn("Nonsense", str(error))

    def test_forgotten_method(self) -> None:
        """
        A method without a row in the table is an error, and so is a row without an action.
        """
        for name in SERVICE.methods_by_name:
            error = self.assertRaises(ValueError, Service, SERVICE_NAME, rows(name))
            self.assertIn(name, str(error))
        others: tuple[Any, ...] = (None, "read")
        for action in others:
            methods = [*rows("Version"), Method("Version", handle, action)]
            error = self.assertRaises(ValueError, Service, SERVICE_NAME, methods)
            self.assertIn("no action", str(error))

    def test_unimplemented_method(self) -> None:
        """
        A method may be left out by name.
        """
        self.assertEqual(len(Service(SERVICE_NAME, rows("Status"), unimplemented=["Status"]).methods), len(rows()) - 1)

    def test_wrong_type(self) -> None:
        """
        A message type that the .proto file does not declare for the method is an error.
        """
        for types in ({"request": health_pb2.HealthCheckRequest}, {"reply": health_pb2.HealthCheckResponse}):
            method = Method("Version", handle, Action.READ, **types)
            error = self.assertRaises(ValueError, Service, SERVICE_NAME, [*rows("Version"), method])
            self.assertIn("is declared with", str(error))


class TablesTests(SynchronousTestCase):
    """
    The method tables.
    """

    def setUp(self) -> None:
        """
        Make the table of Cogment's service.
        """
        nothing: Any = object()
        queries: Any = type("Queries", (), {"registry": nothing, "runtime": nothing})()
        service = cogment_service(queries, nothing, nothing, nothing, Limits(), nothing, nothing, 2**20)
        self.methods = {method.name: method for method in service.methods}

    def test_complete(self) -> None:
        """
        Cogment's service has all its methods.
        """
        self.assertEqual(set(self.methods), {method.name for method in SERVICE.methods})

    def test_resources(self) -> None:
        """
        The model is found in each request that is about a single one.
        """
        found = {}
        for name, method in self.methods.items():
            if method.resource is not None:
                request = ABOUT_MODEL_M[name].SerializeToString()
                found[name] = method.resource(request if method.read_header is None else method.read_header(request))
        self.assertEqual(found, dict.fromkeys(ABOUT_MODEL_M, "m"))

    def test_actions(self) -> None:
        """
        Reading, publishing and deleting are different permissions; the service's versions and its health need none.
        """
        actions: dict[Action, set[str]] = {}
        for method in self.methods.values():
            actions.setdefault(method.action, set()).add(method.name)
        self.assertEqual(actions[Action.DELETE], {"DeleteModel"})
        self.assertEqual(actions[Action.PUBLISH], {"CreateVersion"})
        self.assertEqual(actions[Action.DESCRIBE], {"CreateOrUpdateModel"})
        self.assertEqual(actions[Action.IDENTIFY], {"Version"})
        self.assertEqual({method.action for method in Health().service.methods}, {Action.NONE})
