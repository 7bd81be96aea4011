"""
The metadata in which a client presents its token.
"""

import re
from collections.abc import Sequence
from typing import Any

from twisted_registry.access.tokens.authenticator import OwnTokens
from twisted_registry.access.tokens.file import TokenRecord
from twisted_registry.access.tokens.token import Token, public_part
from twisted_registry.domain.access import Credentials
from twisted_registry.domain.errors import NotAuthenticated
from twisted_registry.protocol.limits import TOKEN_MAX_BYTES
from twisted_registry.rpc.interceptors.authentication import token_in

_TOKEN = Token("0123456789", "sEcReT0" * 6 + "s")
_TOKENS = OwnTokens()
_TOKENS.replace({_TOKEN.id: TokenRecord(_TOKEN.id, "ann", _TOKEN.sha256, "reader", ("*",), 0, None)})
_RIGHT = f"Bearer {_TOKEN.text}".encode()
_PATTERN = re.compile(rf"(?i:bearer) +{_TOKEN.text} *")

SEEDS = [
    _RIGHT,
    _RIGHT.swapcase(),
    _RIGHT.replace(b"Bearer", b"bEARER"),
    _RIGHT + b"  ",
    _RIGHT[:-1],
    _RIGHT + b"0",
    _RIGHT + b"\n" + _RIGHT,
    _RIGHT.replace(b" ", b"\t"),
    b"Basic dTpw",
    b"",
    b"\n",
    "Bearer \u017f".encode(),
    b"Bearer \xff",
    b"Bearer trg_0123456789_",
]


class _Call:
    """
    A call with metadata.
    """

    def __init__(self, metadata: Sequence[tuple[str, str | bytes]]) -> None:
        self.metadata = metadata


def _accepted(*values: str | bytes) -> bool:
    """
    Return whether a call with these ``authorization`` metadata is the caller's.
    """
    call: Any = _Call([("x-other", "1"), *(("authorization", value) for value in values)])
    try:
        token = token_in(call)
        assert not token or (len(token) <= TOKEN_MAX_BYTES and token.isascii() and token.isprintable())
        public_part(token)
        identity = _TOKENS.authenticate(Credentials(token))
    except NotAuthenticated as error:
        assert _TOKEN.secret not in str(error) and str(error).isprintable()
        return False
    return identity is not None


def test_one_input(data: bytes) -> None:
    """
    Check that only the token itself is accepted, once and as a bearer token, and that no error repeats its secret.
    """
    assert not _accepted(data)  # gRPC returns bytes for other kinds of metadata
    texts = [data.decode("latin-1"), data.decode("utf-8", "surrogateescape")]
    for text in texts:
        assert _accepted(text) == (_PATTERN.fullmatch(text) is not None), text
        assert not _accepted(text, _RIGHT.decode()) and not _accepted(_RIGHT.decode(), text)
    assert not _accepted(*data.decode("latin-1").split("\n", 1)) or b"\n" not in data
    assert _accepted(_RIGHT.decode())
