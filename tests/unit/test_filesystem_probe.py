"""
The archive on a file system: the probe that shows whether its disk accepts writes.
"""

import errno
import shutil

from tests.support.faulty_system import Killed, failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.contracts.ownership import IProbedArchive
from twisted_registry.domain.errors import StorageFailure, StorageFull, StorageReadOnly


class ProbeTests(FilesystemCase):
    """
    A probe.
    """

    def setUp(self) -> None:
        """
        Record the calls of the probe alone.
        """
        super().setUp()
        self.system.calls.clear()

    def private_files(self) -> list[str]:
        """
        Return the names of the temp files in the private folder.
        """
        return [path.name for path in (self.root / ".0" / "tmp").iterdir()]

    def test_provided(self) -> None:
        """
        The archive can be probed.
        """
        self.assertTrue(IProbedArchive.providedBy(self.archive))

    def test_writes_and_syncs(self) -> None:
        """
        Something is written and synced, in a file that has lost its name before.
        """
        self.archive.probe()
        (name,) = {call.split()[1] for call in self.system.changes()}
        self.assertEqual(self.system.changes(), [f"unlink {name}", f"write {name}", f"sync_data {name}"])
        self.assertTrue(name.startswith(".0/tmp/"), name)
        self.assertEqual(self.private_files(), [])

    def test_fails(self) -> None:
        """
        Whichever step fails, the error says why, and nothing is left.
        """
        for number, kind in (
            (errno.EROFS, StorageReadOnly),
            (errno.ENOSPC, StorageFull),
            (errno.EDQUOT, StorageFull),
            (errno.EIO, StorageFailure),
        ):
            for step in ("create", "write", "sync_data"):
                self.system.disturbance = failing_where(rf"{step} \.0/tmp/.*", number)
                error = self.assertRaises(kind, self.archive.probe)
                self.assertIs(type(error), kind)
                self.assertEqual(self.private_files(), [], step)
            self.system.disturbance = None
            self.archive.probe()
        self.assertEqual([path for path in self.system.descriptors.values() if "/tmp/" in path], [])

    def test_dies(self) -> None:
        """
        A process that dies while it writes leaves no file.
        """

        def die(call: str) -> None:
            if call.startswith("write "):
                raise Killed

        self.system.disturbance = die
        self.assertRaises(Killed, self.archive.probe)
        self.assertEqual(self.private_files(), [])

    def test_missing_folder(self) -> None:
        """
        A private folder that was removed is created again, as a write would.
        """
        shutil.rmtree(self.root / ".0" / "tmp")
        self.archive.probe()
        self.assertEqual(self.private_files(), [])

    def test_frees_nothing(self) -> None:
        """
        A full disk drops no interrupted upload for a probe, and counts as writable while one could be dropped.
        """
        freed: list[int | None] = []

        def free(device: int | None) -> bool:
            freed.append(device)
            return False

        self.system.space.free = free
        self.system.space.freeable_bytes = lambda device: 10
        self.system.disturbance = failing_where(r"write .*", errno.ENOSPC)
        self.archive.probe()
        self.system.space.freeable_bytes = lambda device: 0
        self.assertRaises(StorageFull, self.archive.probe)
        self.assertEqual(freed, [])

    def test_closed(self) -> None:
        """
        An archive that is closed cannot be probed.
        """
        self.archive.close()
        self.assertRaises(StorageFailure, self.archive.probe)
