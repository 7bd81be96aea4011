"""
Models on the file system: a folder each, with the model's own .yaml in it.
"""

import errno
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from twisted.logger import Logger

from twisted_registry.domain.errors import CorruptModel, StorageFailure, UnknownModel, shown
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem.failures import (
    Malformed,
    detecting_damage,
    is_absent,
    is_denied,
    is_link_loop,
    read_failure,
    reading,
    reason_of,
    removing,
    writing,
)
from twisted_registry.storage.filesystem.layout import (
    DELETED,
    PRIVATE_FOLDER,
    FolderNames,
    ModelFolder,
    folds_case,
    is_hashed_name,
    may_be_named,
    model_id_of_any_form,
    version_files,
)
from twisted_registry.storage.filesystem.metadata import dump_model, parse_model
from twisted_registry.storage.filesystem.pinned_directory import LinkedFolder, empty, pin_folder, read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import DirEntry, Folder, System, close_quietly, exists, lexists, within

_log = Logger()

_MOST_ASKED_FOR_THE_ID = 10
_CLOCK_NS = 3 * 10**9
# What a file system says of a folder that cannot leave it, or that another is mounted on.
_STAYS = frozenset({errno.EXDEV, errno.EBUSY})

LINKED = "its folder is a link, and links in an archive are not followed"
_MEND_LINK = "put the folder itself in the link's place, or mount its file system there"


