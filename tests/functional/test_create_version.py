"""
Tests of the creation of versions: the header's fields, and their effect.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from grpc import StatusCode

from tests.support.archive_files import all_files, temp_files
from tests.support.client import body, data_hash, header
from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_case import RegistryTestCase
from tests.support.upload import Upload

MIB = 1024 * 1024
CACHE_BYTES = 100_000
KINDS = (False, True)
"""Not archived, and archived."""


class CreateVersionTests(SharedEdgeTestCase):
    """
    ``CreateVersion``.
    """

    def setUp(self) -> None:
        """
        Make the test's model.
        """
        super().setUp()
        self.client.save_model(self.model_id)

    def assert_nothing_made(self) -> None:
        """
        Check that the model has no version, nothing lies in the archive, and no number is used up.
        """
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), [])
        self.wait_until_true(lambda: not temp_files(self.archive), "nothing is left in the hidden folder")
        files = [path.name for path in (self.archive / self.model_id).glob("[!.]*")]
        self.assertEqual(files, [f"{self.model_id}.yaml"])
        self.assertEqual(self.client.create(self.model_id, b"").version_number, 1)

    def refuse(self, code: StatusCode, messages: Sequence[Any], *said: str) -> None:
        """
        Check that a stream is refused and leaves nothing.
        """
        self.assert_refused(code, lambda: self.client.call("CreateVersion", messages), *said)

    def test_reply(self) -> None:
        """
        The reply holds the complete info of the new version.
        """
        for number, archived in enumerate(KINDS, start=1):
            info = self.client.create(self.model_id, b"data", archived=archived, user_data={"a": "1"})
            self.assertEqual((info.model_id, info.version_number), (self.model_id, number))
            self.assertEqual((info.archived, info.data_size), (archived, 4))
            self.assertEqual(info.data_hash, data_hash(b"data"))
            self.assertEqual(dict(info.user_data), {"a": "1"})
            self.assertEqual(self.client.latest(self.model_id), info)

    def test_number_in_the_header_is_ignored(self) -> None:
        """
        The registry assigns the number and ignores the header's.
        """
        for expected, declared in enumerate((7, 1, 2**32 - 1), start=1):
            info = self.client.create(self.model_id, b"data", version_number=declared)
            self.assertEqual(info.version_number, expected)

    def test_time_now(self) -> None:
        """
        A creation_timestamp of 0 becomes the time of the creation.
        """
        for archived in KINDS:
            before_ns = time.time_ns()
            info = self.client.create(self.model_id, b"data", archived=archived)
            self.assertTrue(before_ns <= info.creation_timestamp <= time.time_ns(), info)

    def test_hash_that_matches(self) -> None:
        """
        A data_hash that matches the data is accepted.
        """
        for archived in KINDS:
            info = self.client.create(self.model_id, b"data", archived=archived, data_hash=data_hash(b"data"))
            self.assertEqual(info.data_hash, data_hash(b"data"))

    def test_hash_that_does_not_match(self) -> None:
        """
        A data_hash that does not match is refused with both hashes, and leaves nothing.
        """
        for archived in KINDS:
            for wrong in (data_hash(b"other"), data_hash(b"data").rstrip("="), "00" * 32, "x"):
                messages = [header(self.model_id, 4, archived=archived, data_hash=wrong), body(b"data")]
                self.refuse(StatusCode.INVALID_ARGUMENT, messages, wrong, data_hash(b"data"))
        self.assert_nothing_made()

    def test_too_little_data(self) -> None:
        """
        Less data than declared is refused at the end with both sizes, and leaves nothing.
        """
        for archived in KINDS:
            for declared, pieces in ((5, [b"data"]), (8000, [b"data", b"more"]), (1, []), (2, [b""])):
                messages = [header(self.model_id, declared, archived=archived), *map(body, pieces)]
                received = str(len(b"".join(pieces)))
                self.refuse(StatusCode.INVALID_ARGUMENT, messages, f"{declared} bytes", f"{received} bytes")
        self.assert_nothing_made()

    def test_size_that_can_never_come(self) -> None:
        """
        The largest data_size that the field can hold is refused like any other wrong one.
        """
        messages = [header(self.model_id, 2**64 - 1, archived=True), body(b"data")]
        self.refuse(StatusCode.INVALID_ARGUMENT, messages, str(2**64 - 1), "4 bytes")
        self.assert_nothing_made()

    def test_too_much_data(self) -> None:
        """
        More data than declared is refused with both sizes, and leaves nothing.
        """
        for archived in KINDS:
            for declared, pieces in ((3, [b"data"]), (5, [b"data", b"more"]), (0, [b"x"])):
                messages = [header(self.model_id, declared, archived=archived), *map(body, pieces)]
                received = len(b"".join(pieces))
                self.refuse(StatusCode.INVALID_ARGUMENT, messages, f"{declared} bytes", f"{received} bytes")
        self.assert_nothing_made()

    def test_too_much_data_is_refused_as_soon_as_it_comes(self) -> None:
        """
        The refusal does not wait for the end of the stream.
        """
        for archived in KINDS:
            upload = Upload(self.client, header(self.model_id, 5, archived=archived), body(b"data"), body(b"more"))
            self.addCleanup(upload.end)
            self.assert_refused(StatusCode.INVALID_ARGUMENT, upload.result, "5 bytes", "8 bytes")
        self.assert_nothing_made()

    def test_a_client_that_sends_on_is_refused(self) -> None:
        """
        A client that sends too much is stopped, and gets the reason.
        """
        pieces = 2000
        for archived in KINDS:
            data = body(bytes(MIB))
            upload = Upload(self.client, header(self.model_id, MIB, archived=archived), *[data] * pieces)
            self.addCleanup(upload.end)
            self.assert_refused(StatusCode.INVALID_ARGUMENT, upload.result, f"{MIB} bytes", f"{2 * MIB} bytes")
            self.assertLess(upload.taken, pieces // 2)
        self.assert_nothing_made()

    def test_unknown_model_is_refused_at_the_header(self) -> None:
        """
        A header for an unknown model is refused before any data comes.
        """
        for archived in KINDS:
            for model_id in ("nobody", "", "x" * 1000, "\n"):
                upload = Upload(self.client, header(model_id, 10 * MIB, archived=archived))
                self.addCleanup(upload.end)
                self.assert_refused(StatusCode.NOT_FOUND, upload.result)

    def test_no_data(self) -> None:
        """
        A data_size of 0 creates a version, without bodies and with empty ones.
        """
        for archived in KINDS:
            for bodies in ([], [body(b"")], [body(b""), body(b"")]):
                info = self.client.upload(header(self.model_id, 0, archived=archived), bodies)
                self.assertEqual((info.data_size, info.data_hash), (0, data_hash(b"")))
                self.assertEqual(list(self.client.chunks(self.model_id, info.version_number)), [b""])

    def test_the_stream_must_end(self) -> None:
        """
        The version is created when the stream ends, not when its bytes are complete.
        """
        upload = Upload(self.client, header(self.model_id, 4), body(b"data"), b"\x12\x00")
        self.wait_until_true(partial(upload.has_taken, 3), "all is sent")
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), [])
        self.assertEqual(upload.finish().version_number, 1)

    def test_transient_writes_no_data(self) -> None:
        """
        A transient version's data is not written to the archive.
        """
        self.client.create(self.model_id, b"transient")
        self.assertEqual([path for path in all_files(self.archive / self.model_id) if ".data" in path], [])
        self.assertEqual(temp_files(self.archive), [])


class StoredVersionTests(RegistryTestCase):
    """
    Versions that outlive the daemon.
    """

    TIMES: ClassVar[list[int]] = [1, 10**9, 1633119005107454601, 2**63, 2**64 - 1]

    def test_time_given_is_kept_to_the_nanosecond(self) -> None:
        """
        A creation_timestamp in the header is kept, also by the archive.
        """
        self.client.save_model("m")
        for given in self.TIMES:
            info = self.client.create("m", b"data", archived=True, creation_timestamp=given)
            self.assertEqual(info.creation_timestamp, given)
        self.restart()
        infos = self.client.infos("m").version_infos
        self.assertEqual([info.creation_timestamp for info in infos], self.TIMES)

    def test_archived_is_durable_before_the_reply(self) -> None:
        """
        An archived version survives if the daemon is killed right after the reply; a transient one does not.
        """
        self.client.save_model("m")
        archived = self.client.create("m", bytes(range(256)) * 1000, archived=True, user_data={"a": "1"})
        self.client.create("m", b"transient")
        self.crash()
        self.assertEqual(list(self.client.infos("m").version_infos), [archived])
        self.assertEqual(self.client.data("m", 1), bytes(range(256)) * 1000)


class SmallCacheTests(SharedEdgeTestCase):
    """
    A registry that may hold few bytes.
    """

    flags = ("--version-cache-max-bytes", str(CACHE_BYTES))

    def test_transient_version_larger_than_the_cache(self) -> None:
        """
        A transient version larger than the cache is refused at the header, with advice.
        """
        self.client.save_model(self.model_id)
        for size in (CACHE_BYTES + 1, 2**64 - 1):
            upload = Upload(self.client, header(self.model_id, size))
            self.addCleanup(upload.end)
            self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, upload.result, str(size), str(CACHE_BYTES), "archived")
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), [])

    def test_transient_version_as_large_as_the_cache(self) -> None:
        """
        A transient version that just fits is accepted.
        """
        self.client.save_model(self.model_id)
        data = bytes(range(250)) * (CACHE_BYTES // 250)
        info = self.client.create(self.model_id, data)
        self.assertEqual(info.data_size, CACHE_BYTES)
        self.assertEqual(self.client.data(self.model_id, -1), data)

    def test_archived_version_larger_than_the_cache(self) -> None:
        """
        An archived version may be of any size.
        """
        self.client.save_model(self.model_id)
        data = bytes(range(250)) * (CACHE_BYTES // 25)
        self.client.create(self.model_id, data, archived=True)
        self.assertEqual(self.client.data(self.model_id, -1), data)
