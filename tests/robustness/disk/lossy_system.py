"""
An operating system that forgets what was not brought to rest.
"""

import errno
import os
import random
from collections.abc import Callable

from attrs import define, field

from tests.robustness.disk.lossy_disk import Disk, Node
from twisted_registry.storage.filesystem.system import DirEntry, System

Disturbance = Callable[[str, str], None]
"""A hook that receives each call before it is made: its name and the path; it may raise instead."""


class PowerCut(BaseException):
    """
    The process ends here, and the machine with it.  No ``except OSError`` runs.
    """


class Killed(BaseException):
    """
    The process ends here; the machine goes on, and nothing is lost.
    """


@define
class _Opened:
    path: str
    node: Node | None


@define(eq=False)
class LossySystem(System):
    """
    A system that works on a real directory, in one thread, with a ``Disk`` beside it. Syncs have no real effect.

    Attributes:
        root: the absolute path of the archive's directory; it must exist, and its contents are durable.
        knows_new_names: whether something can be renamed to a name that does not exist yet.
        calls: the number of calls so far.
        end: how many calls are left, and what replaces the next one.
        disturbance: a hook before each call.
    """

    root: str
    knows_new_names: bool = True
    calls: int = 0
    end: tuple[int, BaseException] | None = None
    disturbance: Disturbance = field(default=lambda name, path: None)
    _disk: Disk = field(init=False)
    _opened: dict[int, _Opened] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._disk = Disk(self.root)

    # How it ends.

    def end_after(self, calls: int, how: BaseException) -> None:
        """
        Let so many more calls be made, and raise in place of all later ones.
        """
        self.end = (self.calls + calls, how)

    def go_on(self) -> None:
        """
        The process is dead, and what it had open is closed; another may take its place.
        """
        while self._opened:
            os.close(self._opened.popitem()[0])
        self.end = None

    def cut(self, chance: random.Random, path: str) -> None:
        """
        Cut the power, and lay out what may be left of the folder.

        Args:
            path: another folder, made by this.
        """
        self.go_on()
        self._disk.lay_out(chance, path)

    def _called(self, name: str, path: str) -> None:
        if self.end is not None and self.calls >= self.end[0]:
            raise self.end[1]
        self.calls += 1
        self.disturbance(name, path)

    def _within(self, path: str) -> str:
        return path[len(self.root) + 1 :]

    # The calls that change something.

    def open(self, path: str, flags: int) -> int:
        """See ``System.open``."""
        self._called("open", path)
        descriptor = super().open(path, flags)
        node = self._disk.find(self._within(path))
        if node is None and flags & os.O_CREAT:
            node = self._disk.make(self._within(path), is_folder=False)
        elif node is not None and flags & os.O_TRUNC:
            node.content = b""
        self._opened[descriptor] = _Opened(path, node)
        return descriptor

    def close(self, descriptor: int) -> None:
        """See ``System.close``."""
        opened = self._opened[descriptor]
        try:
            self._called("close", opened.path)
        except OSError:
            del self._opened[descriptor]
            super().close(descriptor)
            raise
        del self._opened[descriptor]
        super().close(descriptor)

    def write(self, descriptor: int, data: memoryview) -> int:
        """See ``System.write``."""
        opened = self._opened[descriptor]
        self._called("write", opened.path)
        written = super().write(descriptor, data)
        assert opened.node is not None
        opened.node.content += data[:written]
        return written

    def start_writeback(self, descriptor: int, start: int, size_bytes: int) -> None:
        """See ``System.start_writeback``.  What may be lost may be lost all the same."""
        self._called("start_writeback", self._opened[descriptor].path)

    def fsync(self, descriptor: int) -> None:
        """See ``System.fsync``."""
        opened = self._opened[descriptor]
        assert opened.node is not None
        try:
            self._called("fsync", opened.path)
        except OSError:
            self._disk.sync_failed(opened.node)
            raise
        self._disk.sync(opened.node)

    def rename(self, source: str, target: str) -> None:
        """See ``System.rename``."""
        self._called("rename", target)
        super().rename(source, target)
        self._disk.rename(self._within(source), self._within(target))

    def rename_noreplace(self, source: str, target: str) -> None:
        """See ``System.rename_noreplace``."""
        if not self.knows_new_names:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._called("rename", target)
        super().rename_noreplace(source, target)
        self._disk.rename(self._within(source), self._within(target))

    def link(self, source: str, target: str) -> None:
        """See ``System.link``.  This file system knows no second names."""
        self._called("link", target)
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def mkdir(self, path: str) -> None:
        """See ``System.mkdir``."""
        self._called("mkdir", path)
        super().mkdir(path)
        self._disk.make(self._within(path), is_folder=True)

    def rmdir(self, path: str) -> None:
        """See ``System.rmdir``."""
        self._called("rmdir", path)
        super().rmdir(path)
        self._disk.remove(self._within(path))

    def unlink(self, path: str) -> None:
        """See ``System.unlink``."""
        self._called("unlink", path)
        super().unlink(path)
        self._disk.remove(self._within(path))

    def claim_path(self, path: str) -> None:
        """See ``System.claim_path``.  A process that is said to be dead here lives, and would keep its claim."""

    # Those that look.

    def read(self, descriptor: int, size_bytes: int) -> bytes:
        """See ``System.read``."""
        self._called("read", self._opened[descriptor].path)
        return super().read(descriptor, size_bytes)

    def fstat(self, descriptor: int) -> os.stat_result:
        """See ``System.fstat``."""
        self._called("fstat", self._opened[descriptor].path)
        return super().fstat(descriptor)

    def stat(self, path: str) -> os.stat_result:
        """See ``System.stat``."""
        self._called("stat", path)
        return super().stat(path)

    def lstat(self, path: str) -> os.stat_result:
        """See ``System.lstat``."""
        self._called("lstat", path)
        return super().lstat(path)

    def listdir(self, path: str) -> list[str]:
        """See ``System.listdir``."""
        self._called("listdir", path)
        return super().listdir(path)

    def scandir(self, path: str) -> list[DirEntry]:
        """See ``System.scandir``."""
        self._called("scandir", path)
        return super().scandir(path)


class RestlessSystem(System):
    """
    The real one, but that it syncs nothing: for those who look at what is left, and do not cut the power themselves.
    """

    def start_writeback(self, descriptor: int, start: int, size_bytes: int) -> None:
        """See ``System.start_writeback``.  Does nothing."""

    def fsync(self, descriptor: int) -> None:
        """See ``System.fsync``.  Does nothing but see that something is open."""
        os.fstat(descriptor)
