"""
The archive on a case-folding file system, and archives that were moved from one.
"""

import os
from pathlib import Path

from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from tests.support.faulty_system import FaultySystem
from tests.support.filesystem_case import FilesystemCase
from tests.unit.test_layout import MODEL_IDS
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem import layout as _folding
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.layout import FolderNames, folder_of, is_hashed_name
from twisted_registry.storage.filesystem.system import DirEntry, Entry
from twisted_registry.testing.samples import ODD_IDS, data_of, put


class FoldingSystem(FaultySystem):
    """
    A system with case-insensitive names that keep the spelling with which they were created.
    """

    def found(self, path: str) -> str:
        """
        Return a path as it is spelled on disk.
        """
        if not isinstance(path, Entry):
            return path
        folder = path.folder
        spelled: list[str] = []
        for name in path.name.split("/"):
            inner = "/".join(spelled)
            names = os.listdir(os.path.join(f"/proc/self/fd/{folder.descriptor}", inner))
            spelled.append(next((there for there in names if there.lower() == name.lower()), name))
        return Entry(folder, "/".join(spelled))

    def open(self, path: str, flags: int) -> int:
        """See ``System.open``."""
        return super().open(self.found(path), flags)

    def stat(self, path: str) -> os.stat_result:
        """See ``System.stat``."""
        return super().stat(self.found(path))

    def lstat(self, path: str) -> os.stat_result:
        """See ``System.lstat``."""
        return super().lstat(self.found(path))

    def rename(self, source: str, target: str) -> None:
        """See ``System.rename``."""
        super().rename(self.found(source), self.found(target))

    def rename_noreplace(self, source: str, target: str) -> None:
        """See ``System.rename_noreplace``."""
        super().rename_noreplace(self.found(source), self.found(target))

    def mkdir(self, path: str) -> None:
        """See ``System.mkdir``."""
        super().mkdir(self.found(path))

    def unlink(self, path: str) -> None:
        """See ``System.unlink``."""
        super().unlink(self.found(path))

    def listdir(self, path: str) -> list[str]:
        """See ``System.listdir``."""
        return super().listdir(self.found(path))

    def scandir(self, path: str) -> list[DirEntry]:
        """See ``System.scandir``."""
        return super().scandir(self.found(path))


class NameTests(SynchronousTestCase):
    """
    Names of folders.
    """

    def test_folded(self) -> None:
        """
        Capitals and special characters are escaped in lower case; a lower-case id has its usual name.
        """
        cases = {
            "Walker": "%_%57alker",
            "WALKER-1": "%_%57%41%4c%4b%45%52-1",
            "walker-1_x": "walker-1_x",
            "9abc": "%_9abc",
            "\u00e9": "%_%c3%a9",
            "%_": "%_%25_",
        }
        for model_id, name in cases.items():
            self.assertEqual(_folding.folded_name(model_id), name)
            self.assertEqual(_folding.model_id_of_any_form(name), model_id)
            self.assertEqual(name, name.lower())
        for foreign in ("%_", "%_%57ALKER", "%_Walker", "%_walker", "%_%4Bx", "%_x%2F", "%57alker", "x%2f"):
            self.assertIsNone(_folding.model_id_of_any_form(foreign))
        self.assertTrue(is_hashed_name(_folding.folded_name("A" * 200)))

    @settings(max_examples=300)
    @given(MODEL_IDS, MODEL_IDS)
    def test_never_in_case_alone(self, first: str, second: str) -> None:
        """
        No two ids have names that differ only in case, in any of their forms; each name gives its id.
        """
        forms = (_folding.folded_name, _folding.full_name)
        for form in forms:
            name = form(first)
            self.assertEqual(is_hashed_name(name) or _folding.model_id_of_any_form(name) == first, True)
            if first != second:
                self.assertNotIn(name.lower(), [other(second).lower() for other in forms])

    def test_unusual_names(self) -> None:
        """
        Existing folders keep their names; a name that would differ from one of them only in case is replaced.
        """
        names = FolderNames()
        names.read(["Walker", "%39Abc", "other", "lost+found"], is_folding=True)
        found = {model_id: names.of(model_id) for model_id in ("Walker", "walker", "WALKER", "9Abc", "9abc", "other")}
        self.assertEqual((found["Walker"], found["9Abc"], found["other"]), ("Walker", "%39Abc", "other"))
        self.assertEqual(len({name.lower() for name in found.values()}), len(found))

    def test_moved(self) -> None:
        """
        On a case-sensitive file system, a model keeps the name from a case-folding one, and others have the usual
        names.
        """
        names = FolderNames()
        names.read(["%_%57alker", "Other", "%_%4fther"], is_folding=False)
        found = [names.of(model_id) for model_id in ("Walker", "walker", "Other", "New")]
        self.assertEqual(found, ["%_%57alker", "walker", "Other", "New"])


