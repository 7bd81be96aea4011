"""
Names of aliases, and their moves.
"""

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.aliases import (
    AliasMove,
    aliases_by_number,
    check_alias_name,
    check_expected,
    check_reason,
    fold,
)
from twisted_registry.domain.errors import AliasMoved, InvalidRequest

names = st.sampled_from(["production", "canary", "best"])
moves = st.builds(AliasMove, names, st.just(0), st.integers(0, 5), st.just(0))


class NameTests(SynchronousTestCase):
    """
    Which names an alias may have.
    """

    def test_allowed(self) -> None:
        """
        A name is a letter, then letters, digits, _ and -, 128 in all.
        """
        for name in ("production", "P", "best-of_3", "a" * 128, "v", "v3x", "latest2", "vv3"):
            self.assertEqual(check_alias_name(name), name)

    def test_refused(self) -> None:
        """
        Other characters, long names and what a reference reads as a version are refused.
        """
        for name in (
            "",
            "3",
            "-a",
            "_a",
            "a b",
            "a@b",
            "a.b",
            "\u00e9",
            "a\n",
            "a" * 129,
            "latest",
            "Latest",
            "v3",
            "V03",
        ):
            error = self.assertRaises(InvalidRequest, check_alias_name, name)
            self.assertIn("cannot be an alias", str(error))

    def test_reasons(self) -> None:
        """
        A reason has at most 1 KiB of UTF-8.
        """
        self.assertEqual(check_reason("\u00e9" * 512), "\u00e9" * 512)
        for reason in ("\u00e9" * 513, "\udcff"):
            self.assertRaises(InvalidRequest, check_reason, reason)


class MoveTests(SynchronousTestCase):
    """
    Moves of aliases.
    """

    def test_expected(self) -> None:
        """
        A move proceeds if the alias names the expected version, does not exist as expected, or nothing is expected.
        """
        aliases = {"production": 3}
        self.assertEqual(check_expected(aliases, "m", "production", 3), 3)
        self.assertEqual(check_expected(aliases, "m", "production", None), 3)
        self.assertEqual(check_expected(aliases, "m", "canary", 0), 0)
        self.assertEqual(check_expected(aliases, "m", "canary", None), 0)

    def test_not_expected(self) -> None:
        """
        Otherwise the error names the present number.
        """
        for alias, expected, present in (("production", 2, 3), ("production", 0, 3), ("canary", 3, 0)):
            error = self.assertRaises(AliasMoved, check_expected, {"production": 3}, "m", alias, expected)
            self.assertEqual((error.expected_number, error.present_number), (expected, present))

    def test_fold(self) -> None:
        """
        The last move of each alias decides, and a deleted alias is gone.
        """
        moved = [
            AliasMove("production", 0, 3, 1),
            AliasMove("canary", 0, 4, 2),
            AliasMove("production", 3, 4, 3),
            AliasMove("canary", 4, 0, 4),
        ]
        self.assertEqual(fold(moved), {"production": 4})
        self.assertEqual(fold(moved[2:], {"canary": 1, "best": 2}), {"production": 4, "best": 2})

    @given(st.lists(moves), st.lists(moves))
    @settings(deadline=None)
    def test_fold_in_parts(self, first: list[AliasMove], second: list[AliasMove]) -> None:
        """
        Moves may be folded in parts, and the given aliases do not change.
        """
        before = fold(first)
        copy = dict(before)
        self.assertEqual(fold(second, before), fold(first + second))
        self.assertEqual(before, copy)

    def test_by_number(self) -> None:
        """
        The aliases of each version are sorted.
        """
        found = aliases_by_number({"b": 1, "a": 1, "c": 2})
        self.assertEqual(found, {1: ("a", "b"), 2: ("c",)})
