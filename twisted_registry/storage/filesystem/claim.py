"""
The claim of a daemon to an archive, for machines that do not share locks.

On a network file system, or on a volume that two machines mount, a lock on the archive's folder may be local to each
machine.  So the owner of an archive also locks the file ``claim`` in the private folder, because some of these file
systems share locks on files.  And it keeps a mark in that file: its process, and a counter that rises every few
seconds.  A daemon that finds another mark watches it for a while, and takes the archive only if the mark does not
change.  No clocks are compared.  A daemon whose mark was replaced has lost the archive and stores nothing more.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from uuid import uuid4

from attrs import evolve, frozen
from twisted.logger import Logger

from twisted_registry.domain.errors import ArchiveTaken, StorageFailure, StorageFull, StorageReadOnly
from twisted_registry.storage.filesystem.claim_mark import (
    MARK_BYTES,
    Mark,
    Process,
    format_mark,
    has_ended,
    mark_in,
    this_process,
)
from twisted_registry.storage.filesystem.failures import Malformed, is_absent, reading, reason_of, write_failure
from twisted_registry.storage.filesystem.layout import CLAIM, PRIVATE_FOLDER
from twisted_registry.storage.filesystem.pinned_directory import LockFailed, read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import close_quietly, lexists, within

_log = Logger()


def elapsed_seconds() -> float:
    """
    Return the time since the machine started in seconds, including time in suspend.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@frozen
class ClaimTimes:
    """
    The timing of claims.

    Attributes:
        renew_seconds: how often the mark is renewed.
        recheck_seconds: how long after the last renewal the mark is checked before anything is stored; less than
            ``watch_seconds``.
        watch_seconds: how long the mark of another daemon must stay unchanged.
        poll_seconds: how often it is read meanwhile.
        seconds: returns the time in seconds.
        sleep: waits for a number of seconds.
    """

    renew_seconds: float = 5.0
    recheck_seconds: float = 10.0
    watch_seconds: float = 15.0
    poll_seconds: float = 0.5
    seconds: Callable[[], float] = elapsed_seconds
    sleep: Callable[[float], None] = time.sleep


