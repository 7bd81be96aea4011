"""
Facts about giving memory back.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_registry.contracts.registry import IObserver
from twisted_registry.daemon.heap_trimmer import BESIDE_BYTES, WORTH_BYTES, Tidying

MUCH = 10 * WORTH_BYTES


class TidyingTests(SynchronousTestCase):
    """
    ``Tidying`` gives memory back where the process takes much more than it holds.
    """

    def setUp(self) -> None:
        """
        Begin with a process that is empty.
        """
        self.held = self.resident = 0
        self.given = 0
        self.tidying = Tidying(lambda: self.held, lambda: self.resident, self.give_back)

    def give_back(self) -> None:
        """
        Count it.
        """
        self.given += 1

    def change(self, held: int, resident: int) -> int:
        """
        Change a model, so that so much is held and taken.

        Returns:
            how often memory was given back so far.
        """
        self.held, self.resident = held, resident
        self.tidying.changed("m")
        return self.given

    def test_provides_the_interface(self) -> None:
        """
        The registry can tell it of changes.
        """
        verifyObject(IObserver, self.tidying)

    def test_what_is_held(self) -> None:
        """
        What versions need, and the process beside them, is theirs.
        """
        self.assertEqual(self.change(MUCH, MUCH + MUCH // 10 + BESIDE_BYTES), 0)

    def test_a_deleted_model(self) -> None:
        """
        What is left behind is given back, once.
        """
        self.change(MUCH, MUCH)
        self.assertEqual([self.change(0, MUCH), self.change(0, WORTH_BYTES // 2)], [1, 1])

    def test_pieces(self) -> None:
        """
        Memory that is free in pieces is given back too, and again when as much has come anew.
        """
        much_more = 2 * MUCH
        self.assertEqual(self.change(MUCH, much_more), 1)
        self.assertEqual(self.change(MUCH, much_more + WORTH_BYTES - 1), 1)
        self.assertEqual(self.change(MUCH, much_more + WORTH_BYTES), 2)

    def test_where_it_cannot_be_told(self) -> None:
        """
        Where nobody knows what the process takes, nothing is done.
        """
        self.assertEqual(self.change(0, 0), 0)
