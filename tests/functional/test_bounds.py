"""
Tests of what clients can make the daemon hold, and for how long.
"""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
from grpc import StatusCode

from tests.support.client import DEADLINE_SECONDS, body, data_hash, header
from tests.support.registry_case import RegistryTestCase
from tests.support.upload import Upload
from twisted_registry.protocol.messages import SERVICE, SERVICE_NAME, api

MIB = 2**20
OVERHEAD_BYTES = 80 * MIB
"""What the daemon may take beside its data, and beside what it takes when it has just started."""

ALONE = {"grpc.use_local_subchannel_pool": 1}
"""A connection that nobody shares."""


class BoundsTestCase(RegistryTestCase):
    """
    A daemon with a model, and a measure of its memory.
    """

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.client.save_model("m")
        self.before_bytes = self.daemon.memory_bytes()

    def assert_grown_at_most(self, size_bytes: int) -> None:
        """
        Check that the daemon never took more memory than it did before the test, and so much.
        """
        grown = self.daemon.memory_bytes(peak=True) - self.before_bytes
        self.assertLessEqual(grown, size_bytes + OVERHEAD_BYTES)


class VersionSizeTests(BoundsTestCase):
    """
    The size of one version.
    """

    flags = ("--version-max-bytes", str(MIB), "--version-cache-max-bytes", str(MIB // 2))

    def test_too_large(self) -> None:
        """
        A larger version is refused at its header, archived or not; one that just fits is taken.
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
        A version that is not archived has to fit into memory besides.
        """
        upload = Upload(self.client, header("m", MIB))
        self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, upload.result, "524288 bytes", "archived")


class UploadsTestCase(BoundsTestCase):
    """
    Uploads under way.
    """

    def begin(self, size_bytes: int, **fields: Any) -> Upload:
        """
        Begin an upload, over a connection of its own, of which the end never comes.
        """
        upload = Upload(self.connect(**ALONE), header("m", size_bytes, **fields))
        self.addCleanup(upload.end)
        for _ in range(size_bytes // (4 * MIB) - 1):
            upload.feed_data(bytes(4 * MIB))
        return upload


class PatientUploadsTests(UploadsTestCase):
    """
    Where there is time to wait for room.
    """

    flags = ("--uploads-max-bytes", str(150 * MIB), "--uploads-wait-seconds", "60")

    def test_waiting_is_worth_it(self) -> None:
        """
        Who waits for room gets in when another is done.
        """
        first, second = self.begin(100 * MIB), self.begin(100 * MIB)
        for upload in (first, second):
            upload.feed_data(bytes(4 * MIB))
            upload.end()
        self.assertEqual({first.result().version_number, second.result().version_number}, {1, 2})


class UploadsTests(UploadsTestCase):
    """
    Where there is not.
    """

    flags = ("--uploads-max-bytes", str(150 * MIB), "--uploads-wait-seconds", "1", "--upload-idle-seconds", "5")

    def test_no_more_than_there_is_room_for(self) -> None:
        """
        Of many large uploads that never end, those there is no room for are refused after a while, and the others when
        nothing has come from them for too long; memory stays bounded, and small versions come and go meanwhile.
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

    def test_both_say_what_to_do(self) -> None:
        """
        Who was refused, and who was given up, is told why.
        """
        first, second = self.begin(140 * MIB), self.begin(140 * MIB)
        texts = {upload.call.code(): upload.call.details() for upload in (first, second)}
        self.assertIn("--uploads-max-bytes", texts[StatusCode.RESOURCE_EXHAUSTED])
        self.assertIn("arrived for 5 s", texts[StatusCode.DEADLINE_EXCEEDED])

    def test_a_byte_too_many(self) -> None:
        """
        An upload of a gigabyte that was announced as a byte ends with its first message.
        """
        chunk = body(bytes(4 * MIB))
        call = partial(self.client.upload, header("m", 1), (chunk for _ in range(256)))
        self.assert_refused(StatusCode.INVALID_ARGUMENT, call, "1 bytes")
        self.assert_grown_at_most(0)


class HalfOpenTests(BoundsTestCase):
    """
    Calls that bring nothing.
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
        A call that never brings its request is ended, whatever it is.
        """
        over = threading.Event()
        self.addCleanup(over.set)
        calls = [self.call(method.name, _nothing_until(over)) for method in SERVICE.methods]
        for call in calls:
            self.assert_refused(StatusCode.DEADLINE_EXCEEDED, partial(list, call), "arrived for 3 s")

    def test_no_request(self) -> None:
        """
        A call that says it brings nothing is refused at once.
        """
        for method in SERVICE.methods:
            self.assert_refused(StatusCode.INVALID_ARGUMENT, partial(list, self.call(method.name, iter(()))))

    def test_subscribers_may_be_silent(self) -> None:
        """
        Who has brought all there is to bring may wait as long as it takes.
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
    Readers that do not read.
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
        Make calls for a version's data, a connection each, and read nothing but the first chunk.
        """
        request = api.RetrieveVersionDataRequest(model_id="m", version_number=number)
        return [self.connect(**ALONE).call("RetrieveVersionData", request) for _ in range(count)]

    def read(self, number: int) -> bytes:
        """
        Read a version.  On a machine so busy that this takes long for a chunk as well, the daemon may hang up on it
        too; then it tries again.
        """
        for _ in range(3):
            try:
                return self.client.data("m", number)
            except grpc.RpcError as error:
                self.assertEqual(error.code(), StatusCode.UNAVAILABLE)
        return self.client.data("m", number)

    def test_memory_is_bounded_and_others_are_served(self) -> None:
        """
        Many readers who read nothing cost no more than the bound; who reads gets the version, whole.
        """
        for archived in (False, True):
            data = bytes(range(256)) * (20 * MIB // 256)
            number = self.client.create("m", data, archived=archived).version_number
            stalled = self.stall(50, number)
            self.assertEqual(data_hash(self.read(number)), data_hash(data))
            self.wait_until_logged("hung up on ipv4:127.0.0.1")
            for call in stalled:
                call.cancel()
        # The version, once more while it was received, and what is on its way.
        self.assert_grown_at_most(24 * MIB + 20 * MIB + 40 * MIB)


class DeletedModelTests(BoundsTestCase):
    """
    Models that took much memory, and are gone.
    """

    def test_memory_is_given_back(self) -> None:
        """
        Once a large model is deleted, the system has its memory again.
        """
        self.client.create("m", bytes(range(256)) * (200 * MIB // 256))
        held = self.daemon.memory_bytes()
        self.client.delete_model("m")
        self.wait_until_true(lambda: self.daemon.memory_bytes() < held - 150 * MIB, "the memory is given back")


class PiecesTests(BoundsTestCase):
    """
    A cache in which what goes is smaller than what comes.
    """

    flags = ("--version-cache-max-bytes", str(192 * MIB), "--version-cache-max-items", "100000")

    def test_pieces_are_given_back(self) -> None:
        """
        Small versions that stay do not make the process keep what lies between them.
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
            lambda: self.daemon.memory_bytes() < held * 11 // 10 + 128 * MIB + 64 * MIB, "the memory is given back"
        )


def _bare(message: bytes) -> bytes:
    return message


def _nothing_until(over: threading.Event) -> Iterator[bytes]:
    over.wait(DEADLINE_SECONDS)
    yield from ()
