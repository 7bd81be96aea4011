"""
Names of aliases, and their moves.
"""

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.aliases import (
    AliasChange,
    AliasMove,
    AliasState,
    aliases_of,
    check_alias_name,
    check_reason,
)
from twisted_registry.domain.errors import AliasMoved, InvalidRequest, UnknownAlias

names = st.sampled_from(["production", "canary", "best"])
moves = st.builds(AliasMove, names, st.just(0), st.integers(0, 5), st.just(0))

PRODUCTION = AliasState.after([AliasMove("production", 0, 3, 0, sequence=1)])


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
        for alias, expected, present in (
            ("production", 3, 3),
            ("production", None, 3),
            ("canary", 0, 0),
            ("canary", None, 0),
        ):
            self.assertEqual(AliasChange(alias, 5, expected).check("m", PRODUCTION.aliases), present)

    def test_not_expected(self) -> None:
        """
        Otherwise the error names the present number.
        """
        for alias, expected, present in (("production", 2, 3), ("production", 0, 3), ("canary", 3, 0)):
            change = AliasChange(alias, 5, expected)
            error = self.assertRaises(AliasMoved, change.check, "m", PRODUCTION.aliases)
            self.assertEqual((error.expected_number, error.present_number), (expected, present))

    def test_nothing_to_delete(self) -> None:
        """
        An alias that does not exist cannot be deleted.
        """
        self.assertRaises(UnknownAlias, AliasChange("canary", 0).check, "m", PRODUCTION.aliases)
        self.assertEqual(AliasChange("production", 0).check("m", PRODUCTION.aliases), 3)

    def test_move(self) -> None:
        """
        A move says what was asked for, and when and from where it was made.
        """
        move = AliasChange("canary", 4, 3, "ann", "better").move(3, 10, 7)
        self.assertEqual(move, AliasMove("canary", 3, 4, 10, "ann", "better", 7))

    def test_state(self) -> None:
        """
        The last move of each alias decides, and a deleted alias is gone; its sequence number and its version's number
        stay used.
        """
        moved = [
            AliasMove("production", 0, 3, 1, sequence=1),
            AliasMove("canary", 0, 5, 2, sequence=2),
            AliasMove("production", 3, 4, 3, sequence=3),
            AliasMove("canary", 5, 0, 4, sequence=4),
        ]
        expected = AliasState({"production": moved[2]}, 4, highest_number=5)
        self.assertEqual(AliasState.after(moved), expected)

    @given(st.lists(moves))
    @settings(deadline=None)
    def test_one_by_one(self, moved: list[AliasMove]) -> None:
        """
        Moves may be applied one by one, and earlier states do not change.
        """
        states = [AliasState()]
        for move in moved:
            states.append(states[-1].moved(move))
        self.assertEqual(states, [AliasState.after(moved[:count]) for count in range(len(moved) + 1)])

    def test_of_version(self) -> None:
        """
        The aliases of a version are sorted.
        """
        aliases = AliasState.after(AliasMove(name, 0, number, 0) for name, number in (("b", 1), ("a", 1), ("c", 2)))
        self.assertEqual(aliases_of(aliases.aliases, 1), ("a", "b"))
        self.assertEqual(aliases_of(aliases.aliases, 3), ())
