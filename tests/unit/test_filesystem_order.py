"""
The archive on a file system: the order in which changes become durable.
"""

from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.models import Chunk, ModelInfo
from twisted_registry.storage.filesystem.writer import WRITEBACK_BYTES
from twisted_registry.testing.archive_lifecycle import lifecycle_writer, remove_all
from twisted_registry.testing.samples import finished, put, version_info


class OrderTests(FilesystemCase):
    """
    The changes that are asked of the system, call by call.
    """

    def changes_of_commit(self, number: int) -> list[str]:
        """
        Create a version.
        """
        self.system.calls.clear()
        put(self.archive, "m", number)
        return self.system.changes()

    def test_new_model(self) -> None:
        """
        A model's folder is synced before it gets its name, and its name before the call returns.
        """
        self.system.calls.clear()
        self.archive.save_model(ModelInfo("m"))
        expected = ["mkdir .0/tmp/*", "write .0/tmp/*/m.yaml", "fsync .0/tmp/*/m.yaml", "fsync .0/tmp/*"]
        made = [call for call in self.system.changes() if call not in ("mkdir .0", "mkdir .0/tmp", "mkdir .0/trash")]
        self.assertEqual(made, [*expected, "rename_noreplace .0/tmp/* m", "fsync ."])

    def test_known_model(self) -> None:
        """
        A model's new .yaml is synced before it replaces the old one.
        """
        self.archive.save_model(ModelInfo("m"))
        self.system.calls.clear()
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        expected = ["write m/.new-*", "fsync m/.new-*", "rename m/.new-* m/m.yaml", "fsync m"]
        self.assertEqual(self.system.changes(), expected)

    def test_version(self) -> None:
        """
        A version's data is synced, under its name, before its .yaml gets its name.
        """
        self.archive.save_model(ModelInfo("m"))
        data = ["write m/.new-*", "fsync m/.new-*", "rename_noreplace m/.new-* m/m-v000001.data"]
        yaml = ["write m/.new-*", "fsync m/.new-*", "fsync m", "rename_noreplace m/.new-* m/m-v000001.yaml", "fsync m"]
        self.assertEqual(self.changes_of_commit(1), [*data, *yaml])

    def test_started_version(self) -> None:
        """
        A version without data costs no system call.
        """
        self.system.calls.clear()
        self.archive.create_version("m").abort()
        self.assertEqual(self.system.calls, [])

    def test_commit_is_short(self) -> None:
        """
        After a version is finished, the commit writes none of its data.
        """
        self.archive.save_model(ModelInfo("m"))
        writer = finished(self.archive, "m", b"data")
        self.system.calls.clear()
        writer.commit(version_info("m", 1, b"data"))
        self.assertEqual(self.system.changes()[:2], ["rename_noreplace m/.new-* m/m-v000001.data", "write m/.new-*"])

    def test_writeback_starts_early(self) -> None:
        """
        The disk starts writing a large version while more data arrives; only the sync makes it durable.
        """
        self.archive.save_model(ModelInfo("m"))
        writer = self.archive.create_version("m")
        self.system.calls.clear()
        for size_bytes in (WRITEBACK_BYTES - 1, 1, 10):
            writer.write(Chunk(bytes(size_bytes)))
        writer.finish()
        begun = ["stat .", "open m", "create m/.new-*", "close m"]
        expected = [*begun, *["write m/.new-*"] * 2, "start_writeback m/.new-*", "write m/.new-*"]
        self.assertEqual(self.system.calls, [*expected, "fsync m/.new-*", "fstat m/.new-*", "close m/.new-*"])
        writer.abort()

    def test_high_water_mark(self) -> None:
        """
        A high-water mark is synced before it replaces the previous one.
        """
        self.archive.save_model(ModelInfo("m"))
        self.system.calls.clear()
        self.archive.set_high_water_mark("m", 7)
        expected = ["write m/.new-*", "fsync m/.new-*", "rename m/.new-* m/.reserved", "fsync m"]
        self.assertEqual(self.system.changes(), expected)

    def test_delete(self) -> None:
        """
        A deletion is durable before anything in the model's folder is removed.
        """
        self.archive.save_model(ModelInfo("m"))
        self.system.calls.clear()
        self.archive.delete_model("m")
        made = [call for call in self.system.changes() if not call.startswith("mkdir")]
        self.assertEqual(made, ["rename m .0/trash/*", "fsync .0/trash", "fsync ."])
        self.system.calls.clear()
        remove_all(self.archive)
        self.assertEqual(self.system.changes(), ["unlink .0/trash/*/m.yaml", "rmdir .0/trash/*"])

    def test_delete_version(self) -> None:
        """
        A deletion is durable before the data is removed, and the renamed .yaml goes last.
        """
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", 1)
        put(self.archive, "m", 2)
        self.archive.set_high_water_mark("m", 2)
        self.system.calls.clear()
        self.archive.delete_version("m", 1)
        deleted = ["rename m/m-v000001.yaml m/.deleted-000001", "fsync m", "unlink m/m-v000001.data"]
        self.assertEqual(self.system.changes(), deleted)
        self.system.calls.clear()
        remove_all(self.archive)
        self.assertEqual(self.system.changes(), ["fsync m", "fsync m", "unlink m/.deleted-000001"])

    def test_delete_versions(self) -> None:
        """
        Many deletions share one sync; the data is removed later, the renamed .yaml files last.
        """
        self.archive.save_model(ModelInfo("m"))
        for number in (1, 2, 3):
            put(self.archive, "m", number)
        self.system.calls.clear()
        self.archive.delete_versions("m", [1, 2])
        renames = [f"rename m/m-v00000{number}.yaml m/.deleted-00000{number}" for number in (1, 2)]
        self.assertEqual(self.system.changes()[-3:], [*renames, "fsync m"])
        self.system.calls.clear()
        remove_all(self.archive)
        changes = self.system.changes()
        self.assertEqual(changes[0], "fsync m")
        self.assertEqual(sorted(changes[1:3]), [f"unlink m/m-v00000{number}.data" for number in (1, 2)])
        self.assertEqual(changes[3], "fsync m")
        self.assertEqual(sorted(changes[4:]), [f"unlink m/.deleted-00000{number}" for number in (1, 2)])

    def test_delete_highest(self) -> None:
        """
        The high-water mark is durable before a version above it is deleted, and is written once for many of them.
        """
        self.archive.save_model(ModelInfo("m"))
        for number in (1, 2, 3):
            put(self.archive, "m", number)
        self.system.calls.clear()
        self.archive.delete_version("m", 2)
        mark = ["write m/.new-*", "fsync m/.new-*", "rename m/.new-* m/.reserved", "fsync m"]
        self.assertEqual(self.system.changes()[:5], [*mark, "rename m/m-v000002.yaml m/.deleted-000002"])
        self.system.calls.clear()
        self.archive.delete_version("m", 3)
        self.assertEqual(self.system.changes()[0], "rename m/m-v000003.yaml m/.deleted-000003")

    def test_promotion(self) -> None:
        """
        The mark of a promotion is durable before the data gets its name, and is removed after the commit.
        """
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", 2)
        writer = lifecycle_writer(self.archive, "m", b"data")
        self.system.calls.clear()
        writer.commit_between(version_info("m", 1, b"data"))
        self.assertIn("create m/.promoting-000001", self.system.calls)
        data = ["fsync m", "rename_noreplace m/.new-* m/m-v000001.data"]
        yaml = ["write m/.new-*", "fsync m/.new-*", "fsync m", "rename_noreplace m/.new-* m/m-v000001.yaml", "fsync m"]
        self.assertEqual(self.system.changes(), [*data, *yaml, "unlink m/.promoting-000001"])

    def test_short_writes(self) -> None:
        """
        If the system writes only a part of the data, the rest is written by further calls.
        """
        self.archive.save_model(ModelInfo("m"))
        write = self.system.write
        self.patch(self.system, "write", lambda descriptor, data: write(descriptor, data[:3]))
        self.patch(self.system, "read", lambda descriptor, size, read=self.system.read: read(descriptor, min(size, 2)))
        writer = self.archive.create_version("m")
        for chunk in (Chunk(b"--0123456789", 2), Chunk(b"abcdefg")):
            writer.write(chunk)
        writer.finish()
        info = version_info("m", 1, b"0123456789abcdefg", metadata={"a": "b"})
        writer.commit(info)
        self.assertEqual(self.archive.load_version("m", 1), info)
        reader = self.archive.open_version("m", 1)
        self.addCleanup(reader.close)
        self.assertEqual([reader.read(9), reader.read(9)], [b"012345678", b"9abcdefg"])
