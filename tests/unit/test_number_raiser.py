"""
The raising of version numbers in a restored archive.
"""

import errno
import os

from tests.support.faulty_system import FaultySystem, failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.models import MAX_VERSION_NUMBER, ModelInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.high_water_marks import format_high_water_mark, parse_high_water_mark
from twisted_registry.storage.filesystem.number_raiser import DEFAULT_BY, NumberRaiser
from twisted_registry.storage.filesystem.verify.findings import CannotVerify
from twisted_registry.testing.samples import put


class NumberRaiserTests(FilesystemCase):
    """
    ``NumberRaiser``, on an archive with models in every state.
    """

    def prepare(self) -> None:
        """
        Create models: without a version, with versions, with a high-water mark, with an escaped name.
        """
        archive = FilesystemArchive(str(self.root))
        archive.open()
        for model_id in ("empty", "given", "reserved", "Odd id"):
            archive.save_model(ModelInfo(model_id))
        for number in (1, 2):
            put(archive, "given", number)
        put(archive, "reserved", 1)
        archive.set_high_water_mark("reserved", 100)
        archive.close()
        (self.root / "foreign").mkdir()
        (self.root / "notes").write_text("notes")

    def raised(self, by: int = DEFAULT_BY, to: int | None = None) -> dict[str | None, tuple[int, int, str]]:
        """
        Raise the numbers while no daemon runs, and return the outcomes by model id.
        """
        self.archive.close()
        raised = list(NumberRaiser(str(self.root), by, to).run())
        self.archive.open()
        return {each.model_id: (each.before, each.after, each.error) for each in raised}

    def highest(self, model_id: str) -> int:
        """
        Return the highest number that the archive knows of.
        """
        return max(self.archive.high_water_mark(model_id), *self.archive.version_numbers(model_id), 0)

    def test_all_models(self) -> None:
        """
        The numbers of each model continue a million higher; foreign files stay as they are.
        """
        before = {"empty": 0, "given": 2, "reserved": 100, "Odd id": 0}
        raised = self.raised()
        self.assertEqual(raised, {name: (number, number + 10**6, "") for name, number in before.items()})
        for name, number in before.items():
            self.assertEqual(self.highest(name), number + 10**6)
        self.assertEqual(os.listdir(self.root / "foreign"), [])

    def test_to_a_number(self) -> None:
        """
        Numbers can be raised to a given one; higher ones stay.
        """
        raised = self.raised(to=50)
        self.assertEqual(raised["given"], (2, 50, ""))
        self.assertEqual(raised["reserved"], (100, 100, ""))

    def test_counted(self) -> None:
        """
        The archive keeps its id, and counts the restores.
        """
        first = self.archive.identity()
        self.raised(by=1)
        self.raised(by=1)
        self.assertEqual((self.archive.identity().archive_id, self.archive.identity().restores), (first.archive_id, 2))
        self.assertEqual(self.highest("given"), 4)

    def test_not_enough_left(self) -> None:
        """
        A model without enough numbers left keeps its own, and the others are raised.
        """
        (self.root / "given" / ".reserved").write_bytes(format_high_water_mark(MAX_VERSION_NUMBER - 5))
        raised = self.raised()
        before, after, error = raised["given"]
        self.assertEqual(before, after)
        self.assertIn("--by", error)
        self.assertEqual(raised["empty"][1], 10**6)

    def test_damaged_models(self) -> None:
        """
        The numbers of a damaged model are raised too, because it may be repaired.  If the mark is damaged, a guess is
        raised.
        """
        (self.root / "given" / "given.yaml").write_bytes(b"\xff")
        (self.root / "reserved" / ".reserved").write_bytes(b"damaged")
        raised = self.raised()
        self.assertEqual(raised["given"][1], 10**6 + 2)
        self.assertEqual(raised["reserved"][1], 2 * 10**6 + 1)
        self.assertEqual(parse_high_water_mark((self.root / "reserved" / ".reserved").read_bytes()), 2 * 10**6 + 1)

    def test_linked(self) -> None:
        """
        Nothing is written through a link.
        """
        (self.root / "given").rename(self.root.with_suffix(".elsewhere"))
        (self.root / "given").symlink_to(self.root.with_suffix(".elsewhere"))
        self.assertTrue(self.raised()["given"][2])
        self.assertFalse((self.root / "given" / ".reserved").exists())

    def test_one_fails(self) -> None:
        """
        If one model cannot be written, the others are raised.
        """
        system = FaultySystem(str(self.root), disturbance=failing_where("create given/.*", errno.EIO))
        raised = {each.folder: each for each in NumberRaiser(str(self.root), 1, system=system).run()}
        self.assertIn(os.strerror(errno.EIO), raised["given"].error)
        self.assertEqual(raised["empty"].error, "")
        self.assertEqual(system.descriptors, {})

    def test_no_archive(self) -> None:
        """
        A folder that is not an archive is left as it is.
        """
        nothing = self.root.with_suffix(".nothing")
        for _ in range(2):
            self.assertRaises(CannotVerify, lambda: list(NumberRaiser(str(nothing)).run()))
            nothing.mkdir(exist_ok=True)
        self.assertEqual(os.listdir(nothing), [])
