"""
Policy files.
"""

from collections import Counter

from tests.robustness.oracles.grants import written_in
from twisted_registry.access.file_kinds import BadFile
from twisted_registry.access.policy.file import parse_policy

_GRANT = b'[[grants]]\nto = "token:a"\nrole = "reader"\nmodels = "m/*"\n'

SEEDS = [
    b"",
    _GRANT,
    b'[roles]\nr-1 = ["read"]\n[[grants]]\nto = ["anyone", "token:*"]\nrole = "r-1"\nmodels = ["a", "b/*", "*"]\n',
    _GRANT + b"until = 2027-01-01T00:00:00Z\n",
    _GRANT + b"until = 0001-01-01T00:00:00+23:59\n",
    _GRANT + b"until = 2027-01-01\n",
    _GRANT.replace(b'"m/*"', b'"m*"'),
    _GRANT.replace(b"token:a", b"token:a\\u0000"),
    _GRANT + b'[[quotas]]\nname = "q"\nmodels = "m/*"\narchive_bytes = "2 TiB"\n',
    b'[[issuers]]\nname = "ci"\nissuer = "https://ci.example.com"\naudiences = "a"\n'
    + _GRANT.replace(b"token:a", b"jwt:ci:*"),
    b"[roles]\nreader = []\n",
    b"grants = [" * 200,
    b"a = 0x" + b"f" * 5000,
    b"\xff",
]


def test_one_input(data: bytes) -> None:
    """
    Check that a policy is refused, or permits exactly what is written in it.
    """
    is_permitted_as_written(data)


def is_permitted_as_written(data: bytes) -> bool:
    """
    Return whether a policy is valid, and check that it permits exactly what is written in it.
    """
    try:
        rules = parse_policy(data)
    except BadFile as error:
        assert error.problems and all(error.problems)
        str(error).encode()
        return False
    found = Counter(
        (subject, frozenset(action.value for action in grant.actions), str(grant.scope), grant.until_seconds)
        for subject, grant in rules.grants
    )
    written = Counter((each.subject, each.actions, each.pattern, each.until_seconds) for each in written_in(data))
    assert found == written, (found, written)
    return True
