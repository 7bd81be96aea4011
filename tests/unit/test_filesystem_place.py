"""
The archive on a file system: what becomes of it when its folder is no longer at its path.
"""

import errno
import fcntl
import os
import shutil
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.support.faulty_system import failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.contracts.ownership import ILocatedArchive
from twisted_registry.domain.errors import ArchiveMoved, CannotStart, StorageFailure
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem import system as _system
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.system import System
from twisted_registry.storage.wrappers.error_log import REPEAT_SECONDS, StorageErrorLog
from twisted_registry.storage.wrappers.logging import LoggingArchive


class CheckTests(FilesystemCase):
    """
    ``ILocatedArchive.check``.
    """

    def test_interface(self) -> None:
        """
        The archive can tell whether it is where it was.
        """
        verifyObject(ILocatedArchive, self.archive)

    def test_in_place(self) -> None:
        """
        Nothing is raised where nothing happened, and it costs one call.
        """
        self.system.calls.clear()
        self.archive.check()
        self.assertEqual(self.system.calls, ["stat ."])

    def test_gone(self) -> None:
        """
        A folder that was renamed, or in whose place a file or a link to itself is, is not where it was.
        """
        self.root.rename(self.root.with_suffix(".away"))
        self.assertIn("nothing", self.assertRaises(ArchiveMoved, self.archive.check).reason)
        self.root.write_bytes(b"")
        self.assertRaises(ArchiveMoved, self.archive.check)
        self.root.unlink()
        self.root.symlink_to(self.root.name)
        self.assertRaises(ArchiveMoved, self.archive.check)

    def test_another(self) -> None:
        """
        Neither is one in whose place there is another; back at its path it is itself again.
        """
        away = self.root.with_suffix(".away")
        self.root.rename(away)
        self.root.mkdir()
        error = self.assertRaises(ArchiveMoved, self.archive.check)
        self.assertIn("another directory", error.reason)
        self.assertNotIn(str(self.root), str(error))
        self.root.rmdir()
        away.rename(self.root)
        self.archive.check()

    def test_linked(self) -> None:
        """
        It does not matter by which name the folder is found.
        """
        away = self.root.with_suffix(".away")
        self.root.rename(away)
        self.root.symlink_to(away)
        self.archive.check()

    def test_cannot_be_told(self) -> None:
        """
        Where the path cannot be looked at, that is a failure of the medium.
        """
        self.system.disturbance = failing_where(r"stat \.", errno.EIO)
        error = self.assertRaises(StorageFailure, self.archive.check)
        self.assertEqual(error.reason, os.strerror(errno.EIO))


class ClaimTests(SynchronousTestCase):
    """
    The claim to a path, by whatever is there.
    """

    def setUp(self) -> None:
        """
        Open an archive.
        """
        self.root = Path(self.mktemp()).absolute()
        self.archive = FilesystemArchive(str(self.root))
        self.archive.open()
        self.addCleanup(self.archive.close)

    def test_removed(self) -> None:
        """
        Where an open archive was removed no other is opened, by any name of the path, and none is made.
        """
        self.archive.save_model(ModelInfo("m"))
        shutil.rmtree(self.root)
        link = Path(self.mktemp()).absolute()
        link.symlink_to(self.root)
        for path in (self.root, link):
            error = self.assertRaises(CannotStart, FilesystemArchive(str(path)).open)
            self.assertIn("in use by another process", error.reason)
        self.assertFalse(self.root.exists())
        self.archive.close()
        second = FilesystemArchive(str(self.root))
        second.open()
        second.close()

    def test_other_paths(self) -> None:
        """
        An archive that was moved away can be opened where it is now, once it is closed; another path is free at once.
        """
        other = FilesystemArchive(f"{self.root}-other")
        other.open()
        other.close()

    def test_strangers(self) -> None:
        """
        Who is neither this user nor root cannot keep an archive from being opened.
        """
        self.patch(_system, "_owner", lambda name: os.geteuid() + 1)
        self.assertIsNone(System().claim_path(str(self.root)))

    def test_no_claims(self) -> None:
        """
        Where a path cannot be claimed, archives are opened all the same.
        """

        def fail(path: str) -> int:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

        self.patch(_system, "claim_path", fail)
        other = FilesystemArchive(f"{self.root}-other")
        other.open()
        other.close()


class IdleTests(FilesystemCase):
    """
    An archive that is open, and that nobody uses.
    """

    def prepare(self) -> None:
        """
        Have the file system be this machine's own.
        """
        self.patch(self.system, "is_local", lambda descriptor: True)

    def test_nothing_is_open_for_writing(self) -> None:
        """
        Its file system can be made read-only meanwhile, also once something was written.
        """
        self.archive.save_model(ModelInfo("m"))
        self.archive.renew()
        modes = {fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE for descriptor in self.system.descriptors}
        self.assertEqual(modes, {os.O_RDONLY})


class LogTests(FilesystemCase):
    """
    What the log is told of it.
    """

    def setUp(self) -> None:
        """
        Wrap the archive.
        """
        super().setUp()
        self.clock = Clock()
        self.logging = LoggingArchive(self.archive, StorageErrorLog(self.archive.description, self.clock.seconds))
        self.events = self.enterContext(capturedLogs())

    def told(self) -> list[tuple[LogLevel, str]]:
        """
        Give what the log was told so far.
        """
        return [(event["log_level"], formatEvent(event)) for event in self.events]

    def test_once_then_once_a_minute(self) -> None:
        """
        A line at once, one a minute, and one as soon as it is back.
        """
        away = self.root.with_suffix(".away")
        self.root.rename(away)
        for _ in range(120):
            self.assertRaises(ArchiveMoved, self.logging.check)
            self.clock.advance(REPEAT_SECONDS / 60)
        self.assertEqual([level for level, _ in self.told()], [LogLevel.warn] * 2)
        away.rename(self.root)
        self.logging.check()
        self.logging.check()
        level, line = self.told()[-1]
        self.assertEqual((len(self.events), level), (3, LogLevel.info))
        self.assertIn("is back where it was opened", line)
