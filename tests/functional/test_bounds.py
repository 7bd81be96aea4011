"""
Tests for the memory that clients can make the daemon hold, and for how long.
"""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
from grpc import StatusCode

from tests.support.client import DEADLINE_SECONDS, body, data_hash, header
from tests.support.edge import EdgeTestCase
from tests.support.registry_case import RegistryTestCase
from tests.support.upload import Upload
from twisted_registry.protocol.messages import SERVICE, SERVICE_NAME, api

MIB = 2**20
OVERHEAD_BYTES = 80 * MIB
"""The memory that the daemon may take beside its data and its memory after the start, in bytes."""

ALONE = {"grpc.use_local_subchannel_pool": 1}
"""The option for a separate connection."""


class ModelCase(RegistryTestCase):
    """
    A test case with a model.
    """

    def setUp(self) -> None:
        """
        Create the model.
        """
        super().setUp()
        self.client.save_model("m")


class BoundsTestCase(ModelCase):
    """
    A test case with a daemon whose memory is measured, and a model.
    """

    is_forked = False

    def setUp(self) -> None:
        """
        Measure the memory.
        """
        super().setUp()
        self.before_bytes = self.daemon.memory_bytes()

    def assert_grown_at_most(self, size_bytes: int) -> None:
        """
        Assert how much more memory the daemon has taken at its peak than before the test.
        """
        grown = self.daemon.memory_bytes(peak=True) - self.before_bytes
        self.assertLessEqual(grown, size_bytes + OVERHEAD_BYTES)


