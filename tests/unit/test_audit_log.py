"""
Tests of the audit log.
"""

import errno
import os
import stat
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from tests.support.audit import FaultyDisk, entries_of, lines_of, open_log
from twisted_registry.access.audit.chain import FIRST_PREV, ChainEnd, format_time, hash_of, parse_line, read_tail
from twisted_registry.access.audit.file import check_path
from twisted_registry.access.audit.log import AuditLog
from twisted_registry.domain.errors import AuditUnavailable

_WAIT_SECONDS = 30.0


class ChainTests(SynchronousTestCase):
    """
    Lines, each with the hash of the one before.
    """

    def test_lines_are_linked(self) -> None:
        """
        A line has the next number, and the hash of the line before.
        """
        first, end = ChainEnd().add({"event": "start"}, 0)
        second, last = end.add({"event": "stop"}, 1)
        self.assertEqual((parse_line(first) or {})["prev"], FIRST_PREV)
        self.assertEqual((parse_line(second) or {})["prev"], hash_of(first))
        self.assertEqual(last, ChainEnd(2, hash_of(second)))

    def test_form(self) -> None:
        """
        A line is ASCII, with its place in the chain first and then sorted keys; line breaks, escapes and half
        characters of ids stay within it.
        """
        line, _ = ChainEnd().add({"model_id": 'a\nb\u2028c\x1b[0m"\ud800', "alias": "é"}, 1_700_000_000_000_000_001)
        self.assertTrue(line.isascii())
        self.assertEqual(line.splitlines(), [line])
        self.assertEqual(
            line.decode(),
            '{"prev":"'
            + FIRST_PREV
            + '","seq":1,"time":"2023-11-14T22:13:20.000000001Z",'
            + '"alias":"\\u00e9","model_id":"a\\nb\\u2028c\\u001b[0m\\"\\ud800"}',
        )

    def test_time(self) -> None:
        """
        Times have nine digits of a second.
        """
        self.assertEqual(format_time(0), "1970-01-01T00:00:00.000000000Z")
        self.assertEqual(format_time(1_000_000_007), "1970-01-01T00:00:01.000000007Z")

    def test_tail(self) -> None:
        """
        The end is that of the last complete line, whatever follows it.
        """
        line, end = ChainEnd().add({}, 0)
        for torn, is_closed in ((b"", True), (b'{"seq":2', False), (b'{"se\n', True), (b"\0\0\n{", False)):
            tail = read_tail(b"cut off\n" + line + b"\n" + torn)
            assert tail is not None
            self.assertEqual((tail.end, tail.torn, tail.is_closed), (end, torn.removesuffix(b"\n"), is_closed), torn)
        self.assertIsNone(read_tail(line))
        self.assertIsNone(read_tail(b'{"seq":true,"prev":""}\n[]\nnull\n'))


class AuditLogCase(SynchronousTestCase):
    """
    A log in a separate folder.
    """

    def setUp(self) -> None:
        """
        Name the file.
        """
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "audit.log"
        self.disk = FaultyDisk()

    def open(self, **options: object) -> AuditLog:
        """
        Open the log; it is closed when the test ends.
        """
        log = open_log(self.path, self.disk, **options)
        self.addCleanup(log.close)
        return log

    def record(self, log: AuditLog, **entry: object) -> None:
        """
        Record an entry, and wait until it is durable.
        """
        log.record({"event": "call", **entry}).result(_WAIT_SECONDS)

    def events(self) -> list[str]:
        """
        Return the events of all lines.
        """
        return [str(line["event"]) for line in lines_of(self.path)]

    def check_chain(self, *paths: Path) -> None:
        """
        Check that the lines of files follow each other.
        """
        lines = [line for path in paths or (self.path,) for line in path.read_bytes().splitlines()]
        whole = [line for line in lines if parse_line(line) is not None]
        before = FIRST_PREV
        for sequence, line in enumerate(whole, 1):
            fields = parse_line(line) or {}
            self.assertEqual((fields["seq"], fields["prev"]), (sequence, before))
            before = hash_of(line)


