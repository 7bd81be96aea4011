"""
Tests for the quotas in a policy file.
"""

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.access.file_kinds import BadFile
from twisted_registry.access.policy.file import parse_policy
from twisted_registry.domain.access import Scope
from twisted_registry.domain.quotas import Quota
from twisted_registry.domain.scope_map import ScopeMap

_POLICY = """
[[quotas]]
name = "team-a"
models = ["team-a/*", "walker"]
memory_bytes = "2 GiB"
memory_versions = 100
archive_bytes = "1.5TB"

[[quotas]]
name = "trainers"
to = "token:*"
models = "team-a/*"
calls_per_second = 0.5
bytes_per_second = 1000

[[quotas]]
name = "all"
shared = true
calls_per_second = 500
"""


def problems(text: str) -> str:
    """
    Return what is wrong with a policy.
    """
    try:
        parse_policy(text.encode())
    except BadFile as error:
        return str(error)
    return ""


def quota(line: str) -> str:
    """
    Return a policy with one quota.
    """
    return f'[[quotas]]\nname = "q"\n{line}\n'


class PolicyQuotasTests(SynchronousTestCase):
    """
    ``parse_policy`` reads quotas.
    """

    def test_quotas(self) -> None:
        """
        It reads names, callers, models and limits.
        """
        team = Scope("team-a/", is_prefix=True)
        expected = [
            Quota(
                "team-a",
                scopes=(team, Scope("walker")),
                memory_bytes=2 * 2**30,
                memory_versions=100,
                archive_bytes=1_500_000_000_000,
            ),
            Quota("trainers", ("token:*",), (team,), calls_per_second=0.5, bytes_per_second=1000),
            Quota("all", is_shared=True, calls_per_second=500),
        ]
        self.assertEqual(parse_policy(_POLICY.encode()).quotas, expected)

    def test_mistakes(self) -> None:
        """
        Each mistake is named.
        """
        table = {
            "[[quotas]]\ncalls_per_second = 1": "quota 1 needs a 'name'",
            "quotas = 1": "write [[quotas]] before each",
            quota(""): "quota 1 limits nothing",
            quota("calls_per_minute = 1"): "unknown key 'calls_per_minute'",
            quota("calls_per_second = 1") * 2: "quota 2 has the name 'q', as another one",
            quota("memory_bytes = 1\nto = 'token:ann'"): "has 'to' and 'memory_bytes'",
            quota("memory_bytes = 1\nshared = true"): "has 'shared', which is about",
            quota("calls_per_second = 1\nshared = 1"): "expected true or false",
            quota("calls_per_second = 1\nto = 'ann'"): "is to 'ann'",
            quota("calls_per_second = 1\nmodels = 'team*'"): "would also match longer names",
        }
        for text, expected in table.items():
            self.assertIn(expected, problems(text), text)

    def test_limits_that_are_no_limits(self) -> None:
        """
        A limit must be positive and finite, and of the right type.
        """
        for value in ("0", "-1", "nan", "inf", "true", "'2 GiB'", "[1]", "1e300"):
            self.assertIn("expected a positive number", problems(quota(f"calls_per_second = {value}")), value)
        for value in (
            "0",
            "-1",
            "1.5",
            "true",
            "'2 GIB'",
            "'2 kiB'",
            "'2 kiB'",
            "'2'",
            "'-2 GiB'",
            "'0 B'",
            "'1e3 B'",
            "'9999999999 PiB'",
        ):
            self.assertIn("a text such as '2 GiB'", problems(quota(f"archive_bytes = {value}")), value)
        self.assertIn("such as 10", problems(quota("memory_versions = '10'")))

    def test_units(self) -> None:
        """
        Sizes have decimal and binary units.
        """
        table = {
            "7 B": 7,
            "1 kB": 1000,
            "1 KB": 1000,
            "1KiB": 1024,
            "3 MB": 3 * 10**6,
            "0.5 GiB": 2**29,
            "1 PiB": 2**50,
        }
        for text, expected in table.items():
            (found,) = parse_policy(quota(f"memory_bytes = '{text}'").encode()).quotas
            self.assertEqual(found.memory_bytes, expected, text)


class ScopeMapTests(SynchronousTestCase):
    """
    ``ScopeMap`` finds what a plain search finds.
    """

    @given(
        st.lists(st.sampled_from(["a", "a/*", "a/b", "a/b/*", "*", "b/*"])), st.sampled_from(["a", "a/b", "a/b/c", "c"])
    )
    def test_same_as_a_search(self, patterns: list[str], model_id: str) -> None:
        """
        It returns the values whose scope contains a model, each once.
        """
        pairs = [(Scope.parse(pattern), pattern) for pattern in patterns]
        found = ScopeMap(pairs).find(model_id)
        expected = {
            pattern
            for pattern in patterns
            if pattern == model_id or (pattern.endswith("*") and model_id.startswith(pattern[:-1]))
        }
        self.assertEqual(sorted(found), sorted(expected))
