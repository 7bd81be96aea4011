"""
Tests that numbers of versions that were evicted, or died with the daemon, are never given again, and what that costs.
"""

from tests.support.archive_files import temp_files
from tests.support.registry_case import RegistryTestCase
from twisted_registry.coordination.local import NUMBERS_PER_BLOCK

MOST_GAP = 2 * NUMBERS_PER_BLOCK
"""A crash may leave the rest of one block of reserved numbers, and of the next that was reserved ahead."""


class SurvivalTests(RegistryTestCase):
    """
    A daemon that holds two versions, and evicts all others.
    """

    flags = ("--version-cache-max-items", "2")

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.client.save_model("m")

    def create(self, count: int = 1, archived: bool = False) -> list[int]:
        """
        Create versions, and give their numbers, which must follow one another.
        """
        numbers = [self.client.create("m", b"data", archived=archived).version_number for _ in range(count)]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + count)))
        return numbers

    def evict_all(self) -> None:
        """
        Fill the memory with the latest versions of other models.
        """
        for other in ("other", "another"):
            self.client.save_model(other)
            self.client.create(other, b"data")

    def listed(self) -> list[int]:
        """
        Return the numbers of the existing versions.
        """
        return [info.version_number for info in self.client.infos("m").version_infos]

    def test_evicted_and_killed_in_turn(self) -> None:
        """
        Kill after kill, with evictions in between and nothing archived, numbers rise, and each gap is a block or two.
        """
        last = 0
        for count in (1, 3, NUMBERS_PER_BLOCK - 1, NUMBERS_PER_BLOCK, NUMBERS_PER_BLOCK // 2, 1):
            numbers = self.create(count)
            self.assertTrue(last < numbers[0] <= last + 1 + MOST_GAP, (last, numbers))
            last = numbers[-1]
            self.evict_all()
            self.assertEqual(self.listed(), [])
            self.crash()
            self.assertEqual(self.listed(), [])

    def test_kills_without_versions_use_up_nothing(self) -> None:
        """
        However often the daemon is killed, it gives up no more numbers than for the first time.
        """
        (last,) = self.create()
        for _ in range(3):
            self.crash()
            self.assertEqual(self.listed(), [])
        (number,) = self.create()
        self.assertTrue(last < number <= last + 1 + MOST_GAP, (last, number))

    def test_killed_while_archived_and_transient_take_turns(self) -> None:
        """
        An archived version after evicted ones keeps its number through a kill, and the next one is above it.
        """
        last = 0
        for _ in range(3):
            transient = self.create(3)
            archived = self.create(archived=True)
            self.assertGreater(transient[0], last)
            self.create()
            last = self.client.latest("m").version_number
            self.evict_all()
            self.crash()
            self.assertEqual(self.listed()[-1], archived[0])

    def test_clean_stop_after_evictions_leaves_no_gap(self) -> None:
        """
        A clean stop writes the exact number down, also where nothing is left of the model's versions.
        """
        last = self.create(NUMBERS_PER_BLOCK + 5)[-1]
        self.evict_all()
        self.assertEqual(self.listed(), [])
        for _ in range(2):
            self.restart()
            self.assertEqual(self.listed(), [])
        self.assertEqual(self.create(), [last + 1])

    def test_clean_stop_after_a_kill_leaves_no_further_gap(self) -> None:
        """
        Only the kill leaves a gap, not the clean stops after it.
        """
        self.create()
        self.crash()
        (last,) = self.create()
        self.restart()
        self.assertEqual(self.create(), [last + 1])

    def test_numbers_begin_again_only_with_the_model(self) -> None:
        """
        A model that is deleted and made again begins at 1, also through a kill.
        """
        self.create(5)
        self.client.delete_model("m")
        self.client.save_model("m")
        self.crash()
        self.assertEqual(self.create(), [1])

    def test_transient_versions_write_seldom(self) -> None:
        """
        A thousand transient versions write down numbers some ten times, and nothing else.
        """
        seen = set()
        for _ in range(1000):
            self.create()
            status = (self.archive / "m" / ".reserved").stat()
            seen.add((status.st_ino, status.st_mtime_ns))
        self.assertLessEqual(len(seen), 20)
        self.assertGreaterEqual(len(seen), 10)
        # A block of numbers may still be on its way to the disk.
        self.wait_until_true(lambda: not temp_files(self.archive), "the last block is written")
        self.assertEqual({path.name for path in (self.archive / "m").iterdir()}, {"m.yaml", ".reserved"})
