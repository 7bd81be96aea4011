"""
Tests for the stop of a daemon: calls that finish, calls that are cancelled, and what is left.
"""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.archive_files import temp_files
from tests.support.client import DEADLINE_SECONDS, Client, body, header
from tests.support.daemon import Daemon
from tests.support.holds import HeldArchiveTestCase
from tests.support.registry_case import RegistryTestCase
from tests.support.upload import Upload
from twisted_registry.protocol.messages import api

MIB = 1024 * 1024
CHUNKS = ("--sent-model-version-data-chunk-size", "1000")


class StopTestCase(RegistryTestCase):
    """
    A model and running calls.
    """

    flags: ClassVar[Sequence[str]] = CHUNKS

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.client.save_model("m")

    def begin_upload(self) -> Upload:
        """
        Start the upload of an archived version of 4,000 bytes, and wait until the daemon has some of its data.
        """
        upload = Upload(self.client, header("m", 4000, archived=True), body(bytes(2000)))
        self.addCleanup(upload.end)
        self.wait_until_true(lambda: temp_files(self.archive), "the upload is under way")
        return upload

    def assert_stopped(self, daemon: Daemon) -> None:
        """
        Wait for an exit with status 0, and check that no incomplete version is left.
        """
        self.assertEqual(daemon.wait(), 0, daemon.log)
        self.assertEqual(temp_files(self.archive), [])
        self.assertNotIn("Traceback", daemon.log)
        self.assertNotIn("Unhandled", daemon.log)


