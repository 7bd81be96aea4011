"""
Issuers of JSON Web Tokens (JWTs), as the policy describes them.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from twisted_registry.domain.access import Grant
from twisted_registry.domain.errors import shown

KIND = "jwt"

ALGORITHMS = ("EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""The algorithms of signatures that a policy may allow.  None of them needs a secret, or none at all."""

DEFAULT_ALGORITHMS = ("EdDSA", "ES256", "RS256")

DEFAULT_LIFETIME_SECONDS = 24 * 3600

_SPIFFE = "spiffe://"


@frozen
class KeySource:
    """
    A place where the public keys of an issuer are.

    Attributes:
        issuer: the issuer, as its tokens name it.  Without a file and a URL, its OpenID configuration says where the
            keys are.
        file: the path of a file with a key set; empty if there is none.
        url: the URL of a key set; empty if there is none.
        ca_file: the path of a file with the authorities that sign the certificate of the URL's server; empty for those
            of the system.
        token_file: the path of a file with a token that is sent to the URL; empty if none is needed.
    """

    issuer: str
    file: str = ""
    url: str = ""
    ca_file: str = ""
    token_file: str = ""


@frozen
class ClaimCondition:
    """
    A condition on one claim of a token.

    Attributes:
        path: the name of the claim, then those of the values inside it.
        accepted: the values of which the claim must have one: texts, which may end with ``*``, or truth values.
    """

    path: tuple[str, ...]
    accepted: tuple[str | bool, ...]

    def holds(self, claims: Mapping[str, Any]) -> bool:
        """
        Return whether the claims of a token fulfil the condition.  A list of values needs one that is accepted.
        """
        value: Any = claims
        for key in self.path:
            if not isinstance(value, dict) or key not in value:
                return False
            value = value[key]
        values = value if isinstance(value, list) else [value]
        return any(_matches(accepted, each) for accepted in self.accepted for each in values)


def _matches(accepted: str | bool, value: Any) -> bool:
    if isinstance(accepted, str) and accepted.endswith("*"):
        return isinstance(value, str) and value.startswith(accepted[:-1])
    return type(value) is type(accepted) and value == accepted  # 1 is not true


@frozen
class ClaimGrants:
    """
    Grants for the tokens with certain claims.

    Attributes:
        conditions: all of them must hold.
        grants: the grants.
    """

    conditions: tuple[ClaimCondition, ...]
    grants: tuple[Grant, ...]


@frozen
class Issuer:
    """
    An issuer whose tokens are accepted.

    Attributes:
        name: its name in the subjects of the policy.
        issuer: its name in the claim ``iss``, or the SPIFFE id of a trust domain.
        audiences: the audiences of which a token must have one.
        algorithms: the algorithms with which tokens may be signed.
        keys: where its keys are.
        name_claim: the claim that holds the name of the caller.
        max_lifetime_seconds: how long from now tokens may be valid, at most.
        grants: the grants for tokens with certain claims.
    """

    name: str
    issuer: str
    audiences: frozenset[str]
    keys: KeySource
    algorithms: frozenset[str] = field(default=frozenset(DEFAULT_ALGORITHMS))
    name_claim: str = "sub"
    max_lifetime_seconds: float = DEFAULT_LIFETIME_SECONDS
    grants: Sequence[ClaimGrants] = ()

    @property
    def is_trust_domain(self) -> bool:
        """
        True if its tokens need no ``iss``: the caller's SPIFFE id names its trust domain.
        """
        return self.issuer.startswith(_SPIFFE)

    def grants_for(self, claims: Mapping[str, Any]) -> Sequence[Grant]:
        """
        Return the grants for a token with certain claims.
        """
        return [
            grant
            for each in self.grants
            if all(condition.holds(claims) for condition in each.conditions)
            for grant in each.grants
        ]


def issuer_in(claims: Mapping[str, Any]) -> str:
    """
    Return the issuer that claims name; empty if there is none.  Without ``iss`` it is the trust domain of a SPIFFE id:
    JWT-SVIDs need no ``iss``.
    """
    issuer, subject = claims.get("iss"), claims.get("sub")
    if issuer is None and isinstance(subject, str) and subject.startswith(_SPIFFE):
        domain, _, path = subject[len(_SPIFFE) :].partition("/")
        return f"{_SPIFFE}{domain}" if path else ""
    return issuer if isinstance(issuer, str) and not issuer.startswith(_SPIFFE) else ""


def check_url(url: str) -> None:
    """
    Check that keys may be fetched from a URL: over HTTPS, or from this machine.

    Raises:
        ValueError: they may not; the text says what is expected.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not url.isprintable() or " " in url or parts.username is not None or parts.fragment:
        raise ValueError(f"{shown(url)} is not a URL; write it as https://HOST/PATH")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ValueError(f"{shown(url)} is not encrypted; only https is accepted, except from this machine")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
