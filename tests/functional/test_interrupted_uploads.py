"""
Tests of interrupted uploads.
"""

from collections.abc import Callable
from functools import partial

import grpc
from grpc import StatusCode

from tests.support.archive_files import temp_files
from tests.support.client import Client, body, header
from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_case import RegistryTestCase
from tests.support.relay import Relay
from tests.support.upload import Upload

MIB = 1024 * 1024
KINDS = (False, True)
"""Not archived, and archived."""


class InterruptedTestCase(SharedEdgeTestCase):
    """
    A model for the test's uploads.
    """

    flags = ("--sent-model-version-data-chunk-size", "1000")

    def setUp(self) -> None:
        """
        Make the test's model.
        """
        super().setUp()
        self.client.save_model(self.model_id)

    def begin(self, client: Client, *, archived: bool, data_size: int = 10 * MIB) -> Upload:
        """
        Begin an upload, and wait until the daemon has some of its data.
        """
        upload = Upload(client, header(self.model_id, data_size, archived=archived))
        self.addCleanup(upload.end)
        for _ in range(2):
            upload.feed_data(bytes(4 * MIB))
        upload.feed_data(b"")
        # More than a connection buffers: if later data is accepted, the daemon has read the first.
        self.wait_until_true(partial(upload.has_taken, 4), "the data is on its way")
        if archived:
            self.wait_until_true(lambda: temp_files(self.archive), "the daemon writes")
        return upload

    def assert_nothing_left(self) -> None:
        """
        Check that there is no version, no file and no memory in use, and that no number is used up.
        """
        self.wait_until_true(lambda: not temp_files(self.archive), "the hidden folder is empty")
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), [])
        files = [path.name for path in (self.archive / self.model_id).glob("[!.]*")]
        self.assertEqual(files, [f"{self.model_id}.yaml"])
        first = self.client.create(self.model_id, b"", archived=True)
        self.assertEqual(first.version_number, 1)
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), [first])


class CancelledUploadTests(InterruptedTestCase):
    """
    Uploads that the client cancels.
    """

    def test_cancelled(self) -> None:
        """
        An upload that is cancelled before all its bytes have arrived leaves nothing.
        """
        for archived in KINDS:
            self.begin(self.client, archived=archived).cancel()
        self.assert_nothing_left()

    def test_many_cancelled(self) -> None:
        """
        Many uploads that are cancelled at once leave nothing.
        """
        messages = header(self.model_id, 5000, archived=True), body(bytes(4000))
        uploads = [Upload(self.client, *messages) for _ in range(50)]
        for upload in uploads:
            upload.cancel()
        self.assert_nothing_left()

    def test_cancelled_at_the_header(self) -> None:
        """
        An upload that is cancelled before any data has arrived leaves nothing.
        """
        for archived in KINDS:
            upload = Upload(self.client, header(self.model_id, 1, archived=archived))
            self.wait_until_true(partial(upload.has_taken, 1), "the header is sent")
            upload.cancel()
        self.assert_nothing_left()

    def test_disconnected(self) -> None:
        """
        An upload whose client disconnects leaves nothing.
        """
        for archived in KINDS:
            client = self.connect()
            upload = self.begin(client, archived=archived)
            client.close()
            upload.end()
        self.assert_nothing_left()

    def test_connection_lost(self) -> None:
        """
        An upload whose connection breaks leaves nothing.
        """
        for archived in KINDS:
            relay = Relay(self.daemon.port)
            client = Client(relay.address)
            self.addCleanup(client.close)
            upload = self.begin(client, archived=archived)
            relay.close()
            with self.assertRaises(grpc.RpcError):
                upload.result()
        self.assert_nothing_left()

    def test_cancelled_after_all_data(self) -> None:
        """
        An upload that is cancelled after all its bytes have arrived creates the whole version, or none.
        """
        data = b"data" * 1000
        for archived in KINDS:
            for _ in range(10):
                upload = Upload(self.client, header(self.model_id, len(data), archived=archived), body(data), body(b""))
                self.wait_until_true(partial(upload.has_taken, 3), "all is sent")
                upload.cancel()
        last = self.client.create(self.model_id, b"", archived=True).version_number
        self.wait_until_true(lambda: not temp_files(self.archive), "the hidden folder is empty")
        infos = self.client.infos(self.model_id).version_infos
        self.assertEqual([info.version_number for info in infos], list(range(1, last + 1)))
        for info in infos[:-1]:
            self.assertEqual(self.client.data(self.model_id, info.version_number), data)


class DeletedMeanwhileTests(InterruptedTestCase):
    """
    Uploads whose model is deleted before they end.
    """

    def assert_aborted(self, *, archived: bool, meanwhile: Callable[[], None]) -> None:
        """
        Check that an upload of correct data is aborted.
        """
        upload = self.begin(self.client, archived=archived, data_size=8 * MIB)
        meanwhile()
        self.assert_refused(StatusCode.ABORTED, upload.finish, self.model_id)

    def test_deleted(self) -> None:
        """
        An upload whose model is deleted meanwhile is aborted.
        """
        for archived in KINDS:
            self.client.save_model(self.model_id)
            self.assert_aborted(archived=archived, meanwhile=lambda: self.client.delete_model(self.model_id))
            self.assertFalse((self.archive / self.model_id).exists())
            self.assert_refused(StatusCode.NOT_FOUND, lambda: self.client.infos(self.model_id))
        self.client.save_model(self.model_id)
        self.assert_nothing_left()

    def test_recreated(self) -> None:
        """
        An upload whose model is deleted and created again meanwhile is aborted, and the new model has nothing of it.
        """
        for archived in KINDS:
            self.assert_aborted(archived=archived, meanwhile=self.recreate)
        self.assert_nothing_left()

    def test_recreated_with_a_version(self) -> None:
        """
        It is aborted also if the new model has a version already, which stays.
        """
        for archived in KINDS:
            self.assert_aborted(archived=archived, meanwhile=self.recreate_with_a_version)
            self.assertEqual(self.client.data(self.model_id, -1), b"new")
            self.assertEqual(self.client.latest(self.model_id).version_number, 1)

    def recreate(self) -> None:
        """
        Delete the model, and create it again.
        """
        self.client.delete_model(self.model_id)
        self.client.save_model(self.model_id)

    def recreate_with_a_version(self) -> None:
        """
        Delete the model, create it again, and create a version.
        """
        self.recreate()
        self.client.create(self.model_id, b"new", archived=True)


class CrashedUploadTests(RegistryTestCase):
    """
    Uploads whose daemon dies.
    """

    flags = ("--sent-model-version-data-chunk-size", "1000")

    def test_crash_leaves_nothing(self) -> None:
        """
        The parts of an upload that a killed daemon had received are removed at the next start, and are not a version.
        """
        self.client.save_model("m")
        upload = Upload(self.client, header("m", 5000, archived=True), body(bytes(4000)))
        self.addCleanup(upload.end)
        self.wait_until_true(lambda: temp_files(self.archive), "the daemon writes")
        self.crash()
        self.assert_refused(StatusCode.UNAVAILABLE, upload.result)
        self.assertEqual(temp_files(self.archive), [])
        self.assertEqual(list(self.client.infos("m").version_infos), [])
        self.assertEqual(self.client.create("m", b"data", archived=True).version_number, 1)
