"""
The private folder of an archive: temp files, trash, quarantine and the archive's own files.

It must be a real folder on the archive's own file system.  If it were a link or a mount, a start would remove files
that do not belong to the archive.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from twisted_registry.storage.filesystem.layout import PRIVATE_FOLDER, QUARANTINE, UPLOADS
from twisted_registry.storage.filesystem.pinned_directory import (
    LinkedFolder,
    PinnedDirectory,
    is_same_mount,
    pin_folder,
)
from twisted_registry.storage.filesystem.system import Folder, close_quietly, within

_SWEPT = ("tmp", "trash")


class NotPrivate(OSError):
    """
    A link or a mount is in the place of a private folder.

    Attributes:
        what: what it is, with its path.
    """

    def __init__(self, number: int, what: str) -> None:
        super().__init__(number, os.strerror(number))
        self.what = what


class PrivateFolders:
    """
    The private folder and its subfolders.  Methods raise ``OSError``, and ``NotPrivate`` if a folder is a link or on
    another file system.
    """

    def __init__(self, root: PinnedDirectory) -> None:
        self._root = root
        self._system = root.system

    def prepare(self) -> None:
        """
        Create missing folders.
        """
        self._create(within(self._root.folder, PRIVATE_FOLDER))
        with self.open_in(self._root.folder, PRIVATE_FOLDER) as private:
            for name in _SWEPT:
                self._create(within(private, name))

    def _create(self, path: str) -> None:
        try:
            self._system.mkdir(path)
        except FileExistsError:
            return

    def check(self) -> None:
        """
        Check existing folders.

        Raises:
            NotPrivate: one of them is a link or a mount.
            OSError: one of them cannot be opened.
        """
        try:
            with self.open_in(self._root.folder, PRIVATE_FOLDER) as private:
                for name in (*_SWEPT, QUARANTINE, UPLOADS):
                    self._check(private, name)
        except FileNotFoundError:
            return

    def _check(self, private: Folder, name: str) -> None:
        try:
            with self.open_in(private, name):
                return
        except FileNotFoundError:
            return

    @contextmanager
    def open(self, name: str) -> Iterator[Folder]:
        """
        Open a subfolder of the private folder.  Missing folders are created.
        """
        try:
            folder = self._pin(name)
        except FileNotFoundError:
            self.prepare()
            self._create(within(self._root.folder, f"{PRIVATE_FOLDER}/{name}"))
            folder = self._pin(name)
        try:
            yield folder
        finally:
            close_quietly(self._system, folder.descriptor)

    def _pin(self, name: str) -> Folder:
        with self.open_in(self._root.folder, PRIVATE_FOLDER) as private:
            return self._pin_in(private, name)

    @contextmanager
    def open_in(self, parent: Folder, name: str) -> Iterator[Folder]:
        """
        Open a subfolder of an open folder.
        """
        folder = self._pin_in(parent, name)
        try:
            yield folder
        finally:
            close_quietly(self._system, folder.descriptor)

    def _pin_in(self, parent: Folder, name: str) -> Folder:
        path = within(parent, name)
        try:
            folder = pin_folder(self._system, path)
        except LinkedFolder as error:
            raise NotPrivate(errno.ELOOP, f"{path} is a link") from error
        try:
            if not is_same_mount(self._system, parent.descriptor, folder.descriptor):
                raise NotPrivate(errno.EXDEV, f"{path} is on another file system")
        except OSError:
            close_quietly(self._system, folder.descriptor)
            raise
        return folder
