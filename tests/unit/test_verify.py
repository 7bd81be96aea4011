"""
Tests of the verification of an archive.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.damage import damage, findings, flip_bit
from tests.support.faulty_system import FaultySystem
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem.layout import folder_of
from twisted_registry.storage.filesystem.metadata import MAX_METADATA_BYTES
from twisted_registry.storage.filesystem.verify.archive import Scrub
from twisted_registry.storage.filesystem.verify.findings import Finding, Kind
from twisted_registry.testing.archive_lifecycle import remove_all
from twisted_registry.testing.samples import ODD_IDS, put

DATA = Path(__file__).parent.parent / "data"
LONG_ID = "\u00e9" * 100
"""Its folder's name is a digest."""


class VerifyCase(FilesystemCase):
    """
    An archive with a model of three versions.
    """

    def setUp(self) -> None:
        """
        Fill the archive.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m"))
        for number in (1, 2, 3):
            put(self.archive, "m", number, b"data %d" % number)

    def file(self, name: str) -> Path:
        """
        Return the path of a file of the model.
        """
        return self.root / "m" / name

    def found(self) -> list[Finding]:
        """
        Verify the archive while a daemon has it open.
        """
        return findings(self.root)

    def assert_damage(self, kind: Kind, number: int | None, path: str, reason: str) -> None:
        """
        Check that this is the only finding.
        """
        (finding,) = self.found()
        self.assertTrue(finding.is_damage)
        self.assertEqual(finding, Finding(kind, "m", number, path, finding.reason))
        self.assertIn(reason, finding.reason)
        self.assertNotIn("\n", finding.reason)

    def assert_note(self, kind: Kind, path: str) -> None:
        """
        Check that this is the only finding, and a note.
        """
        (finding,) = self.found()
        self.assertEqual((finding.kind, finding.path, finding.is_damage), (kind, path, False))


class IntactTests(VerifyCase):
    """
    Intact archives.
    """

    def test_all_counted(self) -> None:
        """
        Everything is read and counted, and the amount of data is known before.
        """
        put(self.archive, "m", 4, b"x" * 3_000_000)
        sizes: list[int] = []
        with Scrub(str(self.root), on_read=sizes.append) as scrub:
            self.assertEqual(scrub.measure(), 3_000_018)
            self.assertEqual(list(scrub.findings()), [])
        self.assertEqual((scrub.counts.models, scrub.counts.versions, scrub.counts.size_bytes), (1, 4, 3_000_018))
        self.assertEqual(sum(sizes), 3_000_018)

    def test_odd_ids(self) -> None:
        """
        Nothing is found if ids are escaped, or if only the .yaml contains them.
        """
        for model_id in ODD_IDS:
            self.archive.save_model(ModelInfo(model_id))
            if model_id != "m":
                put(self.archive, model_id, 1, b"")
            self.archive.set_high_water_mark(model_id, 100)
        self.assertEqual(self.found(), [])

    def test_existing_server(self) -> None:
        """
        Nothing is found in an archive of the existing server, which has no private directory.
        """
        root = Path(self.mktemp())
        shutil.copytree(DATA / "go_archive", root)
        self.assertEqual(findings(root), [])

    def test_transient(self) -> None:
        """
        A version that is marked as transient is checked like any other.
        """
        path = self.file("m-v000003.yaml")
        path.write_text(path.read_text() + "transient: true\n")
        self.assertEqual(self.found(), [])
        flip_bit(self.file("m-v000003.data"))
        self.assertEqual(damage(self.found()), [(Kind.DATA_HASH, "m", 3)])

    def test_nothing_written(self) -> None:
        """
        A verification changes nothing, takes no lock, and leaves no descriptor open.
        """
        system = FaultySystem(str(self.root))
        with Scrub(str(self.root), jobs=1, system=system) as scrub:
            list(scrub.findings())
        self.assertEqual(system.changes(), [])
        self.assertEqual([call for call in system.calls if call.startswith(("flock", "create"))], [])
        self.assertEqual(system.descriptors, {})

    def test_stopped(self) -> None:
        """
        A verification that is stopped early leaves no descriptor open.
        """
        system = FaultySystem(str(self.root))
        with Scrub(str(self.root), jobs=1, system=system) as scrub:
            flip_bit(self.file("m-v000001.data"))
            next(scrub.findings())
        self.assertEqual(system.descriptors, {})


class DamageTests(VerifyCase):
    """
    Each kind of damage.
    """

    def test_model_yaml_missing(self) -> None:
        """
        The .yaml of a model with versions is missing.
        """
        self.file("m.yaml").unlink()
        self.assert_damage(Kind.MODEL_YAML, None, "m/m.yaml", "it is missing")

    def test_model_yaml_malformed(self) -> None:
        """
        A model's .yaml is malformed.
        """
        self.file("m.yaml").write_text("- x\n")
        self.assert_damage(Kind.MODEL_YAML, None, "m/m.yaml", "not a mapping")

    def test_hashed_name(self) -> None:
        """
        A model whose id only its .yaml contains is damaged if that has another id, or none.
        """
        folder = folder_of(LONG_ID)
        self.archive.save_model(ModelInfo(LONG_ID))
        for text in ('model_id: "other"\n', "user_data: {}\n"):
            (self.root / folder / f"{folder}.yaml").write_text(text)
            self.assertEqual(damage(self.found()), [(Kind.MODEL_YAML, None, None)])

    def test_version_yaml(self) -> None:
        """
        A version's .yaml is malformed, empty, or a directory.
        """
        path = self.file("m-v000002.yaml")
        path.write_text(path.read_text().replace("data_size", "size"))
        self.assert_damage(Kind.VERSION_YAML, 2, "m/m-v000002.yaml", "its .yaml: it has no data_size")
        path.write_text("")
        self.assert_damage(Kind.VERSION_YAML, 2, "m/m-v000002.yaml", "its .yaml: it is empty")
        path.unlink()
        path.mkdir()
        self.assert_damage(Kind.VERSION_YAML, 2, "m/m-v000002.yaml", "its .yaml: it is not a regular file")

    def test_large(self) -> None:
        """
        A .yaml that is larger than any that a client can cause is damage, and is not parsed.
        """
        for name, kind in (("m-v000002.yaml", Kind.VERSION_YAML), ("m.yaml", Kind.MODEL_YAML)):
            os.truncate(self.file(name), MAX_METADATA_BYTES + 1)
            (found,) = (finding for finding in self.found() if finding.kind is kind)
            self.assertIn("more than", found.reason)
        self.file(".reserved").write_bytes(b" " * 65)
        self.assertIn(Kind.HIGH_WATER_MARK, [finding.kind for finding in self.found()])

    def test_dangling_link(self) -> None:
        """
        A .yaml that is a dangling link is damage: links are not followed.
        """
        self.file("m-v000002.yaml").unlink()
        self.file("m-v000002.yaml").symlink_to("nowhere")
        self.assert_damage(Kind.VERSION_YAML, 2, "m/m-v000002.yaml", "its .yaml: it is a link")

    def test_data_missing(self) -> None:
        """
        A .data is missing.
        """
        self.file("m-v000003.data").unlink()
        self.assert_damage(Kind.DATA_MISSING, 3, "m/m-v000003.data", "its .data: it is missing")

    def test_size(self) -> None:
        """
        A .data has another size.
        """
        with self.file("m-v000001.data").open("ab") as file:
            file.write(b"x")
        self.assert_damage(Kind.DATA_SIZE, 1, "m/m-v000001.data", "its .data: it has 7 bytes instead of 6")

    def test_hash(self) -> None:
        """
        One bit of a .data has flipped.
        """
        flip_bit(self.file("m-v000001.data"), 5)
        self.assert_damage(Kind.DATA_HASH, 1, "m/m-v000001.data", "its .data: its SHA-256 is ")

    def test_hash_at_the_end(self) -> None:
        """
        One bit at the end of a .data of several blocks has flipped.
        """
        put(self.archive, "m", 4, b"x" * 2_500_000)
        flip_bit(self.file("m-v000004.data"), 2_499_999)
        self.assert_damage(Kind.DATA_HASH, 4, "m/m-v000004.data", "its .data: its SHA-256 is ")

    def test_unreadable(self) -> None:
        """
        A .data cannot be read, or is not a file.
        """
        self.file("m-v000001.data").unlink()
        self.file("m-v000001.data").mkdir()
        self.assert_damage(Kind.DATA_UNREADABLE, 1, "m/m-v000001.data", "its .data: it is not a regular file")

    def test_impossible_numbers(self) -> None:
        """
        A .yaml has the number 0, or one that is too high.
        """
        for number in (0, 2**31):
            path = self.file(f"m-v{number:06d}.yaml")
            path.write_text("")
            self.assert_damage(Kind.NUMBER, number, f"m/{path.name}", "no version can have this number")
            path.unlink()

    def test_high_water_mark(self) -> None:
        """
        A high-water mark is malformed.
        """
        self.file(".reserved").write_text("many\n")
        self.assert_damage(Kind.HIGH_WATER_MARK, None, "m/.reserved", "it does not hold a version number")

    def test_orphan(self) -> None:
        """
        A .data below the highest number has lost its .yaml.
        """
        self.file("m-v000002.yaml").unlink()
        self.assert_damage(Kind.ORPHAN, 2, "m/m-v000002.data", "its .yaml is lost")

    def test_all_at_once(self) -> None:
        """
        All damage is reported, in the order of the names.
        """
        self.archive.save_model(ModelInfo("a"))
        put(self.archive, "a", 1)
        flip_bit(self.root / "a" / "a-v000001.data")
        flip_bit(self.file("m-v000003.data"))
        self.file("m-v000001.data").unlink()
        expected = [(Kind.DATA_HASH, "a", 1), (Kind.DATA_MISSING, "m", 1), (Kind.DATA_HASH, "m", 3)]
        self.assertEqual(damage(self.found()), expected)


class NoteTests(VerifyCase):
    """
    Findings that are not damage.
    """

    def test_foreign(self) -> None:
        """
        A file that is not part of an archive is ignored, wherever it is.
        """
        for path in ("plain", "lost+found", "m/notes", "m/m-v1.yaml", "m/.m-v000001.yaml.tmp", ".0/x", "\x1b[31m"):
            (self.root / path).write_text("")
            self.assert_note(Kind.FOREIGN, path)
            (self.root / path).unlink()
        (self.root / "other").mkdir()
        self.assert_note(Kind.FOREIGN, "other")

    def test_unfinished(self) -> None:
        """
        Data above the highest number may be a commit under way.
        """
        self.file("m-v000004.data").write_bytes(b"")
        self.assert_note(Kind.UNFINISHED, "m/m-v000004.data")

    def test_left_overs(self) -> None:
        """
        A file that is being written or removed is not damage.
        """
        for path in (".0/tmp/x", ".0/trash/y"):
            (self.root / path).write_bytes(b"")
            self.assert_note(Kind.LEFT_OVER, path)
            (self.root / path).unlink()

    def test_claims(self) -> None:
        """
        A .yaml that names another model or number than its own name is not damage.
        """
        for name, old, new in (
            ("m.yaml", 'model_id: "m"', "model_id: other"),
            ("m-v000001.yaml", 'model_id: "m"', "model_id: other"),
            ("m-v000001.yaml", "version_number: 1", "version_number: 2"),
        ):
            before = self.file(name).read_text()
            self.assertIn(old, before)
            self.file(name).write_text(before.replace(old, new))
            self.assert_note(Kind.CLAIM, f"m/{name}")
            self.file(name).write_text(before)

    def test_quarantine(self) -> None:
        """
        Quarantined files are ignored.
        """
        (self.root / ".0" / "quarantine" / "then").mkdir(parents=True)
        self.assertEqual(self.found(), [])


class MeanwhileTests(VerifyCase):
    """
    Changes by a daemon during the verification.
    """

    def found_meanwhile(self, pattern: str, act: Callable[[], object]) -> list[Finding]:
        """
        Verify, and run a function before the first call that matches.
        """
        left = [act]

        def disturb(call: str) -> None:
            if call == pattern and left:
                left.pop()()

        system = FaultySystem(str(self.root), disturbance=disturb)
        with Scrub(str(self.root), jobs=1, system=system) as scrub:
            found = list(scrub.findings())
        self.assertEqual(left, [])
        return found

    def delete(self) -> None:
        """
        Delete the model, and remove what is left of it.
        """
        self.archive.delete_model("m")
        remove_all(self.archive)

    def replace(self) -> None:
        """
        Delete the model, and create it again with other data.
        """
        self.delete()
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", 1, b"other data")

    def test_model_goes(self) -> None:
        """
        A model that is deleted, or deleted and created again, is not damaged, whenever that happens.
        """
        moments = [
            *("open m", "listdir m", "open m/m.yaml", "open m/.reserved"),
            *("open m/m-v000001.yaml", "open m/m-v000001.data", "open m/m-v000003.yaml", "open m/m-v000003.data"),
        ]
        for act in (self.delete, self.replace):
            for moment in moments:
                self.assertEqual(self.found_meanwhile(moment, act), [], moment)
                if act == self.delete:
                    self.archive.save_model(ModelInfo("m"))
                else:
                    self.delete()
                    self.archive.save_model(ModelInfo("m"))
                for number in (1, 2, 3):
                    put(self.archive, "m", number)

    def test_version_comes(self) -> None:
        """
        A version that is committed while the directory is listed is not an orphan, and is checked.
        """
        path = self.file("m-v000002.yaml")
        content = path.read_bytes()
        path.unlink()
        self.assertEqual(self.found_meanwhile("lstat m/m-v000002.yaml", lambda: path.write_bytes(content)), [])
        path.unlink()
        flip_bit(self.file("m-v000002.data"))
        found = self.found_meanwhile("lstat m/m-v000002.yaml", lambda: path.write_bytes(content))
        self.assertEqual(damage(found), [(Kind.DATA_HASH, "m", 2)])

    def test_version_goes(self) -> None:
        """
        A version whose commit is undone is not damaged.
        """

        def take_back() -> None:
            self.file("m-v000003.yaml").unlink()
            self.file("m-v000003.data").unlink()

        self.assertEqual(self.found_meanwhile("open m/m-v000003.data", take_back), [])

    def test_repaired(self) -> None:
        """
        A model that is repaired during the verification is not damaged.
        """
        self.file("m.yaml").write_text("")
        path = os.path.join("m", "m-v000001.yaml")
        self.assertEqual(damage(self.found_meanwhile(f"open {path}", lambda: None)), [(Kind.MODEL_YAML, "m", None)])
        looked: list[str] = []

        def repair(call: str) -> None:
            if call == "open m/m.yaml":
                looked.append(call)
                if len(looked) == 2:
                    self.archive.save_model(ModelInfo("m"))

        with Scrub(str(self.root), jobs=1, system=FaultySystem(str(self.root), disturbance=repair)) as scrub:
            self.assertEqual(list(scrub.findings()), [])
