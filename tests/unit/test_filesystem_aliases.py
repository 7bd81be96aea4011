"""
The archive on a file system: the journal of aliases.
"""

import errno
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from twisted.logger import LogLevel, capturedLogs

from tests.support.damage import findings
from tests.support.faulty_system import failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.contracts.lifecycle import ILifecycleWriter
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.errors import StorageFailure, StorageFull
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem.alias_lines import BLOCK_BYTES, TAIL_BYTES, format_line, parse_line
from twisted_registry.storage.filesystem.verify.findings import Kind
from twisted_registry.storage.filesystem.verify.quarantine import Quarantine
from twisted_registry.testing.archive_annotations import move
from twisted_registry.testing.archive_lifecycle import lifecycle_writer
from twisted_registry.testing.samples import put, version_info

MOVES = [move(1, "prod", 0, 1), move(2, "best", 0, 2), move(3, "prod", 1, 2)]


class JournalCase(FilesystemCase):
    """
    A model with two versions and three moves, in a line each.
    """

    def setUp(self) -> None:
        """
        Create them.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m"))
        for number in (1, 2):
            put(self.archive, "m", number)
        self.path = self.root / "m" / ".aliases"
        for each in MOVES:
            self.archive.append_alias_moves("m", [each])

    def assert_state(self, damaged: int = 0, sequence: int = 3, **aliases: int) -> None:
        """
        Check which versions the aliases name.
        """
        state = self.archive.load_aliases("m")
        self.assertEqual((state.numbers, state.sequence, state.damaged_moves), (aliases, sequence, damaged))

    def commit(self, *moves: AliasMove, number: int = 3) -> Callable[[], None]:
        """
        Prepare the commit of a version with moves.
        """
        writer: ILifecycleWriter = lifecycle_writer(self.archive, "m", b"data")
        writer.set_alias_moves(moves)
        return lambda: writer.commit(version_info("m", number, b"data"))


class TornTests(JournalCase):
    """
    A last line that a crash has cut off.
    """

    def test_cut_off(self) -> None:
        """
        Wherever the last line is cut off, the moves before it count, and the next move takes its place.
        """
        whole = self.path.read_bytes()
        start = whole.rindex(b"\n", 0, -1) + 1
        for end in range(start, len(whole)):
            for rest in (b"", bytes(len(whole) - end)):
                self.path.write_bytes(whole[:end] + rest)
                self.assert_state(sequence=2, prod=1, best=2)
                kinds = [finding.kind for finding in findings(self.root)]
                self.assertEqual(kinds, [Kind.LEFT_OVER] if end > start or rest else [])
                self.archive.append_alias_moves("m", [MOVES[2]])
                self.assertEqual(self.path.read_bytes(), whole)

    def test_seen(self) -> None:
        """
        A line that a process wrote before it died is synced before it is reported, and only then.
        """
        for reopened in (True, False):
            if reopened:
                self.reopen()
            self.system.calls.clear()
            self.archive.load_aliases("m")
            self.assertEqual(self.system.changes(), ["sync_data m/.aliases", "fsync m"] if reopened else [])

    def test_cut_is_synced_first(self) -> None:
        """
        A cut-off line is durably removed before another is added.
        """
        self.path.write_bytes(self.path.read_bytes()[:-3])
        self.system.calls.clear()
        self.archive.append_alias_moves("m", [MOVES[2]])
        expected = ["truncate m/.aliases", "fsync m/.aliases", "write m/.aliases", "sync_data m/.aliases"]
        self.assertEqual(self.system.changes(), expected)

    def test_long_lines(self) -> None:
        """
        The last line is found and cut also if it is long, and so is the only one.
        """
        for before in ([], MOVES[:1]):
            self.path.write_bytes(b"".join(format_line([each]) for each in before))
            size_bytes = self.path.stat().st_size
            many = [move(n, "prod", 0, 1) for n in range(2, 2 + 5 * TAIL_BYTES // 100)]
            self.archive.append_alias_moves("m", many)
            self.archive.append_alias_moves("m", [])
            self.assertEqual(self.archive.alias_moves("m"), [*before, *many])
            self.path.write_bytes(self.path.read_bytes()[: size_bytes + 4 * TAIL_BYTES])
            self.archive.append_alias_moves("m", [])
            self.assertEqual(self.path.stat().st_size, size_bytes + len(format_line([])))

    def test_long_history(self) -> None:
        """
        A history that is longer than a block is read as it was written.
        """
        moves = [move(n, f"a{n % 7}", n - 1, n) for n in range(4, 4 + BLOCK_BYTES // 80)]
        with self.path.open("ab") as file:
            file.writelines(format_line([each]) for each in moves)
        self.assertGreater(self.path.stat().st_size, BLOCK_BYTES)
        self.assertEqual(self.archive.alias_moves("m"), [*MOVES, *moves])

    def test_failed_write(self) -> None:
        """
        A move that cannot be written whole leaves no part of itself, and one that cannot be synced does not count.
        """
        before = self.path.read_bytes()
        write = self.system.write

        def write_a_part(descriptor: int, data: memoryview) -> int:
            if len(data) < 20:
                raise OSError(errno.ENOSPC, "")
            return write(descriptor, data[:-10])

        self.patch(self.system, "write", write_a_part)
        self.assertRaises(StorageFull, self.archive.append_alias_moves, "m", [move(4, "prod", 2, 1)])
        self.assertEqual(self.path.read_bytes(), before)
        self.patch(self.system, "write", write)
        self.system.disturbance = failing_where("sync_data .*", errno.EIO)
        self.assertRaises(StorageFailure, self.archive.append_alias_moves, "m", [move(4, "prod", 2, 1)])
        self.assertEqual(self.path.read_bytes(), before)


class HistoryTests(JournalCase):
    """
    A long history, read in pages from its end.
    """

    def write(self, lines: list[bytes]) -> None:
        """
        Replace the journal.
        """
        self.path.write_bytes(b"".join(lines))

    def pages(self, limit: int, alias: str | None = None) -> list[AliasMove]:
        """
        Read all pages, and return their moves in order.
        """
        found: list[AliasMove] = []
        while page := self.archive.alias_moves("m", alias, found[0].sequence if found else None, limit):
            self.assertLessEqual(len(page), limit)
            found = page + found
        return found

    def test_little_is_read(self) -> None:
        """
        A page takes a small part of the journal, wherever it is.
        """
        moves = [move(n, "prod", n - 1, n) for n in range(1, 10_001)]
        self.write([format_line([each]) for each in moves])
        size_bytes, read_at, read = self.path.stat().st_size, self.system.read_at, 0

        def count(descriptor: int, wanted_bytes: int, start: int) -> bytes:
            nonlocal read
            read += wanted_bytes
            return read_at(descriptor, wanted_bytes, start)

        self.patch(self.system, "read_at", count)
        for before in (None, 9_990, 5_000, 17, 2):
            read = 0
            expected = moves[: None if before is None else before - 1][-100:]
            self.assertEqual(self.archive.alias_moves("m", None, before, 100), expected)
            self.assertLess(read, size_bytes / 8)

    def test_damage(self) -> None:
        """
        The pages together are the whole history, without the damaged lines, whatever their number and length.
        """
        random = Random(1)
        for share in (0.0, 0.1, 0.9):
            lines, expected = [], []
            for n in range(1, 600):
                each = move(n, f"a{n % 2}", n - 1, n)
                if random.random() < share:
                    lines.append(random.choice([b"\n", b"x" * TAIL_BYTES * 2 + b"\n", format_line([each])[1:]]))
                else:
                    lines.append(format_line([each]))
                    expected.append(each)
            self.write(lines)
            for limit in (20, 1000):
                self.assertEqual(self.pages(limit), expected)
            self.assertEqual(self.pages(7, "a1"), [each for each in expected if each.alias == "a1"])

    def test_end(self) -> None:
        """
        No page has a line that a crash has cut off, or one that could not be cut off.
        """
        with self.path.open("ab") as file:
            file.write(format_line([move(4, "prod", 2, 1)])[:-3])
        self.assertEqual(self.pages(2), MOVES)
        self.system.disturbance = failing_where("(sync_data|truncate) .*", errno.EIO)
        self.assertRaises(StorageFailure, self.archive.append_alias_moves, "m", [move(4, "late", 0, 1)])
        self.assertEqual(self.pages(2), MOVES)


class LockTests(JournalCase):
    """
    Journals of several models.
    """

    def test_slow_sync(self) -> None:
        """
        While the journal of one model is being synced, the aliases of another one move.
        """
        self.archive.save_model(ModelInfo("other"))
        put(self.archive, "other", 1)
        self.reopen()
        pool = ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        moved: list[object] = []

        def move_other(call: str) -> None:
            if call == "sync_data m/.aliases":
                self.system.disturbance = None
                append = pool.submit(self.archive.append_alias_moves, "other", [move(1, "prod", 0, 1)])
                moved.append(append.result(timeout=60))

        self.system.disturbance = move_other
        self.assert_state(prod=2, best=2)
        self.assertEqual(moved, [None])
        self.assertEqual(self.archive.load_aliases("other").numbers, {"prod": 1})


class UncutTests(JournalCase):
    """
    A line that could neither be synced nor cut off.
    """

    def setUp(self) -> None:
        """
        Fail a move of an alias to version 1, and leave its line.
        """
        super().setUp()
        self.end = self.path.stat().st_size
        self.system.disturbance = failing_where("(sync_data|truncate) .*", errno.EIO)
        self.assertRaises(StorageFailure, self.archive.append_alias_moves, "m", [move(4, "late", 0, 1)])
        self.assertGreater(self.path.stat().st_size, self.end)

    def test_does_not_count(self) -> None:
        """
        It is not reported, and no other move follows it: that one would not be durable.
        """
        self.assert_state(prod=2, best=2)
        self.assertRaises(StorageFailure, self.archive.append_alias_moves, "m", [move(4, "next", 0, 2)])
        self.system.disturbance = None
        self.archive.append_alias_moves("m", [move(4, "next", 0, 2)])
        self.assertEqual(self.archive.alias_moves("m"), [*MOVES, move(4, "next", 0, 2)])
        self.reopen()
        self.assert_state(sequence=4, prod=2, best=2, next=2)

    def test_deletion(self) -> None:
        """
        The version that it names is deleted only after it is cut off: after a crash an alias would name nothing.
        """
        self.assertRaises(StorageFailure, self.archive.delete_version, "m", 1)
        self.assertEqual(self.archive.version_numbers("m"), [1, 2])
        self.system.disturbance = None
        self.archive.delete_version("m", 1)
        self.assertEqual(self.path.stat().st_size, self.end)
        self.reopen()
        self.assert_state(prod=2, best=2)

    def test_deletion_of_many(self) -> None:
        """
        The same holds if versions are deleted together.
        """
        self.assertRaises(StorageFailure, self.archive.delete_versions, "m", [1])
        self.assertEqual(self.archive.version_numbers("m"), [1, 2])
        self.system.disturbance = None
        self.archive.delete_versions("m", [1])
        self.assertEqual(self.path.stat().st_size, self.end)

    def test_model_created_again(self) -> None:
        """
        The journal of a later model with the same id is not cut off.
        """
        self.system.disturbance = None
        self.archive.delete_model("m")
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", 1)
        self.archive.append_alias_moves("m", [move(1, "prod", 0, 1)])
        self.archive.append_alias_moves("m", [move(2, "best", 0, 1)])
        self.assert_state(sequence=2, prod=1, best=1)


class DamageTests(JournalCase):
    """
    A damaged line in the middle.
    """

    def damage(self) -> None:
        """
        Change a digit of the second line.
        """
        lines = self.path.read_bytes().splitlines(keepends=True)
        lines[1] = lines[1].replace(b'"to":2', b'"to":1')
        self.path.write_bytes(b"".join(lines))

    def test_isolated(self) -> None:
        """
        The history lacks the damaged move; other aliases are where they were; the log and a verification say so.
        """
        self.damage()
        with capturedLogs() as events:
            self.assert_state(damaged=1, prod=2)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.error])
        self.assertEqual(self.archive.alias_moves("m"), [MOVES[0], MOVES[2]])
        (finding,) = findings(self.root)
        self.assertEqual((finding.kind, finding.path, finding.is_damage), (Kind.ALIASES, "m/.aliases", True))

    def test_goes_on(self) -> None:
        """
        Moves can be added, and the damaged line stays, for anyone who can repair it.
        """
        self.damage()
        self.archive.append_alias_moves("m", [move(4, "best", 2, 1)])
        self.assert_state(damaged=1, sequence=4, prod=2, best=1)
        self.assertEqual(len(self.path.read_bytes().splitlines()), 4)

    def test_damaged_last_line(self) -> None:
        """
        A last line that is whole and wrong is damage, not the trace of a crash: nothing removes it.
        """
        self.path.write_bytes(self.path.read_bytes()[:-3] + b"g0\n")
        self.assert_state(damaged=1, sequence=2, prod=1, best=2)
        self.archive.append_alias_moves("m", [move(4, "best", 2, 1)])
        self.assert_state(damaged=1, sequence=4, prod=1, best=1)

    def test_quarantine(self) -> None:
        """
        The whole journal is kept in the quarantine, and the undamaged moves stay.
        """
        self.damage()
        damaged = self.path.read_bytes()
        self.archive.close()
        (moved,) = Quarantine(str(self.root)).move(findings(self.root))
        self.assertEqual([(self.root / path).read_bytes() for path in moved.files], [damaged])
        self.assertEqual(findings(self.root), [])
        self.archive.open()
        self.assertEqual(self.archive.alias_moves("m"), [MOVES[0], MOVES[2]])

    def test_not_a_file(self) -> None:
        """
        A folder or a link in the place of the journal is damage; no link is followed.
        """
        for make in (self.path.mkdir, lambda: self.path.symlink_to("m.yaml")):
            self.path.unlink(missing_ok=True)
            make()
            self.assert_state(damaged=1, sequence=0)
            self.assertRaises(StorageFailure, self.archive.append_alias_moves, "m", MOVES)
            self.archive.close()
            (moved,) = Quarantine(str(self.root)).move(findings(self.root))
            self.assertEqual(len(moved.files), 1)
            self.assertEqual(findings(self.root), [])
            self.archive.open()

    def test_anything(self) -> None:
        """
        Any line that is not one of the journal's is damage.
        """
        for content in (b"", b"\n", b"{}\n", b'{"moves":1} crc32=00000000\n', b"\xff crc32=0\n"):
            self.assertTrue(parse_line(0, content).damage, content)
        for values in (b"1", b"[]", b"{}", b'{"moves":1}', b'{"moves":[1]}', b'{"moves":[],"with":[]}', b"[" * 9999):
            line = b"%s crc32=%08x\n" % (values, zlib.crc32(values))
            self.assertTrue(parse_line(0, line).damage, values[:40])
            self.assertFalse(parse_line(0, line).is_torn)


class ConditionalTests(JournalCase):
    """
    Moves that are committed with a version.
    """

    def test_order(self) -> None:
        """
        The moves are durable before the version exists.
        """
        commit = self.commit(move(4, "prod", 2, 3))
        self.system.calls.clear()
        commit()
        changes = self.system.changes()
        position = changes.index("sync_data m/.aliases")
        self.assertEqual(changes[position - 2 : position], ["fsync m", "write m/.aliases"])
        self.assertEqual(changes[position + 1 :], ["rename_noreplace m/.new-* m/m-v000003.yaml", "fsync m"])

    def test_without_the_version(self) -> None:
        """
        If the version does not exist after a crash, the moves have not happened, also if another one gets its number.
        """
        self.commit(move(4, "prod", 2, 3))()
        for name in ("m-v000003.yaml", "m-v000003.data"):
            (self.root / "m" / name).unlink()
        self.reopen()
        self.assert_state(prod=2, best=2)
        self.assertEqual([finding.is_damage for finding in findings(self.root)], [])
        for data in (b"other data", b"data"):
            put(self.archive, "m", 3, data)
            self.assert_state(prod=2, best=2)
            for name in ("m-v000003.yaml", "m-v000003.data"):
                (self.root / "m" / name).unlink()
        self.archive.append_alias_moves("m", [move(4, "best", 2, 1)])
        self.assertEqual(self.archive.alias_moves("m"), [*MOVES, move(4, "best", 2, 1)])

    def test_with_another_version(self) -> None:
        """
        The same holds if the line cannot be removed, for any version that differs in its facts.
        """
        self.commit(move(4, "prod", 2, 3))()
        for name in ("m-v000003.yaml", "m-v000003.data"):
            (self.root / "m" / name).unlink()
        self.reopen()
        self.system.disturbance = failing_where("truncate .*", errno.EIO)
        self.assert_state(prod=2, best=2)
        put(self.archive, "m", 3, b"other data")
        self.assert_state(prod=2, best=2)

    def test_kept(self) -> None:
        """
        The moves count whatever becomes of the version after the next move.
        """
        self.commit(move(4, "prod", 2, 3))()
        self.archive.append_alias_moves("m", [move(5, "prod", 3, 1)])
        self.archive.delete_version("m", 3)
        self.assertEqual(self.archive.alias_moves("m"), [*MOVES, move(4, "prod", 2, 3), move(5, "prod", 3, 1)])

    def test_failed_commit(self) -> None:
        """
        A commit that fails after its moves were written takes them back.
        """
        before = self.path.read_bytes()
        commit = self.commit(move(4, "prod", 2, 3))
        self.system.disturbance = failing_where(r"rename_noreplace m/.* m/.*\.yaml", errno.EIO)
        self.assertRaises(StorageFailure, commit)
        self.assertEqual(self.path.read_bytes(), before)

    def test_quarantined_version(self) -> None:
        """
        If the version is damaged and moved away, the alias does not go back: it names a version that does not exist.
        """
        self.commit(move(4, "prod", 2, 3))()
        (self.root / "m" / "m-v000003.data").unlink()
        self.archive.close()
        list(Quarantine(str(self.root)).move(findings(self.root)))
        (finding,) = findings(self.root)
        self.assertEqual((finding.kind, finding.version_number, finding.is_damage), (Kind.ALIAS, 3, False))
        self.archive.open()
        self.assert_state(sequence=4, prod=3, best=2)

    def test_damaged_version(self) -> None:
        """
        If the version's .yaml is damaged, the alias does not go back either.
        """
        self.commit(move(4, "prod", 2, 3))()
        (self.root / "m" / "m-v000003.yaml").write_bytes(b"\0")
        self.assert_state(sequence=4, prod=3, best=2)
