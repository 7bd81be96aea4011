"""
Facts about giving memory back.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_registry.interfaces import IObserver
from twisted_registry.tidy import WORTH_BYTES, Tidying


class TidyingTests(SynchronousTestCase):
    """
    L{Tidying} gives memory back where much went at once.
    """

    def given_back(self, *held: int) -> list[int]:
        """
        Change a model once for each of these amounts that are held, in their order.

        @return: what was held when memory was given back.
        """
        left, now, given = list(held), [0], list[int]()
        tidying = Tidying(lambda: now[0], lambda: given.append(now[0]))
        while left:
            now[0] = left.pop(0)
            tidying.changed("m")
        return given

    def test_provides_the_interface(self) -> None:
        """
        The registry can tell it of changes.
        """
        verifyObject(IObserver, Tidying(int, lambda: None))

    def test_much_went(self) -> None:
        """
        Where much less is held than ever since the last time, memory is given back, once.
        """
        self.assertEqual(self.given_back(0, 3 * WORTH_BYTES, WORTH_BYTES, WORTH_BYTES), [WORTH_BYTES])

    def test_little_by_little(self) -> None:
        """
        Also where it went little by little.
        """
        self.assertEqual(self.given_back(WORTH_BYTES, WORTH_BYTES // 2, 0, 0), [0])

    def test_a_cache_that_is_full(self) -> None:
        """
        What comes and goes in a cache that stays about full is kept.
        """
        self.assertEqual(self.given_back(*[5 * WORTH_BYTES, 5 * WORTH_BYTES - 1000] * 10), [])
