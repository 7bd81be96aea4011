"""
The archive on a file system: unfinished uploads.
"""

import errno
import os
import time
from functools import partial
from pathlib import Path
from threading import Thread

from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.damage import findings
from tests.support.faulty_system import failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.contracts.streams import IArchiveWriter, ISizedWriter
from twisted_registry.contracts.unfinished import IResumableWriter
from twisted_registry.domain.creation import UploadFacts
from twisted_registry.domain.errors import StorageFailure, StorageFull
from twisted_registry.domain.idempotency import key_sha256
from twisted_registry.domain.kept import UnfinishedLimits
from twisted_registry.domain.models import Chunk, ModelInfo
from twisted_registry.storage.filesystem.unfinished import upload_id
from twisted_registry.storage.filesystem.verify.findings import Kind
from twisted_registry.testing.samples import version_info

KEY = key_sha256("a key")
KEPT_SECONDS = UnfinishedLimits().seconds
FACTS = UploadFacts(True, 8, "", "")


class UnfinishedTests(FilesystemCase):
    """
    An unfinished upload is a temp file and a description.
    """

    def setUp(self) -> None:
        """
        Make a model, and an upload of which a half is written.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m"))
        self.writer = self.begin()

    def begin(self, key: str = KEY) -> IArchiveWriter:
        """
        Begin an upload.
        """
        writer = self.archive.create_resumable("m", key, FACTS)
        writer.write(Chunk(b"some"))
        return writer

    def data(self) -> Path:
        """
        Return the path of the data.
        """
        (path,) = (self.root / "m").glob(".upload-*")
        return path

    def description(self) -> Path:
        """
        Return the path of the description.
        """
        (path,) = (self.root / ".0" / "uploads").iterdir()
        return path

    def left(self) -> list[str]:
        """
        Return the names of what is left.
        """
        return [path.name for path in (*(self.root / "m").glob(".upload-*"), *(self.root / ".0" / "uploads").glob("*"))]

    def found_bytes(self, key: str = KEY) -> int | None:
        """
        Return how much is found after a start.
        """
        self.reopen()
        return self.present_bytes(key)

    def present_bytes(self, key: str = KEY) -> int | None:
        """
        Return how much is found.
        """
        upload = self.archive.find_unfinished("m", key)
        return None if upload is None else upload.received_bytes

    def remove_all(self) -> None:
        """
        Remove everything that waits for its removal.
        """
        while self.archive.removal_seconds() is not None:
            self.archive.remove_some()

    def test_names(self) -> None:
        """
        The existing registry ignores the names, and 'archive verify' knows them.
        """
        for name in self.left():
            self.assertNotIn("-v", name)
            self.assertNotIn(".yaml", name)
        self.assertEqual({finding.kind for finding in findings(self.root)}, {Kind.LEFT_OVER})
        self.assertEqual(len(findings(self.root)), 2)

    def test_no_sync(self) -> None:
        """
        Nothing is synced before the commit, which removes the description.
        """
        self.system.calls.clear()
        self.begin(key_sha256("b"))
        self.assertEqual([call for call in self.system.calls if "sync" in call], [])
        self.writer.write(Chunk(b"data"))
        self.writer.finish()
        self.writer.commit(version_info("m", 1, b"somedata"))
        self.assertEqual(len(self.left()), 2)  # of the other upload

    def test_sweeps(self) -> None:
        """
        The sweep of a model's folder keeps the data, and removes data that nothing describes.
        """
        other = self.root / "m" / f".upload-{'0' * 64}-{'0' * 8}"
        other.write_bytes(b"x")
        self.reopen()
        self.assertEqual(self.archive.version_numbers("m"), [])
        self.assertFalse(other.exists())
        self.assertEqual(self.present_bytes(), 4)

    def test_expired(self) -> None:
        """
        After an hour it is removed: by a start, or while the registry runs.
        """
        old = time.time() - KEPT_SECONDS - 1
        os.utime(self.data(), (old, old))
        self.assertIsNone(self.found_bytes())
        self.remove_all()
        self.assertEqual(self.left(), [])
        self.begin()
        self.assertEqual(self.found_bytes(), 4)
        uploads = self.archive._versions.uploads
        uploads.now_seconds = lambda: time.time() + KEPT_SECONDS + 1
        self.assertEqual(self.archive.removal_seconds(), 0.0)
        self.assertIsNone(self.present_bytes())
        self.remove_all()
        self.assertEqual(self.left(), [])

    def expire(self) -> None:
        """
        Let everything that an earlier process has left expire.
        """
        self.reopen()
        uploads = self.archive._versions.uploads
        uploads.now_seconds = lambda: time.time() + KEPT_SECONDS + 1
        self.assertEqual(self.archive.removal_seconds(), 0.0)
        uploads.now_seconds = time.time

    def test_begun_during_removal(self) -> None:
        """
        An upload that begins while an expired one with its key is being removed keeps its description.
        """
        self.expire()

        def begin(call: str) -> None:
            if call.startswith("unlink m/.upload-"):
                self.system.disturbance = None
                self.begin()

        self.system.disturbance = begin
        self.remove_all()
        self.assertEqual((self.found_bytes(), len(self.left())), (4, 2))

    def test_begun_before_removal(self) -> None:
        """
        An expired upload is removed although one with its key has begun meanwhile.
        """
        self.expire()
        self.begin()
        self.remove_all()
        self.assertEqual((len(self.left()), self.found_bytes()), (2, 4))

    def test_not_locked_by_files(self) -> None:
        """
        While a description is written or removed, the reactor need not wait to ask what is to be removed.
        """
        answered: list[bool] = []

        def ask(call: str) -> None:
            if ".0/uploads/" in call:
                thread = Thread(target=self.archive.removal_seconds, daemon=True)
                thread.start()
                thread.join(TIMEOUT_SECONDS)
                answered.append(not thread.is_alive())

        self.system.disturbance = ask
        self.begin().abort()
        self.system.disturbance = None
        self.assertGreater(len(answered), 3)  # created, written, closed and removed
        self.assertTrue(all(answered))

    def test_other_boot(self) -> None:
        """
        After another boot, or if the boot is not known, it is dropped.
        """
        for boot in ("another boot", ""):
            self.patch(self.system, "boot_id", lambda boot=boot: boot)
            self.assertIsNone(self.found_bytes())
            self.archive.version_numbers("m")
            self.assertEqual(self.left(), [])
            self.begin()

    def test_damaged_descriptions(self) -> None:
        """
        A description that is damaged, or is not one, is dropped with its data; a start never fails.
        """
        whole = self.description().read_bytes()
        for content in (b"", whole[:-20], whole.replace(b'"m"', b'"n"'), b"{}", b"\xff" * 5000):
            self.writer.abort()
            self.writer = self.begin()
            self.description().write_bytes(content)
            self.assertIsNone(self.found_bytes())
            self.archive.version_numbers("m")
            self.assertEqual(self.left(), [])

    def test_too_many(self) -> None:
        """
        Of too many uploads a start drops the smallest, and of too much data the oldest.
        """
        self.archive.limit_unfinished(UnfinishedLimits(count=3, size_bytes=20))
        keys = [key_sha256(str(number)) for number in range(4)]
        for number, key in enumerate(keys):
            self.begin(key).write(Chunk(b"x" * number))
            os.utime(self.data_of(key), (time.time(), time.time() + number))
        self.assertIsNone(self.found_bytes(keys[0]))
        self.assertEqual([self.present_bytes(key) for key in (KEY, *keys)], [None, None, 5, 6, 7])
        self.remove_all()
        self.assertEqual(len(self.left()), 6)
        self.archive.limit_unfinished(UnfinishedLimits(count=3, size_bytes=17))
        self.assertEqual([self.found_bytes(keys[1]), *map(self.present_bytes, keys[2:])], [None, 6, 7])

    def data_of(self, key: str) -> Path:
        """
        Return the path of an upload's data.
        """
        (path,) = (self.root / "m").glob(f".upload-{upload_id('m', key)}-*")
        return path

    def test_full(self) -> None:
        """
        If the disk is full, a change discards uploads that nobody is sending, the oldest first, until it succeeds.
        """
        self.begin(key_sha256("b"))
        os.utime(self.data_of(KEY), (time.time(), time.time() - 9))
        self.reopen()
        dropped: list[str] = []
        for key in "cd":
            self.archive._versions.uploads.now_seconds = partial(float, time.time() + ord(key))
            writer = IResumableWriter(self.begin(key_sha256(key)))
            writer.suspend(partial(dropped.append, key))
        active = self.begin(key_sha256("e"))
        self.fill(2 * 2)
        self.archive.save_model(ModelInfo("n"))
        self.assertEqual((dropped, len(self.left())), (["c"], 4))
        self.assertTrue(self.data_of(key_sha256("d")).exists())
        self.assertCountEqual(self.archive.model_ids(), ["m", "n"])
        active.write(Chunk(b"data"))

    def test_other_disk(self) -> None:
        """
        Only uploads on the disk that is full are discarded.
        """
        IResumableWriter(self.writer).suspend(lambda: None)
        device = os.stat(self.root).st_dev
        uploads = self.archive._versions.uploads
        self.assertEqual((uploads.freeable_bytes(device), uploads.freeable_bytes(device + 1)), (4, 0))
        self.assertFalse(uploads.free(device + 1))
        self.reopen()
        uploads = self.archive._versions.uploads
        self.assertEqual((uploads.freeable_bytes(device), uploads.freeable_bytes(device + 1)), (4, 0))
        self.assertFalse(uploads.free(device + 1))
        self.assertTrue(uploads.free(device))

    def test_can_never_fit(self) -> None:
        """
        A version for which there is not enough space, even without the uploads that nobody is sending, is refused.
        """
        mib = 2**20
        IResumableWriter(self.writer).suspend(lambda: None)
        self.system.space.free_bytes = lambda descriptor: 3 * mib
        for size_bytes, fits in ((3 * mib + 4, True), (3 * mib + 5, False)):
            writer = self.archive.create_version("m")
            ISizedWriter(writer).expect(size_bytes)
            if fits:
                writer.write(Chunk(b"data"))
                writer.abort()
                continue
            error = self.assertRaises(StorageFull, writer.write, Chunk(b"data"))
            numbers = f"{size_bytes} bytes are needed, {3 * mib} are free, and interrupted uploads hold 4"
            self.assertIn(numbers, str(error))
        self.assertEqual(len(self.left()), 2)

    def test_nothing_to_discard(self) -> None:
        """
        If nothing is left to discard, a change is refused; uploads under way are left alone.
        """
        self.fill(0)
        self.assertRaises(StorageFull, self.archive.save_model, ModelInfo("n"))
        self.assertEqual(len(self.left()), 2)

    def test_full_sync(self) -> None:
        """
        A sync that fails because the disk is full is not repeated, and the next change has more space.
        """
        IResumableWriter(self.writer).suspend(lambda: None)
        self.system.disturbance = failing_where("fsync .*", errno.ENOSPC)
        self.assertRaises(StorageFull, self.archive.save_model, ModelInfo("n"))
        self.assertEqual(self.left(), [])

    def test_dropped_and_aborted(self) -> None:
        """
        An upload that was discarded for its space does not go on, and can be aborted; its file is closed once.
        """
        writer = IResumableWriter(self.writer)
        writer.suspend(lambda: None)
        before = len(self.system.descriptors)
        self.assertTrue(self.archive._versions.uploads.free())
        self.assertFalse(writer.resume())
        self.assertEqual(len(self.system.descriptors), before - 1)
        writer.abort()
        self.assertEqual(self.left(), [])

    def test_resumed(self) -> None:
        """
        An upload that goes on is not discarded.
        """
        writer = IResumableWriter(self.writer)
        writer.suspend(lambda: None)
        self.assertTrue(writer.resume())
        self.assertFalse(self.archive._versions.uploads.free())
        self.assertEqual(len(self.left()), 2)

    def test_freed_before_resumed(self) -> None:
        """
        An upload whose data is discarded after it was found does not go on.
        """
        self.reopen()
        upload = self.archive.find_unfinished("m", KEY)
        assert upload is not None
        self.assertTrue(self.archive._versions.uploads.free())
        writer = IResumableWriter(self.archive.resume_version(upload))
        self.assertFalse(writer.resume())
        writer.abort()
        self.assertEqual(self.left(), [])

    def fill(self, fitting: int) -> None:
        """
        Fail writes for lack of space while there are more files of uploads than fit.
        """

        def check(call: str) -> None:
            if call.startswith("write") and len(self.left()) > fitting:
                raise OSError(errno.ENOSPC, "No space left on device")

        self.system.disturbance = check

    def test_changed_data(self) -> None:
        """
        Data that has another size than before is not continued.
        """
        self.reopen()
        upload = self.archive.find_unfinished("m", KEY)
        assert upload is not None
        with self.data().open("ab") as file:
            file.write(b"x")
        self.assertIsNone(self.present_bytes())
        writer = self.archive.resume_version(upload)
        self.assertRaises(StorageFailure, writer.write, Chunk(b"data"))
        self.assertEqual(self.left(), [])

    def test_failing_description(self) -> None:
        """
        If the description cannot be written, the upload fails and leaves nothing.
        """
        self.writer.abort()
        self.system.disturbance = failing_where("create .0/uploads/.*", errno.EIO)
        self.assertRaises(StorageFailure, self.begin)
        self.system.disturbance = None
        self.assertEqual(self.left(), [])
        self.begin()

    def test_closed(self) -> None:
        """
        A closed archive has no file open.
        """
        self.archive.close()
        self.assertEqual(self.system.descriptors, {})
        self.archive.open()