class SignalTests(StopTestCase):
    """
    Signals.
    """

    def test_signals(self) -> None:
        """
        SIGTERM and SIGINT, the signal of Ctrl-C, stop it with status 0.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon = Daemon(self.directory / number.name)
            self.addCleanup(daemon.kill)
            daemon.start().ask_to_stop(number)
            self.assert_stopped(daemon)

    def test_as_soon_as_it_listens(self) -> None:
        """
        A signal right after the daemon begins to listen stops it cleanly.
        """
        for number in range(5):
            daemon = Daemon(self.directory / str(number))
            self.addCleanup(daemon.kill)
            self.assertEqual(daemon.start().stop(), 0)

    def test_second_signal(self) -> None:
        """
        A second signal neither cancels the running calls nor changes the status.
        """
        upload = self.begin_upload()
        self.daemon.ask_to_stop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            self.daemon.process.send_signal(number)
            self.daemon.wait_for("already stopping")
        upload.feed_data(bytes(2000))
        self.assertEqual(upload.finish().version_number, 1)
        self.assert_stopped(self.daemon)


class GraceTests(StopTestCase):
    """
    Calls that finish within the grace period.
    """

    flags = (*CHUNKS, "--grace-seconds", "60")

    def test_upload_ends_whole(self) -> None:
        """
        An upload that finishes in time becomes an archived version, and is acknowledged.
        """
        upload = self.begin_upload()
        self.daemon.ask_to_stop()
        upload.feed_data(bytes(2000))
        acknowledged = upload.finish()
        self.assert_stopped(self.daemon)
        self.daemon = self.start_daemon()
        self.client = self.connect()
        self.assertEqual(self.client.latest("m"), acknowledged)
        self.assertEqual(self.client.data("m", -1), bytes(4000))

    def test_download_ends_whole(self) -> None:
        """
        A running download completes, from the archive or from memory.
        """
        data = os.urandom(8 * MIB)
        for archived in (True, False):
            self.client.create("m", data, archived=archived)
        downloads = [self.client.chunks("m", number) for number in (1, 2)]
        begun = [next(download) for download in downloads]
        self.daemon.ask_to_stop()
        for first, download in zip(begun, downloads, strict=True):
            self.assertEqual(first + b"".join(download), data)
        self.assert_stopped(self.daemon)

    def test_new_calls_are_refused(self) -> None:
        """
        From the signal on, new calls are refused as UNAVAILABLE.
        """
        upload = self.begin_upload()
        callers = [self.connect() for _ in range(8)]
        for caller in callers:
            caller.models()
        with ThreadPoolExecutor(len(callers)) as threads:
            refusals = [threads.submit(self.call_until_refused, caller) for caller in callers]
            self.daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual({refusal.result() for refusal in refusals}, {grpc.StatusCode.UNAVAILABLE})
        upload.feed_data(bytes(2000))
        self.assertEqual(upload.finish().version_number, 1)
        self.assert_stopped(self.daemon)

    def call_until_refused(self, caller: Client) -> grpc.StatusCode:
        """
        Make one call after the other, and return the code of the first refusal.
        """
        while True:
            try:
                caller.call("RetrieveModels", api.RetrieveModelsRequest(), wait_for_ready=False)
            except grpc.RpcError as error:
                return error.code()

    def test_late_health_check(self) -> None:
        """
        A client that connects during the stop and asks for the health gets NOT_SERVING.
        """
        upload = self.begin_upload()
        stub = health_pb2_grpc.HealthStub(self.client.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE_SECONDS)
        self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.SERVING)
        self.daemon.ask_to_stop()
        self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.NOT_SERVING)
        watch.cancel()
        self.assertEqual(self.connect().health(), health_pb2.HealthCheckResponse.NOT_SERVING)
        upload.feed_data(bytes(2000))
        self.assertEqual(upload.finish().version_number, 1)
        self.assert_stopped(self.daemon)


class AfterTheGraceTests(StopTestCase):
    """
    Calls that do not finish within the grace period.
    """

    flags = ("--sent-model-version-data-chunk-size", "2000", "--grace-seconds", "0.3")

    def assert_cut(self, call: Callable[[], Any], *said: str) -> None:
        """
        Check that a call ended because the daemon stopped.
        """
        self.assert_refused(grpc.StatusCode.UNAVAILABLE, call, *said)

    def test_upload_is_cut(self) -> None:
        """
        An upload that takes too long is cancelled, and leaves nothing.
        """
        uploads = [self.begin_upload() for _ in range(5)]
        self.daemon.ask_to_stop()
        for upload in uploads:
            self.assert_cut(upload.result, "try again")
        self.assert_stopped(self.daemon)
        self.assertEqual([path.name for path in (self.archive / "m").iterdir()], ["m.yaml"])
        self.daemon = self.start_daemon()
        self.client = self.connect()
        self.assertEqual(self.client.create("m", b"", archived=True).version_number, 1)

    def test_download_is_cut(self) -> None:
        """
        A download whose reader stalls is cancelled, and the daemon exits.
        """
        self.client.create("m", bytes(16 * MIB))
        download = self.client.chunks("m", 1)
        next(download)
        self.daemon.ask_to_stop()
        self.assert_stopped(self.daemon)
        self.assert_cut(lambda: list(download))


class NoGraceTests(StopTestCase):
    """
    A grace period of 0.
    """

    flags = (*CHUNKS, "--grace-seconds", "0")

    def test_cut_at_once(self) -> None:
        """
        With a grace period of 0 running calls are cancelled at once.
        """
        upload = self.begin_upload()
        self.assertEqual(self.daemon.stop(), 0)
        self.assertIsInstance(upload.call.exception(), grpc.RpcError)
        self.assert_stopped(self.daemon)


class SlowDiskTests(HeldArchiveTestCase):
    """
    A stop while the archive is slow.
    """

    flags: ClassVar = [*CHUNKS, "--grace-seconds", "0"]

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.client.save_model("m")

    def test_broken_upload_leaves_nothing(self) -> None:
        """
        An upload that the stop cancelled leaves nothing, even if its writes still waited for the disk.
        """
        upload = Upload(self.client, header("m", 10_000, archived=True), body(bytes(1000)))
        self.addCleanup(upload.end)
        self.wait_until_true(lambda: temp_files(self.archive), "the upload is under way")
        self.holds.hold("write")
        upload.feed_data(bytes(3000))
        self.wait_for_calls("write")
        self.daemon.ask_to_stop()
        self.assertIsInstance(upload.call.exception(), grpc.RpcError)
        self.holds.release("write")
        self.assertEqual(self.daemon.wait(), 0, self.daemon.log)
        self.assertEqual(temp_files(self.archive), [])
        # The archive is let go of last: another daemon may take it then.
        self.assertEqual(self.holds.records(), ["abort", "close"])

    def test_commit_under_way_is_whole(self) -> None:
        """
        A version whose commit has begun is complete, even if its call is cancelled.
        """
        self.holds.hold("commit")
        upload = Upload(self.client, header("m", 1000, archived=True), body(bytes(1000)))
        upload.end()
        self.wait_for_calls("commit")
        self.daemon.ask_to_stop()
        self.assertIsInstance(upload.call.exception(), grpc.RpcError)
        self.holds.release("commit")
        self.assertEqual(self.daemon.wait(), 0, self.daemon.log)
        self.daemon = self.start_daemon()
        self.client = self.connect()
        self.assertEqual(self.client.latest("m").version_number, 1)
        self.assertEqual(self.client.data("m", 1), bytes(1000))


class CrashTests(StopTestCase):
    """
    A daemon that is killed.
    """

    def test_killed(self) -> None:
        """
        After SIGKILL it starts again: acknowledged versions exist, and no number is used twice.
        """
        archived = [self.client.create("m", f"data {number}".encode(), archived=True) for number in range(3)]
        last = self.client.create("m", b"transient")
        self.begin_upload()
        self.crash()
        self.assertEqual(list(self.client.infos("m").version_infos), archived)
        for info in archived:
            self.assertEqual(self.client.data("m", info.version_number), f"data {info.version_number - 1}".encode())
        self.assertGreater(self.client.create("m", b"next").version_number, last.version_number)
        self.assertEqual(temp_files(self.archive), [])
