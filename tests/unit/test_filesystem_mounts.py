"""
The archive on a file system: links, and folders on another file system.
"""

import errno
import os
import re
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from twisted.logger import LogLevel, capturedLogs, formatEvent

from tests.support.damage import findings
from tests.support.fault_case import FaultCase, delete, fill
from tests.support.faulty_system import Disturbance, FaultySystem, failing_at, failing_from, failing_where, killed_at
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.errors import CannotStart, CorruptModel, CorruptVersion, StorageFailure, UnknownModel
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem.system import Entry, Folder
from twisted_registry.storage.filesystem.verify.findings import CannotVerify, Kind
from twisted_registry.storage.filesystem.verify.quarantine import Quarantine
from twisted_registry.testing.archive_lifecycle import remove_all
from twisted_registry.testing.samples import data_of, put

_STAYS = r"rename m \.0/trash/\*"


def staying(number: int, then: Disturbance = lambda call: None) -> Disturbance:
    """
    Refuse to move the model's folder.

    Args:
        number: the error number.
        then: a further disturbance, once the move was refused.
    """
    stay = failing_where(_STAYS, number)
    seen: list[str] = []

    def disturb(call: str) -> None:
        if seen:
            then(call)
        elif re.fullmatch(_STAYS, call):
            seen.append(call)
        stay(call)

    return disturb


class MountedFaultTests(FaultCase):
    """
    A deletion of such a model, disturbed at each call after the move was refused.
    """

    def test_complete_or_gone(self) -> None:
        """
        If any call fails, or the process dies anywhere, the model is complete or gone, and a start finishes the
        deletion.
        """
        for disturbance in (killed_at, partial(failing_at, errno.EIO), partial(failing_from, errno.EROFS)):
            calls: list[str] = []
            self.attempt(fill, delete, staying(errno.EXDEV, calls.append))
            self.assertGreater(len(calls), 10)
            for position in range(len(calls)):
                attempt = self.attempt(fill, delete, staying(errno.EXDEV, disturbance(position)))
                self.check_reopened(attempt)
                left = {path.name for path in attempt.root.glob("m/*")}
                self.assertIn(left & {"m.yaml", ".deleted"}, ({"m.yaml"}, set()))
                self.assertTrue("m.yaml" in left or not left)


class MountedTests(FilesystemCase):
    """
    A model's folder that cannot be moved to the trash: a mount point, or a folder of a lower layer.
    """

    def setUp(self) -> None:
        """
        Create the model, with two versions and a high-water mark.
        """
        super().setUp()
        self.fill()

    def fill(self) -> None:
        """
        Create the model.
        """
        self.archive.save_model(ModelInfo("m"))
        for number in (1, 2):
            put(self.archive, "m", number)
        self.archive.set_high_water_mark("m", 9)

    def assert_gone(self) -> None:
        """
        Check that nothing is left of the model, and that it can be created again.
        """
        self.assertEqual(self.archive.model_ids(), [])
        for call in (self.archive.load_model, self.archive.version_numbers, self.archive.delete_model):
            self.assertRaises(UnknownModel, call, "m")
        self.archive.save_model(ModelInfo("m"))
        self.assertEqual((self.archive.version_numbers("m"), self.archive.high_water_mark("m")), ([], 0))
        self.assertEqual(self.files(), ["m/m.yaml"])

    def test_deleted(self) -> None:
        """
        The model is deleted in place, and its folder is removed.
        """
        for number in (errno.EXDEV, errno.EBUSY):
            self.system.disturbance = staying(number)
            self.archive.delete_model("m")
            self.assertIn("m/.deleted", self.files())
            remove_all(self.archive)
            self.assertEqual(self.files(), [])
            self.assert_gone()
            self.fill()

    def test_mount_point(self) -> None:
        """
        An empty folder that cannot be removed is not a model.
        """
        for _ in range(2):
            self.system.disturbance = failing_where(rf"({_STAYS}|rmdir m)", errno.EBUSY)
            self.archive.delete_model("m")
            remove_all(self.archive)
            self.assertEqual(self.files(), ["m"])
            self.assert_gone()

    def test_created_again(self) -> None:
        """
        A model can be created again while the rest of the deleted one is still to be removed, and loses nothing.
        """
        self.system.disturbance = staying(errno.EXDEV)
        self.archive.delete_model("m")
        self.assert_gone()
        put(self.archive, "m", 1)
        remove_all(self.archive)
        self.assertEqual(self.archive.version_numbers("m"), [1])

    def test_created_again_meanwhile(self) -> None:
        """
        The same holds if the removal has begun.
        """
        for number in range(3, 200):
            put(self.archive, "m", number)
        self.system.disturbance = staying(errno.EXDEV)
        self.archive.delete_model("m")
        self.archive.remove_some()
        self.assertEqual(self.archive.removal_seconds(), 0.0)
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", 1)
        remove_all(self.archive)
        self.assertEqual(self.files(), ["m/m-v000001.data", "m/m-v000001.yaml", "m/m.yaml"])

    def test_restarted(self) -> None:
        """
        A start goes on with the removal, and is not delayed by it.
        """
        self.system.disturbance = staying(errno.EXDEV)
        self.archive.delete_model("m")
        self.reopen()
        self.assertEqual(self.archive.model_ids(), [])
        self.assertIn("m/m-v000001.data", self.files())
        remove_all(self.archive)
        self.assertEqual(self.files(), [])

    def test_damaged(self) -> None:
        """
        A model without a .yaml is deleted as well.
        """
        (self.root / "m" / "m.yaml").unlink()
        self.system.disturbance = staying(errno.EXDEV)
        self.archive.delete_model("m")
        self.assert_gone()

    def test_synced_before_anything_goes(self) -> None:
        """
        The deletion is synced before any file is removed, and all files are durably gone before .deleted is.
        """
        self.system.disturbance = staying(errno.EXDEV)
        self.system.calls.clear()
        self.archive.delete_model("m")
        remove_all(self.archive)
        changes = self.system.changes()
        gone = changes.index("rename m/m.yaml m/.deleted")
        unlinks = [position for position, call in enumerate(changes) if call.startswith("unlink m/m-v")]
        last = changes.index("unlink m/.deleted")
        self.assertEqual(changes[gone + 1], "fsync m")
        self.assertLess(gone + 1, unlinks[0])
        self.assertIn("fsync m", changes[unlinks[-1] : last])

    def test_unfinished_deletion_is_not_damage(self) -> None:
        """
        A verification recognizes the rest of a deleted model.
        """
        (self.root / "m" / "m.yaml").rename(self.root / "m" / ".deleted")
        (finding,) = findings(self.root)
        self.assertEqual((finding.kind, finding.path), (Kind.LEFT_OVER, "m"))

    def test_quarantine(self) -> None:
        """
        Damage that cannot be moved to the quarantine stays and is reported.
        """
        self.archive.close()
        (self.root / "m" / "m-v000001.data").write_bytes(b"")
        system = FaultySystem(str(self.root), disturbance=failing_where("rename m/m-v.*", errno.EXDEV))
        (left,) = Quarantine(str(self.root), system).move(findings(self.root))
        self.assertEqual(left.files, [])
        self.assertIn("on another file system", left.remark)


