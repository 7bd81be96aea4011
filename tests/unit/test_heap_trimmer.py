"""
Tests of returning memory to the system.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.daemon.heap_trimmer import BESIDE_BYTES, DELAY_SECONDS, WORTH_BYTES, HeapTrimmer
from twisted_registry.domain.events import ModelDeleted

MUCH = 10 * WORTH_BYTES
EVENT = ModelDeleted("m", 1)


class HeapTrimmerTests(SynchronousTestCase):
    """
    ``HeapTrimmer`` returns memory if the process takes much more than its versions.
    """

    def setUp(self) -> None:
        """
        Start with an empty process.
        """
        self.clock = Clock()
        self.held = self.resident = 0
        self.looks = self.trimmed = 0
        self.trimmer = HeapTrimmer(self.clock, lambda: self.held, self.resident_bytes, self.trim)

    def resident_bytes(self) -> int:
        """
        Return the memory of the process, and count how often that is asked.
        """
        self.looks += 1
        return self.resident

    def trim(self) -> None:
        """
        Count the trims.
        """
        self.trimmed += 1

    def change(self, held: int, resident: int) -> int:
        """
        Publish an event, after which ``held`` bytes are in use and ``resident`` bytes are resident.

        Returns:
            the number of trims so far.
        """
        self.held, self.resident = held, resident
        self.trimmer.schedule(EVENT)
        self.clock.advance(DELAY_SECONDS)
        return self.trimmed

    def test_nothing_runs_while_an_event_is_published(self) -> None:
        """
        The process is looked at later, once for all events until then.
        """
        looks = self.looks
        for _ in range(3):
            self.trimmer.schedule(EVENT)
        self.assertEqual(self.looks, looks)
        self.clock.advance(DELAY_SECONDS)
        self.assertEqual(self.looks, looks + 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_held_memory(self) -> None:
        """
        The memory that versions need, and the process beside them, stays.
        """
        self.assertEqual(self.change(MUCH, MUCH + MUCH // 10 + BESIDE_BYTES), 0)

    def test_deleted_model(self) -> None:
        """
        The memory of a deleted model is returned, once.
        """
        self.change(MUCH, MUCH)
        self.assertEqual([self.change(0, MUCH), self.change(0, WORTH_BYTES // 2)], [1, 1])

    def test_pieces(self) -> None:
        """
        Memory that is free in pieces is returned too, and again after it has grown as much again.
        """
        much_more = 2 * MUCH
        self.assertEqual(self.change(MUCH, much_more), 1)
        self.assertEqual(self.change(MUCH, much_more + WORTH_BYTES - 1), 1)
        self.assertEqual(self.change(MUCH, much_more + WORTH_BYTES), 2)

    def test_unknown_memory(self) -> None:
        """
        Nothing is done if the memory of the process is unknown.
        """
        self.assertEqual(self.change(0, 0), 0)
