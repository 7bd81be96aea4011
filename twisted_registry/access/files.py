"""
Files that are read again when they change.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from twisted.logger import Logger

from twisted_registry.access.file_kinds import BadFile, FileKind

_log = Logger()

_SETTLED_NS = 2 * 10**9
"""A file that has changed less than so long ago may change again without another time: its content is compared."""

_WRITE_SECONDS = 0.05
_READS_MAX = 5
"""A file that changes in place is read until two reads, so far apart, agree: a program may be writing it."""

_Fingerprint = tuple[int, int, int, int, int]


def _fingerprint(found: os.stat_result) -> _Fingerprint:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _ignore_change(kind: str, path: str, problem: str) -> None:
    return None


class WatchedFiles:
    """
    Files whose contents are in force, together, until new ones can be used instead.

    ``check`` is called periodically, in a thread that may block, one call at a time.

    Attributes:
        changed: called when ``check`` has read a file again: with its kind, its path, and why it cannot be used, which
            is empty if it is in force.
        failures: how many changes of the files could not be used.
    """

    def __init__(
        self,
        files: Sequence[tuple[FileKind, Path]],
        use: Callable[..., object],
        now_ns: Callable[[], int] = time.time_ns,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """

        Args:
            files: the files.
            use: called with the content of each file; puts them in force, or raises ``BadFile`` and changes nothing.
            now_ns: returns the time in nanoseconds since the Unix epoch.
            pause: waits for some seconds.
        """
        self._files = files
        self._use = use
        self._now_ns = now_ns
        self._pause = pause
        self._inodes: Sequence[tuple[int, int]] = ()
        self._checks_owner = True
        self._seen: Sequence[_Fingerprint] | None = None
        self._contents: Sequence[bytes] | None = None
        self._problem = ""
        self._is_logged = False
        self.changed: Callable[[str, str, str], None] = _ignore_change
        self.failures = 0

    @property
    def is_refused(self) -> bool:
        """
        True if the files cannot be used as they are now.
        """
        return self._is_logged

    def load(self, *, checks_owner: bool = True) -> None:
        """
        Read the files, even if they have not changed, and put them in force.

        Args:
            checks_owner: whether the owners of the files are checked, now and later; see ``FileKind.read``.

        Raises:
            BadFile: they cannot be used.
        """
        self._checks_owner = checks_owner
        self._seen = None
        self._look()

    def check(self) -> None:
        """
        Read the files again if one has changed.  If they cannot be used, what was read before stays in force.  That is
        logged, once, unless it is repaired by the next check: files that belong together change one after the other.
        """
        try:
            has_changed = self._look(may_be_written=True)
        except BadFile as error:
            self._note(str(error))
            return
        except Exception as error:  # the other files must be checked whatever is in this one
            names = " and ".join(f"{kind.name} {path}" for kind, path in self._files)
            self._note(f"the {names} cannot be used: {error!r}")
            return
        if has_changed or self._is_logged:
            for kind, path in self._files:
                _log.info("the {kind} {path} was read again", kind=kind.name, path=path)
                self.changed(kind.name, str(path), "")
        self._problem, self._is_logged = "", False

    def _note(self, problem: str) -> None:
        if problem != self._problem:
            self._problem, self._is_logged = problem, False
        elif not self._is_logged:
            self._is_logged = True
            self.failures += 1
            _log.error("{problem}; what was read before stays in force", problem=problem)
            for kind, path in self._files:
                self.changed(kind.name, str(path), problem)

    def _look(self, *, may_be_written: bool = False) -> bool:
        fingerprints = [self._stat(kind, path) for kind, path in self._files]
        if fingerprints == self._seen:
            return False
        contents = self._read()
        inodes = [fingerprint[:2] for fingerprint in fingerprints]
        if may_be_written and contents != self._contents and (inodes == self._inodes or b"" in contents):
            contents = self._read_until_written(contents)
        self._inodes = inodes
        has_changed = contents != self._contents
        if has_changed:
            self._use(*contents)
        self._contents = contents
        latest_ns = max(max(fingerprint[3:]) for fingerprint in fingerprints)
        self._seen = fingerprints if latest_ns < self._now_ns() - _SETTLED_NS else None
        return has_changed

    def _read(self) -> Sequence[bytes]:
        return [kind.read(path, checks_owner=self._checks_owner) for kind, path in self._files]

    def _read_until_written(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """
        Return the contents that the files have once nobody writes them: a part of a policy may be a valid policy.

        Raises:
            BadFile: they change all the time.
        """
        for _ in range(_READS_MAX):
            self._pause(_WRITE_SECONDS)
            before, contents = contents, self._read()
            if contents == before:
                return contents
        kind, path = self._files[0]
        raise kind.bad(path, "changes all the time; replace it by renaming a whole file")

    def _stat(self, kind: FileKind, path: Path) -> _Fingerprint:
        try:
            return _fingerprint(path.stat())
        except OSError as error:
            self._seen = None
            raise kind.bad(path, f"cannot be read: {error.strerror}") from None
