"""
Tests of the verification of audit logs.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from tests.support.audit import open_log
from twisted_registry.access.audit.chain import ChainEnd, hash_of
from twisted_registry.access.audit.verify import AuditVerification, in_order
from twisted_registry.cli.commands.audit import audit


def chain(count: int, end: ChainEnd | None = None) -> tuple[list[bytes], ChainEnd]:
    """
    Return lines that follow an end, and the new end.
    """
    end, lines = end or ChainEnd(), []
    for number in range(count):
        event = "start" if end == ChainEnd() else "call"
        line, end = end.add({"event": event, "model_id": f"m{number}"}, end.sequence * 10**9)
        lines.append(line)
    return lines, end


class VerifyCase(SynchronousTestCase):
    """
    Files in a folder.
    """

    def setUp(self) -> None:
        """
        Make the folder.
        """
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def write(self, name: str, lines: Sequence[bytes], rest: bytes = b"") -> Path:
        """
        Write a file with lines.
        """
        path = self.folder / name
        path.write_bytes(b"".join(line + b"\n" for line in lines) + rest)
        return path

    def findings(self, *paths: Path) -> list[tuple[str, int, bool, str]]:
        """
        Verify files, and return what was found.
        """
        found = AuditVerification(paths).findings()
        return [(finding.path.name, finding.line, finding.is_damage, finding.reason) for finding in found]

    def damage(self, *paths: Path) -> list[tuple[int, str]]:
        """
        Return the lines of damage, and the reasons.
        """
        return [(line, reason) for _, line, is_damage, reason in self.findings(*paths) if is_damage]


class DamageTests(VerifyCase):
    """
    Each change of a line is found.
    """

    def check(self, change: Callable[[list[bytes]], None], line: int, text: str) -> None:
        """
        Change the lines of a log, and check what is found.
        """
        lines, _ = chain(8)
        change(lines)
        found = self.damage(self.write("audit.log", lines))
        self.assertEqual([number for number, _ in found][:1], [line], found)
        self.assertIn(text, found[0][1])

    def test_intact(self) -> None:
        """
        Nothing is found in an intact log.
        """
        lines, end = chain(8)
        path = self.write("audit.log", lines)
        self.assertEqual(self.findings(path), [])
        verification = AuditVerification([path])
        self.assertEqual(list(verification.findings()), [])
        self.assertEqual((verification.lines, verification.end), (8, end))

    def test_changed(self) -> None:
        """
        A line that was changed no longer fits the next one.
        """

        def change(lines: list[bytes]) -> None:
            lines[3] = lines[3].replace(b'"m3"', b'"m4"')

        self.check(change, 5, "that was changed since")

    def test_changed_number(self) -> None:
        """
        So does one whose number was changed.
        """

        def change(lines: list[bytes]) -> None:
            lines[3] = lines[3].replace(b'"seq":4', b'"seq":5')

        self.check(change, 4, "lines 4 to 4 are missing")

    def test_removed(self) -> None:
        """
        Lines that were removed are named.
        """

        def change(lines: list[bytes]) -> None:
            del lines[3:5]

        self.check(change, 4, "lines 4 to 5 are missing")

    def test_inserted(self) -> None:
        """
        A line that was inserted is found.
        """

        def change(lines: list[bytes]) -> None:
            lines.insert(3, chain(4)[0][3].replace(b'"m3"', b'"forged"'))

        self.check(change, 5, "moved or repeated")

    def test_moved(self) -> None:
        """
        Lines in another order are found.
        """

        def change(lines: list[bytes]) -> None:
            lines[3], lines[4] = lines[4], lines[3]

        self.check(change, 4, "lines 4 to 4 are missing")

    def test_no_line(self) -> None:
        """
        A line of something else is found, wherever it is.
        """
        for index, text in ((3, "line 4 before it"), (8, "changed or inserted")):
            for garbage in (b"garbage", b"", b"{}", b"[1]", b'{"seq":"4","prev":"x"}', b"\xff\0", b"[" * 100_000):
                lines, _ = chain(8)
                lines.insert(index, garbage)
                found = self.damage(self.write("audit.log", lines))
                self.assertEqual(len(found), 1, garbage)
                self.assertIn(text, found[0][1])

    def test_forged_fields(self) -> None:
        """
        A line can put nothing on the reader's terminal, and no number is too long to be reported.
        """
        end = ChainEnd()
        first, end = end.add({"event": "start"}, 0)
        second, end = end.add({"event": "missing", "count": "\x1b[2J"}, 0)
        for forged in (b"9" * 4300, b"1" + b"0" * 4299, b"0", b"-1"):
            third = b'{"event":"call","prev":"%s","seq":%s}' % (end.sha256.encode(), forged)
            fourth, _ = end.add({"event": "call"}, 0)
            found = self.findings(self.write("audit.log", [first, second, third, fourth]))
            self.assertEqual([line for _, line, is_damage, _ in found if is_damage], [4])
            self.assertEqual([reason for *_, reason in found if not reason.isprintable() or len(reason) > 200], [])

    def test_flipped_bits(self) -> None:
        """
        Each flipped bit of all lines but the last is found.
        """
        lines, _ = chain(3)
        content = b"".join(line + b"\n" for line in lines)
        for position in range(len(content) - len(lines[-1]) - 1):
            damaged = bytearray(content)
            damaged[position] ^= 1 << position % 8
            path = self.folder / "flipped.log"
            path.write_bytes(damaged)
            self.assertNotEqual(self.damage(path), [], position)

    def test_new_log_in_the_middle(self) -> None:
        """
        A log does not begin again in the middle of a file.
        """
        lines, _ = chain(3)
        self.assertIn("moved", self.damage(self.write("audit.log", [*lines, *lines]))[0][1])


class InterruptedTests(VerifyCase):
    """
    Lines whose writing was interrupted are not damage.
    """

    def restarted(self, torn: bytes) -> Path:
        """
        Return a log whose daemon was killed while it wrote a line, and started again.
        """
        lines, _ = chain(3)
        path = self.write("audit.log", lines, torn)
        path.chmod(0o600)
        open_log(path).close()
        return path

    def test_torn(self) -> None:
        """
        A line that was interrupted, and which the next start names, is noted.
        """
        for torn in (b'{"ev', b"\0" * 5000, b"a\nb\n\n", b"{" * (3 * 1024 * 1024 // 4)):
            found = self.findings(self.restarted(torn))
            self.assertEqual([is_damage for _, _, is_damage, _ in found], [False] * len(found), torn[:9])
            self.assertIn("did not stop cleanly", found[-1][3])

    def test_torn_line_that_was_changed(self) -> None:
        """
        If it was changed, or removed, that is damage.
        """
        path = self.restarted(b'{"ev')
        content = path.read_bytes()
        path.write_bytes(content.replace(b'{"ev\n', b'{"av\n'))
        self.assertIn("changed or inserted", self.damage(path)[0][1])
        path.write_bytes(content.replace(b'{"ev\n', b""))
        self.assertIn("removed", self.damage(path)[0][1])

    def test_incomplete_end(self) -> None:
        """
        A last line that is not complete is noted.
        """
        lines, _ = chain(3)
        ((_, number, is_damage, reason),) = self.findings(self.write("audit.log", lines, b'{"ev'))
        self.assertEqual((number, is_damage), (4, False))
        self.assertIn("is writing it now", reason)

    def test_missing_entries(self) -> None:
        """
        Entries that the daemon could not write are noted.
        """
        lines, end = chain(2)
        line, _ = end.add({"event": "missing", "count": 7}, 0)
        ((_, _, is_damage, reason),) = self.findings(self.write("audit.log", [*lines, line]))
        self.assertFalse(is_damage)
        self.assertIn("up to 7 entries are missing", reason)


class FilesTests(VerifyCase):
    """
    A log in several files.
    """

    def parts(self) -> tuple[Path, Path, Path]:
        """
        Return the three files of a log.
        """
        lines, _ = chain(9)
        return (
            self.write("audit.log.2", lines[:3]),
            self.write("audit.log.1", lines[3:6]),
            self.write("audit.log", lines[6:]),
        )

    def test_any_order(self) -> None:
        """
        Files may be named in any order.
        """
        first, second, third = self.parts()
        for paths in ((first, second, third), (third, second, first), (second, third, first)):
            self.assertEqual(in_order(paths), [first, second, third])
            self.assertEqual(self.findings(*paths), [])

    def test_missing_file(self) -> None:
        """
        A file that is missing in the middle is found; one before all others is noted.
        """
        first, second, third = self.parts()
        self.assertEqual(self.damage(first, third), [(1, "the log's lines 4 to 6 are missing before it")])
        ((_, _, is_damage, reason),) = self.findings(second, third)
        self.assertFalse(is_damage)
        self.assertIn("begins with its line 4", reason)

    def test_several_logs(self) -> None:
        """
        A log that begins again in another file is noted.
        """
        parts = self.parts()
        line, _ = ChainEnd().add({"event": "start"}, 10**12)
        other = self.write("other.log", [line])
        found = self.findings(other, *parts)
        self.assertEqual([(name, is_damage) for name, _, is_damage, _ in found], [("other.log", False)] * len(found))
        self.assertIn("another log begins here", [reason for *_, reason in found])

    def test_empty_file(self) -> None:
        """
        An empty file, such as after a rotation, is noted.
        """
        empty = self.write("audit.log.3", [])
        self.assertEqual(self.findings(empty, *self.parts()), [("audit.log.3", 0, False, "the file is empty")])


class CommandTests(VerifyCase):
    """
    ``twisted-registry audit verify`` prints what was found.
    """

    def run_command(self, *words: str) -> Result:
        """
        Run the command.
        """
        return CliRunner().invoke(audit, ["verify", *words])

    def test_intact(self) -> None:
        """
        The status of an intact log is 0, and its last line is named.
        """
        lines, end = chain(3)
        done = self.run_command(str(self.write("audit.log", lines)))
        self.assertEqual(done.exit_code, 0)
        self.assertIn("3 lines in 1 files: 0 damaged, 0 notes; the last one is line 3 of the log", done.stdout)
        self.assertIn(end.sha256, done.stdout)
        self.assertEqual(self.run_command("--quiet", str(self.folder / "audit.log")).stdout, "")

    def test_damaged(self) -> None:
        """
        The status of a damaged log is 1, and the line is named.
        """
        lines, _ = chain(3)
        path = self.write("audit.log", [lines[0], lines[2]])
        done = self.run_command("--quiet", str(path))
        self.assertEqual(done.exit_code, 1)
        self.assertEqual(done.stdout, f"damaged  {path}:2  the log's lines 2 to 2 are missing before it\n")

    def test_json(self) -> None:
        """
        With --json each finding is an object, and the last one is a summary.
        """
        lines, _ = chain(3)
        path = self.write("audit.log", lines[1:])
        finding, summary = map(json.loads, self.run_command("--json", str(path)).stdout.splitlines())
        self.assertEqual((finding["finding"], finding["file"], finding["line"]), ("note", str(path), 1))
        last = {"last_seq": 3, "last_sha256": hash_of(lines[2])}
        self.assertEqual(summary["summary"], {"files": 1, "lines": 2, "damaged": 0, "notes": 1, **last})

    def test_no_file(self) -> None:
        """
        A file that cannot be read is an error.
        """
        done = self.run_command(str(self.folder / "nothing"))
        self.assertEqual(done.exit_code, 2)
        self.assertIn("nothing", done.stderr)
