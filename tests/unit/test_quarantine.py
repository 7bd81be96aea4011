"""
Tests of the quarantine.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.damage import damage, findings, flip_bit
from tests.support.faulty_system import (
    Disturbance,
    FaultySystem,
    Killed,
    failing_at,
    failing_from,
    failing_where,
    killed_at,
)
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.errors import CannotStart
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.verify.archive import Scrub
from twisted_registry.storage.filesystem.verify.findings import CannotVerify, Kind
from twisted_registry.storage.filesystem.verify.quarantine import Quarantine, QuarantinedFinding, locked
from twisted_registry.testing.samples import data_of, put


def next_number(archive: FilesystemArchive, model_id: str) -> int:
    """
    Return the number that the registry would give out next.
    """
    return max([*archive.version_numbers(model_id), archive.high_water_mark(model_id)]) + 1


class QuarantineCase(FilesystemCase):
    """
    An archive with a model of five versions, of which 2, 3 and 5 are damaged in different ways.
    """

    def setUp(self) -> None:
        """
        Fill the archive, damage it, and close it.
        """
        super().setUp()
        self.lay_out(self.archive, self.root)

    def lay_out(self, archive: FilesystemArchive, root: Path) -> None:
        """
        Fill an open archive, damage it, and close it.
        """
        archive.save_model(ModelInfo("m"))
        archive.save_model(ModelInfo("n"))
        for number in (1, 2, 3, 4, 5):
            put(archive, "m", number, b"data %d" % number)
        archive.close()
        flip_bit(root / "m" / "m-v000002.data")
        (root / "m" / "m-v000003.yaml").unlink()
        (root / "m" / "m-v000005.yaml").write_text("")

    def move(self, root: Path | None = None, system: FaultySystem | None = None) -> list[QuarantinedFinding]:
        """
        Verify the archive, and quarantine all damage.
        """
        root = root or self.root
        return list(Quarantine(str(root), system).move(findings(root)))

    def aside(self) -> list[str]:
        """
        Return the files in the quarantine, relative to it.
        """
        (own,) = (self.root / ".0" / "quarantine").iterdir()
        return sorted(str(path.relative_to(own)) for path in own.rglob("*") if path.is_file())


class MoveTests(QuarantineCase):
    """
    Files that are moved, and files that stay.
    """

    def test_moved(self) -> None:
        """
        Both files of each damaged version are moved, and no others; then nothing is damaged.
        """
        moved = self.move()
        self.assertEqual([(put.finding.version_number, len(put.files)) for put in moved], [(3, 1), (2, 2), (5, 2)])
        paths = ["m/m-v000002.data", "m/m-v000002.yaml", "m/m-v000003.data", "m/m-v000005.data", "m/m-v000005.yaml"]
        self.assertEqual(self.aside(), [*paths, "report.jsonl"])
        self.assertTrue(all((self.root / path).is_file() for put in moved for path in put.files))
        self.assertEqual(findings(self.root), [])

    def test_rest_is_served(self) -> None:
        """
        The archive opens, the start leaves the quarantine unchanged, and the intact versions are served.
        """
        self.move()
        before = self.aside()
        self.archive.open()
        self.assertEqual(self.archive.version_numbers("m"), [1, 4])
        self.assertEqual([data_of(self.archive, "m", number) for number in (1, 4)], [b"data 1", b"data 4"])
        self.assertEqual(self.aside(), before)

    def move_unread(self, name: str, number: int, *, lasts: bool) -> QuarantinedFinding:
        """
        Verify while a file cannot be read, quarantine all damage, and return the result for that file.
        """
        disturbance = failing_where(f"read(_into)? m/{re.escape(name)}", number)
        with Scrub(str(self.root), jobs=1, system=FaultySystem(str(self.root), disturbance=disturbance)) as scrub:
            found = list(scrub.findings())
        system = FaultySystem(str(self.root), disturbance=disturbance if lasts else None)
        moved = list(Quarantine(str(self.root), system).move(found))
        (put,) = (put for put in moved if put.finding.path == f"m/{name}")
        return put

    def test_temporary_failure(self) -> None:
        """
        A file that can be read again, or could not be read for another reason than a bad medium, is left in place.
        """
        for number, lasts in ((errno.EIO, False), (errno.ESTALE, True), (errno.EACCES, True)):
            for name in ("m-v000001.data", "m-v000004.yaml", "m.yaml", ".reserved"):
                (self.root / "m" / ".reserved").write_text("9")
                put = self.move_unread(name, number, lasts=lasts)
                self.assertTrue(put.finding.is_unread)
                self.assertEqual(put.files, [])
                self.assertTrue(put.remark.startswith("left: "), put.remark)
                self.assertTrue((self.root / "m" / name).exists())

    def test_bad_sector(self) -> None:
        """
        A file on a bad sector is moved without being read; after a lost high-water mark, numbers continue far above.
        """
        put = self.move_unread("m-v000001.data", errno.EIO, lasts=True)
        self.assertEqual([Path(path).name for path in put.files], ["m-v000001.data", "m-v000001.yaml"])
        (self.root / "m" / ".reserved").write_text("9\n")
        put = self.move_unread(".reserved", errno.EIO, lasts=True)
        self.assertEqual([Path(path).name for path in put.files], [".reserved"])
        self.archive.open()
        self.assertEqual(self.archive.version_numbers("m"), [4])
        self.assertGreater(next_number(self.archive, "m"), 1_000_000)

    def test_numbers(self) -> None:
        """
        The number of the latest version is not used again.
        """
        self.move()
        self.archive.open()
        self.assertEqual(next_number(self.archive, "m"), 6)

    def test_number_not_lowered(self) -> None:
        """
        A high-water mark above the latest version stays.
        """
        self.archive.open()
        self.archive.set_high_water_mark("m", 105)
        self.move()
        self.assertEqual(next_number(self.archive, "m"), 106)

    def test_report(self) -> None:
        """
        The report contains the findings and their files.
        """
        self.move()
        (path,) = (self.root / ".0" / "quarantine").glob("*/report.jsonl")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        self.assertEqual([line["kind"] for line in lines], ["orphan", "data-hash", "version-yaml"])
        self.assertEqual((lines[1]["model_id"], lines[1]["version_number"]), ("m", 2))
        self.assertEqual(lines[1]["files"], ["m/m-v000002.data", "m/m-v000002.yaml"])

    def test_nothing_to_do(self) -> None:
        """
        Without damage, no quarantine is made.
        """
        self.move()
        self.assertEqual(self.move(), [])
        self.assertEqual(len(list((self.root / ".0" / "quarantine").iterdir())), 1)

    def test_model_yaml(self) -> None:
        """
        Only the .yaml of a damaged model is moved; the model is damaged until it is saved, and then has its versions.
        """
        self.move()
        (self.root / "m" / "m.yaml").write_text("")
        (moved,) = self.move()
        self.assertIn("CreateOrUpdateModel", moved.remark)
        self.assertEqual(damage(findings(self.root)), [(Kind.MODEL_YAML, "m", None)])
        self.archive.open()
        self.archive.save_model(ModelInfo("m"))
        self.assertEqual(findings(self.root), [])
        self.assertEqual(self.archive.version_numbers("m"), [1, 4])

    def test_model_of_damage_alone(self) -> None:
        """
        A model that is created again after everything of it was quarantined continues its numbers.
        """
        for path in (self.root / "m").glob("*.yaml"):
            path.write_text("")
        self.move()
        self.archive.open()
        self.assertEqual(self.archive.model_ids(), ["n"])
        self.archive.save_model(ModelInfo("m"))
        self.assertEqual(next_number(self.archive, "m"), 6)

    def test_high_water_mark(self) -> None:
        """
        A malformed high-water mark is quarantined, and replaced by one that is certainly high enough.
        """
        (self.root / "m" / ".reserved").write_text("9x")
        self.move()
        self.assertIn("m/.reserved", self.aside())
        self.assertEqual(findings(self.root), [])
        self.archive.open()
        self.assertGreater(next_number(self.archive, "m"), 1_000_000)

    def test_high_water_mark_is_directory(self) -> None:
        """
        A high-water mark that is a directory is quarantined with its content.
        """
        (self.root / "m" / ".reserved").mkdir()
        (self.root / "m" / ".reserved" / "x").write_text("")
        self.move()
        self.assertIn("m/.reserved/x", self.aside())
        self.assertEqual(findings(self.root), [])

    def test_impossible_number(self) -> None:
        """
        Files with a number that no version can have are moved, too.
        """
        for suffix in ("yaml", "data"):
            (self.root / "m" / f"m-v4294967296.{suffix}").write_text("")
        self.move()
        self.assertIn("m/m-v4294967296.data", self.aside())
        self.assertEqual(findings(self.root), [])


class LockTests(QuarantineCase):
    """
    The archive's lock.
    """

    def test_in_use(self) -> None:
        """
        An archive that a daemon has open cannot be locked, and vice versa.
        """
        self.archive.open()
        with self.assertRaises(CannotVerify) as caught:
            locked(str(self.root)).__enter__()
        self.assertIn("in use by another process", str(caught.exception))
        self.archive.close()
        with locked(str(self.root)):
            self.assertRaises(CannotStart, self.archive.open)
        self.archive.open()

    def test_nothing_made(self) -> None:
        """
        A missing directory is not created.
        """
        self.assertRaises(CannotVerify, locked(str(self.root / "none")).__enter__)
        self.assertFalse((self.root / "none").exists())

    def test_released(self) -> None:
        """
        The lock is always released.
        """

        def die() -> None:
            with locked(str(self.root)):
                raise Killed

        self.assertRaises(Killed, die)
        descriptor = os.open(self.root, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FaultTests(QuarantineCase):
    """
    A fault, or the death of the process, at each single call to the system.
    """

    def attempts(self, disturbance: Callable[[int], Disturbance]) -> Iterator[tuple[Path, dict[str, bytes]]]:
        """
        Quarantine on new archives, disturbed at each system call.

        Returns:
            the archive, and what was in its model before.
        """
        calls = self.attempt(None)[2]
        self.assertGreater(calls, 30)
        for position in range(calls):
            root, before, _ = self.attempt(disturbance(position))
            yield root, before

    def attempt(self, disturbance: Disturbance | None) -> tuple[Path, dict[str, bytes], int]:
        """
        Quarantine on a new archive.

        Returns:
            the archive, what was in its model before, and how many calls there were.
        """
        root = Path(self.mktemp()).absolute()
        archive = FilesystemArchive(str(root))
        archive.open()
        self.lay_out(archive, root)
        (root / "n" / ".reserved").write_text("9x")
        before = {path.name: path.read_bytes() for path in (root / "m").iterdir()}
        found = findings(root)
        system = FaultySystem(str(root), disturbance=disturbance)
        with contextlib.suppress(CannotVerify, Killed):
            list(Quarantine(str(root), system).move(found))
        system.close_all()
        return root, before, len(system.calls)

    def check(self, root: Path, before: dict[str, bytes]) -> None:
        """
        Check that nothing is lost and no number is used again, also after the next start, and that a second attempt
        finishes.
        """
        archive = FilesystemArchive(str(root))
        archive.open()
        self.addCleanup(archive.close)
        numbers = archive.version_numbers("m")
        self.assertLessEqual({1, 4}, set(numbers))
        self.assertGreater(next_number(archive, "m"), 5)
        self.assertGreater(next_number(archive, "n"), 1_000_000)
        archive.close()
        self.move(root)
        self.assertEqual(damage(findings(root)), [])
        for name, content in before.items():
            places = [root / "m" / name, *root.glob(f".0/quarantine/*/m/{name}")]
            self.assertEqual([path.read_bytes() for path in places if path.exists()], [content], name)

    def test_killed(self) -> None:
        """
        Whenever the process dies, each file is in its place or in a quarantine, and the next attempt completes it.
        """
        for root, before in self.attempts(killed_at):
            self.check(root, before)

    def test_faults(self) -> None:
        """
        Whichever call fails, each file is in its place or in a quarantine, and the next attempt completes it.
        """
        for disturbance in (failing_at, failing_from):
            for root, before in self.attempts(lambda position, how=disturbance: how(errno.EIO, position)):  # type: ignore[misc]
                self.check(root, before)

    def test_order(self) -> None:
        """
        The high-water mark is set first, then the data is moved and synced, and only then a .yaml is moved.
        """
        root = Path(self.mktemp()).absolute()
        archive = FilesystemArchive(str(root))
        archive.open()
        self.lay_out(archive, root)
        system = FaultySystem(str(root))
        self.move(root, system)
        changes = system.changes()
        own = next(call.split()[1] for call in changes if call.startswith("mkdir .0/quarantine/"))
        first = changes.index("rename m/.new-* m/.reserved")
        expected = [
            "fsync m",
            *(f"rename m/m-v00000{n}.data {own}/m/m-v00000{n}.data" for n in (3, 2, 5)),
            *(f"fsync {own}/m", "fsync m"),
            *(f"rename m/m-v00000{n}.yaml {own}/m/m-v00000{n}.yaml" for n in (2, 5)),
            *(f"fsync {own}/m", "fsync m"),
        ]
        self.assertEqual(changes[first + 1 :], expected)
