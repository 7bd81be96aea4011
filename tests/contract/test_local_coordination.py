"""
Contract tests of coordination within one process.
"""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.threads import PumpedPool, PumpedReactor, pump_all
from twisted_registry.coordination.local import MAX_RAISED, NUMBERS_PER_BLOCK, LocalCoordination
from twisted_registry.domain.errors import StorageFull
from twisted_registry.domain.events import ModelDeleted
from twisted_registry.domain.models import ModelInfo
from twisted_registry.execution import PooledExecutor
from twisted_registry.testing import CoordinationContract, MemoryArchive, MemoryMedium

T = TypeVar("T")


class LocalCoordinationTests(CoordinationContract, SynchronousTestCase):
    """
    The contract, on ``LocalCoordination`` over an archive whose calls run in another thread.
    """

    def setUp(self) -> None:
        """
        Make an archive with a model.
        """
        self.archive = MemoryArchive(MemoryMedium())
        self.archive.save_model(ModelInfo("m"))
        self.reactor, self.disk = PumpedReactor(), PumpedPool()
        super().setUp()

    def make_coordination(self) -> LocalCoordination:
        """
        Make a coordination on the archive.
        """
        return LocalCoordination(self.archive, PooledExecutor(self.reactor, self.disk))

    def wait(self, awaitable: Awaitable[T]) -> T:
        """
        Run the archive's calls until a result is there.
        """

        async def result() -> T:
            return await awaitable

        done = Deferred.fromCoroutine(result())
        pump_all(self.reactor, self.disk)
        return self.successResultOf(done)

    def test_blocks(self) -> None:
        """
        Numbers are reserved in blocks, the next one ahead of time and without a wait.
        """
        sequence = self.sequence()
        self.wait(sequence.reserve(1))
        self.assertEqual(self.archive.high_water_mark("m"), NUMBERS_PER_BLOCK)
        half = NUMBERS_PER_BLOCK // 2 + 1
        self.successResultOf(Deferred.fromCoroutine(_awaited(sequence.reserve(half))))
        self.assertEqual(self.archive.high_water_mark("m"), NUMBERS_PER_BLOCK)
        pump_all(self.reactor, self.disk)
        self.assertEqual(self.archive.high_water_mark("m"), 2 * NUMBERS_PER_BLOCK)

    def test_release_waits_for_the_reservation_under_way(self) -> None:
        """
        The mark is exact at the end, also if a block was being reserved.
        """
        sequence = self.sequence()
        for number in (1, NUMBERS_PER_BLOCK // 2 + 1):
            done = Deferred.fromCoroutine(_awaited(sequence.reserve(number)))
            if number == 1:
                pump_all(self.reactor, self.disk)
            self.successResultOf(done)
            sequence.use(number)
        self.wait(sequence.release())
        self.assertEqual(self.archive.high_water_mark("m"), sequence.last)

    def test_full_disk(self) -> None:
        """
        A reservation that fails is reported where its number is needed, and not ahead of time.
        """
        sequence = self.sequence()
        self.wait(sequence.reserve(1))
        self.archive.set_high_water_mark = _full  # type: ignore[assignment, method-assign]
        self.wait(sequence.reserve(NUMBERS_PER_BLOCK))
        failing = Deferred.fromCoroutine(_awaited(sequence.reserve(NUMBERS_PER_BLOCK + 1)))
        pump_all(self.reactor, self.disk)
        self.failureResultOf(failing, StorageFull)
        self.assertTrue(self.wait(sequence.raise_to(500)))
        self.wait(sequence.release())

    def test_raised_too_far(self) -> None:
        """
        Clients can raise the numbers of a model by so much in all.
        """
        sequence = self.sequence()
        self.assertTrue(self.wait(sequence.raise_to(MAX_RAISED)))
        self.assertFalse(self.wait(sequence.raise_to(MAX_RAISED + 1)))
        self.assertEqual(sequence.last, MAX_RAISED)

    def test_listener_that_fails(self) -> None:
        """
        The failure of a listener is logged with an incident, and hurts neither the publisher nor other listeners.
        """
        events: list[ModelDeleted] = []
        logged = self.enterContext(capturedLogs())
        self.coordination.subscribe(_fail, ModelDeleted)
        self.coordination.subscribe(events.append, ModelDeleted)
        self.coordination.publish(ModelDeleted("m", 1))
        self.assertEqual(events, [ModelDeleted("m", 1)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        (line,) = (formatEvent(event) for event in logged if event.get("log_failure"))
        self.assertRegex(line, r"^incident [0-9a-f]{12}: a listener failed to handle ModelDeleted\(model_id='m'")


def _full(*_: object) -> None:
    raise StorageFull("no space left")


def _fail(event: ModelDeleted) -> None:
    raise ZeroDivisionError


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
