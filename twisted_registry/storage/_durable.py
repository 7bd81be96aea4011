"""
How anything gets its name: made under another one, synced, renamed, and the folder synced.

What is not under its name yet, or no longer, is in a private folder of the archive: whatever a crash leaves behind lies
there, is swept when the archive is opened the next time, and is never taken for a part of a model.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_ISDIR
from threading import Lock
from uuid import uuid4

from twisted.logger import Logger

from twisted_registry.errors import StorageFailure
from twisted_registry.storage._calls import close_quietly
from twisted_registry.storage._failures import is_absent, reason_of
from twisted_registry.storage._layout import PRIVATE_FOLDER
from twisted_registry.storage._system import System

_log = Logger()


class Workbench:
    """
    The private folder of an archive, and the few ways in which things leave it and come to it.

    Methods raise C{OSError} unless they say otherwise.  May be used in any thread.
    """

    def __init__(self, root: str, system: System) -> None:
        self.system = system
        self._root = root
        self._private = os.path.join(root, PRIVATE_FOLDER)
        self._drafts = os.path.join(self._private, "tmp")
        self._trash = os.path.join(self._private, "trash")
        # Syncs of the root that failed, and up to which of them its names are at rest all the same.  The one to begin
        # with is that of a process that died before it came to it.
        self._failed_syncs = 1
        self._made_good = 0
        self._counting = Lock()

    def prepare(self) -> None:
        """
        Make the private folder, if it is missing.
        """
        for path in (self._private, self._drafts, self._trash):
            try:
                self.system.mkdir(path)
            except FileExistsError:
                continue

    # Folders.

    @contextmanager
    def opened_folder(self, path: str) -> Iterator[int]:
        """
        Open a folder to sync it later: where there is no descriptor left for it, that is known before anything changed.
        """
        descriptor = self.system.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield descriptor
        finally:
            close_quietly(self.system, descriptor)

    def sync_folder(self, descriptor: int) -> None:
        """
        Bring the names in a folder to rest.
        """
        try:
            self.system.fsync(descriptor)
        except OSError as error:
            # Some network file systems keep names at rest always, and so know no sync of folders.
            if error.errno != errno.EINVAL:
                raise

    def sync_renamed(self, descriptor: int) -> None:
        """
        Bring the names in a folder to rest after one of them has changed: no longer can it be said that none did.

        @raise StorageFailure: whatever the medium says.
        """
        try:
            self.sync_folder(descriptor)
        except OSError as error:
            raise StorageFailure(reason_of(error)) from error

    def settle(self, folder: str) -> bool:
        """
        Bring to rest the names that are seen in a folder: a process that died may not have come to it, and what was
        seen once has to stay.  Never raises.

        @return: whether they are at rest.
        """
        try:
            with self.opened_folder(folder) as descriptor:
                self.sync_folder(descriptor)
        except OSError as error:
            _log.warn("the names in {path} are not at rest: {reason}", path=folder, reason=reason_of(error))
            return False
        return True

    def settle_models(self) -> None:
        """
        Make good for syncs of the root that failed: what is in a model's folder is at rest no more than the folder's
        own name is.  Without any, this costs nothing.
        """
        failed_syncs = self._failed_syncs
        if self._made_good < failed_syncs:
            with self.opened_folder(self._root) as descriptor:
                self.sync_folder(descriptor)
            self._made_good = failed_syncs

    def _note_failed_sync(self) -> None:
        with self._counting:
            self._failed_syncs += 1

    # From the workbench to where it belongs.

    def create_draft(self) -> tuple[int, str]:
        """
        Make a file under a name of its own.

        @return: a descriptor to write to, and the path.
        """
        path = os.path.join(self._drafts, uuid4().hex)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            return self.system.open(path, flags), path
        except FileNotFoundError:
            self.prepare()
            return self.system.open(path, flags), path

    def draft(self, content: bytes) -> str:
        """
        Write a file and bring it to rest, under a name of its own.

        @return: its path.
        """
        descriptor, path = self.create_draft()
        try:
            self._fill(descriptor, content)
        except OSError:
            self.discard(path)
            raise
        return path

    def replace(self, folder: str, path: str, content: bytes) -> None:
        """
        Write a file in a folder, in place of what has its name.  Durable when this returns.

        @raise OSError: nothing has changed.
        @raise StorageFailure: there is the old file or the new one.
        """
        self.settle_models()
        with self.opened_folder(folder) as descriptor:
            draft = self.draft(content)
            try:
                self._clear_folder(path)
            except (OSError, StorageFailure):
                self.discard(draft)
                raise
            self.place(draft, path)
            self.sync_renamed(descriptor)

    def _clear_folder(self, path: str) -> None:
        # A file can take the place of anything but a folder.
        try:
            if S_ISDIR(self.system.lstat(path).st_mode):
                self.discard(self.bury(path))
        except OSError as error:
            if not is_absent(error):
                raise

    def create_folder(self, path: str, name: str, content: bytes) -> None:
        """
        Make a folder in the root, with one file in it.  Durable when this returns, and never there without the file.

        @raise OSError: nothing has changed.
        @raise StorageFailure: there may be the folder.
        """
        with self.opened_folder(self._root) as descriptor:
            draft = self._draft_folder(name, content)
            self.place(draft, path)
            try:
                self.sync_renamed(descriptor)
            except StorageFailure:
                self._note_failed_sync()
                raise

    def place(self, draft: str, path: str) -> None:
        """
        Give a draft its name.  Where that fails, the draft is gone.
        """
        try:
            self.system.rename(draft, path)
        except OSError:
            self.discard(draft)
            raise

    def _draft_folder(self, name: str, content: bytes) -> str:
        self.prepare()
        path = os.path.join(self._drafts, uuid4().hex)
        self.system.mkdir(path)
        try:
            self._fill(self.system.open(os.path.join(path, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL), content)
            with self.opened_folder(path) as descriptor:
                self.sync_folder(descriptor)
        except OSError:
            self.discard(path)
            raise
        return path

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

    # From where it was to the trash.

    def bury(self, path: str) -> str:
        """
        Take something out of the root at one stroke.  Durable when this returns; L{discard} removes what was taken.

        @return: where it is now.

        @raise OSError: nothing has changed.
        @raise StorageFailure: it is there still, unless the medium refused also to put it back.
        """
        self.prepare()
        grave = os.path.join(self._trash, uuid4().hex)
        with self.opened_folder(self._root) as root, self.opened_folder(self._trash) as trash:
            self.system.rename(path, grave)
            try:
                self.sync_folder(trash)
                self.sync_folder(root)
            except OSError as error:
                self._put_back(grave, path)
                self._note_failed_sync()
                raise StorageFailure(reason_of(error)) from error
        return grave

    def _put_back(self, grave: str, path: str) -> None:
        try:
            self.system.rename(grave, path)
        except OSError as error:
            _log.error("cannot put {path} back from {grave}: {reason}", path=path, grave=grave, reason=reason_of(error))

    def discard(self, path: str) -> bool:
        """
        Remove a file, a link or a whole folder as far as that goes.  What stays is swept another time.  Never raises.

        @return: whether nothing is left.
        """
        try:
            self.remove(path)
        except OSError as error:
            _log.warn("{path} is left for later: {reason}", path=path, reason=reason_of(error))
            return False
        return True

    def remove(self, path: str) -> None:
        """
        Remove a file, a link or a whole folder, if it is there.
        """
        try:
            if S_ISDIR(self.system.lstat(path).st_mode):
                self._remove_tree(path)
            else:
                self.system.unlink(path)
        except OSError as error:
            if not is_absent(error):
                raise

    def _remove_tree(self, path: str) -> None:
        for entry in self.system.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                self._remove_tree(entry.path)
            else:
                self.system.unlink(entry.path)
        self.system.rmdir(path)

    def sweep(self) -> None:
        """
        Remove what a crash left behind.
        """
        for draft in self.system.listdir(self._drafts):
            self.discard(os.path.join(self._drafts, draft))
        graves = self.system.listdir(self._trash)
        if graves:
            self._sync_graves()
        for grave in graves:
            self.discard(os.path.join(self._trash, grave))

    def _sync_graves(self) -> None:
        # A model must not come back half empty: its way to the trash has to be at rest before anything in it goes.
        for path in (self._trash, self._root):
            with self.opened_folder(path) as descriptor:
                self.sync_folder(descriptor)
