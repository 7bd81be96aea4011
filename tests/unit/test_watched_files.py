"""
Tests for ``twisted_registry.access.files``.
"""

import os
import time
from pathlib import Path
from typing import Any

from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from twisted_registry.access.file_kinds import BadFile, FileKind
from twisted_registry.access.files import WatchedFiles


class WatchedFilesTests(SynchronousTestCase):
    """
    ``WatchedFiles`` put the contents of files in force.
    """

    def setUp(self) -> None:
        """
        Write a file, and watch it.
        """
        self.path = Path(self.mktemp())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.used: list[bytes] = []
        self.writes: list[bytes] = []
        self.pauses = 0
        self.now_ns = time.time_ns()
        self.watched = self.watch()
        self.write(b"one")
        self.watched.load()
        self.lines: list[LogEvent] = []
        observer: Any = self.lines.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def watch(self) -> WatchedFiles:
        """
        Watch the file.
        """
        return WatchedFiles([(FileKind("policy", 100), self.path)], self.use, lambda: self.now_ns, self.pause)

    def pause(self, seconds: float) -> None:
        """
        Let another program write a content, if there is one.
        """
        self.pauses += 1
        if self.writes:
            self.write(self.writes.pop(0))

    def use(self, content: bytes) -> None:
        """
        Use a content, unless it is bad.
        """
        if content.startswith(b"bad"):
            raise BadFile(f"{content.decode()} is wrong")
        if content.startswith(b"bug"):
            raise ZeroDivisionError
        self.used.append(content)

    def write(self, content: bytes, age_ns: int = 10**10) -> None:
        """
        Write the file in place, as if some time ago.
        """
        self.path.write_bytes(content)
        os.utime(self.path, ns=(self.now_ns - age_ns, self.now_ns - age_ns))

    def levels(self) -> list[LogLevel]:
        """
        Return the levels of the lines logged so far.
        """
        return [
            line["log_level"] for line in self.lines if line.get("log_namespace") == "twisted_registry.access.files"
        ]

    def test_changed(self) -> None:
        """
        A new content is used once.
        """
        self.write(b"two")
        self.watched.check()
        self.watched.check()
        self.assertEqual(self.used, [b"one", b"two"])
        self.assertEqual(self.levels(), [LogLevel.info])

    def test_replaced(self) -> None:
        """
        A file that is replaced by renaming, also below a link, is read.
        """
        other = self.path.with_name("other")
        other.write_bytes(b"two")
        other.replace(self.path)
        self.watched.check()
        third = self.path.with_name("third")
        third.write_bytes(b"three")
        self.path.unlink()
        self.path.symlink_to(third.name)
        self.watched.check()
        self.assertEqual(self.used, [b"one", b"two", b"three"])

    def test_half_written(self) -> None:
        """
        A file that is written in place is used when it is whole, also if its parts could be used.
        """
        self.writes = [b"tw", b"two"]
        self.write(b"")
        self.watched.check()
        self.assertEqual((self.used, self.levels()), ([b"one", b"two"], [LogLevel.info]))

    def test_always_written(self) -> None:
        """
        A file that changes all the time leaves the old content in force, until it no longer does.
        """
        self.writes = [str(number).encode() for number in range(99)]
        for _ in range(3):
            self.write(b"two")
            self.watched.check()
        self.assertEqual((self.used, self.levels()), ([b"one"], [LogLevel.error]))
        self.writes.clear()
        self.watched.check()
        self.assertEqual(len(self.used), 2)

    def test_replaced_at_once(self) -> None:
        """
        A file that replaces another one by renaming is whole, and is used at once; not if it is empty.
        """
        for content, pauses in ((b"two", 0), (b"", 1)):
            other = self.path.with_name("other")
            other.write_bytes(content)
            other.replace(self.path)
            self.watched.check()
            self.assertEqual((self.used[-1], self.pauses), (content, pauses))

    def test_same_time(self) -> None:
        """
        Two changes of the same size within one tick of the file system's clock are both seen.
        """
        for content in (b"two", b"xxx", b"yyy"):
            self.write(content, age_ns=0)
            self.watched.check()
        self.assertEqual(self.used, [b"one", b"two", b"xxx", b"yyy"])

    def test_bad(self) -> None:
        """
        A content that cannot be used is logged once, and the old one stays; when it is repaired, it is used.
        """
        for _ in range(4):
            self.write(b"bad two")
            self.watched.check()
        self.assertEqual((self.used, self.levels()), ([b"one"], [LogLevel.error]))
        self.write(b"two")
        self.watched.check()
        self.assertEqual((self.used, self.levels()), ([b"one", b"two"], [LogLevel.error, LogLevel.info]))

    def test_unexpected(self) -> None:
        """
        Any other error is logged like a bad file, once, so that the files that are checked next are read.
        """
        self.path.write_bytes(b"bug")
        for _ in range(4):
            self.watched.check()
        self.assertEqual((self.used, self.levels()), ([b"one"], [LogLevel.error]))

    def test_pipe(self) -> None:
        """
        A pipe is refused, and not waited for.
        """
        self.path.unlink()
        os.mkfifo(self.path)
        self.assertRaises(BadFile, self.watch().load)

    def test_writable_by_others(self) -> None:
        """
        A file that must be trusted may not be writable by others.
        """
        kind = FileKind("policy", 100, is_trusted=True)
        for mode in (0o664, 0o646):
            self.path.chmod(mode)
            self.assertIn("chmod go-w", str(self.assertRaises(BadFile, kind.read, self.path)))
        self.path.chmod(0o644)
        kind.read(self.path)

    def test_repaired_at_once(self) -> None:
        """
        Files that are usable again at the next check were only in the middle of a change: nothing is logged.
        """
        self.write(b"bad two")
        self.watched.check()
        self.write(b"one")
        self.watched.check()
        self.assertEqual((self.used, self.levels()), ([b"one"], []))

    def test_together(self) -> None:
        """
        Several files are used together.
        """
        other = self.path.with_name("other")
        other.write_bytes(b"1")
        used: list[tuple[bytes, ...]] = []
        kind = FileKind("certificate", 100)
        watched = WatchedFiles([(kind, self.path), (kind, other)], lambda *contents: used.append(contents))
        watched.load()
        other.write_bytes(b"2")
        watched.check()
        self.assertEqual(used, [(b"one", b"1"), (b"one", b"2")])

    def test_missing(self) -> None:
        """
        A file that is gone leaves the old content in force, and the same content is not a change.
        """
        self.path.unlink()
        self.watched.check()
        self.watched.check()
        self.write(b"one")
        self.watched.check()
        self.assertEqual((self.used, self.levels()), ([b"one"], [LogLevel.error, LogLevel.info]))

    def test_first_time(self) -> None:
        """
        At first a file must be usable.
        """
        for content in (b"bad", b"x" * 101):
            self.write(content)
            self.assertRaises(BadFile, self.watch().load)

    def test_private(self) -> None:
        """
        A private file may not be open to others.
        """
        for mode, is_private, is_fine in ((0o644, False, True), (0o600, True, True), (0o640, True, False)):
            self.path.chmod(mode)
            kind = FileKind("policy", 100, is_private)
            if is_fine:
                self.assertEqual(kind.read(self.path), b"one")
            else:
                self.assertRaises(BadFile, kind.read, self.path)

    def test_owner(self) -> None:
        """
        A file that must be private or trusted may not belong to another user, if that is checked.
        """
        if os.geteuid() != 0:
            raise SkipTest("only root can give a file to another user")
        self.path.chmod(0o600)
        os.chown(self.path, 54321, -1)
        trusted, any_kind = FileKind("policy", 100, is_trusted=True), FileKind("certificate", 100)
        for kind in (trusted, FileKind("token file", 100, is_private=True)):
            error = self.assertRaises(BadFile, kind.read, self.path, checks_owner=True)
            self.assertIn("belongs to another user (number 54321)", str(error))
            kind.read(self.path)
        any_kind.read(self.path, checks_owner=True)
        watched = WatchedFiles([(trusted, self.path)], self.use)
        watched.load(checks_owner=False)
        self.assertRaises(BadFile, watched.load)
