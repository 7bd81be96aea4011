"""
The folder that an archive is copied to.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from stat import S_ISREG

from attrs import define, field

from twisted_registry.domain.errors import RegistryError
from twisted_registry.storage.filesystem.failures import Malformed, is_absent, reason_of
from twisted_registry.storage.filesystem.layout import TEMP_PREFIX, ModelFolder
from twisted_registry.storage.filesystem.pinned_directory import pin_folder, read_metadata, remove
from twisted_registry.storage.filesystem.space import free_bytes
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, within

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EACCES})
_WRITEBACK_BYTES = 8 * 1024 * 1024
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


IGNORED = frozenset({"lost+found"})
"""Names that file systems put into their roots."""


class CannotCopy(RegistryError):
    """
    An archive cannot be copied: the source or the target cannot be used.
    """


def check_space(folder: Folder, size_bytes: int) -> None:
    """
    Check that the file system of an open folder has space for some data.

    Raises:
        CannotCopy: it has not.
    """
    free = free_bytes(folder.descriptor)
    if free is not None and free < size_bytes:
        raise CannotCopy(
            f"{size_bytes:,} bytes are to be copied, and the file system of {str(folder)!r} has {free:,} free: make "
            "space, or use another one"
        )


@define(eq=False)
class Target:
    """
    A folder in which a copy is made.  Its methods raise ``CannotCopy`` if it cannot be written.

    Attributes:
        system: the system's calls.
        root: the open folder.
        earlier: open folders of earlier copies, the best first; files that have not changed are linked to theirs.  If
            the folder itself is among them, because an interrupted copy goes on, its files stay.
    """

    system: System
    root: Folder
    earlier: Sequence[Folder] = ()
    _used: set[str] = field(factory=set, init=False)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """
        Return a context manager that raises ``CannotCopy`` for every ``OSError``.
        """
        try:
            yield
        except OSError as error:
            raise CannotCopy(f"{str(self.root)!r} cannot be written: {reason_of(error)}") from error

    @contextmanager
    def folder(self, name: str) -> Iterator["TargetFolder"]:
        """
        Open a folder of the copy, which is created if it is missing, and synced at the end.
        """
        self._used.add(name)
        with self.writing():
            with suppress(FileExistsError):
                self.system.mkdir(within(self.root, name))
            opened = pin_folder(self.system, within(self.root, name))
        earlier = []
        try:
            for root in self.earlier:
                with suppress(OSError):
                    earlier.append(opened if root is self.root else pin_folder(self.system, within(root, name)))
            yield TargetFolder(self, opened, earlier)
            self.sync(opened)
        finally:
            for each in {opened.descriptor, *(folder.descriptor for folder in earlier)}:
                close_quietly(self.system, each)

    def sync(self, folder: Folder) -> None:
        """
        Make the names in a folder durable.
        """
        with self.writing():
            self.system.fsync(folder.descriptor)

    def remove(self, name: str) -> None:
        """
        Remove a folder or a file of the copy, if it exists.
        """
        self._used.discard(name)
        with self.writing():
            remove(self.system, within(self.root, name))

    def remove_others(self) -> None:
        """
        Remove what an interrupted copy has left and this one does not have, except for files beside the folders.
        """
        with self.writing():
            left = [entry.name for entry in self.system.scandir(self.root) if entry.is_folder]
        for name in set(left) - self._used - IGNORED:
            self.remove(name)


@define(eq=False)
class TargetFolder:
    """
    An open folder of a copy.  Files are durable when the methods return, their names when the folder is synced.
    """

    _target: Target
    _folder: Folder
    _earlier: Sequence[Folder]
    _used: set[str] = field(factory=set, init=False)

    def remove_others(self) -> None:
        """
        Remove what an interrupted copy has left and this one does not have.
        """
        with self._target.writing():
            left = self._target.system.listdir(self._folder)
        self.remove(*set(left) - self._used)

    def write(self, name: str, content: bytes) -> None:
        """
        Write a small file, in place of the one of that name.
        """
        with self._target.writing():
            descriptor = self._create(name)
            try:
                self._write_all(descriptor, memoryview(content))
                self._target.system.fsync(descriptor)
            finally:
                close_quietly(self._target.system, descriptor)

    def replace(self, name: str, content: bytes) -> None:
        """
        Write a small file, in one step in place of the one of that name.
        """
        temp_name = f"{TEMP_PREFIX}{name}"
        self.write(temp_name, content)
        with self._target.writing():
            self._target.system.rename(within(self._folder, temp_name), within(self._folder, name))
        self._used.add(name)

    def mark(self, name: str) -> None:
        """
        Create an empty file.
        """
        with self._target.writing():
            close_quietly(self._target.system, self._create(name))

    def data(self, name: str) -> "TargetData":
        """
        Return a writer of a large file.
        """
        return TargetData(self, name)

    def remove(self, *names: str) -> None:
        """
        Remove files, if they exist.
        """
        with self._target.writing():
            for name in names:
                self._used.discard(name)
                remove(self._target.system, within(self._folder, name))

    def keep(self, name: str, content: bytes) -> bool:
        """
        Use a small file of an earlier copy, if it has this content.
        """
        return any(self._has(earlier, name, content) and self._use(earlier, name) for earlier in self._earlier)

    def keep_version(self, model: ModelFolder, number: int, yaml: bytes, size_bytes: int) -> bool:
        """
        Use both files of a version of an earlier copy, if it has the same .yaml, and data of this size.

        A .yaml is written after its data is durable, so that data is complete if there is a .yaml.
        """
        yaml_name, data_name = model.version_yaml_name(number), model.version_data_name(number)
        return any(
            self._has(earlier, yaml_name, yaml)
            and self._size(earlier, data_name) == size_bytes
            and self._use(earlier, data_name, yaml_name)
            for earlier in self._earlier
        )

    def _has(self, earlier: Folder, name: str, content: bytes) -> bool:
        try:
            return read_metadata(self._target.system, within(earlier, name)) == content
        except (OSError, Malformed):
            return False

    def _size(self, earlier: Folder, name: str) -> int:
        try:
            status = self._target.system.lstat(within(earlier, name))
        except OSError:
            return -1
        return status.st_size if S_ISREG(status.st_mode) else -1

    def _use(self, earlier: Folder, *names: str) -> bool:
        if earlier is self._folder:
            self._used.update(names)
            self._sync(names[-1])
            return True
        self.remove(*names)
        try:
            for name in names:
                self._target.system.link(within(earlier, name), within(self._folder, name))
        except OSError as error:
            if error.errno in _NO_LINKS or is_absent(error):
                return False  # it is copied
            with self._target.writing():
                raise
        self._used.update(names)
        return True

    def _sync(self, name: str) -> None:
        # The interrupted copy may not have synced what it wrote last; data was synced before its .yaml was written.
        with self._target.writing():
            descriptor = self._target.system.open(within(self._folder, name), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                self._target.system.fsync(descriptor)
            finally:
                close_quietly(self._target.system, descriptor)

    def _create(self, name: str) -> int:
        self.remove(name)
        self._used.add(name)
        return self._target.system.open(within(self._folder, name), _CREATE)

    def _write_all(self, descriptor: int, data: memoryview) -> None:
        while data:
            data = data[self._target.system.write(descriptor, data) :]


@define(eq=False)
class TargetData:
    """
    A large file of a copy that is being written.  It implements ``IDataSink``.
    """

    _folder: TargetFolder
    _name: str
    _descriptor: int | None = field(default=None, init=False)
    _size_bytes: int = field(default=0, init=False)
    _synced_bytes: int = field(default=0, init=False)

    def begin(self) -> None:
        """See ``IDataSink.begin``."""
        self.close()
        self._size_bytes = self._synced_bytes = 0
        with self._target.writing():
            self._descriptor = self._folder._create(self._name)

    @property
    def _target(self) -> Target:
        return self._folder._target

    def write(self, data: memoryview) -> None:
        """See ``IDataSink.write``."""
        assert self._descriptor is not None, "it has begun"
        with self._target.writing():
            self._folder._write_all(self._descriptor, data)
            self._size_bytes += len(data)
            if self._size_bytes - self._synced_bytes >= _WRITEBACK_BYTES:
                size_bytes = self._size_bytes - self._synced_bytes
                self._target.system.start_writeback(self._descriptor, self._synced_bytes, size_bytes)
                self._synced_bytes = self._size_bytes

    def finish(self) -> None:
        """
        Make the file durable, and drop it from the page cache: nobody reads it soon.
        """
        if self._descriptor is not None:
            with self._target.writing():
                self._target.system.fsync(self._descriptor)
                self._target.system.drop_cached(self._descriptor, 0, self._size_bytes)
        self.close()

    def close(self) -> None:
        """
        Close the file, whatever it holds.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_quietly(self._target.system, descriptor)