class WritingTests(AuditLogCase):
    """
    Entries become lines.
    """

    def test_order(self) -> None:
        """
        Entries are written in the order in which they come, between a start and a stop.
        """
        log = self.open()
        for number in range(100):
            if number % 3:
                log.append({"event": "call", "number": number})
            else:
                self.record(log, number=number)
        log.close()
        self.assertEqual([line.get("number") for line in lines_of(self.path)], [None, *range(100), None])
        self.assertEqual((self.events()[0], self.events()[-1]), ("start", "stop"))
        self.check_chain()

    def test_mode(self) -> None:
        """
        Only the owner can read the file.
        """
        self.open()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_threads(self) -> None:
        """
        Entries of many threads are all written.
        """
        log = self.open()

        def record() -> None:
            for _ in range(20):
                self.record(log)

        threads = [Thread(target=record) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.close()
        self.assertEqual(self.events().count("call"), 160)
        self.check_chain()

    def test_closed(self) -> None:
        """
        A log that is closed records nothing.
        """
        log = self.open()
        log.close()
        self.assertRaises(AuditUnavailable, log.record({"event": "call"}).result, _WAIT_SECONDS)


class RestartTests(AuditLogCase):
    """
    The chain goes on over restarts and rotations.
    """

    def test_restart(self) -> None:
        """
        A restart goes on after the last line.
        """
        for _ in range(3):
            log = self.open()
            self.record(log)
            log.close()
        self.assertEqual(self.events(), ["start", "call", "stop"] * 3)
        self.check_chain()

    def test_torn_line(self) -> None:
        """
        A line whose writing was interrupted is closed off, and the next one names its length and its hash.
        """
        log = self.open()
        self.record(log)
        log.close()
        with self.path.open("ab") as file:
            file.write(b'{"event":"ca')
        self.open()
        line = lines_of_whole(self.path)[-1]
        self.assertEqual((line["event"], line["torn_bytes"]), ("start", 12))
        self.assertEqual(line["torn_sha256"], hash_of(b'{"event":"ca'))
        self.check_chain()

    def test_torn_first_line(self) -> None:
        """
        The same holds for the first line of all.
        """
        self.path.write_bytes(b'{"event":"st')
        self.path.chmod(0o600)
        self.open()
        self.assertEqual([line["torn_bytes"] for line in lines_of_whole(self.path)], [12])
        self.check_chain()

    def test_rotation(self) -> None:
        """
        After a rename, the log goes on in a new file, and the chain too.
        """
        log = self.open()
        self.record(log)
        old = self.folder / "audit.log.1"
        self.path.rename(old)
        self.record(log)
        log.reopen()
        self.record(log)
        log.close()
        self.assertEqual([line["event"] for line in lines_of(old)], ["start", "call", "call"])
        self.assertEqual(self.events(), ["call", "stop"])
        self.check_chain(old, self.path)

    def test_reopen_without_rename(self) -> None:
        """
        Without a rename, the log goes on in the same file.
        """
        log = self.open()
        log.reopen()
        self.record(log)
        log.close()
        self.assertEqual(self.events(), ["start", "call", "stop"])
        self.check_chain()

    def test_removed(self) -> None:
        """
        If somebody removes the file, the log goes on in a new one.
        """
        log = self.open()
        self.path.unlink()
        self.record(log)
        self.assertEqual([line["seq"] for line in lines_of(self.path)], [2])


class RefusalTests(AuditLogCase):
    """
    Files that cannot be an audit log.
    """

    def refused(self, text: str, *, is_found: bool = True) -> None:
        """
        Check that the file is refused at the start, and by the check of a configuration.
        """
        error = self.assertRaises(AuditUnavailable, open_log, self.path)
        self.assertIn(text, error.reason)
        if is_found:
            self.assertIn(text, self.assertRaises(AuditUnavailable, check_path, self.path).reason)

    def test_link(self) -> None:
        """
        A link is not followed.
        """
        (self.folder / "other").touch(0o600)
        self.path.symlink_to("other")
        self.assertRaises(AuditUnavailable, open_log, self.path)
        self.assertRaises(AuditUnavailable, check_path, self.path)
        self.assertEqual((self.folder / "other").read_bytes(), b"")

    def test_pipe(self) -> None:
        """
        A pipe is refused, without waiting for its other end.
        """
        os.mkfifo(self.path, 0o600)
        self.refused("not a regular file")

    def test_open_to_others(self) -> None:
        """
        A file that others can change is refused.
        """
        self.path.touch()
        self.path.chmod(0o620)
        self.refused("chmod go-w")

    def test_no_folder(self) -> None:
        """
        The directory must exist.
        """
        self.path = self.folder / "no" / "audit.log"
        self.refused("", is_found=False)
        self.assertIn("directory", self.assertRaises(AuditUnavailable, check_path, self.path).reason)

    def test_foreign_file(self) -> None:
        """
        A file with something else is refused, and not changed.
        """
        for content in (b"root:x:0:0\nbin:x:1:1\n", b"root", b'{"a": 1}\n{"b": 2}\n'):
            self.path.write_bytes(content)
            self.path.chmod(0o600)
            self.refused("name another file", is_found=False)
            self.assertEqual(self.path.read_bytes(), content)

    def test_second_process(self) -> None:
        """
        Two processes cannot write to one log.
        """
        self.open()
        self.refused("another process", is_found=False)

    def test_replaced_by_other_lines(self) -> None:
        """
        A running log does not go on in a file with other lines.
        """
        other = open_log(self.folder / "other")
        other.close()
        log = self.open()
        self.path.rename(self.folder / "audit.log.1")
        (self.folder / "other").rename(self.path)
        log.reopen()
        log.append({"event": "call"})
        log.close()
        self.assertIn("move it away", log.problem)
        self.assertEqual(self.events(), ["start", "stop"])

    def test_check_creates_nothing(self) -> None:
        """
        The check of a configuration creates no file.
        """
        check_path(self.path)
        self.assertFalse(self.path.exists())


class FaultTests(AuditLogCase):
    """
    Disks that fail.
    """

    def test_full_disk(self) -> None:
        """
        On a full disk an entry that somebody waits for fails; the log goes on once there is space, and says how many
        entries may be missing.
        """
        log = self.open()
        self.disk.free_bytes = 20
        error = self.assertRaises(AuditUnavailable, log.record({"event": "lost"}).result, _WAIT_SECONDS)
        self.assertEqual(error.reason, os.strerror(errno.ENOSPC))
        self.assertEqual(log.problem, error.reason)
        self.assertRaises(AuditUnavailable, log.record({"event": "lost too"}).result, _WAIT_SECONDS)
        log.append({"event": "kept"})
        self.disk.free_bytes = None
        log.close()
        whole = lines_of_whole(self.path)
        self.assertEqual([line["event"] for line in whole], ["start", "missing", "kept", "stop"])
        self.assertEqual((whole[1]["count"], whole[1]["torn_bytes"]), (2, 20))
        self.assertEqual(log.problem, "")
        self.check_chain()

    def test_failed_sync(self) -> None:
        """
        An entry whose sync fails is not durable, and may be missing.
        """
        log = self.open()
        self.disk.sync_error = errno.EIO
        self.assertRaises(AuditUnavailable, log.record({"event": "uncertain"}).result, _WAIT_SECONDS)
        self.disk.sync_error = 0
        log.close()
        self.assertEqual(log.problem, "")
        # Each attempt to find out whether it can be written again leaves a line in the page cache.
        self.assertEqual(set(self.events()), {"start", "uncertain", "missing", "stop"})
        self.assertEqual(lines_of(self.path)[-2]["count"], 1)
        self.check_chain()

    def test_problem_after_the_start(self) -> None:
        """
        A disk that cannot be written prevents the start.
        """
        self.disk.sync_error = errno.EIO
        self.assertRaises(AuditUnavailable, open_log, self.path, self.disk)

    def test_recovery_without_entries(self) -> None:
        """
        The log finds out by itself that the file can be written again.
        """
        log = self.open()
        self.disk.forget_syncs()
        self.disk.free_bytes = 0
        self.assertRaises(AuditUnavailable, log.record({"event": "lost"}).result, _WAIT_SECONDS)
        self.disk.free_bytes = None
        self.disk.synced.get(timeout=_WAIT_SECONDS)
        self.assertEqual(entries_of(self.path)[-1], {"event": "missing", "count": 1})

    def test_too_many(self) -> None:
        """
        Entries beyond the limit are counted.
        """
        log = self.open(pending_max=3)
        self.disk.free_bytes = 0
        self.assertRaises(AuditUnavailable, log.record({"event": "lost"}).result, _WAIT_SECONDS)
        for number in range(5):
            log.append({"event": "kept", "number": number})
        self.disk.free_bytes = None
        log.close()
        found = [line for line in lines_of(self.path) if line["event"] in ("kept", "missing")]
        self.assertEqual([line.get("number") for line in found if line["event"] == "kept"], [0, 1, 2])
        self.assertEqual(sum(line["count"] for line in found if line["event"] == "missing"), 3)

    def test_unexpected_error(self) -> None:
        """
        An error that nobody expects does not end the log.
        """
        log = self.open()
        self.disk.bug = ZeroDivisionError()
        self.assertRaises(AuditUnavailable, log.record({"event": "lost"}).result, _WAIT_SECONDS)
        self.disk.bug = None
        log.close()
        self.assertEqual(self.events()[-1], "stop")
        self.assertNotEqual(self.flushLoggedErrors(ZeroDivisionError), [])
        self.check_chain()

    def test_hung_disk(self) -> None:
        """
        A sync that does not end is a problem.
        """
        now = 0.0
        log = self.open(seconds=lambda: now)
        self.disk.forget_syncs()
        self.disk.answers.clear()
        first = log.record({"event": "call"})
        self.disk.asked.wait(_WAIT_SECONDS)
        now = 9.0
        self.assertEqual(log.problem, "")
        now = 11.0
        self.assertIn("does not answer", log.problem)
        self.assertRaises(AuditUnavailable, log.record({"event": "call"}).result, _WAIT_SECONDS)
        self.disk.answers.set()
        first.result(_WAIT_SECONDS)


def lines_of_whole(path: Path) -> list[dict[str, object]]:
    """
    Return the complete lines of a log.
    """
    return [dict(fields) for line in path.read_bytes().splitlines() if (fields := parse_line(line)) is not None]
