"""
Tests of the snapshots of a model.
"""

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import UnknownVersion
from twisted_registry.domain.numbers import VersionNumbers
from twisted_registry.domain.snapshot import ModelSnapshot


class SelectTests(SynchronousTestCase):
    """
    ``ModelSnapshot.select`` finds the version that a selector selects.
    """

    snapshot = ModelSnapshot("m", 1, VersionNumbers.of_archived([2, 9]).with_transient(5))

    def test_numbers(self) -> None:
        """
        A version's own number selects it.
        """
        self.assertEqual([self.snapshot.select(number) for number in (2, 5, 9)], [2, 5, 9])

    def test_negative(self) -> None:
        """
        -1 is the latest, -n the n-th to last of the versions that exist.
        """
        self.assertEqual([self.snapshot.select(selector) for selector in (-1, -2, -3)], [9, 5, 2])

    def test_unknown(self) -> None:
        """
        0, numbers that were never given out and counts past the first version are unknown versions.
        """
        for selector in (0, 1, 3, 10, -4, 2**31 - 1, -(2**31)):
            error = self.assertRaises(UnknownVersion, self.snapshot.select, selector)
            self.assertEqual(error.selector, selector)