class VersionSizeTests(ModelCase, EdgeTestCase):
    """
    The size of one version.
    """

    flags = ("--version-max-bytes", str(MIB), "--version-cache-max-bytes", str(MIB // 2))

    def test_too_large(self) -> None:
        """
        A larger version is refused at its header, archived or not; one of exactly the limit is accepted.
        """
        for archived in (False, True):
            self.assert_refused(
                StatusCode.RESOURCE_EXHAUSTED,
                Upload(self.client, header("m", MIB + 1, archived=archived)).result,
                "1048577 bytes",
                "1048576 bytes",
                "--version-max-bytes",
            )
        self.assertEqual(self.client.create("m", bytes(MIB), archived=True).version_number, 1)

    def test_too_large_for_memory(self) -> None:
        """
        A transient version must also fit into memory.
        """
        upload = Upload(self.client, header("m", MIB))
        self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, upload.result, "524288 bytes", "archived")


class UploadsTestCase(ModelCase):
    """
    Uploads under way.
    """

    def begin(self, size_bytes: int, **fields: Any) -> Upload:
        """
        Begin an upload over a separate connection, without its end.
        """
        upload = Upload(self.connect(**ALONE), header("m", size_bytes, **fields))
        self.addCleanup(upload.end)
        for _ in range(size_bytes // (4 * MIB) - 1):
            upload.feed_data(bytes(4 * MIB))
        return upload


class UploadsThatWaitTests(UploadsTestCase, EdgeTestCase):
    """
    Uploads that wait for memory.
    """

    flags = ("--uploads-max-bytes", str(150 * MIB), "--uploads-wait-seconds", "60")

    def test_served_after_the_wait(self) -> None:
        """
        An upload that waits for memory goes on when another has ended.
        """
        first, second = self.begin(100 * MIB), self.begin(100 * MIB)
        for upload in (first, second):
            upload.feed_data(bytes(4 * MIB))
            upload.end()
        self.assertEqual({first.result().version_number, second.result().version_number}, {1, 2})


class UploadsTests(UploadsTestCase, BoundsTestCase):
    """
    Uploads that may hardly wait for memory.
    """

    flags = ("--uploads-max-bytes", str(150 * MIB), "--uploads-wait-seconds", "1", "--upload-idle-seconds", "5")

    def test_bounded(self) -> None:
        """
        Of many large uploads that never end, those without memory are refused, and the others are ended when nothing
        arrives for too long.  Memory stays bounded, and small versions are served meanwhile.
        """
        uploads = [self.begin(60 * MIB, archived=number % 2 == 0) for number in range(12)]
        self.assertEqual(self.client.create("m", b"small").version_number, 1)
        codes = {StatusCode.RESOURCE_EXHAUSTED: 0, StatusCode.DEADLINE_EXCEEDED: 0}
        for upload in uploads:
            codes[upload.call.code()] += 1
        self.assertGreater(codes[StatusCode.RESOURCE_EXHAUSTED], 0)
        self.assertGreater(codes[StatusCode.DEADLINE_EXCEEDED], 0)
        self.assertEqual(self.client.create("m", bytes(60 * MIB)).version_number, 2)
        self.assert_grown_at_most(150 * MIB + 60 * MIB)

    def test_a_byte_too_many(self) -> None:
        """
        An upload of a gigabyte that declared one byte ends with its first message.
        """
        chunk = body(bytes(4 * MIB))
        call = partial(self.client.upload, header("m", 1), (chunk for _ in range(256)))
        self.assert_refused(StatusCode.INVALID_ARGUMENT, call, "1 bytes")
        self.assert_grown_at_most(0)


class TextsTests(UploadsTestCase, EdgeTestCase):
    """
    Uploads that may hardly wait for memory or data.
    """

    flags = ("--uploads-max-bytes", str(150 * MIB), "--uploads-wait-seconds", "1", "--upload-idle-seconds", "2")

    def test_texts(self) -> None:
        """
        The texts say why an upload was refused or ended.
        """
        first, second = self.begin(140 * MIB), self.begin(140 * MIB)
        texts = {upload.call.code(): upload.call.details() for upload in (first, second)}
        self.assertIn("--uploads-max-bytes", texts[StatusCode.RESOURCE_EXHAUSTED])
        self.assertIn("arrived for 2 s", texts[StatusCode.DEADLINE_EXCEEDED])


class HalfOpenTests(ModelCase, EdgeTestCase):
    """
    Calls without a request.
    """

    flags = ("--upload-idle-seconds", "3")

    def call(self, method: str, requests: Iterator[bytes]) -> Any:
        """
        Make a call with any number of requests, whatever the method.
        """
        call = self.client.channel.stream_stream(f"/{SERVICE_NAME}/{method}", _bare, _bare)
        return call(requests, timeout=DEADLINE_SECONDS)

    def test_nothing_comes(self) -> None:
        """
        A call of any method that never sends its request is ended.
        """
        over = threading.Event()
        self.addCleanup(over.set)
        calls = [self.call(method.name, _nothing_until(over)) for method in SERVICE.methods]
        for call in calls:
            self.assert_refused(StatusCode.DEADLINE_EXCEEDED, partial(list, call), "arrived for 3 s")

    def test_no_request(self) -> None:
        """
        A call that ends its requests without one is refused at once.
        """
        for method in SERVICE.methods:
            self.assert_refused(StatusCode.INVALID_ARGUMENT, partial(list, self.call(method.name, iter(()))))

    def test_silent_subscribers(self) -> None:
        """
        A subscriber that has sent its request may wait for any time.
        """
        updates = self.client.updates("m")
        self.wait_for_subscribers(1)
        over = threading.Event()
        self.addCleanup(over.set)
        self.assert_refused(StatusCode.DEADLINE_EXCEEDED, partial(list, self.call("Status", _nothing_until(over))))
        created = self.client.create("m", b"")
        self.assertEqual(next(updates).version_info, created)


class StalledReaderTests(BoundsTestCase):
    """
    Clients that do not read what they asked for.
    """

    flags = (
        "--version-cache-max-bytes",
        str(24 * MIB),
        "--downloads-max-bytes",
        str(40 * MIB),
        "--download-idle-seconds",
        "0.2",
    )

    def stall(self, count: int, number: int) -> list[Any]:
        """
        Ask for a version's data over several connections, and read only the first chunk.
        """
        request = api.RetrieveVersionDataRequest(model_id="m", version_number=number)
        return [self.connect(**ALONE).call("RetrieveVersionData", request) for _ in range(count)]

    def read(self, number: int) -> bytes:
        """
        Read a version.  On a very busy machine this may take so long for a chunk that the daemon disconnects it too:
        then it retries.
        """
        for _ in range(3):
            try:
                return self.client.data("m", number)
            except grpc.RpcError as error:
                self.assertEqual(error.code(), StatusCode.UNAVAILABLE)
        return self.client.data("m", number)

    def test_memory_is_bounded_and_others_are_served(self) -> None:
        """
        Many clients that do not read cost no more than the bound, and one that reads gets the whole version.
        """
        for archived in (False, True):
            data = bytes(range(256)) * (20 * MIB // 256)
            number = self.client.create("m", data, archived=archived).version_number
            stalled = self.stall(50, number)
            self.assertEqual(data_hash(self.read(number)), data_hash(data))
            self.wait_until_logged("disconnected ipv4:127.0.0.1")
            for call in stalled:
                call.cancel()
        # The version, its second copy while it was received, and what is on its way.
        self.assert_grown_at_most(24 * MIB + 20 * MIB + 40 * MIB)


class DeletedModelTests(BoundsTestCase):
    """
    Deleted models that took much memory.
    """

    def test_memory_is_released(self) -> None:
        """
        The memory of a deleted model returns to the system.
        """
        self.client.create("m", bytes(range(256)) * (200 * MIB // 256))
        held = self.daemon.memory_bytes()
        self.client.delete_model("m")
        self.wait_until_true(lambda: self.daemon.memory_bytes() < held - 150 * MIB, "the memory is released")


class FragmentationTests(BoundsTestCase):
    """
    A cache whose evicted versions are smaller than the new ones.
    """

    flags = ("--version-cache-max-bytes", str(192 * MIB), "--version-cache-max-items", "100000")

    def test_gaps_are_released(self) -> None:
        """
        Small versions that remain do not make the process keep the memory between them.
        """
        for number in range(96):
            self.client.save_model(f"stays-{number}")
            for model_id in (f"stays-{number}", "m"):
                self.client.create(model_id, bytes(range(256)) * (MIB // 256))
        self.client.save_model("large")
        for _ in range(80):
            self.client.create("large", bytes(range(256)) * (4 * MIB // 256))
        held = int(self.client.statuses("bytes_in_memory")["bytes_in_memory"])
        self.wait_until_true(
            lambda: self.daemon.memory_bytes() < held * 11 // 10 + 128 * MIB + 64 * MIB, "the memory is released"
        )


def _bare(message: bytes) -> bytes:
    return message


def _nothing_until(over: threading.Event) -> Iterator[bytes]:
    over.wait(DEADLINE_SECONDS)
    yield from ()
