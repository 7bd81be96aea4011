"""
The archive on a file system: names that were renamed but not synced by a process that died.
"""

import errno
import os

from tests.support.faulty_system import Disturbance, failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.errors import StorageFailure, StorageReadOnly
from twisted_registry.domain.models import ModelInfo
from twisted_registry.testing.samples import put


def failing_once(pattern: str) -> Disturbance:
    """
    Fail the first call that matches a regular expression.
    """
    failed: list[str] = []
    fail = failing_where(pattern, errno.EIO)

    def disturb(call: str) -> None:
        if not failed:
            try:
                fail(call)
            except OSError:
                failed.append(call)
                raise

    return disturb


class SeenTests(FilesystemCase):
    """
    A process died between a rename and its sync, and the power fails after the next process reported the name.
    """

    def test_models(self) -> None:
        """
        The names of models are synced when the archive is opened.
        """
        self.assertIn("fsync .", self.system.changes())

    def test_versions(self) -> None:
        """
        The names of versions are synced before they are listed, and so is the high-water mark.
        """
        put_model(self)
        self.assertEqual(self.archive.version_numbers("m"), [1])
        self.assertEqual(self.system.changes(), ["fsync m"])

    def test_leftovers(self) -> None:
        """
        The data of a version is removed only once the removal of its .yaml is durable.
        """
        put_model(self)
        (self.root / "m" / "m-v000002.data").write_bytes(b"")
        self.system.disturbance = failing_where("fsync m", errno.EIO)
        self.assertEqual(self.archive.version_numbers("m"), [1])
        self.assertIn("m/m-v000002.data", self.files())
        self.system.disturbance = None
        self.archive.version_numbers("m")
        self.assertEqual(self.system.changes(), ["fsync m", "fsync m", "unlink m/m-v000002.data"])


class FailedTests(FilesystemCase):
    """
    A sync of the root has failed.
    """

    def test_created(self) -> None:
        """
        A model whose name was not synced is not acknowledged before it is.
        """
        self.system.disturbance = failing_once(r"fsync \.")
        self.assertRaises(StorageFailure, self.archive.save_model, ModelInfo("m"))
        self.system.calls.clear()
        self.archive.save_model(ModelInfo("m"))
        self.assertEqual(self.system.changes()[0], "fsync .")

    def test_deletion_undone(self) -> None:
        """
        After a failed deletion of a model, no version of it is acknowledged before the model's name is durable.
        """
        put_model(self)
        self.system.disturbance = failing_once(r"fsync \.0/trash")
        self.assertRaises(StorageFailure, self.archive.delete_model, "m")
        self.system.calls.clear()
        put(self.archive, "m", 2)
        changes = self.system.changes()
        self.assertLess(changes.index("fsync ."), changes.index("rename_noreplace m/.new-* m/m-v000002.data"))

    def test_still_failing(self) -> None:
        """
        As long as the root cannot be synced, nothing is acknowledged; afterwards this costs nothing.
        """
        put_model(self)
        self.system.disturbance = failing_where(r"fsync (\.|\.0/trash)", errno.EIO)
        self.assertRaises(StorageFailure, self.archive.delete_model, "m")
        self.assertRaises(StorageFailure, put, self.archive, "m", 2)
        self.assertRaises(StorageFailure, self.archive.set_high_water_mark, "m", 9)
        self.system.disturbance = None
        self.archive.set_high_water_mark("m", 9)
        self.system.calls.clear()
        put(self.archive, "m", 2)
        self.assertNotIn("fsync .", self.system.changes())


class LeftTests(FilesystemCase):
    """
    The data of a failed version could not be removed.
    """

    def leave(self) -> None:
        """
        Fail to create a version, and to remove its data.
        """
        put_model(self)
        self.system.disturbance = failing_where(r"fsync m|unlink m/.*", errno.EIO)
        self.assertRaises(StorageFailure, put, self.archive, "m", 2)
        self.assertIn("m/m-v000002.data", self.files())

    def test_removed(self) -> None:
        """
        The data is removed before the next version exists, because below a higher number it would stay.
        """
        self.leave()
        self.system.disturbance = None
        put(self.archive, "m", 3)
        self.assertNotIn("m/m-v000002.data", self.files())
        self.assertEqual(self.archive.version_numbers("m"), [1, 3])

    def test_stays(self) -> None:
        """
        As long as the data cannot be removed, no version is created.
        """
        self.leave()
        for pattern in ("fsync m", "unlink m/.*"):
            self.system.disturbance = failing_where(pattern, errno.EIO)
            self.assertRaises(StorageFailure, put, self.archive, "m", 3)
            self.assertNotIn("m/m-v000003.data", self.files())

    def test_reason(self) -> None:
        """
        Creating the next version fails with the reason for which the data cannot be removed.
        """
        self.leave()
        for pattern in ("open m", "fsync m", "unlink m/.*"):
            self.system.disturbance = failing_where(pattern, errno.EROFS)
            error = self.assertRaises(StorageReadOnly, put, self.archive, "m", 3)
            self.assertEqual(error.reason, os.strerror(errno.EROFS))


def put_model(case: FilesystemCase) -> None:
    """
    Create a model with a version, and forget the calls that it took.
    """
    case.archive.save_model(ModelInfo("m"))
    put(case.archive, "m", 1)
    case.system.calls.clear()