class FoldingTests(FilesystemCase):
    """
    An archive on a case-folding file system, with a model whose plain name has a capital.
    """

    def prepare(self) -> None:
        """
        Create the model as in an archive from elsewhere, and fold case from then on.
        """
        archive = FilesystemArchive(str(self.root))
        archive.open()
        archive.save_model(ModelInfo("Old", {"whose": "Old"}))
        put(archive, "Old", 1, b"Old")
        archive.close()
        self.system = FoldingSystem(str(self.root))
        self.archive = FilesystemArchive(str(self.root), self.system)

    def test_probe_leaves_nothing(self) -> None:
        """
        The probe for case folding leaves no file.
        """
        self.assertEqual({path.name for path in self.root.iterdir()}, {".0", "Old"})

    def test_ids_that_differ_in_case(self) -> None:
        """
        Models whose ids differ only in case are separate, before and after a restart.
        """
        model_ids = ("old", "OLD", "walker", "Walker", "wAlker", *ODD_IDS)
        for model_id in model_ids:
            self.archive.save_model(ModelInfo(model_id, {"whose": model_id}))
            put(self.archive, model_id, 1, model_id.encode())
        for _ in range(2):
            self.assertEqual(sorted(self.archive.model_ids()), sorted({"Old", *model_ids}))
            for model_id in ("Old", *model_ids):
                self.assertEqual(self.archive.load_model(model_id).metadata, {"whose": model_id})
                self.assertEqual(data_of(self.archive, model_id, 1), model_id.encode())
            self.reopen()

    def test_moved_to_a_system_that_knows_case(self) -> None:
        """
        On a case-sensitive file system all models are found, and a new one has its plain name.
        """
        for model_id in ("walker", "Walker"):
            self.archive.save_model(ModelInfo(model_id))
        self.archive.close()
        archive = FilesystemArchive(str(self.root))
        archive.open()
        self.addCleanup(archive.close)
        archive.save_model(ModelInfo("New"))
        archive.save_model(ModelInfo("Walker", {"a": "b"}))
        self.assertEqual(sorted(archive.model_ids()), ["New", "Old", "Walker", "walker"])
        names = sorted(path.name for path in self.root.iterdir())
        self.assertEqual(names, ["%_%57alker", ".0", "New", "Old", "walker"])

    def test_deleted(self) -> None:
        """
        A model is deleted under the name that its folder has.
        """
        self.archive.save_model(ModelInfo("old"))
        self.archive.delete_model("Old")
        self.assertEqual(self.archive.model_ids(), ["old"])


class PlainTests(FilesystemCase):
    """
    An archive on a case-sensitive file system.
    """

    def test_names(self) -> None:
        """
        Ids that differ in case have their plain names, and the probe leaves nothing.
        """
        for model_id in ("walker", "Walker"):
            self.archive.save_model(ModelInfo(model_id))
            self.assertEqual(folder_of(model_id), model_id)
        self.assertEqual({path.name for path in Path(self.root).iterdir()}, {".0", "Walker", "walker"})

    def test_two_folders_of_one_model(self) -> None:
        """
        If two folders have names of one model, the one with the usual name is used, and the model is listed once.
        """
        for name, text in (("Walker", "usual"), ("%_%57alker", "other")):
            (self.root / name).mkdir()
            (self.root / name / f"{name}.yaml").write_text(f"user_data:\n  a: {text}\n")
        self.reopen()
        self.assertEqual(self.archive.model_ids(), ["Walker"])
        self.assertEqual(self.archive.load_model("Walker").metadata, {"a": "usual"})
