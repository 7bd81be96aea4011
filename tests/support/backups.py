"""
Backups of an archive, made in the process of a test.
"""

from pathlib import Path

from tests.support.damage import findings
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.backup.backups import Backups
from twisted_registry.storage.filesystem.backup.copy import ArchiveCopy, CopyCounts
from twisted_registry.storage.filesystem.backup.restore import Restore, keep_numbers, prepare_root
from twisted_registry.storage.filesystem.system import System
from twisted_registry.storage.filesystem.verify.findings import Finding


def back_up(
    root: Path, target: Path, system: System | None = None, seconds: float = 0.0
) -> tuple[Path, list[Finding], CopyCounts]:
    """
    Make a backup with one thread.

    Args:
        root: the archive.
        target: the folder of backups, created if it is missing.
        system: the system's calls.
        seconds: the time, in seconds since the Unix epoch.

    Returns:
        the path of the backup, the findings, and what was copied.
    """
    target.mkdir(exist_ok=True)
    with (
        ArchiveCopy(str(root), jobs=1, system=system) as copy,
        Backups(str(target), system, lambda: seconds) as backups,
    ):
        begun = backups.start()
        found = list(copy.run(begun))
        name = backups.finish(begun, copy.counts)
        return target / name, found, copy.counts


def opened_copy(backup: Path, root: Path) -> FilesystemArchive:
    """
    Restore a backup with its numbers as they are, and open it.
    """
    prepare_root(str(root))
    restore = Restore(str(backup), str(root), jobs=1)
    with restore.copy:
        assert not list(restore.run()), "nothing is damaged"
    keep_numbers(str(root))
    assert not findings(root), "the copy is sound"
    archive = FilesystemArchive(str(root))
    archive.open()
    return archive
