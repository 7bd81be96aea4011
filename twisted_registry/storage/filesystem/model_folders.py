"""
The models of an archive: a folder each, with the model's own .yaml file in it.
"""

import errno
import time
from collections.abc import Generator, Iterator, Sequence
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
    can_be_named,
    folds_case,
    is_hashed_name,
    model_id_of_any_form,
    version_files,
)
from twisted_registry.storage.filesystem.metadata import dump_model, parse_model
from twisted_registry.storage.filesystem.pinned_directory import LinkedFolder, emptying_steps, pin_folder, read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import DirEntry, Folder, System, close_quietly, exists, lexists, within

_log = Logger()

_MAX_VERSIONS_READ_FOR_ID = 10
_CLOCK_STEP_NS = 3 * 10**9
# The errors for a folder that is on another file system, or is a mount point.
_CANNOT_MOVE = frozenset({errno.EXDEV, errno.EBUSY})

LINKED_FOLDER = "its folder is a link, and links in an archive are not followed"
_FIX_LINK = "put the folder itself in the link's place, or mount its file system there"


class ModelFolders:
    """
    The part of an archive that keeps models.  Its methods may be called in any thread.
    """

    def __init__(self, staging: StagingArea) -> None:
        self._staging = staging
        self._root = staging.root
        self._system = staging.system
        self._logged: set[str] = set()
        self._listed_ns = 0
        self._names = FolderNames()

    def read_names(self) -> None:
        """
        Find out how the models' folders are named in this archive.  Called once, when it is opened.

        Raises:
            OSError: this cannot be determined.
        """
        is_folding = folds_case(self._system, self._root.folder)
        self._names.read(self._system.listdir(self._root.folder), is_folding=is_folding)
        if is_folding:
            _log.info(
                "{path} folds case: capitals in the names of new models' folders are escaped", path=self._root.path
            )

    # Finding models.

    def ids(self) -> list[str]:
        """
        Return the ids of all models; see ``IModelStore.model_ids``.
        """
        with reading():
            return list(self._iterate_ids())

    @property
    def is_empty(self) -> bool:
        """
        Return whether there are no models.  Stops at the first model.

        Raises:
            StorageFailure: this cannot be determined.
        """
        with reading():
            return next(self._iterate_ids(), None) is None

    def _iterate_ids(self) -> Iterator[str]:
        for entry in self._system.scandir(self._root.folder):
            model_id = None if entry.name == PRIVATE_FOLDER else self._entry_id(entry)
            if model_id is not None:
                yield model_id

    def _entry_id(self, entry: DirEntry) -> str | None:
        name = entry.name
        try:
            if entry.is_link:
                return self._link_id(name)
            return self._folder_id(name) if entry.is_folder else None
        except OSError as error:
            return self._unreadable_id(name, error)
        except Malformed as error:
            self._log_skipped(name, error.reason, is_link=entry.is_link)
        return None

    def _unreadable_id(self, name: str, error: OSError) -> str | None:
        if is_absent(error):  # It was deleted after the root was listed.
            return None
        if is_link_loop(error):
            self._log_skipped(name, reason_of(error))
            return None
        model_id = model_id_of_any_form(name)
        if is_denied(error) and model_id is not None:
            # The folder's name gives the id.  If the model were skipped, a client could create it again, and its
            # numbers would start at 1.
            _log.warn(
                "no permission to open {name!r} in the archive: {error}; give it to the daemon's user",
                name=name,
                error=error,
            )
            return model_id
        raise read_failure(error, f"the folder {shown(name)}") from error

    def _folder_id(self, name: str) -> str:
        model_id = model_id_of_any_form(name)
        if model_id is None and not is_hashed_name(name):
            raise Malformed("it does not have the name of a model's folder")
        if model_id is not None and self._names.of(model_id) != name:
            raise Malformed("its model has a folder of another name")
        if model_id is not None and lexists(self._system, within(self._root.folder, f"{name}/{name}.yaml")):
            return model_id
        with self._root.open_folder(name) as handle:
            folder = ModelFolder(name, handle)
            if self._is_deleted(folder):
                self._remove_later(name)
                raise Malformed("its model is deleted, and the rest of it is being removed")
            if not self.is_model(folder):
                raise Malformed("it holds neither the .yaml of a model nor that of a version")
            return self._id_from_files(folder) if model_id is None else model_id

    def _link_id(self, name: str) -> str | None:
        # A broken link may mean that a disk is missing, but then nothing shows that it stood for a model.
        model_id = model_id_of_any_form(name)
        if model_id is None or not leads_to_model(self._system, self._root.folder, DirEntry(name, False, True)):
            raise Malformed("it is a link that does not lead to a model")
        _log.error(
            "damage in the archive: {error}; run 'twisted-registry archive verify'",
            error=_linked_folder_error(model_id),
        )
        return model_id

    def _id_from_files(self, folder: ModelFolder) -> str:
        # The model's .yaml holds the id; if it is damaged, those of its versions do.
        for path in self._files_with_id(folder):
            try:
                with detecting_damage():
                    model_id = parse_model(read_metadata(self._system, path)).model_id
            except Malformed:
                continue
            if model_id and can_be_named(model_id, folder.name):
                return model_id
        raise Malformed("neither its files nor its name contain the model's id")

    def _files_with_id(self, folder: ModelFolder) -> Iterator[str]:
        yield folder.yaml
        numbers = version_files(folder.name, self._system.listdir(folder.path)).numbers
        yield from map(folder.version_yaml, numbers[-_MAX_VERSIONS_READ_FOR_ID:])

    def _log_skipped(self, name: str, reason: str, *, is_link: bool = False) -> None:
        if name not in self._logged:
            self._logged.add(name)
            log = _log.warn if is_link else _log.info
            log("skipped {name!r} in the archive: {reason}", name=name, reason=reason)

    def missing(self, model_ids: Sequence[str]) -> list[str]:
        """
        Return those of some models whose folders are gone; see ``ILocatedArchive.missing``.

        Raises:
            OSError: this cannot be determined.
        """
        changed_ns = self._system.fstat(self._root.folder.descriptor).st_mtime_ns
        if changed_ns == self._listed_ns:
            return []
        names = set(self._system.listdir(self._root.folder))
        missing = [model_id for model_id in model_ids if self._names.of(model_id) not in names]
        # A file system's clock is coarse: a folder that changed just now may change again without a new timestamp.
        self._listed_ns = changed_ns if time.time_ns() - changed_ns > _CLOCK_STEP_NS and not missing else 0
        return missing

    def is_model(self, folder: ModelFolder) -> bool:
        """
        Return whether an open folder holds a model, even a damaged one.

        Raises:
            OSError: this cannot be determined.
        """
        if lexists(self._system, folder.yaml):
            return True
        names = self._system.listdir(folder.path)
        return DELETED not in names and bool(version_files(folder.name, names).numbers)

    def path_within(self, model_id: str, name: str) -> str:
        """
        Return the path of a file of a model, whether or not it exists.  Its folder may be a link.
        """
        return within(self._root.folder, f"{self._names.of(model_id)}/{name}")

    @contextmanager
    def open(self, model_id: str) -> Iterator[ModelFolder]:
        """
        Open a model's folder.

        Raises:
            UnknownModel: it does not exist.
            CorruptModel: it is a link.
            OSError: it cannot be opened.
        """
        name = self._names.of(model_id)
        path = within(self._root.folder, name)
        try:
            folder = pin_folder(self._system, path)
        except LinkedFolder as error:
            raise _linked_folder_error(model_id) from error
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
            self._check_exists(folder, model_id)
            raise
        info = parse_model(content)
        if is_hashed_name(folder.name) and info.model_id != model_id:
            raise Malformed("it does not hold the model's id")
        return ModelInfo(model_id, info.metadata)

    def _check_exists(self, folder: ModelFolder, model_id: str) -> None:
        if not self.is_model(folder):
            raise UnknownModel(model_id)

    @contextmanager
    def open_existing(self, model_id: str) -> Iterator[ModelFolder]:
        """
        Open the folder of a model that exists.

        Raises:
            UnknownModel: the model does not exist.
            CorruptModel: its folder is a link.
            OSError: this cannot be determined.
        """
        with self.open(model_id) as folder:
            self._check_exists(folder, model_id)
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
                self._replace(model_id, content)  # The folder has appeared just now.
            except UnknownModel:
                raise error from None

    def _replace(self, model_id: str, content: bytes) -> None:
        with self.open(model_id) as folder:
            if not self._is_deleted(folder):
                return self._staging.replace_file(folder.handle, folder.yaml_name, content)
            self._staging.removals.discard(folder.name)
        # The removal may have ended meanwhile, with the folder.
        with self.open(model_id) as folder:
            if self._is_deleted(folder):
                for _ in self._emptying_steps(folder):
                    pass
            self._staging.replace_file(folder.handle, folder.yaml_name, content)

    def delete(self, model_id: str) -> None:
        """
        Remove a model; see ``IModelStore.delete_model``.
        """
        with removing(), self.open_existing(model_id) as folder:
            try:
                self._staging.move_to_trash(folder.name)
            except OSError as error:
                if error.errno not in _CANNOT_MOVE:
                    raise
                self._delete_in_place(folder)

    # Deleting a folder that cannot be moved: renaming its .yaml to .deleted is the one step that deletes the model.

    def _delete_in_place(self, folder: ModelFolder) -> None:
        handle, deleted = folder.handle, within(folder.path, DELETED)
        try:
            self._system.rename(folder.yaml, deleted)
        except FileNotFoundError:
            self._staging.replace_file(handle, DELETED, b"")
        else:
            try:
                self._staging.sync_folder(handle)
            except OSError as error:
                self._staging.undo_rename(deleted, folder.yaml)
                raise StorageFailure(reason_of(error)) from error
        self._remove_later(folder.name)

    def _is_deleted(self, folder: ModelFolder) -> bool:
        return not lexists(self._system, folder.yaml) and lexists(self._system, within(folder.path, DELETED))

    def _remove_later(self, name: str) -> None:
        self._staging.removals.add(name, lambda: self._removal_steps(name))

    def _removal_steps(self, name: str) -> Generator[None, None, None]:
        with self._root.open_folder(name) as handle:
            folder = ModelFolder(name, handle)
            if not self._is_deleted(folder):
                return  # it was created again
            yield from self._emptying_steps(folder)
        try:
            self._system.rmdir(within(self._root.folder, name))
        except OSError as error:
            # A mount point cannot be removed: it stays, empty.
            _log.info("the empty folder {name} stays: {reason}", name=name, reason=reason_of(error))

    def _emptying_steps(self, folder: ModelFolder) -> Generator[None, None, None]:
        # The deletion is durable before anything is removed, and all else is durably gone before .deleted is.
        self._staging.sync_folder(folder.handle)
        yield from emptying_steps(self._system, folder.handle, keep=DELETED)
        self._staging.sync_folder(folder.handle)
        self._system.unlink(within(folder.path, DELETED))


def _linked_folder_error(model_id: str) -> CorruptModel:
    return CorruptModel(model_id, LINKED_FOLDER, _FIX_LINK)


def leads_to_model(system: System, root: Folder, entry: DirEntry) -> bool:
    """
    Return whether a link in the root stands for a model: whether it leads to a folder with the layout of that model's.
    Nothing in that folder is read.

    Raises:
        OSError: this cannot be determined.
    """
    try:
        return exists(system, within(root, f"{entry.name}/{entry.name}.yaml"))
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise
