"""
Tests of the calls about the daemon itself: Version, Status, health and reflection.
"""

import platform
import re
from functools import partial
from pathlib import Path
from typing import ClassVar

import grpc
import twisted
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from twisted.trial.unittest import SynchronousTestCase

import twisted_registry
from tests.support.archive_files import temp_files
from tests.support.client import DEADLINE_SECONDS, body, header
from tests.support.daemon import Daemon, free_port
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from tests.support.holds import HeldArchiveTestCase
from tests.support.registry_case import RegistryTestCase
from tests.support.upload import Upload
from twisted_registry.protocol.messages import REGISTRY_SERVICE_NAME, SERVICE_NAME, api, common

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ("", SERVICE_NAME, REGISTRY_SERVICE_NAME)
"""Overall, and the registry by the names of its services."""


class VersionTests(SharedEdgeTestCase):
    """
    Version.
    """

    def test_versions(self) -> None:
        """
        Version tells the versions of the service, of grpc, of Python and of Twisted.
        """
        reply = self.client.call("Version", common.VersionRequest())
        self.assertEqual(
            {version.name: version.version for version in reply.versions},
            {
                "twisted-registry": twisted_registry.__version__,
                "grpc": grpc.__version__,
                "python": platform.python_version(),
                "twisted": twisted.__version__,
            },
        )

    def test_not_a_message(self) -> None:
        """
        Bytes that are not a request end either call with INVALID_ARGUMENT.
        """
        for name in ("Version", "Status"):
            self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, partial(self.client.call, name, b"\xff"))


class StatusTests(EdgeTestCase):
    """
    Status.
    """

    def test_names_asked_for(self) -> None:
        """
        Status returns the requested names that it knows.
        """
        self.assertEqual(set(self.client.statuses("overall_load")), {"overall_load"})
        self.assertEqual(set(self.client.statuses("subscribers", "nonsense")), {"subscribers"})
        self.assertEqual(self.client.statuses("nonsense", ""), {})

    def test_none_asked_for(self) -> None:
        """
        Without names, Status returns nothing.
        """
        self.assertEqual(self.client.statuses(), {})

    def test_all(self) -> None:
        """
        An asterisk stands for all names, also among others.
        """
        known = {"overall_load", "uptime_seconds", "versions_in_memory", "bytes_in_memory", "subscribers"}
        known |= {"calls", "connections", "evicted_latest"}
        known |= {"archive", "archive_id", "archive_restores", "idempotency_keys", "caller"}
        self.assertLessEqual(known, set(self.client.statuses("*")))
        self.assertLessEqual(known, set(self.client.statuses("overall_load", "*", "nonsense")))

    def test_overall_load(self) -> None:
        """
        The load is a decimal from 0 to 1.
        """
        load = self.client.statuses("overall_load")["overall_load"]
        self.assertRegex(load, re.compile(r"\A[01](\.[0-9]+)?\Z"))
        self.assertTrue(0 <= float(load) <= 1, load)

    def test_clients(self) -> None:
        """
        Status reports the number of calls and connections, including its own.
        """
        self.assertEqual(self.client.statuses("calls", "connections"), {"calls": "1", "connections": "1"})
        others = [self.connect(**{"grpc.use_local_subchannel_pool": 1}) for _ in range(3)]
        self.client.save_model("m")
        subscriptions = [other.updates("m") for other in others]
        self.wait_for_subscribers(3)
        self.assertEqual(self.client.statuses("calls", "connections"), {"calls": "4", "connections": "4"})
        for subscription in subscriptions:
            subscription.cancel()

    def test_memory(self) -> None:
        """
        Status reports how many versions, and how many bytes of them, are in memory.
        """
        self.client.save_model("m")
        for size in (1000, 234):
            self.client.create("m", bytes(size))
        memory = ("versions_in_memory", "bytes_in_memory")
        self.assertEqual(self.client.statuses(*memory), {"versions_in_memory": "2", "bytes_in_memory": "1234"})
        self.client.delete_model("m")
        self.assertEqual(self.client.statuses(*memory), {"versions_in_memory": "0", "bytes_in_memory": "0"})


class EvictedTests(EdgeTestCase):
    """
    A daemon with room for two versions.
    """

    flags: ClassVar = ["--version-cache-max-items", "2"]

    def test_evicted_latest(self) -> None:
        """
        Status reports how often a model has lost its latest version, and the log names the setting to raise; a model
        with many versions costs no other model its latest one.
        """
        for model_id in ("a", "b", "c"):
            self.client.save_model(model_id)
        for model_id in ("a", *"bbbbb"):
            self.client.create(model_id, b"x")
        self.assertEqual(self.client.statuses("evicted_latest"), {"evicted_latest": "0"})
        self.assertEqual(self.client.data("a", -1), b"x")
        self.client.create("c", b"x")
        self.assertEqual(self.client.statuses("evicted_latest"), {"evicted_latest": "1"})
        self.wait_until_logged("raise --version-cache-max-items")
        self.assertEqual(self.client.data("a", -1), b"x")
        self.assert_refused(grpc.StatusCode.NOT_FOUND, partial(self.client.data, "b", -1))


