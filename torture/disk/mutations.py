"""
Faults in the archive's own code, made on purpose: each takes away one of the steps that a power cut is survived by.
"""

import shutil
from pathlib import Path

from attrs import frozen

PACKAGE = Path(__file__).parents[2] / "twisted_registry"

_DURABLE, _WRITER, _VERSIONS = "storage/_durable.py", "storage/_writer.py", "storage/_versions.py"
_MODELS, _FILESYSTEM = "storage/_models.py", "storage/filesystem.py"

_IN_PLACE = """\
            if S_ISDIR(self.system.lstat(draft).st_mode):
                self.system.rename(draft, path)
                return
            with open(draft, "rb") as file:
                content = file.read()
            descriptor = self.system.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            self.write_all(descriptor, memoryview(content))
            self.system.fsync(descriptor)
            self.system.close(descriptor)
            self.system.unlink(draft)
"""


@frozen
class Mutation:
    """
    One of them.

    @ivar name: what is wrong then.
    @ivar file: in which file, relative to the package.
    @ivar old: the text to replace, which is there exactly once.
    @ivar new: what takes its place.
    """

    name: str
    file: str
    old: str
    new: str

    def apply(self, directory: Path) -> None:
        """
        Lay out the package with this fault in it.

        @param directory: becomes what C{PYTHONPATH} should begin with.

        @raise ValueError: the text is not there, or is there more than once.
        """
        copy = shutil.copytree(PACKAGE, directory / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: its text is {text.count(self.old)} times in {self.file}")
        path.write_text(text.replace(self.old, self.new))


MUTATIONS: tuple[Mutation, ...] = (
    Mutation("a version's data is not synced", _WRITER, "            system.fsync(descriptor)\n", ""),
    Mutation(
        "a sync of a version's data that failed is repeated",
        _WRITER,
        "            system.fsync(descriptor)\n",
        "            try:\n                system.fsync(descriptor)\n"
        "            except OSError:\n                system.fsync(descriptor)\n",
    ),
    Mutation(
        "a failed sync of a version's data is passed over",
        _WRITER,
        "            system.fsync(descriptor)\n",
        "            try:\n"
        "                system.fsync(descriptor)\n"
        "            except OSError:\n"
        "                pass\n",
    ),
    Mutation(
        "a draft is not synced",
        _DURABLE,
        "            self.system.fsync(descriptor)\n        except OSError:\n            close",
        "        except OSError:\n            close",
    ),
    Mutation(
        "a replaced file's name is not synced",
        _DURABLE,
        "            self.place(draft, path)\n            self.sync_renamed(descriptor)\n",
        "            self.place(draft, path)\n",
    ),
    Mutation(
        "a new model's name is not synced",
        _DURABLE,
        "                self.sync_renamed(descriptor)\n",
        "                pass\n",
    ),
    Mutation(
        "a new model's .yaml has no name at rest",
        _DURABLE,
        "            with self.opened_folder(path) as descriptor:\n"
        "                self.sync_folder(descriptor)\n"
        "        except OSError:\n"
        "            self.discard(path)\n"
        "            raise\n"
        "        return path",
        "        except OSError:\n            self.discard(path)\n            raise\n        return path",
    ),
    Mutation("a deletion's target is not synced", _DURABLE, "                self.sync_folder(trash)\n", ""),
    Mutation("a deletion's source is not synced", _DURABLE, "                self.sync_folder(root)\n", ""),
    Mutation(
        "a version's data has no name at rest before its .yaml",
        _WRITER,
        "            self._sync_or_discard(folder, described)\n",
        "",
    ),
    Mutation(
        "a version's .yaml has no name at rest",
        _WRITER,
        "        try:\n"
        "            self._bench.sync_folder(folder)\n"
        "        except OSError as error:\n"
        "            self._withdraw",
        "        try:\n            pass\n        except OSError as error:\n            self._withdraw",
    ),
    Mutation(
        "a version's .yaml has its name before its data",
        _WRITER,
        "        self._bench.place(draft, data)\n"
        "        try:\n"
        "            described = self._bench.draft(content)\n"
        "            self._sync_or_discard(folder, described)\n"
        "            self._bench.place(described, yaml)\n",
        "        try:\n"
        "            described = self._bench.draft(content)\n"
        "            self._sync_or_discard(folder, described)\n"
        "            self._bench.place(described, yaml)\n"
        "            self._bench.place(draft, data)\n",
    ),
    Mutation("files are written in place", _DURABLE, "            self.system.rename(draft, path)\n", _IN_PLACE),
    Mutation("drafts get no names", _DURABLE, "            self.system.rename(draft, path)\n", "            pass\n"),
    Mutation(
        "graves are cleared before they are at rest",
        _DURABLE,
        "            self._sync_graves()\n",
        "            pass\n",
    ),
    Mutation(
        "drafts are not swept",
        _DURABLE,
        "            self.discard(os.path.join(self._drafts, draft))\n",
        "            pass\n",
    ),
    Mutation(
        "models are removed where they are",
        _MODELS,
        "            grave = self._bench.bury(folder.path)\n",
        "            grave = folder.path\n",
    ),
    Mutation(
        "the data of uncommitted versions stays",
        _VERSIONS,
        "            self._publications.remove_leftover(folder.version_data(number), folder.version_yaml(number))\n",
        "            pass\n",
    ),
    Mutation(
        "versions are listed before they are at rest",
        _VERSIONS,
        "files.unfinished if self._bench.settle(folder.path) else ()",
        "files.unfinished",
    ),
    Mutation(
        "models are listed before they are at rest",
        _FILESYSTEM,
        "            self._bench.settle_models()\n",
        "            pass\n",
    ),
    Mutation(
        "a failed sync of the root is forgotten",
        _DURABLE,
        "                self._put_back(grave, path)\n                self._note_failed_sync()\n",
        "                self._put_back(grave, path)\n",
    ),
    Mutation(
        "a failed sync of a new model is forgotten",
        _DURABLE,
        "            except StorageFailure:\n                self._note_failed_sync()\n                raise\n",
        "            except StorageFailure:\n                raise\n",
    ),
    Mutation(
        "a version is acknowledged in a model that is not at rest",
        _WRITER,
        "                self._bench.settle_models()\n",
        "",
    ),
    Mutation(
        "what a failed commit left stays",
        _WRITER,
        "                self._publications.clear(self._folder.path)\n",
        "",
    ),
    Mutation(
        "a withdrawn version's data goes before its .yaml is gone for good",
        _WRITER,
        "            self._publications.leave(self._folder.path, data)\n            return\n",
        "",
    ),
    Mutation("a failed deletion is not put back", _DURABLE, "                self._put_back(grave, path)\n", ""),
)
"""All of them."""
