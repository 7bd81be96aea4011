"""
Faults in the archive's own code, made on purpose: each takes away one of the steps that a power cut is survived by.
"""

import shutil
from pathlib import Path

from attrs import frozen

PACKAGE = Path(__file__).parents[2] / "twisted_registry"

_DURABLE, _WRITER, _VERSIONS = (
    "storage/filesystem/staging.py",
    "storage/filesystem/writer.py",
    "storage/filesystem/versions.py",
)
_MODELS, _FILESYSTEM = "storage/filesystem/model_folders.py", "storage/filesystem/archive.py"

_PLACED = "            self.system.rename(within(folder, temp_name), within(folder, name))\n"
_IN_PLACE = """\
            with open(within(folder, temp_name), "rb") as file:
                content = file.read()
            descriptor = self.system.open(within(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            self.write_all(descriptor, memoryview(content))
            self.system.fsync(descriptor)
            self.system.close(descriptor)
            self.system.unlink(within(folder, temp_name))
"""


@frozen
class Mutation:
    """
    One of them.

    Attributes:
        name: what is wrong then.
        file: in which file, relative to the package.
        old: the text to replace, which is there exactly once.
        new: what takes its place.
    """

    name: str
    file: str
    old: str
    new: str

    def apply(self, directory: Path) -> None:
        """
        Lay out the package with this fault in it.

        Args:
            directory: becomes what ``PYTHONPATH`` should begin with.

        Raises:
            ValueError: the text is not there, or is there more than once.
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
        "a temp file is not synced",
        _DURABLE,
        "            self.system.fsync(descriptor)\n        except OSError:\n            close",
        "        except OSError:\n            close",
    ),
    Mutation(
        "a replaced file's name is not synced",
        _DURABLE,
        "        self.install(folder, temp_name, name)\n        self.sync_after_rename(folder)\n",
        "        self.install(folder, temp_name, name)\n",
    ),
    Mutation(
        "a new model's name is not synced",
        _DURABLE,
        "            self.sync_after_rename(self.root.folder)\n",
        "            pass\n",
    ),
    Mutation(
        "a new model's .yaml has no name at rest",
        _DURABLE,
        "                self.sync_folder(folder)\n        except OSError:\n            self.discard(tmp, temp_name)\n",
        "        except OSError:\n            self.discard(tmp, temp_name)\n",
    ),
    Mutation("a deletion's target is not synced", _DURABLE, "                self.sync_folder(trash)\n", ""),
    Mutation("a deletion's source is not synced", _DURABLE, "                self.sync_folder(self.root.folder)\n", ""),
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
        "            self._staging.sync_folder(folder.handle)\n"
        "        except OSError as error:\n"
        "            self._withdraw",
        "        try:\n            pass\n        except OSError as error:\n            self._withdraw",
    ),
    Mutation(
        "a version's .yaml has its name before its data",
        _WRITER,
        "            self._staging.install_new(folder.handle, temp_name, data)\n"
        "        except FileExistsError as error:\n"
        "            self._temp_name = temp_name\n"
        "            raise self._taken(folder, number) from error\n"
        "        except PlaceholderLeft:\n"
        "            self._pending.note_leftover(folder, data)\n"
        "            raise\n"
        "        try:\n"
        "            described = self._staging.write_temp_file(folder.handle, content)\n"
        "            self._sync_or_discard(folder, described)\n"
        "            self._place_yaml(folder, described, yaml)\n",
        "            described = self._staging.write_temp_file(folder.handle, content)\n"
        "            self._sync_or_discard(folder, described)\n"
        "            self._place_yaml(folder, described, yaml)\n"
        "            self._staging.install_new(folder.handle, temp_name, data)\n",
    ),
    Mutation("files are written in place", _DURABLE, _PLACED, _IN_PLACE),
    Mutation("temp files get no names", _DURABLE, _PLACED, "            pass\n"),
    Mutation(
        "versions take names that are taken",
        _DURABLE,
        "        source, target = within(folder, temp_name), within(folder, name)\n        try:\n"
        "            return self.system.rename_noreplace(source, target)\n",
        "        source, target = within(folder, temp_name), within(folder, name)\n        try:\n"
        "            return self.system.rename(source, target)\n",
    ),
    Mutation(
        "the trash is emptied before its names are durable",
        _DURABLE,
        "                self._sync_trash(trash)\n",
        "                pass\n",
    ),
    Mutation(
        "temp files of models are not swept",
        _DURABLE,
        "                self.discard(tmp, temp_name)\n        with",
        "                pass\n        with",
    ),
    Mutation(
        "temp files of versions are not swept",
        _VERSIONS,
        "        self._staging.sweep_temp_files(folder.handle, names)\n",
        "",
    ),
    Mutation(
        "models are removed where they are",
        _MODELS,
        "                trash_name = self._staging.move_to_trash(folder.name)\n",
        "                return empty(self._system, folder.handle)\n",
    ),
    Mutation(
        "the data of uncommitted versions stays",
        _VERSIONS,
        "[self._pending.remove_leftover(folder, number) for number in files.uncommitted]",
        "[False]",
    ),
    Mutation(
        "versions are listed before they are at rest",
        _VERSIONS,
        "        if self._staging.try_sync_folder(folder.handle):\n",
        "        if True:\n",
    ),
    Mutation(
        "models are listed before they are at rest",
        _FILESYSTEM,
        "            self._staging.retry_root_sync()\n",
        "            pass\n",
    ),
    Mutation(
        "a failed sync of the root is forgotten",
        _DURABLE,
        "                self.undo_rename(there, here)\n                self._note_failed_sync()\n",
        "                self.undo_rename(there, here)\n",
    ),
    Mutation(
        "a failed sync of a new model is forgotten",
        _DURABLE,
        "        except StorageFailure:\n            self._note_failed_sync()\n            raise\n",
        "        except StorageFailure:\n            raise\n",
    ),
    Mutation(
        "a version is acknowledged in a model that is not at rest",
        _WRITER,
        "                    self._staging.retry_root_sync()\n",
        "",
    ),
    Mutation(
        "what a failed commit left stays",
        _WRITER,
        "                    self._pending.remove_leftovers(folder)\n",
        "",
    ),
    Mutation(
        "a withdrawn version's data goes before its .yaml is gone for good",
        _WRITER,
        "            self._pending.note_leftover(folder, data)\n            return\n",
        "",
    ),
    Mutation("a failed deletion is not put back", _DURABLE, "                self.undo_rename(there, here)\n", ""),
)
"""All of them."""
