"""
The archive on a file system: leftovers of a crash, and files that do not belong to it.
"""

import errno
from pathlib import Path

from tests.support.faulty_system import failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.errors import (
    CorruptModel,
    StorageFailure,
    StorageReadOnly,
    StorageUnavailable,
    UnknownModel,
)
from twisted_registry.domain.models import Chunk, ModelInfo
from twisted_registry.testing.archive_lifecycle import remove_all
from twisted_registry.testing.samples import data_of, finished, put, version_info


class SweepTests(FilesystemCase):
    """
    Leftovers of a crash.
    """

    def prepare(self) -> None:
        """
        Create every kind of leftover, and a model.
        """
        for path in (
            ".0/tmp/file",
            ".0/tmp/folder/n.yaml",
            ".0/trash/folder/n.yaml",
            ".0/trash/folder/sub/x",
            "m/m.yaml",
        ):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(b"user_data: {}\n")
        for link in ("link", "folder/link"):
            (self.root / ".0" / "trash" / link).symlink_to(self.root / "m")

    def test_swept(self) -> None:
        """
        The private folder is swept, without following links; deleted models are removed after the start.
        """
        self.assertIn(".0/trash/folder/n.yaml", self.files())
        remove_all(self.archive)
        self.assertEqual(self.files(), ["m/m.yaml"])

    def test_deletions_are_durable_first(self) -> None:
        """
        Nothing of a deleted model is removed before its deletion is durable.
        """
        self.assertEqual([call for call in self.system.changes() if "unlink .0/trash" in call], [])
        remove_all(self.archive)
        changes = self.system.changes()
        first = next(position for position, call in enumerate(changes) if call.startswith("unlink .0/trash"))
        self.assertLess(changes.index("fsync .0/trash"), first)
        self.assertIn("fsync .", changes[changes.index("fsync .0/trash") : first])

    def test_uncommitted_versions(self) -> None:
        """
        The data of a version that was never committed is removed when the model's versions are listed.
        """
        put(self.archive, "m", 1)
        for number in (2, 3):
            (self.root / "m" / f"m-v00000{number}.data").write_bytes(b"")
        self.assertEqual(self.archive.version_numbers("m"), [1])
        remove_all(self.archive)
        self.assertEqual(self.files(), ["m/m-v000001.data", "m/m-v000001.yaml", "m/m.yaml"])

    def test_temp_files(self) -> None:
        """
        Temp files of a dead process are removed when the model's versions are listed; those in use and other files are
        not.
        """
        writer = self.archive.create_version("m")
        writer.write(Chunk(b"data"))
        (self.root / "m" / ".new-left").write_bytes(b"")
        (self.root / "m" / ".new-folder").mkdir()
        (self.root / "m" / ".new-folder" / "x").write_bytes(b"")
        (self.root / "m" / ".newer").write_bytes(b"")
        self.assertEqual(self.archive.version_numbers("m"), [])
        writer.finish()
        writer.commit(version_info("m", 1, b"data"))
        remove_all(self.archive)
        self.assertEqual(self.files(), ["m/.newer", "m/m-v000001.data", "m/m-v000001.yaml", "m/m.yaml"])
        self.assertEqual(data_of(self.archive, "m", 1), b"data")

    def test_commit_under_way(self) -> None:
        """
        The data of a version that is being committed is not removed, whenever the versions are listed.
        """
        put(self.archive, "m", 1)
        listed: list[list[int]] = []

        def look(call: str) -> None:
            self.system.disturbance = None
            listed.append(self.archive.version_numbers("m"))
            self.system.disturbance = look

        writer = finished(self.archive, "m", b"data")
        self.system.disturbance = look
        writer.commit(version_info("m", 2, b"data"))
        self.system.disturbance = None
        self.assertEqual([numbers for numbers in listed if numbers not in ([1], [1, 2])], [])
        self.assertEqual(data_of(self.archive, "m", 2), b"data")

    def test_commit_since_listed(self) -> None:
        """
        The data of a version that is committed while the versions are being listed is not removed.
        """
        (self.root / "m" / "m-v000001.data").write_bytes(b"")

        def commit(call: str) -> None:
            if call == "lstat m/m-v000001.yaml":
                self.system.disturbance = None
                (self.root / "m" / "m-v000001.yaml").write_bytes(b"")

        self.system.disturbance = commit
        self.assertEqual(self.archive.version_numbers("m"), [])
        self.assertIn("m/m-v000001.data", self.files())


class KilledTests(FilesystemCase):
    """
    Leftovers of a killed daemon in a model's folder.
    """

    def test_temp_files_are_swept_at_the_start(self) -> None:
        """
        A temp file is removed at the start, before the model is used.
        """
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", 1)
        claim = self.root / ".0" / "claim"
        mark = claim.read_bytes()
        self.archive.close()
        claim.write_bytes(mark)
        (self.root / "m" / f".new-{'0' * 32}").write_bytes(b"half of a version")
        self.archive.open()
        self.assertEqual(self.files(), ["m/m-v000001.data", "m/m-v000001.yaml", "m/m.yaml"])


