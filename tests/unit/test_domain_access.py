"""
Tests for ``twisted_registry.domain.access``.
"""

from itertools import pairwise

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.access import grant
from twisted_registry.domain.access import EVERYTHING, ROLES, Action, Grant, Need, Permissions, Scope, roles_with

READ = frozenset({Action.READ})


def may_read(patterns: list[str], scope: Scope) -> bool:
    """
    Return whether grants to read permit reading a scope.
    """
    permissions = Permissions([Grant(READ, Scope.parse(pattern)) for pattern in patterns])
    return permissions.allow(Need(Action.READ, scope))


class ScopeTests(SynchronousTestCase):
    """
    ``Scope`` parses patterns.
    """

    def test_parse(self) -> None:
        """
        A pattern is an id, a prefix with its separator, or a single star; it is shown as it was written.
        """
        for pattern, expected in (
            ("walker", Scope("walker")),
            ("team-a/*", Scope("team-a/", True)),
            ("team-*", Scope("team-", True)),
            ("*", EVERYTHING),
        ):
            self.assertEqual(Scope.parse(pattern), expected)
            self.assertEqual(str(expected), pattern)

    def test_not_a_pattern(self) -> None:
        """
        A prefix without its separator, a star inside, and an empty pattern are refused.
        """
        for pattern in ("", "team-a*", "*/a", "a*b*", "**", "team-a/**"):
            self.assertRaises(ValueError, Scope.parse, pattern)


class PermissionsTests(SynchronousTestCase):
    """
    ``Permissions`` decide what grants permit.
    """

    def test_ids_and_prefixes(self) -> None:
        """
        A grant covers exactly its id, or the ids that begin with its prefix, byte for byte.
        """
        for patterns, model_id, expected in (
            (["walker"], "walker", True),
            (["walker"], "walker2", False),
            (["walker"], "walke", False),
            (["team-a/*"], "team-a/x", True),
            (["team-a/*"], "team-a/", True),
            (["team-a/*"], "team-a", False),
            (["team-a/*"], "team-ab", False),
            (["team-a/*"], "Team-a/x", False),
            (["team-a/*"], "team-a/../team-b/x", True),  # an id is a name, not a path
            (["team-a/*"], "team-\u0430/x", False),  # a Cyrillic letter
            (["team-a/*", "team-bcd/*"], "team-bcd/x", True),
            (["*"], "", True),
            ([], "walker", False),
        ):
            self.assertEqual(may_read(patterns, Scope(model_id)), expected, (patterns, model_id))

    def test_prefixes_within_prefixes(self) -> None:
        """
        All models of a prefix are covered by the same prefix and by shorter ones, not by ids or longer prefixes.
        """
        for pattern, expected in (("team-a/*", True), ("team-*", True), ("*", True), ("team-a/x/*", False)):
            self.assertEqual(may_read([pattern], Scope("team-a/", True)), expected, pattern)
        self.assertFalse(may_read(["team-a/"], Scope("team-a/", True)))

    def test_actions(self) -> None:
        """
        A role permits its own actions only.
        """
        permissions = Permissions([grant("publisher", "a/*")])
        allowed = {action for action in Action if permissions.allow(Need(action, Scope("a/x")))}
        self.assertEqual(allowed, ROLES["publisher"] | {Action.NONE, Action.IDENTIFY})

    def test_without_a_model(self) -> None:
        """
        A need without a model is permitted to those who have the action anywhere.
        """
        permissions = Permissions([grant("reader", "a")])
        self.assertTrue(permissions.allow(Need(Action.READ)))
        self.assertFalse(permissions.allow(Need(Action.DELETE)))

    def test_everywhere(self) -> None:
        """
        Only the grant of all models is a grant everywhere.
        """
        self.assertTrue(Permissions([grant("reader", "*")]).allow_everywhere(Action.READ))
        self.assertFalse(Permissions([grant("reader", "a/*")]).allow_everywhere(Action.READ))

    def test_readable(self) -> None:
        """
        Lists keep what may be read, in their order.
        """
        listed = ("a/1", "a/2", "b/1", "c")
        permissions = Permissions([grant("reader", "c"), grant("reader", "a/*"), grant("reader", "a/1")])
        self.assertEqual(list(permissions.readable(listed)), ["a/1", "a/2", "c"])
        self.assertIs(Permissions([grant("reader", "*")]).readable(listed), listed)
        self.assertEqual(list(Permissions([]).readable(listed)), [])

    def test_roles(self) -> None:
        """
        Each role contains the ones before it; an action's roles are named from the least.
        """
        sets = list(ROLES.values())
        for less, more in pairwise(sets):
            self.assertTrue(less < more)
        self.assertEqual(roles_with(Action.ALIAS), ["maintainer", "admin"])

    @given(
        st.lists(
            st.text("ab/-", max_size=4).flatmap(lambda it: st.sampled_from([it + "/*", it + "-*", "*", "x" + it]))
        ),
        st.text("ab/-", max_size=6),
    )
    def test_same_as_the_definition(self, patterns: list[str], model_id: str) -> None:
        """
        The fast check agrees with the definition: some pattern is the id, or ends with a star after a prefix of it.
        """
        expected = any(
            model_id.startswith(pattern[:-1]) if pattern.endswith("*") else model_id == pattern for pattern in patterns
        )
        self.assertEqual(may_read(patterns, Scope(model_id)), expected)
