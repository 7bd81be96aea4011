"""
How anything gets its name: made under another one, synced, renamed, and the folder synced.

A model's files are written in the model's own folder, which may be on a file system of its own, under names that no
reader of the layout takes for a part of a model.  What has to appear or disappear at one stroke as a whole folder is
made, or taken to pieces, in the archive's private folder.  What a crash leaves behind of either is known by its name
or its place, and swept: the latter when the archive is opened; the former then too where the last daemon was killed,
or else when the model is first used.
"""

import errno
import os
from collections.abc import Iterable
from stat import S_ISDIR
from threading import Lock
from uuid import uuid4

from twisted.logger import Logger

from twisted_registry.domain.errors import StorageFailure
from twisted_registry.storage.filesystem.failures import is_absent, reason_of
from twisted_registry.storage.filesystem.layout import PRIVATE_FOLDER, TEMP_PREFIX, is_temp_file
from twisted_registry.storage.filesystem.pinned_directory import PinnedDirectory, remove
from twisted_registry.storage.filesystem.private_folder import PrivateFolders
from twisted_registry.storage.filesystem.system import Folder, close_quietly, within

_log = Logger()

# What a file system says that cannot give a name without perhaps replacing another's, or cannot give a second name.
_NO_NEW_NAMES = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL})


class PlaceholderLeft(OSError):
    """
    A name could not be given, and an empty file of ours that held it could not be removed.
    """