class ForeignTests(FilesystemCase):
    """
    Files and folders that do not belong to the archive.
    """

    def test_skipped(self) -> None:
        """
        Files, and folders without the .yaml of a model or a version, are not models, and cannot be deleted.
        """
        for path in (
            "plain",
            "m.yaml",
            "lost+found/x",
            "empty/x",
            "other/m.yaml",
            "x%2f/x%2f.yaml",
            ".hidden/.hidden.yaml",
        ):
            (self.root / path).parent.mkdir(exist_ok=True)
            (self.root / path).write_bytes(b"user_data: {}\n")
        self.assertEqual(self.archive.model_ids(), [])
        before = self.files()
        for model_id in ("plain", "empty", "other", "lost+found", "x/", ".hidden", "m.yaml"):
            for call in (self.archive.load_model, self.archive.delete_model, self.archive.version_numbers):
                self.assertRaises(UnknownModel, call, model_id)
            self.assertRaises(UnknownModel, self.archive.set_high_water_mark, model_id, 1)
        self.assertEqual(self.files(), before)

    def test_left_over_folder(self) -> None:
        """
        A model can be created if its folder exists.
        """
        (self.root / "m").mkdir()
        (self.root / "m" / "notes").write_bytes(b"")
        self.archive.save_model(ModelInfo("m"))
        self.assertEqual(self.archive.model_ids(), ["m"])
        self.assertEqual(self.files(), ["m/m.yaml", "m/notes"])

    def test_file_in_the_way(self) -> None:
        """
        A model cannot be created if a file has its name; the file stays.
        """
        (self.root / "m").write_bytes(b"kept")
        self.assertRaises(StorageFailure, self.archive.save_model, ModelInfo("m"))
        self.assertEqual(self.files(), ["m"])

    def test_linked_folder(self) -> None:
        """
        A model's folder that is a link is damage: nothing is read, written or removed through it, and the link stays.
        """
        elsewhere = Path(self.mktemp()).absolute()
        elsewhere.mkdir()
        (elsewhere / "m.yaml").write_bytes(b"user_data: {}\n")
        (elsewhere / "m-v000001.data").write_bytes(b"")
        (elsewhere / "m-v000002.data").write_bytes(b"")
        (self.root / "m").symlink_to(elsewhere)
        before = sorted(elsewhere.iterdir())
        self.assertEqual(self.archive.model_ids(), ["m"])
        for call in (
            lambda: self.archive.load_model("m"),
            lambda: self.archive.version_numbers("m"),
            lambda: self.archive.load_version("m", 1),
            lambda: self.archive.open_version("m", 1),
            lambda: self.archive.save_model(ModelInfo("m")),
            lambda: self.archive.set_high_water_mark("m", 9),
            lambda: self.archive.high_water_mark("m"),
            lambda: self.archive.create_version("m").write(Chunk(b"data")),
            lambda: self.archive.delete_model("m"),
        ):
            error = self.assertRaises(CorruptModel, call)
            self.assertIn("a link", error.reason)
            self.assertIn("put the folder itself in the link's place", str(error))
        self.assertEqual(sorted(elsewhere.iterdir()), before)
        self.assertTrue((self.root / "m").is_symlink())

    def test_unreadable_folder(self) -> None:
        """
        A model's folder that the daemon may not open is listed as a model and cannot be read; no other model is
        affected.
        """
        self.archive.save_model(ModelInfo("m"))
        self.archive.save_model(ModelInfo("n"))
        self.system.disturbance = failing_where("lstat m/m.yaml", errno.EACCES)
        self.assertEqual(sorted(self.archive.model_ids()), ["m", "n"])
        self.system.disturbance = failing_where("(lstat|open|listdir) m.*", errno.EACCES)
        for call in (self.archive.load_model, self.archive.version_numbers, self.archive.high_water_mark):
            self.assertRaises(StorageUnavailable, call, "m")
        self.assertRaises(StorageReadOnly, self.archive.delete_model, "m")
        self.system.disturbance = failing_where("lstat m/m.yaml", errno.EIO)
        self.assertRaises(StorageFailure, self.archive.model_ids)

    def test_private_folder_lost(self) -> None:
        """
        The private folder is created again if somebody has removed it.
        """
        for name in ("identity", "claim"):
            (self.root / ".0" / name).unlink()
        for act in (lambda: self.archive.save_model(ModelInfo("m")), lambda: self.archive.delete_model("m")):
            for name in ("tmp", "trash", ""):
                (self.root / ".0" / name).rmdir()
            act()
        remove_all(self.archive)
        self.archive.save_model(ModelInfo("m"))
        (self.root / ".0" / "trash").rmdir()
        self.archive.delete_model("m")
        remove_all(self.archive)
        self.assertEqual(self.files(), [])
