"""
The tests of archives that keep unfinished uploads.
"""

from zope.interface.verify import verifyObject

from twisted_registry.contracts.streams import IArchiveWriter
from twisted_registry.contracts.unfinished import IResumableArchive, IResumableWriter, UnfinishedUpload
from twisted_registry.domain.creation import UploadFacts
from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.idempotency import key_sha256
from twisted_registry.domain.kept import UnfinishedLimits
from twisted_registry.domain.models import Chunk
from twisted_registry.testing.archive import ArchiveContract
from twisted_registry.testing.samples import data_of, version_info

KEY = key_sha256("a key")
FACTS = UploadFacts(True, 8, "", "")


class ArchiveUnfinishedContract(ArchiveContract):
    """
    The tests of ``IResumableArchive``.
    """

    def setUp(self) -> None:
        """
        Save the models that the tests use.
        """
        super().setUp()
        self.save("m")
        self.save("n")

    def begin(self, data: bytes, model_id: str = "m", key: str = KEY) -> IArchiveWriter:
        """
        Begin to write a version.

        Args:
            data: what is written.
            model_id: the model's id.
            key: the SHA-256 of the idempotency key.

        Returns:
            The writer.
        """
        writer: IArchiveWriter = IResumableArchive(self.archive).create_resumable(model_id, key, FACTS)
        writer.write(Chunk(b"frame" + data, 5))
        return writer

    def resume(self) -> IArchiveWriter:
        """
        Go on with the unfinished upload, which must exist.

        Returns:
            The writer.
        """
        writer: IArchiveWriter = IResumableArchive(self.archive).resume_version(self.found())
        return writer

    def find(self, model_id: str = "m", key: str = KEY) -> UnfinishedUpload | None:
        """
        Find an unfinished upload.

        Args:
            model_id: the model's id.
            key: the SHA-256 of the idempotency key.

        Returns:
            The upload; ``None`` if there is none.
        """
        upload: UnfinishedUpload | None = IResumableArchive(self.archive).find_unfinished(model_id, key)
        return upload

    def found(self) -> UnfinishedUpload:
        """
        Find the unfinished upload, which must exist.

        Returns:
            The upload.
        """
        upload = self.find()
        assert upload is not None
        return upload

    def test_interface(self) -> None:
        """
        The archive provides ``IResumableArchive``.
        """
        self.assertTrue(verifyObject(IResumableArchive, self.archive))

    def test_resume(self) -> None:
        """
        After a restart, an upload goes on where it ended, and becomes a version.
        """
        self.begin(b"some")
        self.assertIsNone(self.find())  # a writer of this process has it
        self.reopen()
        self.assertEqual(self.archive.version_numbers("m"), [])
        upload = self.found()
        self.assertEqual((upload.model_id, upload.key_sha256, upload.facts), ("m", KEY, FACTS))
        self.assertEqual(upload.received_bytes, 4)
        reader = IResumableArchive(self.archive).open_unfinished(upload)
        self.assertEqual(reader.read(9), b"some")
        reader.close()
        writer = self.resume()
        self.assertIsNone(self.find())
        writer.write(Chunk(b"data"))
        writer.finish()
        info = version_info("m", 1, b"somedata")
        writer.commit(info)
        self.assertEqual((self.archive.load_version("m", 1), data_of(self.archive, "m", 1)), (info, b"somedata"))
        self.reopen()
        self.assertEqual(data_of(self.archive, "m", 1), b"somedata")
        self.assertIsNone(self.find())

    def test_twice(self) -> None:
        """
        An upload may be interrupted again and again.
        """
        self.begin(b"s")
        for data in (b"o", b"m", b"e"):
            self.reopen()
            self.resume().write(Chunk(data))
        self.reopen()
        self.assertEqual(self.found().received_bytes, 4)

    def test_finished(self) -> None:
        """
        An upload that was complete but for its commit goes on, too.
        """
        self.begin(b"somedata").finish()
        self.reopen()
        writer = self.resume()
        writer.finish()
        writer.commit(version_info("m", 1, b"somedata"))
        self.assertEqual(data_of(self.archive, "m", 1), b"somedata")

    def test_ended(self) -> None:
        """
        Nothing is kept of an upload that was aborted or committed, or whose model was deleted.
        """
        self.begin(b"some").abort()
        writer = self.begin(b"somedata", "n")
        writer.finish()
        writer.commit(version_info("n", 1, b"somedata"))
        self.begin(b"some")
        self.reopen()
        self.archive.delete_model("m")
        self.save("m")
        self.assertIsNone(self.find())
        self.assertIsNone(self.find("n"))
        self.reopen()
        self.assertIsNone(self.find())
        self.assertIsNone(self.find("n"))

    def test_kept_apart(self) -> None:
        """
        Uploads to other models and with other keys are others.
        """
        self.begin(b"some")
        self.begin(b"other", "n")
        self.begin(b"data", "m", key_sha256("b"))
        self.reopen()
        found = [self.find("m"), self.find("n"), self.find("m", key_sha256("b")), self.find("n", key_sha256("b"))]
        self.assertEqual([upload and upload.received_bytes for upload in found], [4, 5, 4, None])

    def test_begun_again(self) -> None:
        """
        A new beginning with the same key replaces what is kept; an older writer no longer matters.
        """
        self.begin(b"some")
        self.reopen()
        older = self.begin(b"new")
        self.begin(b"newer")
        older.abort()
        self.reopen()
        self.assertEqual(self.found().received_bytes, 5)
        self.resume().abort()
        self.reopen()
        self.assertIsNone(self.find())

    def test_limited(self) -> None:
        """
        If too many are left, the smallest is dropped, and if they are too large the oldest.
        """
        for key in ("one", "two", "three"):
            self.begin(key.encode(), "m", key_sha256(key))
        self.restart(UnfinishedLimits(count=2))
        smaller = [self.find("m", key_sha256(key)) for key in ("one", "two")]
        self.assertEqual(smaller.count(None), 1)
        self.assertIsNotNone(self.find("m", key_sha256("three")))
        self.restart(UnfinishedLimits(size_bytes=5))
        self.assertEqual(sum(self.find("m", key_sha256(key)) is not None for key in ("one", "two", "three")), 1)
        self.restart(UnfinishedLimits(count=0))
        self.assertIsNone(self.find("m", key_sha256("three")))

    def restart(self, limits: UnfinishedLimits) -> None:
        """
        Open the archive again, with limits on what is kept.

        Args:
            limits: how much is kept.
        """
        self.archive.close()
        self.archive = self.make_archive()
        self.addCleanup(self.archive.close)
        IResumableArchive(self.archive).limit_unfinished(limits)
        self.archive.open()

    def test_suspended(self) -> None:
        """
        An upload that nobody is sending goes on, unless the archive has said that its data was dropped.
        """
        dropped: list[bool] = []
        writer = IResumableWriter(self.begin(b"some"))
        for data in (b"da", b"ta"):
            writer.suspend(lambda: dropped.append(True))
            self.assertIsNone(self.find())
            self.assertTrue(writer.resume())
            writer.write(Chunk(data))
        writer.finish()
        writer.suspend(lambda: dropped.append(True))
        self.assertTrue(writer.resume())
        writer.commit(version_info("m", 1, b"somedata"))
        self.assertEqual((data_of(self.archive, "m", 1), dropped), (b"somedata", []))

    def test_gone(self) -> None:
        """
        Data that is gone cannot be opened.
        """
        self.begin(b"some")
        self.reopen()
        upload = self.found()
        self.archive.delete_model("m")
        self.assertRaises(RegistryError, IResumableArchive(self.archive).open_unfinished, upload)
