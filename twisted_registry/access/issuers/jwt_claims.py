"""
The checks of a token's claims.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from twisted_registry.access.issuers.issuer import Issuer
from twisted_registry.access.issuers.jwt_format import BadJwt, time_in
from twisted_registry.domain.errors import shown

LEEWAY_SECONDS = 60.0
"""How much the issuer's clock may be ahead."""

_NAME_CHARACTERS = 1024


def check_claims(issuer: Issuer, claims: Mapping[str, Any], now_seconds: float) -> float:
    """
    Check that a token of an issuer may be used here and now.

    Returns:
        When it ends, in seconds since the Unix epoch.

    Raises:
        BadJwt: it may not; the text says why.
    """
    ends = _check_times(issuer, claims, now_seconds)
    audiences = claims.get("aud")
    found = [audiences] if isinstance(audiences, str) else audiences
    expected = _list(sorted(issuer.audiences))
    if not found:
        raise BadJwt(f"the token has no audience; get one for the audience {expected}")
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadJwt("the token's claim 'aud' is neither a text nor a list of texts")
    if issuer.audiences.isdisjoint(found):
        raise BadJwt(f"the token's audience is {_list(found)}; get one for the audience {expected}")
    return ends


def _check_times(issuer: Issuer, claims: Mapping[str, Any], now_seconds: float) -> float:
    ends, starts, issued = (time_in(claims, name) for name in ("exp", "nbf", "iat"))
    if ends is None:
        raise BadJwt("the token has no end ('exp'); get one that ends")
    if ends <= now_seconds:
        raise BadJwt(f"the token expired at {_shown_time(ends)}; get a new one")
    if ends > now_seconds + issuer.max_lifetime_seconds:
        hours = issuer.max_lifetime_seconds / 3600
        raise BadJwt(f"the token ends more than {hours:g} h from now; get one that ends sooner")
    for time, text in ((starts, "is not valid before"), (issued, "was issued in the future, at")):
        if time is not None and time > now_seconds + LEEWAY_SECONDS:
            raise BadJwt(f"the token {text} {_shown_time(time)}; check the clocks of its issuer and of the registry")
    return ends


def name_in(issuer: Issuer, claims: Mapping[str, Any]) -> str:
    """
    Return the name of the caller among the claims of a token.

    Raises:
        BadJwt: there is none that can be used.
    """
    name = claims.get(issuer.name_claim)
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _NAME_CHARACTERS:
        raise BadJwt(
            f"the token's claim {issuer.name_claim!r}, which names the caller, is not a printable text of 1 to "
            f"{_NAME_CHARACTERS} characters"
        )
    if issuer.name_claim == "email" and claims.get("email_verified") is not True:
        raise BadJwt("the token's issuer has not verified the email address ('email_verified'), which names the caller")
    return name


def _list(texts: Iterable[str]) -> str:
    return " or ".join(shown(text) for text in texts)


def _shown_time(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g} s since 1970"
