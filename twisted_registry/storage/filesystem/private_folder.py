"""
The private folder of an archive: what is not under its name yet, or no longer, or was put aside.

It is never anything but folders of the archive itself.  A link in its place, or another disk, would have a start sweep
what is not the archive's.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from twisted_registry.storage.filesystem.layout import PRIVATE_FOLDER, QUARANTINE
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
    What has a private folder's name is not the archive's own.

    Attributes:
        what: what it is, with its path.
    """

    def __init__(self, number: int, what: str) -> None:
        super().__init__(number, os.strerror(number))
        self.what = what


class PrivateFolders:
    """
    The private folder and those in it.  Methods raise ``OSError``, and ``NotPrivate`` where a folder is a link or on
    another file system.
    """

    def __init__(self, root: PinnedDirectory) -> None:
        self._root = root
        self._system = root.system

    def prepare(self) -> None:
        """
        Make the folders that are missing.
        """
        self._make(within(self._root.folder, PRIVATE_FOLDER))
        with self.open_in(self._root.folder, PRIVATE_FOLDER) as private:
            for name in _SWEPT:
                self._make(within(private, name))

    def _make(self, path: str) -> None:
        try:
            self._system.mkdir(path)
        except FileExistsError:
            return

    def check(self) -> None:
        """
        Check those that are there.

        Raises:
            NotPrivate: one is not the archive's own.
            OSError: one cannot be opened.
        """
        try:
            with self.open_in(self._root.folder, PRIVATE_FOLDER) as private:
                for name in (*_SWEPT, QUARANTINE):
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
        Open one of the folders in the private folder; those that are missing are made.
        """
        try:
            folder = self._hold(name)
        except FileNotFoundError:
            self.prepare()
            folder = self._hold(name)
        try:
            yield folder
        finally:
            close_quietly(self._system, folder.descriptor)

    def _hold(self, name: str) -> Folder:
        with self.open_in(self._root.folder, PRIVATE_FOLDER) as private:
            return self._hold_in(private, name)

    @contextmanager
    def open_in(self, parent: Folder, name: str) -> Iterator[Folder]:
        """
        Open a folder in one of these.
        """
        folder = self._hold_in(parent, name)
        try:
            yield folder
        finally:
            close_quietly(self._system, folder.descriptor)

    def _hold_in(self, parent: Folder, name: str) -> Folder:
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
