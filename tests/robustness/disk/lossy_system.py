"""
An operating system that loses what was not synced.
"""

import errno
import os
import random
import re

from attrs import define, field

from tests.robustness.disk.lossy_disk import Disk, Node
from tests.support.faulty_system import FaultySystem
from twisted_registry.storage.filesystem.system import System


class PowerCut(BaseException):
    """
    The machine stops here, and the process with it.  No ``except OSError`` runs.
    """


@define(eq=False)
class LossySystem(FaultySystem):
    """
    A system that works on a real directory, in one thread, with a ``Disk`` beside it.  It syncs nothing.

    The root is the absolute path of an existing directory; its content counts as durable.

    Attributes:
        has_rename_noreplace: whether the file system supports ``rename_noreplace``.
        skipped_syncs: a regular expression; matching calls of ``fsync`` seem to succeed and sync nothing.
        skipped_after: a regular expression for the call before a sync that is skipped.
        end: the number of calls after which the process ends, and the exception raised in place of each later call.
        is_dead: whether the process has ended.
    """

    has_rename_noreplace: bool = True
    skipped_syncs: str | None = None
    skipped_after: str = ".*"
    end: tuple[int, BaseException] | None = None
    is_dead: bool = False
    _disk: Disk = field(init=False)
    _nodes: dict[int, Node | None] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._disk = Disk(self.root)

    def end_after(self, calls: int, how: BaseException) -> None:
        """
        Allow ``calls`` more calls, and raise ``how`` in place of all later ones.
        """
        self.end = (len(self.calls) + calls, how)

    def restart_process(self) -> None:
        """
        Close what the dead process had open, so that another process can take its place.
        """
        self.close_all()
        self._nodes.clear()
        self.end, self.is_dead = None, False

    def cut(self, chance: random.Random, path: str) -> None:
        """
        Cut the power, and lay out what may be left of the folder.

        Args:
            path: another folder, which this creates.
        """
        self.restart_process()
        self._disk.lay_out(chance, path)

    def _called(self, name: str, *what: object) -> None:
        if self.end is not None and len(self.calls) >= self.end[0]:
            self.is_dead = True
            raise self.end[1]
        super()._called(name, *what)

    def _within(self, path: str) -> str:
        return path[len(self.root) + 1 :]

    def open(self, path: str, flags: int) -> int:
        """See ``System.open``."""
        descriptor = super().open(path, flags)
        node = self._disk.find(self._within(path))
        if node is None and flags & os.O_CREAT:
            node = self._disk.make(self._within(path), is_folder=False)
        elif node is not None and flags & os.O_TRUNC:
            node.cut_off(0)
        self._nodes[descriptor] = node
        return descriptor

    def _opened(self, descriptor: int) -> Node:
        node = self._nodes[descriptor]
        assert node is not None
        return node

    def write(self, descriptor: int, data: memoryview) -> int:
        """See ``System.write``."""
        written = super().write(descriptor, data)
        self._opened(descriptor).content += data[:written]
        return written

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        """See ``System.truncate``."""
        super().truncate(descriptor, size_bytes)
        self._opened(descriptor).cut_off(size_bytes)

    def start_writeback(self, descriptor: int, start: int, size_bytes: int) -> None:
        """See ``System.start_writeback``.  The data can be lost all the same."""
        self._called("start_writeback", descriptor)

    def fsync(self, descriptor: int) -> None:
        """See ``System.fsync``."""
        self._sync("fsync", descriptor)

    def sync_data(self, descriptor: int) -> None:
        """See ``System.sync_data``."""
        self._sync("sync_data", descriptor)

    def _sync(self, name: str, descriptor: int) -> None:
        node = self._opened(descriptor)
        try:
            self._called(name, descriptor)
        except OSError:
            if not self.is_dead:
                self._disk.sync_failed(node)
            raise
        if not self._is_skipped():
            self._disk.sync(node)

    def _is_skipped(self) -> bool:
        if self.skipped_syncs is None or re.fullmatch(self.skipped_syncs, self.calls[-1]) is None:
            return False
        return re.fullmatch(self.skipped_after, self.calls[-2]) is not None

    def rename(self, source: str, target: str) -> None:
        """See ``System.rename``."""
        super().rename(source, target)
        self._disk.rename(self._within(source), self._within(target))

    def rename_noreplace(self, source: str, target: str) -> None:
        """See ``System.rename_noreplace``."""
        if not self.has_rename_noreplace:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        super().rename_noreplace(source, target)
        self._disk.rename(self._within(source), self._within(target))

    def link(self, source: str, target: str) -> None:
        """See ``System.link``.  This file system has no hard links."""
        self._called("link", source, target)
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def mkdir(self, path: str) -> None:
        """See ``System.mkdir``."""
        super().mkdir(path)
        self._disk.make(self._within(path), is_folder=True)

    def rmdir(self, path: str) -> None:
        """See ``System.rmdir``."""
        super().rmdir(path)
        self._disk.remove(self._within(path))

    def unlink(self, path: str) -> None:
        """See ``System.unlink``."""
        super().unlink(path)
        self._disk.remove(self._within(path))


class UnsyncedSystem(System):
    """
    The real system without syncs, for tests that cut no power.
    """

    def start_writeback(self, descriptor: int, start: int, size_bytes: int) -> None:
        """See ``System.start_writeback``.  Does nothing."""

    def fsync(self, descriptor: int) -> None:
        """See ``System.fsync``.  Only checks that the descriptor is open."""
        os.fstat(descriptor)

    def sync_data(self, descriptor: int) -> None:
        """See ``System.sync_data``.  Only checks that the descriptor is open."""
        os.fstat(descriptor)
