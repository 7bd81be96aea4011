"""
The archive on a file system: opening and closing.
"""

import errno
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.faulty_system import FaultySystem, failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.errors import CannotStart, StorageReadOnly
from twisted_registry.domain.models import Chunk, ModelInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.testing.samples import data_of, put


class OpenTests(SynchronousTestCase):
    """
    Opening and closing an archive.
    """

    def setUp(self) -> None:
        """
        Choose a folder.
        """
        self.root = Path(self.mktemp()).absolute()

    def refusal(self, root: Path, system: FaultySystem | None = None) -> str:
        """
        Return the text of the error with which an archive refuses to open.
        """
        archive = FilesystemArchive(str(root), system)
        descriptors = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc") else 0
        error = self.assertRaises(CannotStart, archive.open)
        if descriptors:
            self.assertEqual(len(os.listdir("/proc/self/fd")), descriptors)
        self.assertIn(str(root), str(error))
        self.assertNotIn("\n", str(error))
        archive.close()
        return str(error)

    def test_made(self) -> None:
        """
        Missing folders are created, and each is synced into its parent.
        """
        system = FaultySystem(str(self.root.parent))
        archive = FilesystemArchive(str(self.root / "a" / "b"), system)
        archive.open()
        archive.close()
        made = [f"{self.root.name}{path}" for path in ("", "/a", "/a/b")]
        expected = [call for path in made for call in (f"mkdir {path}", f"fsync {os.path.dirname(path) or '.'}")]
        self.assertEqual(system.changes()[:6], expected)
        self.assertEqual(system.descriptors, {})

    def test_description(self) -> None:
        """
        The description stays the same when the process changes its working directory.
        """
        self.assertEqual(FilesystemArchive("relative").description, os.path.abspath("relative"))
        self.assertFalse(os.path.exists("relative"))

    def test_nameless(self) -> None:
        """
        An archive needs a folder with a name, so that nothing is stored in the working directory by mistake.
        """
        self.assertRaises(CannotStart, FilesystemArchive, "")

    def test_in_use(self) -> None:
        """
        An archive that another one has open is not opened, and becomes free when the other one is closed.
        """
        archive = FilesystemArchive(str(self.root))
        archive.open()
        for _ in range(2):
            self.assertIn("in use", self.refusal(self.root))
        archive.close()
        archive.close()
        archive.open()
        archive.close()

    def test_not_a_directory(self) -> None:
        """
        A file, or a path below a file, is not an archive.
        """
        self.root.write_bytes(b"")
        for root in (self.root, self.root / "below"):
            self.assertIn("Not a directory", self.refusal(root))

    def test_not_allowed(self) -> None:
        """
        A folder that cannot be created, opened, locked or entered is refused.
        """
        for call in ("mkdir", "open", "flock", "stat"):
            path = self.root / call
            if call != "mkdir":
                path.mkdir()
            system = FaultySystem(str(path), disturbance=failing_where(rf"{call} \.", errno.EACCES))
            self.assertIn("Permission denied", self.refusal(path, system))
            self.assertEqual(system.descriptors, {})

    def test_dangling_link(self) -> None:
        """
        A broken link is refused.
        """
        self.root.symlink_to("nowhere")
        self.refusal(self.root)

    def test_interrupted(self) -> None:
        """
        If opening fails at any call, nothing stays open.
        """
        system = FaultySystem(str(self.root))

        def interrupt(call: str) -> None:
            if call.startswith("listdir"):
                raise KeyboardInterrupt

        system.disturbance = interrupt
        self.assertRaises(KeyboardInterrupt, FilesystemArchive(str(self.root), system).open)
        self.assertEqual(system.descriptors, {})


class ReadOnlyTests(FilesystemCase):
    """
    An archive on a read-only file system.
    """

    def prepare(self) -> None:
        """
        Create an archive with a model, and then refuse all writes.
        """
        archive = FilesystemArchive(str(self.root))
        archive.open()
        archive.save_model(ModelInfo("m", {"a": "b"}))
        self.info = put(archive, "m", 1)
        (self.root / "m" / "m-v000002.data").write_bytes(b"")
        archive.close()
        self.system.disturbance = failing_where("(create|write|rename|mkdir|rmdir|unlink) .*", errno.EROFS)

    def test_read(self) -> None:
        """
        Everything can be read.
        """
        self.assertEqual(self.archive.model_ids(), ["m"])
        self.assertEqual(self.archive.load_model("m").metadata, {"a": "b"})
        self.assertEqual(self.archive.version_numbers("m"), [1])
        self.assertEqual(self.archive.load_version("m", 1), self.info)
        self.assertEqual(data_of(self.archive, "m", 1), b"data")
        self.assertEqual(self.archive.high_water_mark("m"), 0)

    def test_write(self) -> None:
        """
        Each call that would change something raises ``StorageReadOnly`` and changes nothing.
        """
        before = self.files()
        writer = self.archive.create_version("m")
        self.assertRaises(StorageReadOnly, writer.write, Chunk(b"data"))
        self.assertRaises(StorageReadOnly, self.archive.create_version("m").finish)
        for model_id in ("m", "n"):
            self.assertRaises(StorageReadOnly, self.archive.save_model, ModelInfo(model_id))
        self.assertRaises(StorageReadOnly, self.archive.delete_model, "m")
        self.assertRaises(StorageReadOnly, self.archive.set_high_water_mark, "m", 1)
        self.assertEqual(self.files(), before)
