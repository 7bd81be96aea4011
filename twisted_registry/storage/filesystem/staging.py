"""
The staging area of an archive: files and folders are written under temporary names, synced, renamed, and their folder
is synced.

A model's files are staged in the model's own folder, because that may be a separate file system.  Their names start
with ``.new-``, which readers of the layout ignore.  A folder that must appear or disappear in one step is staged in the
private folder.  Leftovers of a crash are removed later: those in the private folder when the archive is opened; those
in a model's folder when the model is first used, or when the archive is opened after its daemon was killed.
"""

import errno
import os
from collections.abc import Generator, Iterable
from stat import S_ISDIR
from threading import Lock
from uuid import uuid4

from twisted.logger import Logger

from twisted_registry.domain.errors import StorageFailure
from twisted_registry.storage.filesystem.failures import is_absent, reason_of
from twisted_registry.storage.filesystem.layout import PRIVATE_FOLDER, TEMP_PREFIX, is_temp_file
from twisted_registry.storage.filesystem.pinned_directory import PinnedDirectory, removal_steps, remove
from twisted_registry.storage.filesystem.private_folder import PrivateFolders
from twisted_registry.storage.filesystem.removals import Removals
from twisted_registry.storage.filesystem.system import Folder, close_quietly, lexists, within

_log = Logger()

# The errors of file systems without RENAME_NOREPLACE, and of those without hard links.
_NO_NOREPLACE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL})


class PlaceholderLeft(OSError):
    """
    An empty placeholder file could neither be replaced by a temp file nor removed.
    """