class ModelFolders:
    """
    The part of an archive that keeps models.  May be used in any thread.
    """

    def __init__(self, staging: StagingArea) -> None:
        self._staging = staging
        self._root = staging.root
        self._system = staging.system
        self._logged: set[str] = set()
        self._listed_ns = 0
        self._names = FolderNames()

    def learn_names(self) -> None:
        """
        Learn how the models' folders are named in this archive, which was opened just now.

        Raises:
            OSError: that cannot be told.
        """
        is_folding = folds_case(self._system, self._root.folder)
        self._names.learn(self._system.listdir(self._root.folder), is_folding=is_folding)
        if is_folding:
            _log.info(
                "{path} folds case: capitals in the names of new models' folders are escaped", path=self._root.path
            )

    # What is there.

    def ids(self) -> list[str]:
        """
        Give the ids of all models; see ``IModelStore.model_ids``.
        """
        with reading():
            return list(self._found_ids())

    @property
    def is_empty(self) -> bool:
        """
        Whether there is no model.  Looks no further than to the first one.

        Raises:
            StorageFailure: that cannot be told.
        """
        with reading():
            return next(self._found_ids(), None) is None

    def _found_ids(self) -> Iterator[str]:
        for entry in self._system.scandir(self._root.folder):
            model_id = None if entry.name == PRIVATE_FOLDER else self._id_in(entry)
            if model_id is not None:
                yield model_id

    def _id_in(self, entry: DirEntry) -> str | None:
        name = entry.name
        try:
            if entry.is_link:
                return self._linked_id(name)
            return self._listed_id(name) if entry.is_folder else None
        except OSError as error:
            return self._id_unseen(name, error)
        except Malformed as error:
            self._log_passed_over(name, error.reason, is_link=entry.is_link)
        return None

    def _id_unseen(self, name: str, error: OSError) -> str | None:
        if is_absent(error):  # It was deleted since the root was listed.
            return None
        if is_link_loop(error):
            self._log_passed_over(name, reason_of(error))
            return None
        model_id = model_id_of_any_form(name)
        if is_denied(error) and model_id is not None:
            # Its name says which model it is.  Were it left out, it would be made anew and numbers would begin at 1.
            _log.warn("the daemon may not look into {name!r} in the archive: {error}", name=name, error=error)
            return model_id
        raise read_failure(error, f"the folder {shown(name)}") from error

    def _listed_id(self, name: str) -> str:
        model_id = model_id_of_any_form(name)
        if model_id is None and not is_hashed_name(name):
            raise Malformed("no model's folder has such a name")
        if model_id is not None and self._names.of(model_id) != name:
            raise Malformed("the folder of the model of this name is another")
        if model_id is not None and lexists(self._system, within(self._root.folder, f"{name}/{name}.yaml")):
            return model_id
        with self._root.open_folder(name) as opened:
            folder = ModelFolder(name, opened)
            self._resume_deletion(folder)
            if not self.is_model(folder):
                raise Malformed("it holds neither a model's .yaml nor a version's")
            return self._told_id(folder) if model_id is None else model_id

    def _linked_id(self, name: str) -> str | None:
        # That it leads nowhere may mean that a disk is missing; but then nothing tells that it stands for a model.
        model_id = model_id_of_any_form(name)
        if model_id is None or not leads_to_model(self._system, self._root.folder, DirEntry(name, False, True)):
            raise Malformed("it is a link to what is no model, or to nothing")
        _log.error("damage on the archive: {error}", error=_linked(model_id))
        return model_id

    def _told_id(self, folder: ModelFolder) -> str:
        # The model's file tells it, or where that is damaged one of its versions'.
        for path in self._telling(folder):
            try:
                with detecting_damage():
                    model_id = parse_model(read_metadata(self._system, path)).model_id
            except Malformed:
                continue
            if model_id and may_be_named(model_id, folder.name):
                return model_id
        raise Malformed("none of its files tells the model's id, which the name of such a folder does not")

    def _telling(self, folder: ModelFolder) -> Iterator[str]:
        yield folder.yaml
        numbers = version_files(folder.name, self._system.listdir(folder.path)).numbers
        yield from map(folder.version_yaml, numbers[-_MOST_ASKED_FOR_THE_ID:])

    def _log_passed_over(self, name: str, reason: str, *, is_link: bool = False) -> None:
        if name not in self._logged:
            self._logged.add(name)
            log = _log.warn if is_link else _log.info
            log("passed over {name!r} in the archive: {reason}", name=name, reason=reason)

    def missing(self, model_ids: Sequence[str]) -> list[str]:
        """
        Return those of some models whose folders are gone; see
        ``ILocatedArchive.missing``.

        Raises:
            OSError: that cannot be told.
        """
        changed_ns = self._system.fstat(self._root.folder.descriptor).st_mtime_ns
        if changed_ns == self._listed_ns:
            return []
        names = set(self._system.listdir(self._root.folder))
        missing = [model_id for model_id in model_ids if self._names.of(model_id) not in names]
        # The clock of a file system is coarse: what changed just now may change again and look the same.
        self._listed_ns = changed_ns if time.time_ns() - changed_ns > _CLOCK_NS and not missing else 0
        return missing

    def is_model(self, folder: ModelFolder) -> bool:
        """
        Tell whether an open folder holds a model, if perhaps a damaged one.

        Raises:
            OSError: that cannot be told.
        """
        if lexists(self._system, folder.yaml):
            return True
        names = self._system.listdir(folder.path)
        return DELETED not in names and bool(version_files(folder.name, names).numbers)

    @contextmanager
    def open(self, model_id: str) -> Iterator[ModelFolder]:
        """
        Open a model's folder.

        Raises:
            UnknownModel: there is none.
            CorruptModel: it is a link.
            OSError: it cannot be opened.
        """
        name = self._names.of(model_id)
        path = within(self._root.folder, name)
        try:
            folder = pin_folder(self._system, path)
        except LinkedFolder as error:
            raise _linked(model_id) from error
        except OSError as error:
            if is_absent(error):
                raise UnknownModel(model_id) from error
            raise
        try:
            yield ModelFolder(name, folder)
        finally:
            close_quietly(self._system, folder.descriptor)

    # One model.

    def load(self, model_id: str) -> ModelInfo:
        """
        Read a model; see ``IModelStore.load_model``.
        """
        try:
            with detecting_damage(f"model {shown(model_id)}"), self.open(model_id) as folder:
                return self._read(folder, model_id)
        except Malformed as error:
            raise CorruptModel(model_id, f"its .yaml: {error.reason}") from error

    def _read(self, folder: ModelFolder, model_id: str) -> ModelInfo:
        try:
            content = read_metadata(self._system, folder.yaml)
        except FileNotFoundError:
            self._check_known(folder, model_id)
            raise
        told = parse_model(content)
        if is_hashed_name(folder.name) and told.model_id != model_id:
            raise Malformed("it does not tell the model's id")
        return ModelInfo(model_id, told.metadata)

    def _check_known(self, folder: ModelFolder, model_id: str) -> None:
        if not self.is_model(folder):
            raise UnknownModel(model_id)

    @contextmanager
    def open_existing(self, model_id: str) -> Iterator[ModelFolder]:
        """
        Open a model's folder, which holds a model.

        Raises:
            UnknownModel: there is none.
            CorruptModel: its folder is a link.
            OSError: that cannot be told.
        """
        with self.open(model_id) as folder:
            self._check_known(folder, model_id)
            yield folder

    def save(self, info: ModelInfo) -> None:
        """
        Write a model; see ``IModelStore.save_model``.
        """
        content = dump_model(info)
        with writing():
            try:
                self._replace(info.model_id, content)
            except UnknownModel:
                self._create(info.model_id, content)

    def _create(self, model_id: str, content: bytes) -> None:
        folder = ModelFolder(self._names.of(model_id), "")
        try:
            self._staging.create_folder(folder.name, folder.yaml_name, content)
        except FileExistsError as error:
            try:
                self._replace(model_id, content)  # A folder came here just now.
            except UnknownModel:
                raise error from None

    def _replace(self, model_id: str, content: bytes) -> None:
        with self.open(model_id) as folder:
            if self._is_deleted(folder):
                self._empty(folder)
            self._staging.replace_file(folder.handle, folder.yaml_name, content)

    def delete(self, model_id: str) -> None:
        """
        Remove a model; see ``IModelStore.delete_model``.
        """
        with removing(), self.open_existing(model_id) as folder:
            try:
                trash_name = self._staging.move_to_trash(folder.name)
            except OSError as error:
                if error.errno not in _STAYS:
                    raise
                return self._delete_in_place(folder)
        self._staging.remove_from_trash(trash_name)

    # Deleting where a folder cannot leave its file system: that the model is gone is one rename within its folder.

    def _delete_in_place(self, folder: ModelFolder) -> None:
        opened, gone = folder.handle, within(folder.path, DELETED)
        try:
            self._system.rename(folder.yaml, gone)
        except FileNotFoundError:
            self._staging.replace_file(opened, DELETED, b"")
        else:
            try:
                self._staging.sync_folder(opened)
            except OSError as error:
                self._staging.undo_rename(gone, folder.yaml)
                raise StorageFailure(reason_of(error)) from error
        self._resume_deletion(folder)

    def _is_deleted(self, folder: ModelFolder) -> bool:
        return not lexists(self._system, folder.yaml) and lexists(self._system, within(folder.path, DELETED))

    def _resume_deletion(self, folder: ModelFolder) -> None:
        # Never raises: another start, or the next who makes the model, resumes it.
        try:
            if self._is_deleted(folder):
                self._empty(folder)
                self._system.rmdir(within(self._root.folder, folder.name))
        except OSError as error:
            # Where a file system is mounted its folder stays, empty.
            _log.info("what is left of {path} stays: {reason}", path=folder.path, reason=reason_of(error))

    def _empty(self, folder: ModelFolder) -> None:
        # That the model is gone is at rest before anything goes, and all else is gone for good before it is forgotten.
        self._staging.sync_folder(folder.handle)
        empty(self._system, folder.handle, keep=DELETED)
        self._staging.sync_folder(folder.handle)
        self._system.unlink(within(folder.path, DELETED))


def _linked(model_id: str) -> CorruptModel:
    return CorruptModel(model_id, LINKED, _MEND_LINK)


def leads_to_model(system: System, root: Folder, entry: DirEntry) -> bool:
    """
    Tell whether a link in the root stands for a model: leads to a folder that is laid out as that model's.  Of what it
    leads to nothing is read.

    Raises:
        OSError: that cannot be told.
    """
    try:
        return exists(system, within(root, f"{entry.name}/{entry.name}.yaml"))
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise
