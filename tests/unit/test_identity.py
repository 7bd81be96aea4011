"""
The file with the archive's id.
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
    The content of the file.
    """

    def test_what_is_written_is_read(self) -> None:
        """
        The file holds the id and the number of restores.
        """
        identity = ArchiveIdentity("0aB-9", restores=7)
        self.assertEqual(parse_identity(format_identity(identity)), identity)

    def test_damage(self) -> None:
        """
        Any change of the content is damage, even of a single bit.
        """
        whole = format_identity(ArchiveIdentity("abc", restores=1))
        values = json.loads(whole)
        for content in (
            b"",
            b"{}",
            b"[1]",
            b"null",
            b"\xff",
            b"[" * 100_000,
            whole.replace(b"abc", b"abb"),
            whole.replace(b" 1", b" 3"),
            *(json.dumps({**values, **wrong}).encode() for wrong in _wrong(values)),
        ):
            self.assertRaises(Malformed, parse_identity, content)


def _wrong(values: "dict[str, object]") -> "list[dict[str, object]]":
    wrong: list[object] = [None, 1.5, "", "a\n", "x" * 65, True, -1, [], {}]
    return [{name: value} for name in values for value in wrong]


class FileTests(FilesystemCase):
    """
    The file in the archive.
    """

    @property
    def path(self) -> Path:
        """
        The path of the file.
        """
        return self.root / ".0" / "identity"

    def test_durable_before_use(self) -> None:
        """
        The file is synced and renamed, and then its folder and the folder above are synced.
        """
        changes = self.system.changes()
        named = changes.index("rename .0/tmp/.new-* .0/identity")
        self.assertEqual(changes[named - 1 : named + 3], ["fsync .0/tmp/.new-*", changes[named], "fsync .0", "fsync ."])

    def test_archive_from_elsewhere(self) -> None:
        """
        An archive without an id gets one when it is opened, and does not count as new: it may have had models.
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
        A damaged file stays as it is: the archive has no id, and the reason is logged.
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
        If the file cannot be read now, the archive is not opened, because it must not seem to have another id.
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
        A read-only archive is opened, with its id or without one.
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
        If the file cannot be renamed to its name, nothing of it is left.
        """
        self.path.unlink()
        self.system.disturbance = failing_where("rename .*", errno.EIO)
        self.reopen()
        self.assertEqual(os.listdir(self.root / ".0" / "tmp"), [])


class MustExistTests(SynchronousTestCase):
    """
    An archive that must exist already.
    """

    def setUp(self) -> None:
        """
        Choose a folder.
        """
        self.root = Path(self.mktemp()).absolute()

    def refusal(self, system: FaultySystem | None = None) -> str:
        """
        Return the text of the error that there is no archive, after checking that nothing was created.
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
        A folder that is missing, empty, or holds only foreign files is not an archive.
        """
        self.assertIn("missing", self.refusal())
        self.root.mkdir()
        self.assertIn("does not contain an archive", self.refusal())
        (self.root / "lost+found").mkdir()
        (self.root / "notes.txt").write_text("notes")
        (self.root / ".0").mkdir()
        self.assertIn("does not contain an archive", self.refusal())

    def test_released(self) -> None:
        """
        After the refusal, others can use the folder.
        """
        self.root.mkdir()
        self.refusal()
        archive = FilesystemArchive(str(self.root))
        archive.open()
        archive.close()

    def test_unclear(self) -> None:
        """
        If the folder cannot be read, the error says so.
        """
        self.root.mkdir()
        for call in ("scandir", "lstat"):
            system = FaultySystem(str(self.root), disturbance=failing_where(rf"{call} .*", errno.EIO))
            self.assertIn(os.strerror(errno.EIO), self.refusal(system))

    def test_models_are_enough(self) -> None:
        """
        A folder with models of the existing registry is an archive.
        """
        (self.root / "m").mkdir(parents=True)
        (self.root / "m" / "m.yaml").write_text("model_id: m\nuser_data: {}\n")
        archive = FilesystemArchive(str(self.root))
        archive.expect_existing()
        archive.open()
        self.addCleanup(archive.close)
        self.assertTrue(archive.identity().archive_id)