class PrivateTests(FilesystemCase):
    """
    Private folders that are links or mounts.
    """

    def setUp(self) -> None:
        """
        Create a precious file elsewhere.
        """
        super().setUp()
        self.archive.close()
        self.elsewhere = Path(self.mktemp()).absolute()
        (self.elsewhere / "sub").mkdir(parents=True)
        (self.elsewhere / "sub" / "precious").write_bytes(b"")

    def link(self, name: str) -> Path:
        """
        Put a link in the place of a folder.
        """
        path = self.root / name
        path.rename(path.with_name(f"own{path.name}")) if path.exists() else None
        path.symlink_to(self.elsewhere)
        return path

    def test_links(self) -> None:
        """
        The archive is not opened, the error names the link, and nothing behind it is touched.
        """
        for name in (".0/tmp", ".0/trash", ".0/quarantine", ".0"):
            path = self.link(name)
            error = self.assertRaises(CannotStart, self.archive.open)
            self.assertIn(f"{path} is a link", error.reason)
            self.assertTrue((self.elsewhere / "sub" / "precious").exists())
            self.assertEqual(self.system.descriptors, {})
            path.unlink()

    def test_other_mounts(self) -> None:
        """
        The archive is not opened if a private folder is on another device, or a bind mount of the same one.
        """

        def mount_of(descriptor: int) -> int:
            return 2 if self.system.descriptors[descriptor].endswith(".0/trash") else 1

        self.patch(self.system, "mount_of", mount_of)
        error = self.assertRaises(CannotStart, self.archive.open)
        self.assertIn(f"{self.root}/.0/trash is on another file system", error.reason)

    def test_what_is_mounted_inside_stays(self) -> None:
        """
        Mounts inside leftovers of a crash are neither entered nor removed.
        """
        (self.root / ".0" / "tmp" / "left" / "mount").mkdir(parents=True)
        (self.root / ".0" / "tmp" / "left" / "mount" / "precious").write_bytes(b"")
        self.patch(self.system, "mount_of", lambda descriptor: len(self.system.descriptors[descriptor].split("mount")))
        self.archive.open()
        self.assertTrue((self.root / ".0" / "tmp" / "left" / "mount" / "precious").exists())

    def test_while_it_runs(self) -> None:
        """
        A link that later takes the place of a private folder is not followed.
        """
        self.archive.open()
        self.archive.save_model(ModelInfo("m"))
        for name, act in (
            (".0/trash", lambda: self.archive.delete_model("m")),
            (".0/tmp", lambda: self.archive.save_model(ModelInfo("n"))),
        ):
            self.link(name)
            self.assertRaises(StorageFailure, act)
        self.assertEqual(sorted(path.name for path in self.elsewhere.rglob("*")), ["precious", "sub"])

    def test_verification(self) -> None:
        """
        A verification names the link, and moves nothing through it.
        """
        self.link(".0/quarantine")
        (finding,) = findings(self.root)
        self.assertEqual((finding.kind, finding.path), (Kind.FOLDER, ".0/quarantine"))
        error = self.assertRaises(CannotVerify, list, Quarantine(str(self.root)).move([finding]))
        self.assertIn("is a link", str(error))
        self.assertEqual([path.name for path in self.elsewhere.iterdir()], ["sub"])