class StagingArea:
    """
    The few ways in which things come to an archive and leave it.

    Methods raise ``OSError`` unless they say otherwise.  May be used in any thread.
    """

    def __init__(self, root: PinnedDirectory) -> None:
        self.root = root
        self.system = root.system
        self.private = PrivateFolders(root)
        # Syncs of the root that failed, and up to which of them its names are at rest all the same.  The one to begin
        # with is that of a process that died before it came to it.
        self._failed_syncs = 1
        self._made_good = 0
        self._mutex = Lock()
        self._temp_names: set[str] = set()

    # Folders.

    def sync_folder(self, folder: Folder) -> None:
        """
        Bring the names in a folder to rest.
        """
        try:
            self.system.fsync(folder.descriptor)
        except OSError as error:
            # Some network file systems keep names at rest always, and so know no sync of folders.
            if error.errno != errno.EINVAL:
                raise

    def sync_after_rename(self, folder: Folder) -> None:
        """
        Bring the names in a folder to rest after one of them has changed: no longer can it be said that none did.

        Raises:
            StorageFailure: whatever the medium says.
        """
        try:
            self.sync_folder(folder)
        except OSError as error:
            raise StorageFailure(reason_of(error)) from error

    def try_sync_folder(self, folder: Folder) -> bool:
        """
        Bring to rest the names that are seen in a folder: a process that died may not have come to it, and what was
        seen once has to stay.  Never raises.

        Returns:
            whether they are at rest.
        """
        try:
            self.sync_folder(folder)
        except OSError as error:
            _log.warn("the names in {path} are not at rest: {reason}", path=folder, reason=reason_of(error))
            return False
        return True

    def retry_root_sync(self) -> None:
        """
        Make good for syncs of the root that failed: what is in a model's folder is at rest no more than the folder's
        own name is.  Without any, this costs nothing.
        """
        failed_syncs = self._failed_syncs
        if self._made_good < failed_syncs:
            self.sync_folder(self.root.folder)
            self._made_good = failed_syncs

    def _note_failed_sync(self) -> None:
        with self._mutex:
            self._failed_syncs += 1

    # Temp files, in the folder they are for.

    def create_temp_file(self, folder: Folder) -> tuple[int, str]:
        """
        Make a file under a name of its own.

        Returns:
            a descriptor to write to, and the name.
        """
        name = self._new_temp_name()
        try:
            return self.system.open(within(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW), name
        except BaseException:
            self._forget_temp_name(name)
            raise

    def _new_temp_name(self) -> str:
        name = f"{TEMP_PREFIX}{uuid4().hex}"
        with self._mutex:
            self._temp_names.add(name)
        return name

    def _forget_temp_name(self, name: str) -> None:
        with self._mutex:
            self._temp_names.discard(name)

    def write_temp_file(self, folder: Folder, content: bytes) -> str:
        """
        Write a file and bring it to rest, under a name of its own.

        Returns:
            the name.
        """
        descriptor, name = self.create_temp_file(folder)
        try:
            self._fill(descriptor, content)
        except OSError:
            self.discard(folder, name)
            raise
        return name

    def _fill(self, descriptor: int, content: bytes) -> None:
        try:
            self.write_all(descriptor, memoryview(content))
            self.system.fsync(descriptor)
        except OSError:
            close_quietly(self.system, descriptor)
            raise
        self.system.close(descriptor)

    def write_all(self, descriptor: int, data: memoryview) -> None:
        """
        Write all of the data, in as many calls as it takes.
        """
        while data:
            data = data[self.system.write(descriptor, data) :]

    def sweep_temp_files(self, folder: Folder, names: Iterable[str]) -> None:
        """
        Remove the temp files that a crash left in a folder.  Never raises.

        Args:
            names: what is in the folder.
        """
        for name in filter(is_temp_file, names):
            if name not in self._temp_names and self.discard(folder, name):
                _log.info("removed {path}, which a crash had left behind", path=within(folder, name))

    # From a temp file to what it is for.

    def replace_file(self, folder: Folder, name: str, content: bytes) -> None:
        """
        Write a file in a folder, in place of what has its name.  Durable when this returns.

        Raises:
            OSError: nothing has changed.
            StorageFailure: there is the old file or the new one.
        """
        self.root.check()
        self.retry_root_sync()
        temp_name = self.write_temp_file(folder, content)
        try:
            self._clear_folder(folder, name)
        except OSError:
            self.discard(folder, temp_name)
            raise
        self.install(folder, temp_name, name)
        self.sync_after_rename(folder)

    def replace_private_file(self, name: str, content: bytes) -> None:
        """
        Write a file in the private folder, in place of what has its name.  Durable when this returns.

        Raises:
            OSError: nothing has changed.
            StorageFailure: there is the old file or the new one.
        """
        root = self.root.folder
        # Written where a start sweeps what a crash left of it.
        with self.private.open("tmp") as tmp, self.private.open_in(root, PRIVATE_FOLDER) as private:
            temp_name = self.write_temp_file(tmp, content)
            try:
                self.system.rename(within(tmp, temp_name), within(private, name))
            except OSError:
                self.discard(tmp, temp_name)
                raise
            self._forget_temp_name(temp_name)
            self.sync_after_rename(private)
            self.sync_after_rename(root)  # the private folder itself may be new

    def _clear_folder(self, folder: Folder, name: str) -> None:
        # A file can take the place of anything but a folder.
        try:
            if S_ISDIR(self.system.lstat(within(folder, name)).st_mode):
                away = self._new_temp_name()
                self.system.rename(within(folder, name), within(folder, away))
                self.discard(folder, away)
        except OSError as error:
            if not is_absent(error):
                raise

    def install(self, folder: Folder, temp_name: str, name: str) -> None:
        """
        Give a temp file its name, in place of what had it.  If that fails, the temp file is gone.
        """
        try:
            self.system.rename(within(folder, temp_name), within(folder, name))
        except OSError:
            self.discard(folder, temp_name)
            raise
        self._forget_temp_name(temp_name)

    def install_new(self, folder: Folder, temp_name: str, name: str, *, is_claimed: bool = False) -> None:
        """
        Give a temp file a name that nothing has yet.

        Args:
            is_claimed: whether another name, placed before, keeps all who go by the same rules from this one.

        Raises:
            FileExistsError: something has the name; the temp file is there still.
            PlaceholderLeft: the temp file is gone, and an empty file has the name.
            OSError: the temp file is gone.
        """
        try:
            self._rename_new(folder, temp_name, name, is_claimed)
        except FileExistsError:
            raise
        except OSError:
            self.discard(folder, temp_name)
            raise
        self._forget_temp_name(temp_name)

    def _rename_new(self, folder: Folder, temp_name: str, name: str, is_claimed: bool) -> None:
        source, target = within(folder, temp_name), within(folder, name)
        try:
            return self.system.rename_noreplace(source, target)
        except OSError as error:
            if error.errno not in _NO_NEW_NAMES:
                raise
        try:
            self.system.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._claim_and_rename(source, target, is_claimed)
        else:
            self.discard(folder, temp_name)

    def _claim_and_rename(self, source: str, target: str, is_claimed: bool) -> None:
        # An empty file holds the name until the temp file replaces it.  A crash may leave it behind, and an empty .yaml
        # would be taken for a damaged version.  So for a .yaml, only a look protects what others have put there.
        if is_claimed:
            self._check_free(target)
            return self.system.rename(source, target)
        close_quietly(self.system, self.system.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW))
        try:
            self.system.rename(source, target)
        except OSError as error:
            if not self._discard(target):
                raise PlaceholderLeft(*error.args) from error
            raise

    def _check_free(self, path: str) -> None:
        try:
            self.system.lstat(path)
        except OSError as error:
            if not is_absent(error):
                raise
        else:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def uninstall(self, folder: Folder, name: str, temp_name: str) -> None:
        """
        Rename an installed file back to its temporary name.
        """
        with self._mutex:
            self._temp_names.add(temp_name)
        self.system.rename(within(folder, name), within(folder, temp_name))

    # Whole folders.

    def create_folder(self, name: str, file: str, content: bytes) -> None:
        """
        Make a folder in the root, with one file in it.  Durable when this returns, and never there without the file.

        Raises:
            FileExistsError: something has the name; nothing has changed.
            OSError: nothing has changed.
            StorageFailure: there may be the folder.
        """
        self.root.check()
        with self.private.open("tmp") as tmp:
            temp_name = self._write_temp_folder(tmp, file, content)
            try:
                self._rename_new_folder(within(tmp, temp_name), within(self.root.folder, name))
            except OSError:
                self.discard(tmp, temp_name)
                raise
        try:
            self.sync_after_rename(self.root.folder)
        except StorageFailure:
            self._note_failed_sync()
            raise

    def _rename_new_folder(self, source: str, target: str) -> None:
        try:
            return self.system.rename_noreplace(source, target)
        except OSError as error:
            if error.errno not in _NO_NEW_NAMES:
                raise
        # Of all there can be, a folder takes the place of an empty folder alone.
        try:
            self.system.rename(source, target)
        except OSError as error:
            if error.errno == errno.ENOTEMPTY:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
            raise

    def _write_temp_folder(self, tmp: Folder, name: str, content: bytes) -> str:
        temp_name = uuid4().hex
        self.system.mkdir(within(tmp, temp_name))
        try:
            with self.private.open_in(tmp, temp_name) as folder:
                self._fill(self.system.open(within(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL), content)
                self.sync_folder(folder)
        except OSError:
            self.discard(tmp, temp_name)
            raise
        return temp_name

    def move_to_trash(self, name: str) -> str:
        """
        Move a folder from the root to the trash.  Durable when this returns; ``remove_from_trash`` removes it.

        Returns:
            its name in the trash.

        Raises:
            OSError: nothing has changed.
            StorageFailure: it is there still, unless the medium refused also to put it back.
        """
        self.root.check()
        trash_name = uuid4().hex
        with self.private.open("trash") as trash:
            there, here = within(trash, trash_name), within(self.root.folder, name)
            self.system.rename(here, there)
            try:
                self.sync_folder(trash)
                self.sync_folder(self.root.folder)
            except OSError as error:
                self.undo_rename(there, here)
                self._note_failed_sync()
                raise StorageFailure(reason_of(error)) from error
        return trash_name

    def undo_rename(self, source: str, path: str) -> None:
        """
        Give something its name back.  Never raises.
        """
        try:
            self.system.rename(source, path)
        except OSError as error:
            _log.error(
                "cannot put {path} back from {source}: {reason}", path=path, source=source, reason=reason_of(error)
            )

    def remove_from_trash(self, trash_name: str) -> None:
        """
        Remove what ``move_to_trash`` took.  Never raises: what stays is swept another time.
        """
        try:
            with self.private.open("trash") as trash:
                self.discard(trash, trash_name)
        except OSError as error:
            _log.warn(
                "{trash_name} in the trash is left for later: {reason}", trash_name=trash_name, reason=reason_of(error)
            )

    # Removing.

    def discard(self, folder: Folder, name: str) -> bool:
        """
        Remove a file, a link or a whole folder as far as that goes.  What stays is swept another time.  Never raises.

        Returns:
            whether nothing is left.
        """
        self._forget_temp_name(name)
        return self._discard(within(folder, name))

    def _discard(self, path: str) -> bool:
        try:
            remove(self.system, path)
        except OSError as error:
            _log.warn("{path} is left for later: {reason}", path=path, reason=reason_of(error))
            return False
        return True

    def sweep(self) -> None:
        """
        Remove what a crash left in the private folder.
        """
        with self.private.open("tmp") as tmp:
            for temp_name in self.system.listdir(tmp):
                self.discard(tmp, temp_name)
        with self.private.open("trash") as trash:
            trash_names = self.system.listdir(trash)
            if trash_names:
                self._sync_trash(trash)
            for trash_name in trash_names:
                self.discard(trash, trash_name)

    def _sync_trash(self, trash: Folder) -> None:
        # A model must not come back half empty: its way to the trash has to be at rest before anything in it goes.
        self.sync_folder(trash)
        self.sync_folder(self.root.folder)