class HealthTests(SharedEdgeTestCase):
    """
    The standard health service, while the daemon serves.
    """

    def test_serving(self) -> None:
        """
        The daemon as a whole is healthy, and so are its services by name.
        """
        for service in SERVICES:
            self.assertEqual(self.client.health(service), SERVING)

    def test_unknown_service(self) -> None:
        """
        A service that the daemon does not have is NOT_FOUND.
        """
        self.assert_refused(grpc.StatusCode.NOT_FOUND, lambda: self.client.health("nonsense"))


class HealthWhileItStartsTests(HeldArchiveTestCase):
    """
    The health of a daemon whose archive takes long to open.
    """

    def setUp(self) -> None:
        """
        Start a daemon that waits for its archive.
        """
        self.port = free_port()
        super().setUp()

    def start_daemon(self, *flags: str) -> Daemon:
        """
        Start the daemon with an archive that does not open yet.
        """
        self.holds.hold("open")
        daemon = self.make_daemon("--port", str(self.port), *flags)
        self.addCleanup(daemon.kill)
        daemon.port = self.port
        daemon.launch()
        return daemon

    def test_starting(self) -> None:
        """
        Until the archive is open the daemon is not healthy, and calls wait; then it is, and they are served.
        """
        self.wait_for_calls("open")
        calls = [
            self.client.begin("CreateOrUpdateModel", api.CreateOrUpdateModelRequest(model_info={"model_id": "m"})),
            self.client.begin("Status", common.StatusRequest(names=["calls"])),
            self.client.begin("RetrieveModels", api.RetrieveModelsRequest()),
        ]
        for service in SERVICES:
            self.assertEqual(self.client.health(service), NOT_SERVING)
        self.assertEqual([call.done() for call in calls], [False] * len(calls))
        self.holds.release("open")
        self.daemon.wait_for("listening on")
        for call in calls:
            self.assertIsNotNone(call.result())
        self.wait_until_true(lambda: self.client.health() == SERVING, "it is healthy")
        self.assertEqual(self.client.health(SERVICE_NAME), SERVING)
        self.assertEqual(len(self.client.models("m").model_infos), 1)

    def test_stopped_while_it_starts(self) -> None:
        """
        Calls that wait for the start end if the start is aborted.
        """
        self.wait_for_calls("open")
        call = self.client.begin("RetrieveModels", api.RetrieveModelsRequest())
        self.assertEqual(self.client.health(), NOT_SERVING)  # asked behind the call, on the same connection
        self.daemon.process.terminate()
        self.assert_refused(grpc.StatusCode.UNAVAILABLE, call.result)


class HealthWhileItStopsTests(RegistryTestCase):
    """
    The health of a daemon that lets a call end before it does.
    """

    flags: ClassVar = ["--sent-model-version-data-chunk-size", "2"]

    def test_stopping(self) -> None:
        """
        A watcher of the daemon's health sees it stop before the calls in progress have ended.
        """
        self.client.save_model("m")
        stub = health_pb2_grpc.HealthStub(self.client.channel)
        watches = [
            stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_SECONDS) for service in SERVICES
        ]
        self.assertEqual([next(watch).status for watch in watches], [SERVING] * len(SERVICES))
        upload = Upload(self.client, header("m", 4, archived=True), body(b"da"))
        self.addCleanup(upload.end)
        self.wait_until_true(lambda: temp_files(self.archive), "the upload is under way")
        self.daemon.ask_to_stop()
        self.assertEqual([next(watch).status for watch in watches], [NOT_SERVING] * len(SERVICES))
        upload.feed_data(b"ta")
        self.assertEqual(upload.finish().version_number, 1)
        for watch in watches:
            watch.cancel()
        self.assertEqual(self.daemon.wait(), 0)


class ReflectionTests(SynchronousTestCase):
    """
    The setting for reflection.
    """

    VARIABLE: ClassVar = {"COGMENT_MODEL_REGISTRY_GRPC_REFLECTION": "yes"}

    def services(self, *flags: str, **variables: str) -> list[str]:
        """
        List the services that a daemon describes.
        """
        daemon = Daemon(Path(self.mktemp()).absolute(), flags, variables)
        self.addCleanup(daemon.kill)
        with grpc.insecure_channel(daemon.start().address) as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    def test_off(self) -> None:
        """
        By default, reflection is off: the call is UNIMPLEMENTED.
        """
        with self.assertRaises(grpc.RpcError) as caught:
            self.services()
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_on_by_flag(self) -> None:
        """
        The flag turns it on.
        """
        self.assertIn(SERVICE_NAME, self.services("--grpc-reflection"))

    def test_on_by_variable(self) -> None:
        """
        The variable turns it on.
        """
        self.assertIn(SERVICE_NAME, self.services(**self.VARIABLE))

    def test_flag_over_variable(self) -> None:
        """
        The flag overrules the variable.
        """
        with self.assertRaises(grpc.RpcError) as caught:
            self.services("--no-grpc-reflection", **self.VARIABLE)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
