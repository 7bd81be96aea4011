"""
The format of JSON Web Tokens: everything about a token that can be checked without a key.
"""

import json
import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from attrs import field, frozen

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_TYPES = frozenset({"jwt", "jose", "at+jwt", "application/at+jwt"})
"""The values of ``typ`` of tokens that may serve as credentials; other kinds of tokens were made for something else."""

_KEY_ID_CHARACTERS = 1024
_ID_CHARACTERS = 128


class BadJwt(ValueError):
    """
    A token is not valid.  The text says why, and contains nothing that is secret.
    """


@frozen
class Jwt:
    """
    A token whose signature has not been checked.

    Attributes:
        text: the token.
        algorithm: the algorithm of its signature.
        key_id: the id of the key; ``None`` if it names none.
        claims: its claims.
    """

    text: str = field(repr=False)
    algorithm: str
    key_id: str | None
    claims: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Jwt | None":
        """
        Parse a token; ``None`` if the text does not look like a JWT.

        Raises:
            BadJwt: it looks like one, and is not valid.
        """
        segments = text.split(".")
        if len(segments) != 3 or not _begins_object(segments[0]):
            return None
        header, claims = _object(segments[0], "header"), _object(segments[1], "claims")
        _decoded(segments[2], "signature")
        _check_header(header)
        return cls(text, header["alg"], header.get("kid"), claims)


def _begins_object(segment: str) -> bool:
    try:
        return _decoded(segment[:4], "header").lstrip()[:1] in (b"{", b"")
    except BadJwt:
        return False


def _decoded(segment: str, what: str) -> bytes:
    if _SEGMENT.fullmatch(segment):
        try:
            content = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        except Error:
            pass
        else:
            # Only one spelling is accepted, so that nobody can make many tokens of one.
            if urlsafe_b64encode(content).rstrip(b"=") == segment.encode():
                return content
    raise BadJwt(f"the {what} of the token cannot be decoded")


def _object(segment: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(segment, what).decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except BadJwt:
        raise
    except (ValueError, RecursionError):  # also UnicodeDecodeError, and numbers with too many digits
        raise BadJwt(f"the {what} of the token cannot be decoded") from None
    if not isinstance(value, dict):
        raise BadJwt(f"the {what} of the token are not a JSON object")
    return value


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJwt("the token has a name twice, and readers would not agree about which counts")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise BadJwt(f"the token contains {name}, which JSON does not know")


def _check_header(header: Mapping[str, Any]) -> None:
    # 'jku', 'x5u', 'jwk' and 'x5c' are ignored: a token cannot bring its own key.
    if "crit" in header:
        raise BadJwt("the token demands extensions ('crit') that the registry does not know")
    if not isinstance(header.get("alg"), str):
        raise BadJwt("the token does not name its algorithm")
    key_id, type = header.get("kid", ""), header.get("typ", "JWT")
    if not isinstance(key_id, str) or len(key_id) > _KEY_ID_CHARACTERS:
        raise BadJwt(f"the token's key id is not a text of up to {_KEY_ID_CHARACTERS} characters")
    if not isinstance(type, str) or type.lower() not in _TYPES:
        raise BadJwt("the token's type ('typ') is not that of an access token or of an identity")


def time_in(claims: Mapping[str, Any], name: str) -> float | None:
    """
    Return a time among claims, in seconds since the Unix epoch; ``None`` if it is missing.

    Raises:
        BadJwt: it is not a time.
    """
    value = claims.get(name)
    if value is None:
        return None
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return value
    except OverflowError:  # a number with hundreds of digits
        pass
    raise BadJwt(f"the token's claim {name!r} is not a time in seconds")


def id_in(claims: Mapping[str, Any]) -> str:
    """
    Return the id of a token among its claims; empty if it has none that a log can hold.
    """
    found = claims.get("jti")
    is_id = isinstance(found, str) and found.isascii() and found.isprintable() and len(found) <= _ID_CHARACTERS
    return str(found) if is_id else ""


def claimed_id(text: str) -> str:
    """
    Return the id that a text claims to have, if it is a token; empty otherwise.  Nothing about it has been checked.
    """
    try:
        token = Jwt.parse(text)
    except BadJwt:
        return ""
    return "" if token is None else id_in(token.claims)
