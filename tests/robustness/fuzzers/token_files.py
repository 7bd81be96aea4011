"""
Files of tokens.
"""

import json

from tests.robustness.oracles.grants import BUILT_IN
from twisted_registry.access.file_kinds import BadFile
from twisted_registry.access.tokens.authenticator import OwnTokens
from twisted_registry.access.tokens.file import TokenRecord, parse_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.domain.access import Credentials
from twisted_registry.domain.errors import NotAuthenticated

_TOKEN = Token("0123456789", "s" * 43)
_RECORD = TokenRecord(_TOKEN.id, "ann", _TOKEN.sha256, "reader", ("a/*", "m"), 1, 2_000_000_000)
_LINE = _RECORD.to_json().encode() + b"\n"

SEEDS = [
    b"",
    _LINE,
    _LINE + _LINE.replace(b"0123456789", b"abcdefghij"),
    _LINE + _LINE,
    _LINE[:-1],
    _LINE.replace(b"2000000000", b"null"),
    _LINE.replace(b"2000000000", b"1e400"),
    _LINE.replace(b"2000000000", b"9" * 400),
    _LINE.replace(b"2000000000", b"true"),
    _LINE.replace(b"ann", b"\\ud800"),
    _LINE.replace(b"ann", b"a\\nb"),
    _LINE.replace(b"a/*", b"a*"),
    b"[" * 2000 + b"\n",
    b"\xff\n",
]


def _written(line: str) -> set[tuple[str, str]]:
    """
    Return the actions that a line gives to a token, and on which models.
    """
    given = json.loads(line)
    return {(action, pattern) for action in BUILT_IN.get(given["role"], ()) for pattern in given["models"]}


def test_one_input(data: bytes) -> None:
    """
    Check that a file is refused, or its tokens are those that are written in it, with exactly their grants.
    """
    try:
        records = parse_tokens(data)
    except BadFile as error:
        assert error.problems
        str(error).encode()
        return
    lines = data.decode().split("\n")[:-1]
    assert len(lines) == len(records) == len({record.id for record in records})
    for line, record in zip(lines, records, strict=True):
        found = {(action.value, str(grant.scope)) for grant in record.grants() for action in grant.actions}
        assert found == _written(line)
        assert TokenRecord.from_json(record.to_json()) == record
        record.name.encode()  # it is in log lines and errors
    _check_token({record.id: record for record in records})


def _check_token(records: dict[str, TokenRecord]) -> None:
    """
    Check that a token is accepted only if the file has its id and its hash.
    """
    tokens = OwnTokens(now_seconds=lambda: 1_900_000_000.0)
    tokens.replace(records)
    record = records.get(_TOKEN.id)
    expected = None
    if record is not None and record.sha256 == _TOKEN.sha256:
        is_valid = record.expires_seconds is None or record.expires_seconds > 1_900_000_000
        expected = record.name if is_valid else None
    try:
        identity = tokens.authenticate(Credentials(_TOKEN.text))
    except NotAuthenticated:
        assert expected is None
    else:
        assert identity is not None and identity.name == expected
