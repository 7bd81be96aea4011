"""
Issuers of JSON Web Tokens for tests: they sign tokens, and publish their keys.
"""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jwt
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from twisted_registry.access.issuers.jwt_keys import KeySet

ISSUER = "https://issuer.example"
AUDIENCE = "https://registry.example"

_CURVES: dict[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@cache
def private_key(algorithm: str, number: int = 0, bits: int = 2048) -> Any:
    """
    Return a private key for an algorithm, the same for the same arguments.
    """
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, bits)


def public_jwk(key: Any, key_id: str | None = "1", **members: Any) -> dict[str, Any]:
    """
    Return the public part of a key as a JSON Web Key.
    """
    public = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        description = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        description = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        description = OKPAlgorithm.to_jwk(public, as_dict=True)
    description.pop("key_ops", None)
    return {**description, **({} if key_id is None else {"kid": key_id}), "use": "sig", **members}


def key_set(*keys: Mapping[str, Any]) -> bytes:
    """
    Return a JSON Web Key Set.
    """
    return json.dumps({"keys": keys}).encode()


def segment(value: object) -> str:
    """
    Return a part of a token, from bytes or from a value in JSON.
    """
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(header: object, claims: object, signature: bytes = b"x" * 64) -> str:
    """
    Return a token that nobody signed.
    """
    return ".".join(map(segment, (header, claims, signature)))


@define
class SigningIssuer:
    """
    An issuer with one key.

    Attributes:
        algorithm: the algorithm of its signatures.
        key_id: the id of its key.
        number: tells keys of the same algorithm apart.
        kind: the kind of its key, if the algorithm does not say it.
        claims: the claims of its tokens, unless others are given.
    """

    algorithm: str = "ES256"
    key_id: str = "1"
    number: int = 0
    kind: str = ""
    claims: Mapping[str, Any] = field(factory=lambda: {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann"})

    def sign(self, header: Mapping[str, Any] | None = None, seconds: float = 600.0, **claims: Any) -> str:
        """
        Return a token.

        Args:
            header: what its header has in addition, or instead; ``None`` as a value leaves something out.
            seconds: how long from now it is valid.
            claims: what it claims in addition, or instead; ``None`` leaves something out.
        """
        now = time.time()
        all_claims = {"exp": now + seconds, "iat": now, **self.claims, **claims}
        headers = {"kid": self.key_id, **(header or {})}
        return jwt.PyJWS().encode(
            json.dumps({name: value for name, value in all_claims.items() if value is not None}).encode(),
            self._key,
            algorithm=self.algorithm,
            headers={name: value for name, value in headers.items() if value is not None},
        )

    def jwk(self, **members: Any) -> dict[str, Any]:
        """
        Return its public key.
        """
        return public_jwk(self._key, self.key_id, **members)

    @property
    def _key(self) -> Any:
        return private_key(self.kind or self.algorithm, self.number)


@define(eq=False)
class FixedKeys:
    """
    Keys that a test changes, as those of an issuer.

    Attributes:
        keys: those known.
        after: those that the issuer has when it is asked again.
        asked: how often it was asked again.
    """

    keys: KeySet
    after: KeySet | None = None
    asked: int = 0

    def current(self) -> KeySet:
        """See ``Keys.current``."""
        return self.keys

    def newer(self) -> KeySet:
        """See ``Keys.newer``."""
        self.asked += 1
        self.keys = self.after or self.keys
        return self.keys

    def is_due(self) -> bool:
        """See ``Keys.is_due``."""
        return False

    def refresh(self) -> None:
        """See ``Keys.refresh``."""


def keys_of(issuers: Sequence[SigningIssuer]) -> KeySet:
    """
    Return the keys of issuers, as one set.
    """
    return KeySet(key_set(*(each.jwk() for each in issuers)))
