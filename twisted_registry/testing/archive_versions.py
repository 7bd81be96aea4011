"""
The tests of how archives store versions.
"""

from attrs import evolve
from zope.interface.verify import verifyObject

from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter, ISeekableReader
from twisted_registry.domain.errors import CorruptVersion, StorageFailure, UnknownModel
from twisted_registry.domain.models import MAX_VERSION_NUMBER, Chunk
from twisted_registry.testing.archive import ArchiveContract
from twisted_registry.testing.samples import ODD_TEXTS, data_of, finished, put, version_info


class ArchiveVersionContract(ArchiveContract):
    """
    The tests of ``IVersionStore``, ``IArchiveWriter`` and ``IArchiveReader``.
    """

    def setUp(self) -> None:
        """
        Save the model that the tests use.
        """
        super().setUp()
        self.save("m")

    def test_interfaces(self) -> None:
        """
        Writers and readers provide their interfaces.
        """
        put(self.archive, "m", 1)
        self.assertTrue(verifyObject(IArchiveWriter, self.archive.create_version("m")))
        reader = self.archive.open_version("m", 1)
        self.addCleanup(reader.close)
        self.assertTrue(verifyObject(IArchiveReader, reader))

    def test_none(self) -> None:
        """
        A new model has no versions.
        """
        self.assertEqual(self.archive.version_numbers("m"), [])

    def test_commit(self) -> None:
        """
        A committed version is listed, and its info and data are returned unchanged.
        """
        info = version_info("m", 1, b"data", metadata={"a": "b"})
        finished(self.archive, "m", b"data").commit(info)
        self.assertEqual(self.archive.version_numbers("m"), [1])
        self.assertEqual(self.archive.load_version("m", 1), info)
        self.assertEqual(data_of(self.archive, "m", 1), b"data")

    def test_not_archived(self) -> None:
        """
        A version that is not marked as archived is loaded unmarked.
        """
        info = version_info("m", 1, b"data", archived=False)
        finished(self.archive, "m", b"data").commit(info)
        self.assertEqual(self.archive.load_version("m", 1), info)

    def test_creator(self) -> None:
        """
        A version's creator is kept.
        """
        for number, created_by in enumerate(("", "token:ci", 'jwt:https://example.com:"\n\u00e9\U0001f600'), 1):
            finished(self.archive, "m", b"").commit(evolve(version_info("m", number, b""), created_by=created_by))
            self.assertEqual(self.archive.load_version("m", number).created_by, created_by)

    def test_odd_metadata(self) -> None:
        """
        Metadata is returned unchanged, whatever it contains.
        """
        info = version_info("m", 1, b"data", metadata={**dict.fromkeys(ODD_TEXTS, "v"), "k": "".join(ODD_TEXTS)})
        finished(self.archive, "m", b"data").commit(info)
        self.assertEqual(self.archive.load_version("m", 1), info)

    def test_order(self) -> None:
        """
        Numbers are in numerical order, and may have gaps.
        """
        numbers = [1, 2, 9, 10, 99_999, 999_999, 1_000_000, 10_000_000, MAX_VERSION_NUMBER]
        for number in numbers:
            put(self.archive, "m", number, b"%d" % number)
        self.assertEqual(self.archive.version_numbers("m"), numbers)
        self.assertEqual([data_of(self.archive, "m", n) for n in numbers], [b"%d" % n for n in numbers])

    def test_missing(self) -> None:
        """
        Loading or opening a version that does not exist raises ``CorruptVersion``.
        """
        for call in (self.archive.load_version, self.archive.open_version):
            with self.assertRaises(CorruptVersion) as caught:
                call("m", 7)
            self.assertEqual((caught.exception.model_id, caught.exception.version_number), ("m", 7))

    def test_empty_data(self) -> None:
        """
        A version may be empty, with or without a write.
        """
        put(self.archive, "m", 1, b"")
        writer = self.archive.create_version("m")
        writer.finish()
        writer.commit(version_info("m", 2, b""))
        self.assertEqual([data_of(self.archive, "m", number) for number in (1, 2)], [b"", b""])
        self.assertEqual(self.archive.load_version("m", 2).size_bytes, 0)

    def test_chunks(self) -> None:
        """
        Data may be written in chunks of any size and offset, and read in pieces of any other size.
        """
        writer = self.archive.create_version("m")
        for chunk in (Chunk(b"01"), Chunk(b"--23", 2), Chunk(b"", 0), Chunk(b"--", 2), Chunk(b"-456789", 1)):
            writer.write(chunk)
        writer.finish()
        writer.commit(version_info("m", 1, b"0123456789"))
        reader = self.archive.open_version("m", 1)
        self.addCleanup(reader.close)
        self.assertEqual([reader.read(size) for size in (1, 4, 4, 4, 4)], [b"0", b"1234", b"5678", b"9", b""])

    def test_seek(self) -> None:
        """
        A reader that can start anywhere does so, before and after it has read.
        """
        put(self.archive, "m", 1, b"0123456789")
        reader = self.archive.open_version("m", 1)
        self.addCleanup(reader.close)
        if not ISeekableReader.providedBy(reader):
            return
        verifyObject(ISeekableReader, reader)
        seekable = ISeekableReader(reader)
        for offset, size_bytes, expected in ((4, 3, b"456"), (0, 2, b"01"), (8, 5, b"89"), (10, 1, b"")):
            seekable.seek(offset)
            self.assertEqual(reader.read(size_bytes), expected)

    def test_readers(self) -> None:
        """
        Each reader of a version has its own position, and may be closed twice.
        """
        put(self.archive, "m", 1, b"0123")
        first, second = self.archive.open_version("m", 1), self.archive.open_version("m", 1)
        self.assertEqual([first.read(2), second.read(3), first.read(2)], [b"01", b"012", b"23"])
        for reader in (first, first, second):
            reader.close()

    def test_uncommitted(self) -> None:
        """
        A version that was not committed does not exist, before or after a restart.
        """
        writer = finished(self.archive, "m", b"data")
        self.archive.create_version("m").write(Chunk(b"da"))
        self.assertEqual(self.archive.version_numbers("m"), [])
        writer.abort()
        self.reopen()
        self.assertEqual(self.archive.version_numbers("m"), [])

    def test_abort(self) -> None:
        """
        A writer can be aborted at every stage, also twice; all its other calls fail afterwards.
        """
        started = self.archive.create_version("m")
        started.write(Chunk(b"da"))
        for writer in (self.archive.create_version("m"), started, finished(self.archive, "m", b"data")):
            writer.abort()
            writer.abort()
            self.assertRaises(StorageFailure, writer.write, Chunk(b"ta"))
            self.assertRaises(StorageFailure, writer.finish)
            self.assertRaises(StorageFailure, writer.commit, version_info("m", 1, b"data"))
        self.assertEqual(self.archive.version_numbers("m"), [])

    def test_abort_after_commit(self) -> None:
        """
        Aborting the writer of a committed version changes nothing.
        """
        writer = finished(self.archive, "m", b"data")
        writer.commit(version_info("m", 1, b"data"))
        writer.abort()
        self.assertEqual(data_of(self.archive, "m", 1), b"data")

    def test_writers(self) -> None:
        """
        Versions that are written at the same time do not mix.
        """
        writers = [self.archive.create_version("m") for _ in range(3)]
        for piece in (b"a", b"b"):
            for number, writer in enumerate(writers, 1):
                writer.write(Chunk(piece * number))
        for number, writer in reversed(list(enumerate(writers, 1))):
            writer.finish()
            writer.commit(version_info("m", number, b"a" * number + b"b" * number))
        self.assertEqual(self.archive.version_numbers("m"), [1, 2, 3])
        self.assertEqual([data_of(self.archive, "m", n) for n in (1, 2, 3)], [b"ab", b"aabb", b"aaabbb"])

    def test_deleted_while_written(self) -> None:
        """
        Committing a version of a deleted model fails, and does not restore the model.
        """
        writer = finished(self.archive, "m", b"data")
        self.archive.delete_model("m")
        self.assertRaises(UnknownModel, writer.commit, version_info("m", 1, b"data"))
        writer.abort()
        self.save("m")
        self.assertEqual(self.archive.version_numbers("m"), [])

    def test_deleted_while_read(self) -> None:
        """
        An open reader reads its version to the end, even if the model is deleted and created again.
        """
        put(self.archive, "m", 1, b"0123456789")
        reader = self.archive.open_version("m", 1)
        self.addCleanup(reader.close)
        self.assertEqual(reader.read(4), b"0123")
        self.archive.delete_model("m")
        self.save("m")
        put(self.archive, "m", 1, b"other data")
        self.assertEqual(reader.read(10), b"456789")
