"""
Tests on a disk that is full, and on one that can no longer be written.
"""

import os
import subprocess

import grpc
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckResponse
from twisted.trial.unittest import SkipTest

from tests.support.archive_files import all_files, temp_files
from tests.support.registry_case import RegistryTestCase
from tests.support.registry_v1 import RegistryV1
from twisted_registry.protocol.messages import WRITES_NAME

DISK_BYTES = 8 * 2**20
PIECE = bytes(2**20)


class SmallDiskTestCase(RegistryTestCase):
    """
    A test case with a small disk for each test.
    """

    def prepare(self) -> None:
        """
        Mount it where the archive is to be.
        """
        if os.geteuid() != 0:
            raise SkipTest("not root, who may mount")
        self.archive.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "registry-test", str(self.archive)]
        reported = subprocess.run(mount, capture_output=True, text=True, check=False)
        if reported.returncode != 0:
            raise SkipTest(f"nothing can be mounted: {reported.stderr.strip()}")
        # A disk that is in use still goes once it is not.
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(self.archive)], check=True)

    def assert_logged_once(self, reason: str) -> None:
        """
        Check that the log warns of the archive, for this reason and for no other, and once.
        """
        self.wait_until_logged("storage error in the archive")
        (reported,) = (line for line in self.daemon.lines if "storage error in the archive" in line)
        self.assertIn(f"#warn] storage error in the archive {self.archive}: ", reported)
        self.assertIn(f"({reason})", reported)

    def fill(self) -> int:
        """
        Create versions until one fails.

        Returns:
            how many there are.
        """
        for count in range(DISK_BYTES // len(PIECE)):
            try:
                self.client.create("m", PIECE, archived=True)
            except grpc.RpcError:
                return count
        self.fail("the disk never gets full")


class FullDiskTests(SmallDiskTestCase):
    """
    There is no room left.
    """

    def setUp(self) -> None:
        """
        Fill the disk, with a model that could go.
        """
        super().setUp()
        self.client.save_model("m")
        self.client.save_model("other")
        self.client.create("other", 3 * PIECE, archived=True)
        self.count = self.fill()

    def create(self) -> None:
        """
        Create a version.
        """
        self.client.create("m", PIECE, archived=True)

    def test_refused(self) -> None:
        """
        A version that does not fit is refused, nothing of it stays, and all others are there.
        """
        before = all_files(self.archive)
        self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, self.create, "No space left on device")
        self.assertEqual(all_files(self.archive), before)
        self.assertEqual(temp_files(self.archive), [])
        numbers = [info.version_number for info in self.client.infos("m").version_infos]
        self.assertEqual(numbers, list(range(1, self.count + 1)))
        self.assertEqual(self.client.data("m", self.count), PIECE)

    def test_log(self) -> None:
        """
        However many are refused, the log has one warning, with where and why.
        """
        for _ in range(5):
            self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, self.create)
        self.assert_logged_once("No space left on device")

    def test_room_is_made(self) -> None:
        """
        Once a model is deleted, versions are created again, and no number was skipped.
        """
        for _ in range(3):
            self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, self.create)
        self.client.delete_model("other")
        info = self.client.create("m", PIECE, archived=True)
        self.assertEqual(info.version_number, self.count + 1)
        self.restart()
        self.assertEqual(self.client.data("m", self.count + 1), PIECE)


