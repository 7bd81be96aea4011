"""
The archive on a file system: the order in which things come to rest.
"""

from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.models import Chunk, ModelInfo
from twisted_registry.storage.filesystem.writer import WRITTEN_AT_ONCE_BYTES
from twisted_registry.testing.samples import finished, put, version_info


class OrderTests(FilesystemCase):
    """
    What the system is asked to change, call by call.
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
        A model's folder is at rest before it has its name, and its name before the call is over.
        """
        self.system.calls.clear()
        self.archive.save_model(ModelInfo("m"))
        expected = ["mkdir .0/tmp/*", "write .0/tmp/*/m.yaml", "fsync .0/tmp/*/m.yaml", "fsync .0/tmp/*"]
        made = [call for call in self.system.changes() if call not in ("mkdir .0", "mkdir .0/tmp", "mkdir .0/trash")]
        self.assertEqual(made, [*expected, "rename_noreplace .0/tmp/* m", "fsync ."])

    def test_known_model(self) -> None:
        """
        A model's new .yaml is at rest before it takes the place of the old one.
        """
        self.archive.save_model(ModelInfo("m"))
        self.system.calls.clear()
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        expected = ["write m/.new-*", "fsync m/.new-*", "rename m/.new-* m/m.yaml", "fsync m"]
        self.assertEqual(self.system.changes(), expected)

    def test_version(self) -> None:
        """
        A version's data is at rest, under its name, before its .yaml has its name.
        """
        self.archive.save_model(ModelInfo("m"))
        data = ["write m/.new-*", "fsync m/.new-*", "rename_noreplace m/.new-* m/m-v000001.data"]
        yaml = ["write m/.new-*", "fsync m/.new-*", "fsync m", "rename_noreplace m/.new-* m/m-v000001.yaml", "fsync m"]
        self.assertEqual(self.changes_of_commit(1), [*data, *yaml])

    def test_started_version(self) -> None:
        """
        A version that is not written to costs the system nothing.
        """
        self.system.calls.clear()
        self.archive.create_version("m").abort()
        self.assertEqual(self.system.calls, [])

    def test_commit_is_short(self) -> None:
        """
        Once a version is finished, the commit writes no more of its data.
        """
        self.archive.save_model(ModelInfo("m"))
        writer = finished(self.archive, "m", b"data")
        self.system.calls.clear()
        writer.commit(version_info("m", 1, b"data"))
        self.assertEqual(self.system.changes()[:2], ["rename_noreplace m/.new-* m/m-v000001.data", "write m/.new-*"])

    def test_the_disk_begins_early(self) -> None:
        """
        Of a large version the disk is told to write what there is, while more comes; it is at rest by the sync alone.
        """
        self.archive.save_model(ModelInfo("m"))
        writer = self.archive.create_version("m")
        self.system.calls.clear()
        for size_bytes in (WRITTEN_AT_ONCE_BYTES - 1, 1, 10):
            writer.write(Chunk(bytes(size_bytes)))
        writer.finish()
        begun = ["stat .", "open m", "create m/.new-*", "close m"]
        told = [*begun, *["write m/.new-*"] * 2, "start_writeback m/.new-*", "write m/.new-*"]
        self.assertEqual(self.system.calls, [*told, "fsync m/.new-*", "fstat m/.new-*", "close m/.new-*"])
        writer.abort()

    def test_reserve(self) -> None:
        """
        A number reserved is at rest before it takes the place of the one before.
        """
        self.archive.save_model(ModelInfo("m"))
        self.system.calls.clear()
        self.archive.set_high_water_mark("m", 7)
        expected = ["write m/.new-*", "fsync m/.new-*", "rename m/.new-* m/.reserved", "fsync m"]
        self.assertEqual(self.system.changes(), expected)

    def test_delete(self) -> None:
        """
        A deletion is at rest before anything in the model's folder goes.
        """
        self.archive.save_model(ModelInfo("m"))
        self.system.calls.clear()
        self.archive.delete_model("m")
        made = [call for call in self.system.changes() if not call.startswith("mkdir")]
        deleted = ["rename m .0/trash/*", "fsync .0/trash", "fsync ."]
        self.assertEqual(made, [*deleted, "unlink .0/trash/*/m.yaml", "rmdir .0/trash/*"])

    def test_short_writes(self) -> None:
        """
        Where the system takes a part of what it is given, it is given the rest.
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
