"""
The claim of a daemon to an archive, for machines whose locks do not reach one another.

On a network file system, or on a volume that two machines mount, the lock of the archive's folder may be each machine's
own.  So whoever has the archive holds a second lock, on the file ``claim`` in the private folder, which some of those
file systems pass on; and keeps a mark in that file: who it is, and a counter that rises every few seconds.  Who finds
the mark of another watches it for a while, and takes the archive only if it stands still.  No clocks are compared.  Who
finds that its own mark was replaced has lost the archive, and stores nothing any more.
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
    Return the time since the machine started, that in which it slept included.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@frozen
class ClaimTimes:
    """
    How long things take.

    Attributes:
        renew_seconds: how often the mark is renewed.
        recheck_seconds: after how long without a renewal the mark is looked at before anything is stored; less than
            ``watch_seconds``.
        watch_seconds: for how long another's mark has to stand still.
        poll_seconds: how often it is looked at meanwhile.
    """

    renew_seconds: float = 5.0
    recheck_seconds: float = 10.0
    watch_seconds: float = 15.0
    poll_seconds: float = 0.5
    seconds: Callable[[], float] = elapsed_seconds
    sleep: Callable[[float], None] = time.sleep


class Claim:
    """
    A claim to an archive whose folder is held and locked.  Where nothing can be written there is none, and all is well.
    """

    def __init__(
        self, staging: StagingArea, times: ClaimTimes | None = None, this: Callable[[], Process] = this_process
    ) -> None:
        """

        Args:
            this: gives this process.
        """
        self.times = times or ClaimTimes()
        self._staging = staging
        self._root = staging.root
        self._system = staging.system
        self._this = this
        self.was_abandoned = False
        """Whether the archive bore the mark of a daemon that did not stop as it should."""
        self._mutex = Lock()
        self._descriptor: int | None = None
        self._is_local = False
        self._mark = Mark()
        self._looked = 0.0
        self._lost: Mark | None = None
        self._is_told = False

    # Taking it, and letting go.

    def acquire(self) -> None:
        """
        Claim the archive.  Blocks while another's mark is watched.

        Raises:
            LockFailed: another daemon has it, or whether one has cannot be told now.
        """
        device = self._system.fstat(self._root.folder.descriptor).st_dev
        self._mark = Mark(uuid4().hex, self._this(), device)
        self._lost = None
        try:
            descriptor = self._open()
        except BlockingIOError as error:
            raise self._in_use(self._found_if_readable()) from error
        except OSError as error:
            if not isinstance(write_failure(error), StorageFull | StorageReadOnly):
                raise self._unknown(error) from error
            _log.info(
                "the archive {root} cannot be claimed, so another machine may use it too: {reason}",
                root=self._root.path,
                reason=reason_of(error),
            )
            return
        self._descriptor = descriptor
        try:
            self._acquire_open()
        except OSError as error:
            self._close()
            raise self._unknown(error) from error
        except BaseException:
            self._close()
            raise
        self._looked = self.times.seconds()

    def _acquire_open(self) -> None:
        is_stale = self._wait_for_another()
        try:
            self._write()
        except OSError as error:
            self._warn(error)
            return
        if is_stale:
            self._wait_for_competitors()

    def _unknown(self, error: OSError) -> LockFailed:
        return LockFailed(
            f"whether another daemon has the archive {self._root.path!r} cannot be told now: {self._path!r} cannot be "
            f"opened or read ({reason_of(error)}); start again when its disk is well, or "
            "remove it if it is no regular file"
        )

    def release(self) -> None:
        """
        Say that nobody has the archive.  Never raises; does nothing where it is not claimed.
        """
        with self._mutex:
            if self._descriptor is None:
                return
            try:
                if self._lost is None and self._found().owner == self._mark.owner:
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
            # Beyond the mark: on some file systems nobody else can read what is locked.
            self._system.lock_byte(descriptor, MARK_BYTES)
        except BlockingIOError:
            close_quietly(self._system, descriptor)
            raise
        except OSError as error:
            _log.info("{path} cannot be locked: {reason}", path=self._path, reason=reason_of(error))
        self._is_local = self._system.is_local(descriptor)
        if not self._is_local:
            return descriptor
        # All who can use it meet at the lock of the root.  Nothing is kept open for writing: the file system could not
        # be made read-only.
        try:
            return self._system.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        finally:
            close_quietly(self._system, descriptor)

    # Another's mark.

    def _wait_for_another(self) -> bool:
        """
        Watch the mark that is found, until it is certain that its owner is gone.

        Returns:
            whether there was one to watch.

        Raises:
            LockFailed: it is not gone.
        """
        content = self._content()
        found = mark_in(content)
        self.was_abandoned = bool(content.strip())
        if not self.was_abandoned or self._is_gone(found):
            return False
        watch_seconds = self.times.watch_seconds
        _log.warn(
            "the archive {root} bears the mark of a daemon that may be running ({mark}): watching it for {seconds:g} s",
            root=self._root.path,
            mark=found,
            seconds=watch_seconds,
        )
        end = self.times.seconds() + watch_seconds
        while self.times.seconds() < end:
            self.times.sleep(self.times.poll_seconds)
            now = self._content()
            if not now.strip():
                return True
            if now != content:
                raise self._in_use(mark_in(now))
        _log.warn(
            "taking the archive {root}: the mark of the other daemon ({mark}) has stood still",
            root=self._root.path,
            mark=found,
        )
        return True

    def _wait_for_competitors(self) -> None:
        # Who has watched the same mark beside this one may have written at the same time: the last one has it.
        self.times.sleep(self.times.poll_seconds)
        found = self._found()
        if found.owner != self._mark.owner:
            raise self._in_use(found)

    def _is_gone(self, mark: Mark) -> bool:
        # Of one file system of one running kernel there is one lock, and this process has it.
        is_same_lock = bool(mark.process.boot) and (mark.process.boot, mark.device) == (
            self._mark.process.boot,
            self._mark.device,
        )
        return is_same_lock or has_ended(mark.process, self._mark.process)

    def _in_use(self, mark: Mark) -> LockFailed:
        who = f" ({mark})" if mark.owner else ""
        return LockFailed(
            f"the archive's directory {self._root.path!r} is in use by another daemon{who}; stop that one, or choose "
            "another directory"
        )

    # Keeping it.

    def renew(self) -> None:
        """
        Renew the mark.

        Raises:
            ArchiveTaken: another daemon has taken the archive.
            StorageFailure: that cannot be told.
        """
        with self._mutex, reading():
            self._renew()

    def _renew(self) -> None:
        self._look()
        if self._descriptor is not None:
            self._mark = evolve(self._mark, count=self._mark.count + 1)
            try:
                self._keep_file()
                self._write()
            except OSError as error:
                self._warn(error)

    def _keep_file(self) -> None:
        # Somebody may have removed it, and what is written then nobody sees.
        if lexists(self._system, self._path):
            return
        self._staging.private.prepare()
        try:
            descriptor = self._open()
        except BlockingIOError as error:
            self._lost = self._found_if_readable()
            raise ArchiveTaken(str(self._lost)) from error
        self._close()
        self._descriptor = descriptor

    def check(self) -> None:
        """
        Check, before something is stored, that the archive was not taken meanwhile.  Costs nothing as long as the mark
        is renewed in time: who has stood still looks first, and renews it.

        Raises:
            StorageFailure: it was, or that cannot be told.
        """
        if self._descriptor is None:
            return
        if self._lost is None and self.times.seconds() - self._looked < self.times.recheck_seconds:
            return
        try:
            with self._mutex, reading():
                self._renew()
        except ArchiveTaken as error:
            raise StorageFailure(str(error)) from error

    def _look(self) -> None:
        if self._lost is None and self._descriptor is not None:
            found = self._found()
            if found.owner not in ("", self._mark.owner):
                self._lost = found
        if self._lost is not None:
            raise ArchiveTaken(str(self._lost))
        self._looked = self.times.seconds()

    # The file.

    @property
    def _path(self) -> str:
        return within(self._root.folder, os.path.join(PRIVATE_FOLDER, CLAIM))

    def _found(self) -> Mark:
        return mark_in(self._content())

    def _found_if_readable(self) -> Mark:
        try:
            return self._found()
        except OSError:
            return Mark()

    def _content(self) -> bytes:
        # By its name: what others have written is certain to be seen where the file is opened anew.
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
        if not self._is_told:
            self._is_told = True
            _log.warn(
                "{path} cannot be kept, so another machine may take the archive: {reason}",
                path=self._path,
                reason=reason_of(error),
            )


@contextmanager
def keep_renewed(claim: Claim) -> Iterator[None]:
    """
    Renew a claim for the length of a context, in a thread.
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