class StagingArea:
    """
    The operations that add files and folders to an archive, and remove them.

    Methods raise ``OSError`` unless they say otherwise, and may be called in any thread.
    """

    def __init__(self, root: PinnedDirectory) -> None:
        self.root = root
        self.system = root.system
        self.private = PrivateFolders(root)
        self.removals = Removals(root)
        # The number of failed syncs of the root, and how many of them a later sync has made up for.  The first stands
        # for a previous process, which may have died before its sync.
        self._failed_syncs = 1
        self._repaired_syncs = 0
        self._mutex = Lock()
        self._temp_names: set[str] = set()

    # Syncing folders.

    def sync_folder(self, folder: Folder) -> None:
        """
        Make the names in a folder durable.
        """
        try:
            self.system.fsync(folder.descriptor)
        except OSError as error:
            # Some network file systems keep names durable at all times, and do not support syncing a folder.
            if error.errno != errno.EINVAL:
                raise

    def sync_after_rename(self, folder: Folder) -> None:
        """
        Make the names in a folder durable after a rename.

        Raises:
            StorageFailure: the sync failed, for any reason.  The rename has happened, so no other error is raised:
                the caller would take it to mean that nothing has changed.
        """
        try:
            self.sync_folder(folder)
        except OSError as error:
            raise StorageFailure(reason_of(error)) from error

    def try_sync_folder(self, folder: Folder) -> bool:
        """
        Make the names in a folder durable before they are reported, because a process that died may not have synced
        them.  Never raises.

        Returns:
            whether they are durable.
        """
        try:
            self.sync_folder(folder)
        except OSError as error:
            _log.warn(
                "the names in {path} may not be durable: {reason}; check the disk", path=folder, reason=reason_of(error)
            )
            return False
        return True

    def retry_root_sync(self) -> None:
        """
        Sync the root if an earlier sync of it failed.  Nothing in a model's folder is durable before the folder's name
        is.
        """
        failed_syncs = self._failed_syncs
        if self._repaired_syncs < failed_syncs:
            self.sync_folder(self.root.folder)
            self._repaired_syncs = failed_syncs

    def _note_failed_sync(self) -> None:
        with self._mutex:
            self._failed_syncs += 1

    # Temp files.

    def create_temp_file(self, folder: Folder) -> tuple[int, str]:
        """
        Create an empty temp file in a folder.

        Returns:
            a descriptor to write to, and the file's name.
        """
        name = self._new_temp_name()
        try:
            return self.system.open(within(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW), name
        except BaseException:
            self.forget_temp_name(name)
            raise

    def _new_temp_name(self) -> str:
        name = f"{TEMP_PREFIX}{uuid4().hex}"
        with self._mutex:
            self._temp_names.add(name)
        return name

    def forget_temp_name(self, name: str) -> None:
        """
        Let a temp file be swept as a leftover.
        """
        with self._mutex:
            self._temp_names.discard(name)

    def keep_temp_file(self, name: str) -> None:
        """
        Keep a temp file, until it is discarded or installed, from being swept as a leftover.
        """
        with self._mutex:
            self._temp_names.add(name)

    def write_temp_file(self, folder: Folder, content: bytes) -> str:
        """
        Write a temp file in a folder and sync it.

        Returns:
            the file's name.
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
            names: the names in the folder.
        """
        for name in filter(is_temp_file, names):
            if name not in self._temp_names and self.discard(folder, name):
                _log.info("removed {path}, which a crash had left behind", path=within(folder, name))

    # Installing files under their names.

    def replace_file(self, folder: Folder, name: str, content: bytes) -> None:
        """
        Write a file in a folder, replacing the one of that name.  Durable when this returns.

        Raises:
            OSError: nothing has changed.
            StorageFailure: either the old file or the new one exists.
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

    def remove_file(self, folder: Folder, name: str) -> None:
        """
        Remove a file from a folder, if it exists.  Durable when this returns.

        Raises:
            OSError: nothing has changed.
            StorageFailure: the file may exist.
        """
        self.root.check()
        remove(self.system, within(folder, name))
        self.sync_after_rename(folder)

    def replace_private_file(self, name: str, content: bytes) -> None:
        """
        Write a file in the private folder, replacing the one of that name.  Durable when this returns.

        Raises:
            OSError: nothing has changed.
            StorageFailure: either the old file or the new one exists.
        """
        root = self.root.folder
        # It is in tmp, where the next start removes what a crash leaves.
        with self.private.open("tmp") as tmp, self.private.open_in(root, PRIVATE_FOLDER) as private:
            temp_name = self.write_temp_file(tmp, content)
            try:
                self.system.rename(within(tmp, temp_name), within(private, name))
            except OSError:
                self.discard(tmp, temp_name)
                raise
            self.forget_temp_name(temp_name)
            self.sync_after_rename(private)
            self.sync_after_rename(root)  # the private folder itself may be new

    def _clear_folder(self, folder: Folder, name: str) -> None:
        # A rename replaces anything but a folder.
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
        Rename a temp file to its final name, replacing the file of that name.  If this fails, the temp file is removed.
        """
        try:
            self.system.rename(within(folder, temp_name), within(folder, name))
        except OSError:
            self.discard(folder, temp_name)
            raise
        self.forget_temp_name(temp_name)

    def install_new(self, folder: Folder, temp_name: str, name: str, *, is_claimed: bool = False) -> None:
        """
        Rename a temp file to a final name that does not exist yet.

        Args:
            is_claimed: whether a related name, installed before, keeps all well-behaved writers from using this one.

        Raises:
            FileExistsError: the name exists; the temp file is kept.
            PlaceholderLeft: the temp file is removed, and an empty file has the name.
            OSError: the temp file is removed.
        """
        source, target = within(folder, temp_name), within(folder, name)
        try:
            if not self._rename_noreplace(source, target):
                self._link_or_rename(source, target, is_claimed)
        except FileExistsError:
            raise
        except OSError:
            self.discard(folder, temp_name)
            raise
        self.forget_temp_name(temp_name)

    def _rename_noreplace(self, source: str, target: str) -> bool:
        """
        Rename a file or a folder unless the target exists.

        Returns:
            whether the file system supports this; if it does not, nothing has changed.
        """
        try:
            self.system.rename_noreplace(source, target)
        except OSError as error:
            if error.errno not in _NO_NOREPLACE:
                raise
            return False
        return True

    def _link_or_rename(self, source: str, target: str, is_claimed: bool) -> None:
        try:
            self.system.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._rename_over_placeholder(source, target, is_claimed)
        else:
            self._discard(source)

    def _rename_over_placeholder(self, source: str, target: str, is_claimed: bool) -> None:
        # An empty file holds the name until the temp file replaces it.  A crash may leave that file behind, and an
        # empty .yaml would look like a damaged version.  So a claimed name is only checked before the rename.
        if is_claimed:
            if lexists(self.system, target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            return self.system.rename(source, target)
        close_quietly(self.system, self.system.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW))
        try:
            self.system.rename(source, target)
        except OSError as error:
            if not self._discard(target):
                raise PlaceholderLeft(*error.args) from error
            raise

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
        Create a folder in the root, with one file in it.  Durable when this returns; the folder never exists without
        the file.

        Raises:
            FileExistsError: the name exists; nothing has changed.
            OSError: nothing has changed.
            StorageFailure: the folder may exist.
        """
        self.root.check()
        with self.private.open("tmp") as tmp:
            temp_name = self._write_temp_folder(tmp, file, content)
            source, target = within(tmp, temp_name), within(self.root.folder, name)
            try:
                if not self._rename_noreplace(source, target):
                    self._rename_folder(source, target)
            except OSError:
                self.discard(tmp, temp_name)
                raise
        try:
            self.sync_after_rename(self.root.folder)
        except StorageFailure:
            self._note_failed_sync()
            raise

    def _rename_folder(self, source: str, target: str) -> None:
        # This replaces nothing but an empty folder.
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

    def move_to_trash(self, name: str) -> None:
        """
        Move a folder from the root to the trash.  Durable when this returns; ``removals`` removes it later.

        Raises:
            OSError: nothing has changed.
            StorageFailure: the folder is back in its place, unless the medium refused that too.
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
        self._remove_from_trash(trash_name)

    def undo_rename(self, source: str, path: str) -> None:
        """
        Rename something back to the path that it had before.  Never raises.
        """
        try:
            self.system.rename(source, path)
        except OSError as error:
            reason = reason_of(error)
            _log.error("cannot rename {source} back to {path}: {reason}", source=source, path=path, reason=reason)

    def _remove_from_trash(self, trash_name: str) -> None:
        self.removals.add(f"{PRIVATE_FOLDER}/trash/{trash_name}", lambda: self._trash_removal_steps(trash_name))

    def _trash_removal_steps(self, trash_name: str) -> Generator[None, None, None]:
        with self.private.open("trash") as trash:
            yield from removal_steps(self.system, within(trash, trash_name))

    # Removing.

    def discard(self, folder: Folder, name: str) -> bool:
        """
        Remove a file, a link or a whole folder as far as possible.  Never raises: what is left is removed later.

        Returns:
            whether nothing is left.
        """
        self.forget_temp_name(name)
        return self._discard(within(folder, name))

    def _discard(self, path: str) -> bool:
        try:
            remove(self.system, path)
        except OSError as error:
            _log.warn(
                "{path} stays until the next start, which removes it: {reason}", path=path, reason=reason_of(error)
            )
            return False
        return True

    def sweep(self) -> None:
        """
        Remove what a crash left in the private folder; deleted models are removed by ``removals``.
        """
        with self.private.open("tmp") as tmp:
            for temp_name in self.system.listdir(tmp):
                self.discard(tmp, temp_name)
        with self.private.open("trash") as trash:
            trash_names = self.system.listdir(trash)
            if trash_names:
                self._sync_trash(trash)
        for trash_name in trash_names:
            self._remove_from_trash(trash_name)

    def _sync_trash(self, trash: Folder) -> None:
        # The move to the trash must be durable before anything is removed, or else half a model could come back.
        self.sync_folder(trash)
        self.sync_folder(self.root.folder)
