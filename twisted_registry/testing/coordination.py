"""
The tests of coordination.
"""

from collections.abc import Awaitable
from typing import Any, TypeVar

from attrs import field, frozen
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from twisted_registry.contracts.coordination import ICoordination, INumberSequence
from twisted_registry.domain.errors import NumbersExhausted
from twisted_registry.domain.events import Event, ModelDeleted, ModelSaved
from twisted_registry.domain.models import MAX_VERSION_NUMBER, ModelInfo
from twisted_registry.testing._case import ContractCase

T = TypeVar("T")


class CoordinationContract(ContractCase):
    """
    The tests of ``ICoordination``.

    A subclass defines ``make_coordination``, and derives from a test case as well::

        class MyCoordinationTests(CoordinationContract, unittest.TestCase):
            def make_coordination(self):
                return MyCoordination(self.medium)

    Attributes:
        coordination: coordination on an empty medium, on which the model ``m`` exists.
    """

    coordination: ICoordination

    def setUp(self) -> None:
        """
        Make the coordination.
        """
        super().setUp()
        self.coordination = self.make_coordination()

    def make_coordination(self) -> ICoordination:
        """
        Make a coordination.  Each call after the first one stands for another process on the same medium, after the
        last one has ended.

        Returns:
            A new coordination.
        """
        raise NotImplementedError

    def wait(self, awaitable: Awaitable[T]) -> T:
        """
        Run something awaitable to its end.  A subclass whose calls wait for other threads runs these here.

        Args:
            awaitable: what a call of the coordination returned.

        Returns:
            Its result; its error is raised.
        """
        results: list[T] = []
        errors: list[BaseException] = []
        done = Deferred.fromCoroutine(_as_coroutine(awaitable))
        done.addCallbacks(results.append, lambda failure: errors.append(failure.value))
        for error in errors:
            raise error
        assert results, "it is still waiting"
        return results[0]

    def sequence(self, coordination: ICoordination | None = None, highest: int = 0) -> INumberSequence:
        """
        Return the loaded number sequence of the model ``m``.

        Args:
            coordination: where it comes from; ``None`` for the test's coordination.
            highest: the model's highest archived number; 0 if it has none.
        """
        sequence: INumberSequence = (coordination or self.coordination).sequence("m")
        self.wait(sequence.load(highest))
        return sequence

    def test_interface(self) -> None:
        """
        The coordination provides its interfaces.
        """
        self.assertTrue(verifyObject(ICoordination, self.coordination))
        self.assertTrue(verifyObject(INumberSequence, self.coordination.sequence("m")))

    # Numbers

    def test_first_numbers(self) -> None:
        """
        Numbers begin at 1, and one that was not used is returned again.
        """
        sequence = self.sequence()
        self.assertEqual([sequence.last, sequence.next(), sequence.next()], [0, 1, 1])
        sequence.use(1)
        self.assertEqual([sequence.last, sequence.next()], [1, 2])

    def test_archived_numbers(self) -> None:
        """
        Numbers continue after the highest archived one.
        """
        self.assertEqual(self.sequence(highest=41).next(), 42)

    def test_used_numbers(self) -> None:
        """
        The highest number that was used counts.
        """
        sequence = self.sequence()
        sequence.use(7)
        sequence.use(3)
        self.assertEqual(sequence.last, 7)

    def test_reserved_numbers(self) -> None:
        """
        A reserved number is never assigned again, even if the process ended without releasing anything.
        """
        sequence = self.sequence()
        for number in range(1, 251):
            self.assertEqual(sequence.next(), number)
            self.wait(sequence.reserve(number))
            sequence.use(number)
        self.assertGreater(self.sequence(self.make_coordination()).next(), 250)

    def test_released_numbers(self) -> None:
        """
        After a clean end, the next process continues without a gap.
        """
        sequence = self.sequence()
        self.wait(sequence.reserve(1))
        sequence.use(1)
        self.wait(sequence.release())
        self.assertEqual(self.sequence(self.make_coordination()).next(), 2)

    def test_raised_numbers(self) -> None:
        """
        Numbers that clients have seen are not assigned, neither in this process nor in the next one.
        """
        sequence = self.sequence()
        self.assertTrue(self.wait(sequence.raise_to(500)))
        self.assertEqual(sequence.next(), 501)
        self.assertGreater(self.sequence(self.make_coordination()).next(), 500)

    def test_implausible_numbers(self) -> None:
        """
        A number that no version can have is not believed.
        """
        sequence = self.sequence()
        self.assertFalse(self.wait(sequence.raise_to(MAX_VERSION_NUMBER + 1)))
        self.assertEqual(sequence.next(), 1)

    def test_last_number(self) -> None:
        """
        After the highest number there is none.
        """
        sequence = self.sequence(highest=MAX_VERSION_NUMBER - 1)
        self.wait(sequence.reserve(MAX_VERSION_NUMBER))
        sequence.use(sequence.next())
        self.assertRaises(NumbersExhausted, sequence.next)

    def test_retired_sequence(self) -> None:
        """
        A sequence whose model was deleted no longer changes anything.
        """
        sequence = self.sequence()
        sequence.retire()
        self.wait(sequence.reserve(1))
        self.assertEqual(self.sequence(self.make_coordination()).next(), 1)

    # Ownership and incarnations

    def test_incarnations(self) -> None:
        """
        Each incarnation differs from all earlier ones of the model.
        """
        incarnations = [self.coordination.incarnation("m") for _ in range(3)]
        self.assertEqual(len(set(incarnations)), 3)

    def test_exclusive(self) -> None:
        """
        Owners of a model follow each other in order; other models have other owners.
        """
        self.check_order(self.coordination.exclusive)

    def test_writing(self) -> None:
        """
        Changes of a model follow each other in order, also inside its ownership.
        """
        self.check_order(self.coordination.writing)

        async def nested() -> None:
            async with self.coordination.exclusive("m"), self.coordination.writing("m"):
                pass

        self.wait(nested())

    def check_order(self, own: Any) -> None:
        """
        Check that a model has one owner at a time.

        Args:
            own: the method to check, ``exclusive`` or ``writing``: takes a model's id and returns a context.
        """
        order: list[str] = []
        until: Deferred[None] = Deferred()

        async def hold(name: str, model_id: str, until: "Deferred[None] | None" = None) -> None:
            async with own(model_id):
                order.append(name)
                if until is not None:
                    await until

        first = Deferred.fromCoroutine(hold("first", "m", until))
        second = Deferred.fromCoroutine(hold("second", "m"))
        third = Deferred.fromCoroutine(hold("third", "m"))
        self.wait(hold("other", "n"))
        self.assertEqual(order, ["first", "other"])
        until.callback(None)
        for done in (first, second, third):
            self.wait(done)
        self.assertEqual(order, ["first", "other", "second", "third"])

    # The change feed

    def test_listeners(self) -> None:
        """
        A listener is called with the events of the kinds that it subscribed to, in order, until it unsubscribes.
        """
        saved, deleted = ModelSaved(ModelInfo("m"), 1, True), ModelDeleted("m", 1)
        models, deletions = _Notes(), _Notes()
        self.coordination.subscribe(models.note, ModelSaved, ModelDeleted)
        self.coordination.subscribe(deletions.note, ModelDeleted)
        for event in (saved, deleted, saved):
            self.coordination.publish(event)
        self.assertEqual((models.events, deletions.events), ([saved, deleted, saved], [deleted]))
        self.coordination.unsubscribe(models.note)
        self.coordination.unsubscribe(models.note)
        self.coordination.publish(deleted)
        self.assertEqual((len(models.events), len(deletions.events)), (3, 2))

    def test_listener_that_unsubscribes_another(self) -> None:
        """
        A listener may unsubscribe, itself or another, while an event is published.
        """
        notes = _Notes()

        def leave(event: Event) -> None:
            self.coordination.unsubscribe(leave)
            self.coordination.unsubscribe(notes.note)

        self.coordination.subscribe(leave, ModelDeleted)
        self.coordination.subscribe(notes.note, ModelDeleted)
        for _ in range(2):
            self.coordination.publish(ModelDeleted("m", 1))
        self.assertLessEqual(len(notes.events), 1)


@frozen
class _Notes:
    events: list[Any] = field(factory=list)

    def note(self, event: Event) -> None:
        self.events.append(event)


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable


__all__ = ["CoordinationContract"]
