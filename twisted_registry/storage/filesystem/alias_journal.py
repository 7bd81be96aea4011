"""
The moves of a model's aliases: ``.aliases``, a journal to which lines are only added.

A line holds the moves of one change, which happen all or not at all, with a checksum.  The end of a line that a crash
has cut off is ignored, and removed before the next line is added.  A damaged line elsewhere is skipped.

Moves that belong to the commit of a version are durable before the version exists.  Their line names the version by
its number and its facts.  Such a line counts at once if another follows: nothing is added before it is certain whether
the version exists.  If it is the last line, it counts only if that version exists.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice, takewhile
from stat import S_ISREG

from attrs import define, evolve, field
from twisted.logger import Logger

from twisted_registry.domain.aliases import AliasMove, AliasState
from twisted_registry.domain.errors import StorageFailure, StorageReadOnly, shown
from twisted_registry.domain.idempotency import version_facts
from twisted_registry.domain.models import VersionInfo
from twisted_registry.storage.filesystem.alias_lines import Line, format_line, last_line, moves_back, read_lines
from twisted_registry.storage.filesystem.failures import Malformed, is_absent, reading, reason_of, writing
from twisted_registry.storage.filesystem.folder_locks import FolderLocks
from twisted_registry.storage.filesystem.layout import ALIASES, ModelFolder
from twisted_registry.storage.filesystem.metadata import parse_version
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import open_file, read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import close_quietly, lexists, within

_log = Logger()


@define(eq=False)
class AliasJournals:
    """
    The part of an archive that keeps aliases.  Its methods may be called in any thread.
    """

    _staging: StagingArea
    _models: ModelFolders
    # Held while the end of a journal is cut off, if it does not count.  A slow sync must not stop other models.
    _locks: FolderLocks = field(factory=FolderLocks, init=False)
    _settled: set[str] = field(factory=set, init=False)
    # By folder, where a journal ends in which a failed change has left more.
    _uncut: dict[str, int] = field(factory=dict, init=False)

    def forget_settled(self) -> None:
        """
        Settle the end of each journal again when it is next read.
        """
        self._settled.clear()
        self._uncut.clear()

    # Reading.

    def state(self, model_id: str) -> AliasState:
        """
        Read the last move of each alias; see ``IAliasJournal.load_aliases``.
        """
        damaged = 0

        def moves() -> Iterator[AliasMove]:
            nonlocal damaged
            for line in self._settled_lines(model_id):
                damaged += bool(line.damage)
                yield from line.moves

        state = AliasState.after(moves())
        if damaged:
            _log.error(
                "damage in the archive: {count} lines of the aliases of model {id} are damaged; look at where its "
                "aliases are, and run 'twisted-registry archive verify'",
                count=damaged,
                id=shown(model_id),
            )
        return evolve(state, damaged_moves=damaged)

    def moves(
        self, model_id: str, alias: str | None = None, before: int | None = None, limit: int | None = None
    ) -> list[AliasMove]:
        """
        Read the history of the aliases; see ``IAliasJournal.alias_moves``.  Only what is returned is read, and moves of
        other aliases between.
        """
        with self._folder(model_id) as folder:
            if folder is None:
                return []
            self._settle_once(folder)
            try:
                descriptor, _ = open_file(self._staging.system, within(folder.path, ALIASES))
            except Malformed:
                return []
            try:
                moves = moves_back(self._staging.system, descriptor, self._end(folder, descriptor), before)
                found = list(islice((move for move in moves if alias in (None, move.alias)), limit))
            finally:
                close_quietly(self._staging.system, descriptor)
        return found[::-1]

    @contextmanager
    def _folder(self, model_id: str) -> Iterator[ModelFolder | None]:
        with reading(f"the aliases of model {shown(model_id)}"):
            # Most models have no aliases: to find out takes one call.
            if not lexists(self._staging.system, self._models.path_within(model_id, ALIASES)):
                yield None
                return
            with self._models.open(model_id) as folder:
                yield folder

    def _settled_lines(self, model_id: str) -> Iterator[Line]:
        with self._folder(model_id) as folder:
            if folder is not None:
                yield from self.settled_lines(folder)

    def _end(self, folder: ModelFolder, descriptor: int) -> int:
        """
        Return where the lines that count end.
        """
        size_bytes = self._staging.system.fstat(descriptor).st_size
        end = min(size_bytes, self._uncut.get(folder.name, size_bytes))
        if not end:
            return 0
        last = last_line(self._staging.system, descriptor, end)
        return end if not last.is_torn and self._counts(folder, last) else last.start

    def settled_lines(self, folder: ModelFolder) -> Iterator[Line]:
        """
        Read the lines that count, and those that are damaged.

        Raises:
            OSError: they cannot be read.
        """
        system, last = self._staging.system, None
        self._settle_once(folder)
        try:
            descriptor, _ = open_file(system, within(folder.path, ALIASES))
        except Malformed as error:
            yield Line(0, damage=error.reason)
            return
        try:
            end = self._uncut.get(folder.name, sys.maxsize)
            for line in takewhile(lambda line: line.start < end, read_lines(system, descriptor)):
                if last is not None:
                    yield last
                last = line
            if last is not None and not last.is_torn and self._counts(folder, last):
                yield last
        finally:
            close_quietly(system, descriptor)

    def _settle_once(self, folder: ModelFolder) -> None:
        # A process that died may not have synced its last line, nor the name of the version that the line belongs to.
        # And a line that does not count is removed before a version like the one that it names can be created.
        if folder.name in self._settled:
            return
        try:
            with self._locks.hold(folder.name), self._opened(folder) as descriptor:
                if folder.name not in self._settled:
                    self._settle(folder, descriptor)
                    self._staging.system.sync_data(descriptor)
                    self._staging.sync_folder(folder.handle)
                    self._settled.add(folder.name)
        except (OSError, StorageFailure) as error:
            reason = reason_of(error) if isinstance(error, OSError) else error.reason
            _log.warn(
                "{path} may not be durable: {reason}; check the disk", path=within(folder.path, ALIASES), reason=reason
            )

    def _counts(self, folder: ModelFolder, line: Line) -> bool:
        if line.version is None:
            return True
        number, facts = line.version
        try:
            info = parse_version(read_metadata(self._staging.system, folder.version_yaml(number)), "", number)
        except Malformed:
            return True  # the version is damaged, and was committed
        except OSError as error:
            if is_absent(error):
                return False
            raise
        return version_facts(info) == facts

    # Writing.

    def append(self, model_id: str, moves: Sequence[AliasMove]) -> None:
        """
        Add moves; see ``IAliasJournal.append_alias_moves``.
        """
        with writing(), self._models.open_existing(model_id) as folder:
            self.append_in(folder, moves)

    def append_in(self, folder: ModelFolder, moves: Sequence[AliasMove], info: VersionInfo | None = None) -> None:
        """
        Add a line to the journal of an open folder.  Durable when this returns.

        Args:
            info: the version whose commit the moves belong to.

        Raises:
            OSError: nothing has changed.
            StorageFailure: the line is there or not.
        """
        self._staging.root.check()
        self._staging.retry_root_sync()
        with self._opened(folder, os.O_CREAT) as descriptor:
            with self._locks.hold(folder.name):
                end = self._settle(folder, descriptor)
                self._settled.add(folder.name)
            self._write(folder, descriptor, end, format_line(moves, info))

    @contextmanager
    def _opened(self, folder: ModelFolder, flags: int = 0) -> Iterator[int]:
        system, path = self._staging.system, within(folder.path, ALIASES)
        descriptor = system.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | flags)
        try:
            if not S_ISREG(system.fstat(descriptor).st_mode):
                raise StorageFailure("the file with the aliases is not a regular file")
            yield descriptor
        finally:
            close_quietly(system, descriptor)

    def cut(self, folder: ModelFolder) -> None:
        """
        Cut off what a failed change has left, so that it has not happened after a crash either.

        Raises:
            OSError: it cannot be cut off.
        """
        if folder.name in self._uncut:
            with self._locks.hold(folder.name), self._opened(folder, os.O_CREAT) as descriptor:
                self._cut(folder, descriptor)

    def _cut(self, folder: ModelFolder, descriptor: int) -> None:
        end = self._uncut.get(folder.name)
        if end is not None:
            # If the model was deleted and created again, its new journal is empty.
            if self._staging.system.fstat(descriptor).st_size:
                self._truncate(descriptor, end)
            del self._uncut[folder.name]

    def _settle(self, folder: ModelFolder, descriptor: int) -> int:
        self._cut(folder, descriptor)
        size_bytes = self._staging.system.fstat(descriptor).st_size
        if not size_bytes:
            return 0
        last = last_line(self._staging.system, descriptor, size_bytes)
        if not last.is_torn and self._counts(folder, last):
            return size_bytes
        self._truncate(descriptor, last.start)
        return last.start

    def _truncate(self, descriptor: int, end: int) -> None:
        # Synced at once, because a crash could otherwise mix what is cut off with what is added.
        self._staging.system.truncate(descriptor, end)
        self._staging.system.fsync(descriptor)

    def _write(self, folder: ModelFolder, descriptor: int, end: int, content: bytes) -> None:
        try:
            self._staging.write_all(descriptor, memoryview(content))
        except OSError:
            self._try_truncate(folder, descriptor, end)
            raise
        try:
            self._staging.system.sync_data(descriptor)
            if end == 0:
                self._staging.sync_folder(folder.handle)
        except OSError as error:
            self._try_truncate(folder, descriptor, end)
            raise StorageFailure(reason_of(error)) from error

    def _try_truncate(self, folder: ModelFolder, descriptor: int, end: int) -> None:
        # What follows a line that could not be synced would not be durable.
        try:
            self._truncate(descriptor, end)
        except OSError:
            self._uncut[folder.name] = end

    def withdraw_in(self, folder: ModelFolder, info: VersionInfo) -> None:
        """
        Remove the moves of a commit that failed.  Never raises: without the version they do not count.
        """
        with suppress(OSError, StorageFailure, StorageReadOnly), self._opened(folder) as descriptor:
            size_bytes = self._staging.system.fstat(descriptor).st_size
            last = last_line(self._staging.system, descriptor, size_bytes)
            if last.version == (info.version_number, version_facts(info)):
                self._truncate(descriptor, last.start)
