"""
The archive on a file system: its folder is no longer at its path.
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
from twisted_registry.repeated_lines import REPEAT_SECONDS
from twisted_registry.storage.filesystem import system as _system
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.system import System
from twisted_registry.storage.wrappers.error_log import StorageErrorLog
from twisted_registry.storage.wrappers.logging import LoggingArchive


class CheckTests(FilesystemCase):
    """
    ``ILocatedArchive.check``.
    """

    def test_interface(self) -> None:
        """
        The archive implements ``ILocatedArchive``.
        """
        verifyObject(ILocatedArchive, self.archive)

    def test_in_place(self) -> None:
        """
        If nothing has changed, nothing is raised, at the cost of one system call.
        """
        self.system.calls.clear()
        self.archive.check()
        self.assertEqual(self.system.calls, ["stat ."])

    def test_gone(self) -> None:
        """
        A folder that was renamed, or replaced by a file or a link to itself, has moved.
        """
        self.root.rename(self.root.with_suffix(".away"))
        self.assertIn("no directory", self.assertRaises(ArchiveMoved, self.archive.check).reason)
        self.root.write_bytes(b"")
        self.assertRaises(ArchiveMoved, self.archive.check)
        self.root.unlink()
        self.root.symlink_to(self.root.name)
        self.assertRaises(ArchiveMoved, self.archive.check)

    def test_another(self) -> None:
        """
        A folder that was replaced by another one has moved, until it is back at its path.
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
        The folder may be reached by any name.
        """
        away = self.root.with_suffix(".away")
        self.root.rename(away)
        self.root.symlink_to(away)
        self.archive.check()

    def test_unclear(self) -> None:
        """
        If the path cannot be examined, the medium has failed.
        """
        self.system.disturbance = failing_where(r"stat \.", errno.EIO)
        error = self.assertRaises(StorageFailure, self.archive.check)
        self.assertEqual(error.reason, os.strerror(errno.EIO))


class ClaimTests(SynchronousTestCase):
    """
    The claim to a path, whatever is there.
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
        If the folder of an open archive was removed, no other archive is opened or created there, by any name of the
        path.
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
        An archive that was moved can be opened at its new path once it is closed; its old path is free at once.
        """
        other = FilesystemArchive(f"{self.root}-other")
        other.open()
        other.close()

    def test_strangers(self) -> None:
        """
        A user other than this one and root cannot keep an archive from being opened.
        """
        self.patch(_system, "_socket_owner", lambda name: os.geteuid() + 1)
        self.assertIsNone(System().claim_path(str(self.root)))

    def test_no_claims(self) -> None:
        """
        If paths cannot be claimed, archives are opened nevertheless.
        """

        def fail(path: str) -> int:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

        self.patch(_system, "claim_path", fail)
        other = FilesystemArchive(f"{self.root}-other")
        other.open()
        other.close()


class IdleTests(FilesystemCase):
    """
    An open archive that is not used.
    """

    def prepare(self) -> None:
        """
        Report the file system as local.
        """
        self.patch(self.system, "is_local", lambda descriptor: True)

    def test_nothing_is_open_for_writing(self) -> None:
        """
        Its file system can be remounted read-only, even after something was written.
        """
        self.archive.save_model(ModelInfo("m"))
        self.archive.renew()
        modes = {fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE for descriptor in self.system.descriptors}
        self.assertEqual(modes, {os.O_RDONLY})


class LogTests(FilesystemCase):
    """
    The log lines about a moved archive.
    """

    def setUp(self) -> None:
        """
        Wrap the archive.
        """
        super().setUp()
        self.clock = Clock()
        self.logging = LoggingArchive(self.archive, StorageErrorLog(self.archive.description, self.clock.seconds))
        self.events = self.enterContext(capturedLogs())

    def lines(self) -> list[tuple[LogLevel, str]]:
        """
        Return the lines logged so far.
        """
        return [(event["log_level"], formatEvent(event)) for event in self.events]

    def test_once_then_once_a_minute(self) -> None:
        """
        A move is logged at once and then once a minute, and so is the return.
        """
        away = self.root.with_suffix(".away")
        self.root.rename(away)
        for _ in range(120):
            self.assertRaises(ArchiveMoved, self.logging.check)
            self.clock.advance(REPEAT_SECONDS / 60)
        self.assertEqual([level for level, _ in self.lines()], [LogLevel.warn] * 2)
        away.rename(self.root)
        self.logging.check()
        self.logging.check()
        level, line = self.lines()[-1]
        self.assertEqual((len(self.events), level), (3, LogLevel.info))
        self.assertIn("is back where it was opened", line)
