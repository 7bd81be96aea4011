"""
Models on the file system: a folder each, with the model's own .yaml in it.
"""

import os
from collections.abc import Iterator

from twisted.logger import Logger

from twisted_registry.errors import CorruptModel, UnknownModel, shown
from twisted_registry.storage._calls import is_there
from twisted_registry.storage._durable import Workbench
from twisted_registry.storage._failures import (
    Malformed,
    is_absent,
    is_denied,
    is_link_loop,
    read_failure,
    reading,
    reason_of,
    removing,
    telling_damage,
    writing,
)
from twisted_registry.storage._layout import (
    PRIVATE_FOLDER,
    ModelFolder,
    folder_of,
    is_digest,
    model_folder,
    model_id_of,
    version_files,
)
from twisted_registry.storage._metadata import dump_model, parse_model
from twisted_registry.storage._reader import read_metadata
from twisted_registry.values import ModelInfo

_log = Logger()

_MOST_ASKED_FOR_THE_ID = 10


class ModelFolders:
    """
    The part of an archive that keeps models.  May be used in any thread.
    """

    def __init__(self, root: str, bench: Workbench) -> None:
        self._root = root
        self._bench = bench
        self._system = bench.system
        self._logged: set[str] = set()

    # What is there.

    def ids(self) -> list[str]:
        """
        Give the ids of all models; see L{twisted_registry.interfaces.IModelStore.model_ids}.
        """
        with reading():
            entries = self._system.scandir(self._root)
            found = [self._id_in(entry) for entry in entries if entry.name != PRIVATE_FOLDER]
        return [model_id for model_id in found if model_id is not None]

    def _id_in(self, entry: os.DirEntry[str]) -> str | None:
        name = entry.name
        try:
            return self._listed_id(name) if entry.is_dir() else None
        except OSError as error:
            return self._id_unseen(name, error)
        except Malformed as error:
            self._log_passed_over(name, error.reason)
        return None

    def _id_unseen(self, name: str, error: OSError) -> str | None:
        if is_absent(error):  # It was deleted since the root was listed.
            return None
        if is_link_loop(error):
            self._log_passed_over(name, reason_of(error))
            return None
        model_id = model_id_of(name)
        if is_denied(error) and model_id is not None:
            # Its name says which model it is.  Were it left out, it would be made anew and numbers would begin at 1.
            _log.warn("the daemon may not look into {name!r} in the archive: {error}", name=name, error=error)
            return model_id
        raise read_failure(error, f"the folder {shown(name)}") from error

    def _listed_id(self, name: str) -> str:
        model_id = model_id_of(name)
        if model_id is None and not is_digest(name):
            raise Malformed("no model's folder has such a name")
        folder = ModelFolder(name, os.path.join(self._root, name))
        if not self.is_model(folder):
            raise Malformed("it holds neither a model's .yaml nor a version's")
        return self._told_id(folder) if model_id is None else model_id

    def _told_id(self, folder: ModelFolder) -> str:
        # The model's file tells it, or where that is damaged one of its versions'.
        for path in self._telling(folder):
            try:
                with telling_damage():
                    model_id = parse_model(read_metadata(self._system, path)).model_id
            except Malformed:
                continue
            if model_id and folder_of(model_id) == folder.name:
                return model_id
        raise Malformed("none of its files tells the model's id, which the name of such a folder does not")

    def _telling(self, folder: ModelFolder) -> Iterator[str]:
        yield folder.yaml
        numbers = version_files(folder.name, self._system.listdir(folder.path)).numbers
        yield from map(folder.version_yaml, numbers[-_MOST_ASKED_FOR_THE_ID:])

    def _log_passed_over(self, name: str, reason: str) -> None:
        if name not in self._logged:
            self._logged.add(name)
            _log.info("passed over {name!r} in the archive: {reason}", name=name, reason=reason)

    def is_model(self, folder: ModelFolder) -> bool:
        """
        Tell whether a folder is there and holds a model, if perhaps a damaged one.

        @raise OSError: that cannot be told.
        """
        try:
            self._system.lstat(folder.yaml)
        except OSError as error:
            if not is_absent(error):
                raise
        else:
            return True
        try:
            return bool(version_files(folder.name, self._system.listdir(folder.path)).numbers)
        except OSError as error:
            if not is_absent(error):
                raise
            return False

    def known(self, model_id: str) -> ModelFolder:
        """
        Give a model's folder.

        @raise UnknownModel: there is no such model.
        @raise OSError: that cannot be told.
        """
        folder = model_folder(self._root, model_id)
        if not self.is_model(folder):
            raise UnknownModel(model_id)
        return folder

    # One model.

    def load(self, model_id: str) -> ModelInfo:
        """
        Read a model; see L{twisted_registry.interfaces.IModelStore.load_model}.
        """
        folder = model_folder(self._root, model_id)
        subject = f"model {shown(model_id)}"
        try:
            with telling_damage(subject):
                return self._read(folder, model_id)
        except Malformed as error:
            with reading(subject):
                self.known(model_id)
            raise CorruptModel(model_id, f"its .yaml: {error.reason}") from error

    def _read(self, folder: ModelFolder, model_id: str) -> ModelInfo:
        told = parse_model(read_metadata(self._system, folder.yaml))
        if is_digest(folder.name) and told.model_id != model_id:
            raise Malformed("it does not tell the model's id")
        return ModelInfo(model_id, told.user_data)

    def save(self, info: ModelInfo) -> None:
        """
        Write a model; see L{twisted_registry.interfaces.IModelStore.save_model}.
        """
        folder = model_folder(self._root, info.model_id)
        content = dump_model(info)
        with writing():
            if is_there(self._system, folder.path):
                self._bench.replace(folder.path, folder.yaml, content)
            else:
                self._bench.create_folder(folder.path, os.path.basename(folder.yaml), content)

    def delete(self, model_id: str) -> None:
        """
        Remove a model; see L{twisted_registry.interfaces.IModelStore.delete_model}.
        """
        with removing():
            folder = self.known(model_id)
            grave = self._bench.bury(folder.path)
        self._bench.discard(grave)