class InterruptedUploadTests(SmallDiskTestCase):
    """
    Interrupted uploads fill the disk.
    """

    def setUp(self) -> None:
        """
        Interrupt two uploads of 3 MiB each.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        self.v1.CreateModel(model={"model_id": "m"})
        for key in ("older", "newer"):
            upload = self.v1.begin(model_id="m", archived=True, size_bytes=4 * 2**20, idempotency_key=key)
            upload.feed(bytes(3 * 2**20))
            self.assertEqual(upload.code(), StatusCode.INVALID_ARGUMENT)  # it sent less than it declared
            self.assertTrue(self.is_at(key, 3 * 2**20))

    def is_at(self, key: str, size_bytes: int) -> bool:
        """
        Return whether so much is kept of an upload.
        """
        status = self.v1.GetUpload(model_id="m", idempotency_key=key)
        return bool(status.received_bytes == size_bytes)

    def test_space_for_a_version(self) -> None:
        """
        A version for which there is no space takes that of the oldest upload, whichever service creates it.
        """
        self.assertEqual(self.client.create("m", bytes(4 * 2**20), archived=True).version_number, 1)
        self.assertTrue(self.is_at("older", 0))
        self.assertTrue(self.is_at("newer", 3 * 2**20))
        self.wait_until_logged("what was kept of an interrupted upload to 'm' is dropped")

    def test_never_fits(self) -> None:
        """
        A version that would not fit into the space of all uploads is refused, and they stay; with either service.
        """
        for begun in ({}, {"idempotency_key": "large"}):
            upload = self.v1.begin(model_id="m", archived=True, size_bytes=9 * 2**20, **begun)
            upload.feed(bytes(9 * 2**20))
            self.assertEqual(upload.code(), StatusCode.RESOURCE_EXHAUSTED)
        large = bytes(9 * 2**20)
        self.assert_refused(
            StatusCode.RESOURCE_EXHAUSTED, lambda: self.client.create("m", large, archived=True), "9437184 bytes"
        )
        self.assertTrue(self.is_at("older", 3 * 2**20) and self.is_at("newer", 3 * 2**20))

    def test_space_after_a_restart(self) -> None:
        """
        So does that of the uploads that an earlier process has left.
        """
        self.restart()
        self.v1 = RegistryV1(self.client.channel)
        self.assertEqual(self.client.create("m", bytes(7 * 2**20), archived=True).version_number, 1)
        self.assertTrue(self.is_at("older", 0) and self.is_at("newer", 0))
        self.assertEqual(temp_files(self.archive), [])

    def test_space_for_aliases(self) -> None:
        """
        When the disk is full to the last byte, aliases and models are still changed.
        """
        self.client.create("m", b"x", archived=True)
        free = os.statvfs(self.archive)
        (self.archive / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize))
        self.v1.SetAlias(reference="m@1", alias="production")
        self.v1.CreateModel(model={"model_id": "n"})
        self.assertTrue(self.is_at("older", 0))
        self.assertTrue(self.is_at("newer", 3 * 2**20))


class ReadOnlyDiskTests(SmallDiskTestCase):
    """
    The disk takes no more writes, as after errors of the medium.
    """

    def setUp(self) -> None:
        """
        Make the disk read-only, with an archived version and one that is not.
        """
        super().setUp()
        self.client.save_model("m")
        self.client.create("m", b"archived", archived=True)
        self.client.create("m", b"transient")
        subprocess.run(["mount", "-o", "remount,ro", str(self.archive)], check=True)

    def test_refused(self) -> None:
        """
        Changes of the archive are refused with the reason, and the log reports it once.
        """
        for change in (
            lambda: self.client.create("m", b"x", archived=True),
            lambda: self.client.save_model("m", a="b"),
            lambda: self.client.save_model("n"),
            lambda: self.client.delete_model("m"),
        ):
            self.assert_refused(StatusCode.FAILED_PRECONDITION, change, "cannot be written")
        self.assert_logged_once("Read-only file system")

    def test_goes_on(self) -> None:
        """
        Reading goes on, and so do versions that are not archived, while there are numbers for them.
        """
        self.assertEqual(self.client.create("m", b"next").version_number, 3)
        found = [self.client.data("m", number) for number in (1, 2, 3)]
        self.assertEqual(found, [b"archived", b"transient", b"next"])

    def test_health(self) -> None:
        """
        A failed change turns the health of writes to NOT_SERVING, and only that; it recovers by itself.
        """
        self.assertEqual(self.client.health(WRITES_NAME), HealthCheckResponse.SERVING)
        self.assert_refused(StatusCode.FAILED_PRECONDITION, lambda: self.client.save_model("n"))
        self.wait_for_writes(HealthCheckResponse.NOT_SERVING)
        self.assertEqual(self.client.health(), HealthCheckResponse.SERVING)
        subprocess.run(["mount", "-o", "remount,rw", str(self.archive)], check=True)
        self.wait_for_writes(HealthCheckResponse.SERVING)

    def wait_for_writes(self, status: int) -> None:
        """
        Wait until the health of writes has this status.
        """
        self.wait_until_true(lambda: self.client.health(WRITES_NAME) == status, f"the health of writes is {status}")

    def test_start(self) -> None:
        """
        A daemon starts on it, and serves what is archived.
        """
        self.crash()
        self.assertEqual(self.client.data("m", -1), b"archived")
        self.assert_refused(
            StatusCode.FAILED_PRECONDITION, lambda: self.client.create("m", b"x", archived=True), "cannot be written"
        )

    def test_writable_again(self) -> None:
        """
        When the disk takes writes again, so does the daemon, and no number is used twice.
        """
        self.assert_refused(StatusCode.FAILED_PRECONDITION, lambda: self.client.create("m", b"x", archived=True))
        subprocess.run(["mount", "-o", "remount,rw", str(self.archive)], check=True)
        self.assertEqual(self.client.create("m", b"again", archived=True).version_number, 3)
