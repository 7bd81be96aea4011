"""
Tests of the copying of an archive that is in use.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.backups import back_up, opened_copy
from tests.support.damage import damage, findings, flip_bit
from tests.support.faulty_system import FaultySystem
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.errors import CannotStart
from twisted_registry.domain.models import ModelInfo
from twisted_registry.domain.retention import RetentionPolicy
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.backup.target import CannotCopy
from twisted_registry.storage.filesystem.layout import folder_of
from twisted_registry.storage.filesystem.verify.findings import Finding, Kind
from twisted_registry.testing.archive_lifecycle import remove_all
from twisted_registry.testing.samples import ODD_IDS, data_of, finished, put, version_info


def move(alias: str, to_number: int, sequence: int, from_number: int = 0) -> AliasMove:
    """
    Return a move of an alias.
    """
    return AliasMove(alias, from_number, to_number, sequence, "", "", sequence)


class CopyCase(FilesystemCase):
    """
    An archive with a model of three versions, and a folder for backups.
    """

    def setUp(self) -> None:
        """
        Fill the archive.
        """
        super().setUp()
        self.target = self.root.with_name("backups")
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        for number in (1, 2, 3):
            put(self.archive, "m", number, b"data %d" % number)

    def copied(self, disturbance: Callable[[str], None] | None = None) -> tuple[Path, list[Finding]]:
        """
        Make a backup, while something runs before each call of the system.
        """
        system = FaultySystem(str(self.root))
        system.disturbance = disturbance
        backup, found, self.counts = back_up(self.root, self.target, system)
        return backup, found

    def before(self, call: str, act: Callable[[], None]) -> Callable[[str], None]:
        """
        Return a disturbance that acts once, before the first such call.
        """
        left = [act]
        self.addCleanup(lambda: self.assertEqual(left, [], call))

        def disturb(made: str) -> None:
            if made == call and left:
                left.pop()()

        return disturb

    def opened(self, backup: Path) -> FilesystemArchive:
        """
        Open a copy of a backup.
        """
        archive = opened_copy(backup, self.root.with_name("restored"))
        self.addCleanup(archive.close)
        return archive

    def aliases(self, archive: FilesystemArchive) -> dict[str, int]:
        """
        Return where the aliases of the model are.
        """
        return {name: last.to_number for name, last in archive.load_aliases("m").aliases.items()}


class QuietTests(CopyCase):
    """
    An archive that does not change meanwhile.
    """

    def test_everything(self) -> None:
        """
        Models, versions, labels, aliases, keys, policies, marks and the id are copied, and nothing else.
        """
        for model_id in ODD_IDS:
            if model_id not in self.archive.model_ids():
                self.archive.save_model(ModelInfo(model_id))
            put(self.archive, model_id, 9, model_id.encode())
        self.archive.save_annotations("m", 2, Annotations({"good": "yes"}, {"r": 1.5}))
        self.archive.append_alias_moves("m", [move("production", 2, 1)])
        policy = RetentionPolicy(keep_last=3)
        self.archive.save_retention("m", policy)
        self.archive.save_retention_prefix("team/", policy)
        self.archive.set_high_water_mark("m", 100)
        writer: Any = finished(self.archive, "m", b"keyed")
        writer.set_key("0" * 64, 7)
        writer.commit(version_info("m", 4, b"keyed"))
        (self.root / "m" / ".new-x").write_text("")
        (self.root / "m" / "notes").write_text("")
        (self.root / "foreign").mkdir()
        backup, found = self.copied()
        self.assertEqual((found, findings(backup)), ([], []))
        self.assertFalse((backup / "foreign").exists() or (backup / ".0" / "claim").exists())
        copy = self.opened(backup)
        self.assertEqual(sorted(copy.model_ids()), sorted(self.archive.model_ids()))
        for model_id in ODD_IDS:
            self.assertEqual(data_of(copy, model_id, 9), model_id.encode())
        self.assertEqual(copy.load_model("m"), ModelInfo("m", {"a": "b"}))
        self.assertEqual(copy.load_annotations("m", [2]), [Annotations({"good": "yes"}, {"r": 1.5})])
        self.assertEqual(self.aliases(copy), {"production": 2})
        self.assertEqual(copy.load_retention("m"), policy)
        self.assertEqual(copy.retention_prefixes(), {"team/": policy})
        self.assertEqual(copy.high_water_mark("m"), 100)
        self.assertEqual([key.version_number for key in copy.stored_keys("m")], [4])
        self.assertEqual(copy.identity().archive_id, self.archive.identity().archive_id)

    def test_unchanged(self) -> None:
        """
        The archive is not changed, and no file of it is linked.
        """
        before = [(path, path.stat().st_mtime_ns, path.stat().st_nlink) for path in sorted(self.root.rglob("*"))]
        self.copied()
        after = [(path, path.stat().st_mtime_ns, path.stat().st_nlink) for path in sorted(self.root.rglob("*"))]
        self.assertEqual(after, before)

    def test_links(self) -> None:
        """
        A second backup has the files of the first; one with other data under the same name is copied.
        """
        first, _ = self.copied()
        self.archive.delete_model("m")
        remove_all(self.archive)
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", 1, b"DATA 1")
        put(self.archive, "m", 4, b"more")
        self.archive.save_model(ModelInfo("other"))
        second, _ = self.copied()
        third, _ = self.copied()
        self.assertEqual((self.counts.size_bytes, self.counts.new_bytes), (10, 0))
        data = "m/m-v000001.data"
        self.assertEqual([(path / data).read_bytes() for path in (first, second, third)], [b"data 1", *[b"DATA 1"] * 2])
        self.assertTrue((second / data).samefile(third / data))
        self.assertEqual(sum(map(len, map(findings, (first, second, third)))), 0)

    def test_no_links(self) -> None:
        """
        If the file system of the backups has no links, all is copied.
        """
        self.copied()

        def refuse(call: str) -> None:
            if call.startswith("link "):
                raise OSError(errno.EPERM, "")

        second, _ = self.copied(refuse)
        self.assertEqual(findings(second), [])
        self.assertEqual((second / "m" / "m-v000001.data").stat().st_nlink, 1)

    def test_no_archive(self) -> None:
        """
        An empty directory, a missing one, and a file are not archives.
        """
        empty, file = self.root.with_name("empty"), self.root.with_name("file")
        empty.mkdir()
        file.write_text("")
        for root in (empty, file, self.root.with_name("missing")):
            self.assertRaises(CannotCopy, back_up, root, self.target)

    def test_not_opened(self) -> None:
        """
        A daemon does not open a backup, and changes nothing in it.
        """
        backup, _ = self.copied()
        before = sorted(backup.rglob("*"))
        error = self.assertRaises(CannotStart, FilesystemArchive(str(backup)).open)
        self.assertIn("twisted-registry archive restore", str(error))
        self.assertEqual(sorted(backup.rglob("*")), before)


class BusyTests(CopyCase):
    """
    An archive that changes at the worst moment.
    """

    def test_version_deleted(self) -> None:
        """
        A version that is deleted while it is read is absent, with its labels, and its number is not used again.
        """
        self.archive.save_annotations("m", 3, Annotations({"good": "yes"}, {}))
        for call in ("open m/m-v000003.yaml", "open m/.annotations-000003", "open m/m-v000003.data"):
            backup, found = self.copied(self.before(call, lambda: self.archive.delete_version("m", 3)))
            self.assertEqual((found, findings(backup)), ([], []))
            self.assertEqual(
                sorted(path.name for path in (backup / "m").glob("*-v*.yaml")),
                [
                    "m-v000001.yaml",
                    "m-v000002.yaml",
                ],
            )
            self.assertEqual((backup / "m" / ".reserved").read_bytes()[:2], b"3 ")
            remove_all(self.archive)
            self.archive.close()
            self.archive.open()
            for rest in (self.root / "m").glob(".deleted*"):
                rest.unlink()
            put(self.archive, "m", 3, b"data 3")
            self.archive.save_annotations("m", 3, Annotations({"good": "yes"}, {}))

    def test_highest_deleted(self) -> None:
        """
        A version that is created and deleted while others are copied does not give its number to another.
        """

        def create_and_delete() -> None:
            put(self.archive, "m", 4)
            self.archive.delete_version("m", 4)

        backup, _ = self.copied(self.before("open m/m-v000003.data", create_and_delete))
        self.assertEqual(self.opened(backup).high_water_mark("m"), 4)

    def test_alias_of_new_version(self) -> None:
        """
        If an alias moves to a version that is new, the copy has that version.
        """

        def publish() -> None:
            put(self.archive, "m", 4, b"new")
            self.archive.append_alias_moves("m", [move("production", 4, 1)])

        backup, found = self.copied(self.before("open m/m-v000003.data", publish))
        self.assertEqual(found, [])
        copy = self.opened(backup)
        self.assertEqual(self.aliases(copy), {"production": 4})
        self.assertEqual(data_of(copy, "m", 4), b"new")

    def test_alias_moved_on(self) -> None:
        """
        If an alias moves on and its version is deleted, between the reading of one and of the other, the copy has the
        newer move.
        """
        self.archive.append_alias_moves("m", [move("production", 3, 1)])

        def publish() -> None:
            put(self.archive, "m", 4, b"4")
            self.archive.append_alias_moves("m", [move("production", 4, 2, 3)])

        def move_on() -> None:
            put(self.archive, "m", 5, b"5")
            self.archive.append_alias_moves("m", [move("production", 5, 3, 4)])
            self.archive.delete_version("m", 4)

        first = self.before("open m/m-v000003.data", publish)
        then = self.before("open m/m-v000004.yaml", move_on)

        def disturb(call: str) -> None:
            first(call)
            then(call)

        backup, found = self.copied(disturb)
        self.assertEqual((found, findings(backup)), ([], []))
        copy = self.opened(backup)
        self.assertEqual(self.aliases(copy), {"production": 5})
        self.assertEqual(copy.version_numbers("m"), [1, 2, 3, 5])

    def test_commit_under_way(self) -> None:
        """
        A move that belongs to a commit which has not happened is not copied, nor is a line that is cut off.
        """
        self.archive.append_alias_moves("m", [move("production", 2, 1)])
        journal = self.root / "m" / ".aliases"
        before = journal.read_bytes()
        writer: Any = finished(self.archive, "m", b"4")
        writer.set_alias_moves([move("production", 4, 2, 2)])
        writer.commit(version_info("m", 4, b"4"))
        line = journal.read_bytes()
        for path in (self.root / "m").glob("*-v000004.*"):
            path.unlink()
        for content in (line, line[:-5]):
            journal.write_bytes(content)
            backup, found = self.copied()
            self.assertEqual((found, findings(backup)), ([], []))
            self.assertEqual((backup / "m" / ".aliases").read_bytes(), before)

    def test_data_without_yaml(self) -> None:
        """
        The data of a version that is being committed is not copied.
        """
        (self.root / "m" / "m-v000004.data").write_bytes(b"4")
        backup, found = self.copied()
        self.assertEqual((found, findings(backup)), ([], []))

    def test_model_deleted(self) -> None:
        """
        A model that is deleted while it is copied is absent; if it is created again, the copy is of the new one.
        """

        def delete() -> None:
            self.archive.delete_model("m")
            remove_all(self.archive)

        def replace() -> None:
            delete()
            self.archive.save_model(ModelInfo("m"))
            put(self.archive, "m", 1, b"again")

        backup, found = self.copied(self.before("open m/m-v000002.data", replace))
        self.assertEqual((found, findings(backup)), ([], []))
        self.assertEqual([path.read_bytes() for path in (backup / "m").glob("*.data")], [b"again"])
        backup, found = self.copied(self.before("open m/m-v000001.yaml", delete))
        self.assertEqual((found, findings(backup)), ([], []))
        self.assertFalse((backup / "m").exists())

    def test_archive_moved(self) -> None:
        """
        If the archive is renamed, there is no backup.
        """
        elsewhere = self.root.with_name("elsewhere")
        act = self.before("open m/m-v000003.data", lambda: os.rename(self.root, elsewhere))
        self.assertRaises(CannotCopy, self.copied, act)
        self.assertEqual([path.name for path in self.target.iterdir() if path.name[0] != "."], [])
        os.rename(elsewhere, self.root)


class DamageTests(CopyCase):
    """
    An archive with damage.
    """

    def test_reported(self) -> None:
        """
        Damage is reported each time; the copy has these versions without data, which is beside them, and all else.
        """
        put(self.archive, "m", 4)
        flip_bit(self.root / "m" / "m-v000001.data")
        (self.root / "m" / "m-v000002.yaml").write_text("!")
        (self.root / "m" / "m-v000003.data").unlink()
        (self.root / "m" / ".retention").write_text("!")
        others = {(Kind.VERSION_YAML, "m", 2), (Kind.DATA_MISSING, "m", 3), (Kind.RETENTION, "m", None)}
        for _ in range(2):
            backup, found = self.copied()
            self.assertEqual(set(damage(found)), {(Kind.DATA_HASH, "m", 1), *others})
            self.assertEqual(set(damage(findings(backup))), {(Kind.DATA_MISSING, "m", 1), *others})
            self.assertEqual((backup / "m" / ".new-damaged-m-v000001.data").read_bytes(), b"eata 1")
            self.assertEqual((backup / "m" / ".new-damaged-m-v000002.data").read_bytes(), b"data 2")
            self.assertEqual(self.counts.damaged, 4)
        flip_bit(self.root / "m" / "m-v000001.data")
        backup, found = self.copied()
        self.assertEqual((backup / "m" / "m-v000001.data").read_bytes(), b"data 1")
        self.assertEqual(set(damage(found)), others)

    def test_repaired(self) -> None:
        """
        If an earlier backup has the data intact, the next one has it too, and reports the damage.
        """
        self.copied()
        (self.root / "m" / "m-v000001.data").write_bytes(b"short")
        (self.root / "m" / "m-v000002.data").unlink()
        backup, found = self.copied()
        self.assertEqual(damage(found), [(Kind.DATA_SIZE, "m", 1), (Kind.DATA_MISSING, "m", 2)])
        self.assertEqual(findings(backup), [])

    def test_unread(self) -> None:
        """
        Data that the disk does not return is absent, and is copied the next time.
        """

        def fail(call: str) -> None:
            if call in ("read_into m/m-v000002.data", "read m/m-v000002.data"):
                raise OSError(errno.EIO, "")

        backup, (finding,) = self.copied(fail)
        self.assertTrue(finding.is_unread)
        self.assertEqual(damage(findings(backup)), [(Kind.DATA_MISSING, "m", 2)])
        backup, found = self.copied()
        self.assertEqual((found, findings(backup)), ([], []))

    def test_model_is_a_link(self) -> None:
        """
        Nothing is copied through a link.
        """
        os.rename(self.root / "m", self.root.with_name("m"))
        os.symlink(self.root.with_name("m"), self.root / "m")
        backup, found = self.copied()
        self.assertEqual(damage(found), [(Kind.FOLDER, "m", None)])
        self.assertFalse((backup / folder_of("m")).exists())
