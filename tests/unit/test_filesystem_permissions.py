"""
The archive on a file system: permissions for other users.
"""

import os
from stat import S_IMODE

from twisted.logger import capturedLogs, formatEvent

from tests.support.damage import findings, flip_bit
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.models import Chunk, ModelInfo
from twisted_registry.storage.filesystem.verify.quarantine import Quarantine
from twisted_registry.testing.samples import data_of, put


class PermissionTests(FilesystemCase):
    """
    An archive that is created with an empty umask.
    """

    def prepare(self) -> None:
        """
        Set the umask, as some supervisors do.
        """
        self.addCleanup(os.umask, os.umask(0))

    def modes(self) -> dict[str, set[int]]:
        """
        Return the permissions of all folders, and of all files.
        """
        paths = [self.root, *self.root.rglob("*")]
        return {
            "folders": {S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()},
            "files": {S_IMODE(path.stat().st_mode) for path in paths if not path.is_dir()},
        }

    def warnings(self) -> list[str]:
        """
        Reopen the archive and return the warnings in the log.
        """
        with capturedLogs() as events:
            self.reopen()
        return [formatEvent(event) for event in events if "can write" in formatEvent(event)]

    def test_private(self) -> None:
        """
        All folders and files are accessible to the daemon's user only.
        """
        self.archive.save_model(ModelInfo("m"))
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        for number in (1, 2):
            put(self.archive, "m", number)
        self.archive.set_high_water_mark("m", 9)
        self.archive.create_version("m").write(Chunk(b"data"))
        flip_bit(self.root / "m" / "m-v000002.data")
        self.archive.close()
        list(Quarantine(str(self.root)).move(findings(self.root)))
        self.assertEqual(self.modes(), {"folders": {0o700}, "files": {0o600}})

    def test_existing(self) -> None:
        """
        An existing archive keeps its permissions; everything new in it is private.
        """
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", 1)
        for path in (self.root, *self.root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        self.assertEqual(self.warnings(), [])
        put(self.archive, "m", 2)
        self.assertEqual(data_of(self.archive, "m", 1), b"data")
        self.assertEqual(self.modes(), {"folders": {0o755}, "files": {0o644, 0o600}})

    def test_warning(self) -> None:
        """
        If everybody can write to the archive, the start logs a warning with the remedy.
        """
        self.assertEqual(self.warnings(), [])
        self.root.chmod(0o1777)
        (warning,) = self.warnings()
        self.assertIn(f"chmod o-rwx {self.root}", warning)
