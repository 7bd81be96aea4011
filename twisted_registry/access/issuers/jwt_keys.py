"""
The public keys of an issuer, and signatures made with their private parts.

The daemon imports this module, and with it PyJWT, only if its policy has issuers.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jwt
from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from twisted_registry.access.issuers.issuer import ALGORITHMS
from twisted_registry.access.issuers.jwt_format import BadJwt, Jwt
from twisted_registry.domain.errors import shown

_RSA_BITS = range(2048, 8192 + 1)
_MOST_KEYS = 256
_USES = (None, "sig", "jwt-svid")
"""The last one is that of SPIFFE."""

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_SIGNATURES = jwt.PyJWS(algorithms=list(ALGORITHMS))


class BadKey(ValueError):
    """
    A key, or a set of keys, that cannot be used.
    """


@frozen
class PublicKey:
    """
    A key of an issuer.

    Attributes:
        id: its id; ``None`` if it has none.
        algorithms: the algorithms that it can be used with.
        numbers: the values that make up the key.
        key: the key of the library.
    """

    id: str | None
    algorithms: frozenset[str]
    numbers: tuple[str, ...]
    key: Any = field(eq=False, repr=False)


class KeySet:
    """
    The keys of an issuer, from a JSON Web Key Set.

    Attributes:
        keys: those that can be used.
        notes: why others cannot.
    """

    def __init__(self, content: bytes) -> None:
        """

        Args:
            content: the set, in JSON.

        Raises:
            BadKey: it is not such a set, or none of its keys can be used.
        """
        self.notes: list[str] = []
        self.keys: Sequence[PublicKey] = [*self._usable(_list_in(content))]
        if not self.keys:
            raise BadKey("; ".join(["the key set has no key that can be used", *self.notes[:3]]))
        self._by_id: dict[str | None, list[PublicKey]] = {}
        for key in self.keys:
            self._by_id.setdefault(key.id, []).append(key)

    def _usable(self, given: Sequence[Any]) -> Iterator[PublicKey]:
        for number, description in enumerate(given, 1):
            if not isinstance(description, dict):
                self.notes.append(f"key {number} is not an object")
            elif _is_for_signatures(description):
                try:
                    yield _public_key(description)
                except BadKey as error:
                    self.notes.append(f"key {number} cannot be used: {error}")

    def has_same_keys(self, other: "KeySet") -> bool:
        """
        Return whether another set has the same keys.
        """
        return set(self.keys) == set(other.keys)

    def find(self, token: Jwt) -> Sequence[PublicKey]:
        """
        Return the keys with which a token may be signed.

        Raises:
            BadJwt: the token does not name its key, and there are several.
        """
        if token.key_id is not None:
            return [key for key in self._by_id.get(token.key_id, ()) if token.algorithm in key.algorithms]
        found = [key for key in self.keys if token.algorithm in key.algorithms]
        if len(found) > 1:
            raise BadJwt("the token does not name its key ('kid'), and its issuer has several")
        return found


def check_signature(token: Jwt, keys: Sequence[PublicKey]) -> None:
    """
    Check the signature of a token.

    Args:
        keys: it must be made with one of them.

    Raises:
        BadJwt: it is not.
    """
    for key in keys:
        try:
            _SIGNATURES.decode_complete(token.text, key.key, algorithms=[token.algorithm])
        except jwt.InvalidTokenError:
            continue
        return
    raise BadJwt("the token's signature is wrong: it is not of this issuer, or was changed")


def _list_in(content: bytes) -> Sequence[Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadKey(f"the key set is not valid JSON: {error}") from None
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise BadKey("the key set has no list of 'keys'")
    if len(keys) > _MOST_KEYS:
        raise BadKey(f"the key set has {len(keys)} keys; {_MOST_KEYS} are allowed")
    return keys


def _is_for_signatures(description: Mapping[str, Any]) -> bool:
    operations = description.get("key_ops")
    return description.get("use") in _USES and (not isinstance(operations, list) or "verify" in operations)


def _public_key(description: Mapping[str, Any]) -> PublicKey:
    kind, key_id = description.get("kty"), description.get("kid")
    if not isinstance(key_id, str | None):
        raise BadKey("its id ('kid') is not a text")
    if "d" in description:
        raise BadKey("it contains the private part; publish only the public one, and replace the key")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadKey(f"its kind ('kty') is {shown(kind)}; expected one of {', '.join(_KINDS)}")
    names, load, find_algorithms = _KINDS[kind]
    numbers = {name: description.get(name) for name in names}
    if not all(isinstance(value, str) and value.isascii() for value in numbers.values()):
        raise BadKey(f"it needs the texts {', '.join(names)}")
    try:
        key = load({"kty": kind, **numbers})
    except (jwt.InvalidKeyError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(f"it is damaged: {error}") from None
    if isinstance(key, RSAPublicKey) and key.key_size not in _RSA_BITS:
        raise BadKey(f"it has {key.key_size} bits; expected {_RSA_BITS[0]} to {_RSA_BITS[-1]}")
    algorithms = frozenset(find_algorithms(numbers))
    if "alg" in description:
        algorithms &= {description["alg"]} if isinstance(description["alg"], str) else frozenset()
    if not algorithms:
        raise BadKey(f"its algorithm is {shown(description.get('alg'))}, which does not fit it or is not accepted")
    return PublicKey(key_id, algorithms, tuple(map(str, numbers.values())), key)


_RSA_ALGORITHMS = [name for name in ALGORITHMS if name.startswith(("RS", "PS"))]

_KINDS: Mapping[str, tuple[tuple[str, ...], Any, Any]] = {
    "RSA": (("n", "e"), RSAAlgorithm.from_jwk, lambda numbers: _RSA_ALGORITHMS),
    "EC": (
        ("crv", "x", "y"),
        ECAlgorithm.from_jwk,
        lambda numbers: [name for name, curve in _CURVES.items() if curve == numbers["crv"]],
    ),
    "OKP": (("crv", "x"), OKPAlgorithm.from_jwk, lambda numbers: ["EdDSA"]),
}
"""The kinds of keys: the values that make up one, the function that loads it, and that which returns its algorithms."""