class OddFileTests(FilesystemCase):
    """
    Files in the archive that are not regular files, and links.
    """

    def setUp(self) -> None:
        """
        Create a model with a version.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        put(self.archive, "m", 1, b"data")
        self.precious = Path(self.mktemp()).absolute()
        self.precious.write_bytes(b"data")

    def socket(self, path: Path) -> None:
        """
        Create a socket.
        """
        made = socket.socket(socket.AF_UNIX)
        self.addCleanup(made.close)
        before = os.getcwd()
        os.chdir(path.parent)
        self.addCleanup(os.chdir, before)
        made.bind(path.name)
        os.chdir(before)

    def ways(self) -> list[Callable[[Path], None]]:
        """
        Yield everything that can take the place of a file.
        """
        return [os.mkfifo, self.socket, Path.mkdir, lambda path: path.symlink_to(self.precious)]

    def test_data(self) -> None:
        """
        Such data is damage: nothing blocks, and nothing is read through a link of the right size.
        """
        path = self.root / "m" / "m-v000001.data"
        path.unlink()
        for make in self.ways():
            make(path)
            for call in (self.archive.load_version, self.archive.open_version):
                self.assertRaises(CorruptVersion, call, "m", 1)
            self.assertIn((Kind.DATA_UNREADABLE, 1), [(each.kind, each.version_number) for each in findings(self.root)])
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    def test_metadata(self) -> None:
        """
        Such metadata is damage, saving a model repairs it, and nothing is written through a link.
        """
        yaml, version = self.root / "m" / "m.yaml", self.root / "m" / "m-v000001.yaml"
        for make in self.ways():
            for path in (yaml, version):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
                make(path)
            self.assertRaises(CorruptModel, self.archive.load_model, "m")
            self.assertRaises(CorruptVersion, self.archive.load_version, "m", 1)
            self.archive.save_model(ModelInfo("m", {"a": "b"}))
            self.assertEqual(self.archive.load_model("m").metadata, {"a": "b"})
        self.assertEqual(self.precious.read_bytes(), b"data")

    def test_linked_models(self) -> None:
        """
        A link to a model is damage, reported at the start and by a verification; any other link is foreign.
        """
        (self.root / "m").rename(self.root.parent / f"{self.root.name}-aside")
        (self.root / "m").symlink_to(self.root.parent / f"{self.root.name}-aside")
        (self.root / "gone").symlink_to("nowhere")
        (self.root / "current").symlink_to(self.root.parent)
        (self.root / "loop").symlink_to("loop")
        self.reopen()
        with capturedLogs() as events:
            self.assertEqual(self.archive.model_ids(), ["m"])
        warned = [formatEvent(event) or "" for event in events if event["log_level"] is LogLevel.warn]
        self.assertEqual(len([line for line in warned if "it is a link that does not lead to a model" in line]), 3)
        lines = [formatEvent(event) or "" for event in events if event["log_level"] is LogLevel.error]
        self.assertEqual(["its folder is a link" in line for line in lines], [True])
        found = [(each.kind, each.path) for each in findings(self.root)]
        damaged, foreign = Kind.FOLDER, Kind.FOREIGN
        self.assertEqual(
            sorted(found, key=str),
            sorted([(damaged, "m"), (foreign, "gone"), (foreign, "current"), (foreign, "loop")], key=str),
        )


class DescriptorTests(FilesystemCase):
    """
    System calls after the start, which do not use the archive's path.
    """

    def test_no_path_is_walked(self) -> None:
        """
        Each call looks up one name in an open folder, except for the one that compares the path with the folder.
        """
        walked: list[str] = []

        def watch(name: str) -> None:
            original = getattr(self.system, name)

            def call(path: str, *others: object) -> object:
                for each in (path, *(other for other in others if isinstance(other, str))):
                    if not isinstance(each, Folder) and not (isinstance(each, Entry) and "/" not in each.name):
                        walked.append(f"{name} {os.path.relpath(each, self.root)}")
                return original(path, *others)

            self.patch(self.system, name, call)

        for name in (
            "open",
            "stat",
            "lstat",
            "rename",
            "rename_noreplace",
            "link",
            "mkdir",
            "rmdir",
            "unlink",
            "listdir",
            "scandir",
        ):
            watch(name)
        self.archive.save_model(ModelInfo("m"))
        for number in (1, 2):
            put(self.archive, "m", number)
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        self.archive.set_high_water_mark("m", 9)
        self.archive.high_water_mark("m")
        self.archive.load_model("m")
        self.archive.load_version("m", self.archive.version_numbers("m")[0])
        data_of(self.archive, "m", 2)
        self.archive.delete_model("m")
        self.assertEqual(set(walked), {"stat ."})
        self.assertEqual(self.archive.model_ids(), [])
