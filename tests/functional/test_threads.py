"""
Tests of threads: calls that are answered from memory wait neither for the reactor nor for the archive.
"""

from collections.abc import Callable
from typing import Any

from grpc_health.v1 import health_pb2

from tests.support.client import body, header
from tests.support.holds import HeldArchiveTestCase
from tests.support.upload import Upload
from twisted_registry.protocol.messages import SERVICE_NAME, api, common

BLOCKED_CALLS = 25
THREADS = 10
"""The storage's pool has so many threads: the calls are more than enough to hold them all."""

BIG = bytes(1024 * 1024)


class ParkedReactorTests(HeldArchiveTestCase):
    """
    The reactor's thread is parked.
    """

    def setUp(self) -> None:
        """
        Make a model with two transient versions, have the models listed once, and park the reactor.
        """
        super().setUp()
        self.client.save_model("m", purpose="test")
        self.infos = [self.client.create("m", data) for data in (b"first", BIG)]
        self.client.models()
        self.holds.hold("reactor")
        self.wait_for_calls("reactor")
        self.addCleanup(self.unpark)

    def unpark(self) -> None:
        """
        Let the reactor go on, and see that the daemon does.
        """
        self.holds.release("reactor")
        self.assertEqual(self.client.create("m", b"third").version_number, 3)
        self.assertEqual(self.daemon.stop(), 0)

    def test_infos(self) -> None:
        """
        The latest version's info and those of all transient versions are given.
        """
        self.assertEqual(self.client.latest("m"), self.infos[1])
        self.assertEqual(list(self.client.infos("m").version_infos), self.infos)
        self.assertEqual(list(self.client.infos("m", 1, -1).version_infos), self.infos)

    def test_data(self) -> None:
        """
        The data of versions in memory is served.
        """
        self.assertEqual(self.client.data("m", 1), b"first")
        self.assertEqual(self.client.data("m", -1), BIG)

    def test_updates(self) -> None:
        """
        A new stream of updates gives the latest version's info.
        """
        stream = self.client.updates("m")
        self.assertEqual(next(stream).version_info, self.infos[1])
        stream.cancel()

    def test_models(self) -> None:
        """
        Models are listed, all of them or those asked for.
        """
        for reply in (self.client.models(), self.client.models("m")):
            self.assertEqual(list(reply.model_infos), [api.ModelInfo(model_id="m", user_data={"purpose": "test"})])

    def test_about(self) -> None:
        """
        The daemon tells its version, its status and its health.
        """
        self.assertTrue(self.client.call("Version", common.VersionRequest()).versions)
        self.assertEqual(self.client.statuses("versions_in_memory"), {"versions_in_memory": "2"})
        for service in ("", SERVICE_NAME):
            self.assertEqual(self.client.health(service), health_pb2.HealthCheckResponse.SERVING)


class BlockedArchiveTests(HeldArchiveTestCase):
    """
    The archive is blocked, by more calls than it has threads.
    """

    def setUp(self) -> None:
        """
        Make models with an archived version, too large for a copy in memory, and one that lives in memory.
        """
        super().setUp()
        self.calls: list[Any] = []
        for number in range(BLOCKED_CALLS):
            self.client.save_model(f"archived-{number}")
            self.client.create(f"archived-{number}", b"archived", archived=True)
        self.client.save_model("memory")

    def block(self, call: str, begin: Callable[[int], Any]) -> None:
        """
        Begin calls until all threads of the archive are blocked.
        """
        self.holds.hold(call)
        self.calls = [begin(number) for number in range(BLOCKED_CALLS)]
        self.wait_for_calls(call, THREADS)

    def start_again(self) -> None:
        """
        Start the daemon again, so that nothing archived is in memory; take up the models.
        """
        self.restart()
        self.client.models()
        for number in range(BLOCKED_CALLS):
            self.client.create(f"archived-{number}", b"transient")

    def assert_served(self) -> None:
        """
        Check that what memory can answer is answered, that transient versions are created, and that they are pushed.
        """
        first = self.client.latest("memory")
        stream = self.client.updates("memory")
        self.assertEqual(next(stream).version_info, first)
        for data in (b"small", BIG):
            info = self.client.create("memory", data)
            self.assertEqual(next(stream).version_info, info)
            self.assertEqual(self.client.latest("memory"), info)
            self.assertEqual(self.client.data("memory", -1), data)
        self.assertEqual(len(self.client.infos("memory").version_infos), 3)
        self.assertEqual(len(self.client.models().model_infos), BLOCKED_CALLS + 1)
        self.assertEqual(self.client.health(), health_pb2.HealthCheckResponse.SERVING)
        stream.cancel()

    def upload(self, number: int) -> Upload:
        """
        Begin to create an archived version.
        """
        upload = Upload(self.client, header(f"archived-{number}", 4, archived=True), body(b"more"))
        upload.end()
        return upload

    def assert_uploaded(self, call: str) -> None:
        """
        Unblock the threads, and check that all versions are created.
        """
        self.holds.release(call)
        self.assertEqual([upload.result().version_number for upload in self.calls], [2] * BLOCKED_CALLS)

    def test_write(self) -> None:
        """
        All goes on while uploads wait to be written.
        """
        self.client.create("memory", b"")
        self.block("write", self.upload)
        self.assert_served()
        self.assert_uploaded("write")

    def test_commit(self) -> None:
        """
        All goes on while commits wait, and the models that they are of can be read as they were.
        """
        self.client.create("memory", b"")
        self.block("commit", self.upload)
        self.assert_served()
        self.assertEqual(self.client.latest("archived-0").version_number, 1)
        self.assert_uploaded("commit")

    def test_read(self) -> None:
        """
        All goes on while downloads wait for their data.
        """
        self.start_again()
        self.client.create("memory", b"")
        self.block("read", lambda number: self.client.chunks(f"archived-{number}", 1))
        self.assert_served()
        self.holds.release("read")
        self.assertEqual([b"".join(download) for download in self.calls], [b"archived"] * BLOCKED_CALLS)

    def test_load(self) -> None:
        """
        All goes on while infos wait to be read, also those of the same models that are in memory.
        """
        self.start_again()
        self.client.create("memory", b"")
        self.block("load", self.ask_for_info)
        self.assert_served()
        self.assertEqual(self.client.latest("archived-0").version_number, 2)
        self.assertEqual(self.client.data("archived-0", -1), b"transient")
        self.holds.release("load")
        for call in self.calls:
            self.assertEqual([info.version_number for info in call.result().version_infos], [1])

    def ask_for_info(self, number: int) -> Any:
        """
        Ask for an archived version's info, and do not wait.
        """
        request = api.RetrieveVersionInfosRequest(model_id=f"archived-{number}", version_numbers=[1])
        return self.client.begin("RetrieveVersionInfos", request)
