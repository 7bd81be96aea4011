"""
A test case with an archive on the file system and faults in its system calls.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.faulty_system import FaultySystem
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.claim import ClaimTimes


class FilesystemCase(SynchronousTestCase):
    """
    A test case with an archive in its own folder, on a system that can be disturbed.
    """

    def setUp(self) -> None:
        """
        Open the archive.
        """
        self.root = Path(self.mktemp()).absolute()
        self.system = FaultySystem(str(self.root))
        # The time does not advance, so no claim has to be checked.
        self.archive = FilesystemArchive(str(self.root), self.system, ClaimTimes(seconds=lambda: 0.0))
        self.prepare()
        self.archive.open()
        self.addCleanup(self.archive.close)

    def prepare(self) -> None:
        """
        Create files before the archive is opened.
        """

    def reopen(self) -> None:
        """
        Close the archive and open it again.
        """
        self.archive.close()
        self.archive.open()

    def files(self) -> list[str]:
        """
        Return the paths of all files and empty folders, except the private ones.
        """
        private = {".0", ".0/tmp", ".0/trash", ".0/identity", ".0/claim"}
        paths = [path for path in self.root.rglob("*") if not path.is_dir() or not any(path.iterdir())]
        return sorted({str(path.relative_to(self.root)) for path in paths} - private)