class Claim:
    """
    A claim to an archive whose folder is open and locked.  A read-only archive is not claimed.
    """

    def __init__(
        self, staging: StagingArea, times: ClaimTimes | None = None, get_process: Callable[[], Process] = this_process
    ) -> None:
        """
        Args:
            staging: the archive's staging area.
            times: the timing; by default that of a daemon.
            get_process: returns this process.
        """
        self.times = times or ClaimTimes()
        self._staging = staging
        self._root = staging.root
        self._system = staging.system
        self._get_process = get_process
        self.was_abandoned = False
        """True if the archive had the mark of a daemon that did not stop cleanly."""
        self._mutex = Lock()
        self._descriptor: int | None = None
        self._is_local = False
        self._mark = Mark()
        self._checked = 0.0
        self._lost: Mark | None = None
        self._is_logged = False

    # Acquiring and releasing.

    def acquire(self) -> None:
        """
        Claim the archive.  Blocks while the mark of another daemon is watched.

        Raises:
            LockFailed: another daemon has the archive, or this cannot be determined.
        """
        device = self._system.fstat(self._root.folder.descriptor).st_dev
        self._mark = Mark(uuid4().hex, self._get_process(), device)
        self._lost = None
        self._descriptor = self._open_if_writable()
        if self._descriptor is None:
            return
        try:
            self._acquire_file()
        except OSError as error:
            self._close()
            raise self._unclear(error) from error
        except BaseException:
            self._close()
            raise
        self._checked = self.times.seconds()

    def _open_if_writable(self) -> int | None:
        try:
            return self._open()
        except BlockingIOError as error:
            raise self._in_use(self._read_mark_if_possible()) from error
        except OSError as error:
            if not isinstance(write_failure(error), StorageFull | StorageReadOnly):
                raise self._unclear(error) from error
            _log.info(
                "the archive {root} cannot be claimed, so another machine may use it too: {reason}",
                root=self._root.path,
                reason=reason_of(error),
            )
            return None

    def _acquire_file(self) -> None:
        is_stale = self._watch_other_mark()
        try:
            self._write()
        except OSError as error:
            self._warn(error)
            return
        if is_stale:
            self._check_competitors()

    def _unclear(self, error: OSError) -> LockFailed:
        return LockFailed(
            f"it is unclear whether another daemon has the archive {self._root.path!r}: {self._path!r} cannot be "
            f"opened or read ({reason_of(error)}); start again when its disk works, or "
            "remove it if it is not a regular file"
        )

    def release(self) -> None:
        """
        Clear the mark.  Never raises; does nothing if the archive is not claimed.
        """
        with self._mutex:
            if self._descriptor is None:
                return
            try:
                if self._lost is None and self._read_mark().owner == self._mark.owner:
                    self._mark = Mark()
                    self._write()
            except OSError as error:
                self._warn(error)
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_quietly(self._system, descriptor)

    def _open(self) -> int:
        with self._staging.private.open_in(self._root.folder, PRIVATE_FOLDER) as private:
            descriptor = self._system.open(within(private, CLAIM), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        try:
            # The byte after the mark, because on some file systems others cannot read a locked part.
            self._system.lock_byte(descriptor, MARK_BYTES)
        except BlockingIOError:
            close_quietly(self._system, descriptor)
            raise
        except OSError as error:
            _log.info("{path} cannot be locked: {reason}", path=self._path, reason=reason_of(error))
        self._is_local = self._system.is_local(descriptor)
        if not self._is_local:
            return descriptor
        # On a local file system the lock of the root is enough.  A file kept open for writing would prevent remounting
        # the file system read-only.
        try:
            return self._system.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        finally:
            close_quietly(self._system, descriptor)

    # Marks of other daemons.

    def _watch_other_mark(self) -> bool:
        """
        Watch the mark of another daemon until it has certainly ended.

        Returns:
            whether there was a mark to watch.

        Raises:
            LockFailed: the daemon is running.
        """
        content = self._read_content()
        found = mark_in(content)
        self.was_abandoned = bool(content.strip())
        if not self.was_abandoned or self._is_gone(found):
            return False
        _log.warn(
            "the archive {root} has the mark of a daemon that may be running ({mark}): watching it for {seconds:g} s",
            root=self._root.path,
            mark=found,
            seconds=self.times.watch_seconds,
        )
        if self._stays_unchanged(content):
            _log.warn(
                "taking the archive {root}: the mark of the other daemon ({mark}) has not changed",
                root=self._root.path,
                mark=found,
            )
        return True

    def _stays_unchanged(self, content: bytes) -> bool:
        """
        Watch a mark for as long as it must stay unchanged.

        Returns:
            whether it is still there; its owner may clear it meanwhile.

        Raises:
            LockFailed: it was renewed or replaced.
        """
        end = self.times.seconds() + self.times.watch_seconds
        while self.times.seconds() < end:
            self.times.sleep(self.times.poll_seconds)
            now = self._read_content()
            if not now.strip():
                return False
            if now != content:
                raise self._in_use(mark_in(now))
        return True

    def _check_competitors(self) -> None:
        # Another daemon that watched the same mark may have written its own just now.  The last one to write wins.
        self.times.sleep(self.times.poll_seconds)
        mark = self._read_mark()
        if mark.owner != self._mark.owner:
            raise self._in_use(mark)

    def _is_gone(self, mark: Mark) -> bool:
        # Within one boot of one machine, a file system has a single lock, and this process holds it.
        is_same_lock = bool(mark.process.boot) and (mark.process.boot, mark.device) == (
            self._mark.process.boot,
            self._mark.device,
        )
        return is_same_lock or has_ended(mark.process, self._mark.process)

    def _in_use(self, mark: Mark) -> LockFailed:
        owner = f" ({mark})" if mark.owner else ""
        return LockFailed(
            f"the archive's directory {self._root.path!r} is in use by another daemon{owner}; stop that one, or choose "
            "another directory"
        )

    # Renewing and checking.

    def renew(self) -> None:
        """
        Renew the mark.

        Raises:
            ArchiveTaken: another daemon has taken the archive.
            StorageFailure: this cannot be determined.
        """
        with self._mutex, reading():
            self._renew()

    def _renew(self) -> None:
        self._verify_mark()
        if self._descriptor is not None:
            self._mark = evolve(self._mark, count=self._mark.count + 1)
            try:
                self._restore_file()
                self._write()
            except OSError as error:
                self._warn(error)

    def _restore_file(self) -> None:
        # If somebody has removed the file, nobody would see the mark.
        if lexists(self._system, self._path):
            return
        self._staging.private.prepare()
        try:
            descriptor = self._open()
        except BlockingIOError as error:
            self._lost = self._read_mark_if_possible()
            raise ArchiveTaken(str(self._lost)) from error
        self._close()
        self._descriptor = descriptor

    def check(self) -> None:
        """
        Check before a change that no other daemon has taken the archive.  Costs nothing while the mark is renewed in
        time; otherwise the mark is checked and renewed first.

        Raises:
            StorageFailure: another daemon has taken it, or this cannot be determined.
        """
        if self._descriptor is None:
            return
        if self._lost is None and self.times.seconds() - self._checked < self.times.recheck_seconds:
            return
        try:
            with self._mutex, reading():
                self._renew()
        except ArchiveTaken as error:
            raise StorageFailure(str(error)) from error

    def _verify_mark(self) -> None:
        if self._lost is None and self._descriptor is not None:
            mark = self._read_mark()
            if mark.owner not in ("", self._mark.owner):
                self._lost = mark
        if self._lost is not None:
            raise ArchiveTaken(str(self._lost))
        self._checked = self.times.seconds()

    # The file.

    @property
    def _path(self) -> str:
        return within(self._root.folder, os.path.join(PRIVATE_FOLDER, CLAIM))

    def _read_mark(self) -> Mark:
        return mark_in(self._read_content())

    def _read_mark_if_possible(self) -> Mark:
        try:
            return self._read_mark()
        except OSError:
            return Mark()

    def _read_content(self) -> bytes:
        # It is opened by name, because only a newly opened file is certain to show what other machines have written.
        try:
            return read_metadata(self._system, self._path)
        except Malformed:
            return b""
        except OSError as error:
            if is_absent(error):
                return b""
            raise

    def _write(self) -> None:
        assert self._descriptor is not None
        if not self._is_local:
            return self._write_to(self._descriptor)
        descriptor = self._system.open(self._path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            self._write_to(descriptor)
        finally:
            close_quietly(self._system, descriptor)

    def _write_to(self, descriptor: int) -> None:
        self._system.write_at(descriptor, format_mark(self._mark), 0)
        self._system.sync_data(descriptor)

    def _warn(self, error: OSError) -> None:
        if not self._is_logged:
            self._is_logged = True
            _log.warn(
                "{path} cannot be written, so another machine may take the archive: {reason}",
                path=self._path,
                reason=reason_of(error),
            )


@contextmanager
def keep_renewed(claim: Claim) -> Iterator[None]:
    """
    Renew a claim in a thread while the context is open.
    """
    ended = Event()

    def renew() -> None:
        while not ended.wait(claim.times.renew_seconds):
            try:
                claim.renew()
            except (ArchiveTaken, StorageFailure) as error:
                _log.error("{error}", error=error)

    thread = Thread(target=renew, name="claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
