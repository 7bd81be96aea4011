"""
The file that says which archive it is.
"""

import errno
import json
import os
from pathlib import Path

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.faulty_system import FaultySystem, failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.contracts.ownership import ArchiveIdentity
from twisted_registry.domain.errors import CannotStart
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.identity import format_identity, parse_identity


class FormatTests(SynchronousTestCase):
    """
    What the file holds.
    """

    def test_what_is_written_is_read(self) -> None:
        """
        The file holds the id and how often a backup was restored.
        """
        identity = ArchiveIdentity("0aB-9", restores=7)
        self.assertEqual(parse_identity(format_identity(identity)), identity)

    def test_damage(self) -> None:
        """
        Whatever was not written so is damage, be it a single bit.
        """
        whole = format_identity(ArchiveIdentity("abc", restores=1))
        told = json.loads(whole)
        for content in (
            b"",
            b"{}",
            b"[1]",
            b"null",
            b"\xff",
            b"[" * 100_000,
            whole.replace(b"abc", b"abb"),
            whole.replace(b" 1", b" 3"),
            *(json.dumps({**told, **wrong}).encode() for wrong in _wrong(told)),
        ):
            self.assertRaises(Malformed, parse_identity, content)


def _wrong(told: "dict[str, object]") -> "list[dict[str, object]]":
    values: list[object] = [None, 1.5, "", "a\n", "x" * 65, True, -1, [], {}]
    return [{name: value} for name in told for value in values]


class FileTests(FilesystemCase):
    """
    The file in the archive.
    """

    @property
    def path(self) -> Path:
        """
        The file.
        """
        return self.root / ".0" / "identity"

    def test_durable_before_it_is_told(self) -> None:
        """
        The file is synced, gets its name, and that is synced, with that of the folder it is in.
        """
        changes = self.system.changes()
        named = changes.index("rename .0/tmp/.new-* .0/identity")
        self.assertEqual(changes[named - 1 : named + 3], ["fsync .0/tmp/.new-*", changes[named], "fsync .0", "fsync ."])

    def test_archive_from_elsewhere(self) -> None:
        """
        An archive without an id is given one when it is opened, and is not called new: it holds models, or did.
        """
        self.path.unlink()
        self.reopen()
        self.assertFalse(self.archive.identity().is_new)
        self.path.unlink()
        self.archive.save_model(ModelInfo("m"))
        (self.root / ".0" / "claim").unlink()
        for name in ("tmp", "trash", ""):
            (self.root / ".0" / name).rmdir()
        self.reopen()
        identity = self.archive.identity()
        self.assertTrue(identity.archive_id)
        self.assertFalse(identity.is_new)
        self.assertEqual(parse_identity(self.path.read_bytes()), identity)

    def test_damaged(self) -> None:
        """
        A damaged file is left as it is: no id is told, and the log says why.
        """
        self.path.write_bytes(b"damaged")
        with capturedLogs() as events:
            self.reopen()
        self.assertIsNone(self.archive.identity().archive_id)
        self.assertEqual(self.path.read_bytes(), b"damaged")
        (line,) = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        self.assertIn(str(self.path), line)
        self.assertIn("does not hold an archive's id", line)

    def test_cannot_be_read_now(self) -> None:
        """
        Where the file cannot be read for a moment the archive is not opened, for no id is not another one.
        """
        before = self.archive.identity()
        for number in (errno.EIO, errno.ESTALE, errno.EACCES):
            self.archive.close()
            self.system.disturbance = failing_where("(open|read) .0/identity", number)
            self.assertIn(os.strerror(number), str(self.assertRaises(CannotStart, self.archive.open)))
            self.system.disturbance = None
            self.archive.open()
            self.assertEqual(self.archive.identity().archive_id, before.archive_id)

    def test_read_only(self) -> None:
        """
        An archive that cannot be written is opened, with its id or without one.
        """
        for pattern, error in (("(create|write|rename|mkdir) .*", errno.EROFS), ("create .*", errno.ENOSPC)):
            archive_id = self.archive.identity().archive_id
            self.system.disturbance = failing_where(pattern, error)
            self.reopen()
            self.assertEqual(self.archive.identity().archive_id, archive_id)
            self.path.unlink()
            self.reopen()
            self.assertEqual(self.archive.identity().archive_id, "")
            self.system.disturbance = None
            self.reopen()

    def test_leftovers_of_it_are_swept(self) -> None:
        """
        Where the file cannot get its name, nothing is left of it.
        """
        self.path.unlink()
        self.system.disturbance = failing_where("rename .*", errno.EIO)
        self.reopen()
        self.assertEqual(os.listdir(self.root / ".0" / "tmp"), [])


class MustExistTests(SynchronousTestCase):
    """
    An archive that must be there already.
    """

    def setUp(self) -> None:
        """
        Choose a folder.
        """
        self.root = Path(self.mktemp()).absolute()

    def refusal(self, system: FaultySystem | None = None) -> str:
        """
        Give the line that says why there is no archive, once it is sure that nothing was made.
        """
        before = sorted(self.root.rglob("*")) if self.root.exists() else None
        archive = FilesystemArchive(str(self.root), system)
        archive.expect_existing()
        line = str(self.assertRaises(CannotStart, archive.open))
        self.assertEqual(sorted(self.root.rglob("*")) if self.root.exists() else None, before)
        self.assertNotIn("\n", line)
        self.assertIn(repr(str(self.root)), line)
        return line

    def test_refused(self) -> None:
        """
        What is missing, is empty, or holds nothing but what is foreign is no archive.
        """
        self.assertIn("missing", self.refusal())
        self.root.mkdir()
        self.assertIn("holds no archive", self.refusal())
        (self.root / "lost+found").mkdir()
        (self.root / "notes.txt").write_text("notes")
        (self.root / ".0").mkdir()
        self.assertIn("holds no archive", self.refusal())

    def test_released(self) -> None:
        """
        After the refusal the folder is open to others.
        """
        self.root.mkdir()
        self.refusal()
        archive = FilesystemArchive(str(self.root))
        archive.open()
        archive.close()

    def test_cannot_be_told(self) -> None:
        """
        Where the folder cannot be read, that is what the line says.
        """
        self.root.mkdir()
        for call in ("scandir", "lstat"):
            system = FaultySystem(str(self.root), disturbance=failing_where(rf"{call} .*", errno.EIO))
            self.assertIn(os.strerror(errno.EIO), self.refusal(system))

    def test_models_are_enough(self) -> None:
        """
        Models alone, of the existing server, are an archive.
        """
        (self.root / "m").mkdir(parents=True)
        (self.root / "m" / "m.yaml").write_text("model_id: m\nuser_data: {}\n")
        archive = FilesystemArchive(str(self.root))
        archive.expect_existing()
        archive.open()
        self.addCleanup(archive.close)
        self.assertTrue(archive.identity().archive_id)
