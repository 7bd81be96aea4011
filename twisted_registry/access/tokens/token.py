"""
The registry's own tokens: ``trg_ID_SECRET`` with a checksum at the end.

The id is public: logs and audits name it.  The secret has 256 random bits, so its SHA-256 can be kept instead of it:
nobody can guess it, however fast the hash.  The prefix and the checksum let scanners for leaked secrets recognize a
token, and tell a mistyped token from an unknown one.
"""

import hashlib
import secrets
import string
import zlib
from collections.abc import Callable

from attrs import field, frozen

PREFIX = "trg_"

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_CHARACTERS = 10
_SECRET_CHARACTERS = 43
"""62 to the power of 43 is a little more than 2 to the power of 256."""

_CHECK_CHARACTERS = 6
_TOKEN_CHARACTERS = len(PREFIX) + _ID_CHARACTERS + 1 + _SECRET_CHARACTERS + _CHECK_CHARACTERS


class MalformedToken(ValueError):
    """
    A text that begins like a token, and was cut off or mistyped.
    """


@frozen
class Token:
    """
    A token.

    Attributes:
        id: the public part.
        secret: the secret part.
    """

    id: str
    secret: str = field(repr=False)

    @classmethod
    def make(cls, choose: Callable[[str], str] = secrets.choice) -> "Token":
        """
        Make a token.

        Args:
            choose: returns a random character of a text.
        """
        return cls(*("".join(choose(_DIGITS) for _ in range(size)) for size in (_ID_CHARACTERS, _SECRET_CHARACTERS)))

    @classmethod
    def parse(cls, text: str) -> "Token | None":
        """
        Parse a token as it is sent; ``None`` if the text is not one of the registry's.

        Raises:
            MalformedToken: it begins like one, and its length or its checksum is wrong.
        """
        if not text.startswith(PREFIX):
            return None
        rest = text[len(PREFIX) :]
        token = cls(rest[:_ID_CHARACTERS], rest[_ID_CHARACTERS + 1 : -_CHECK_CHARACTERS])
        # Not a comparison of secrets: anyone can compute the checksum of a text.
        if len(text) != _TOKEN_CHARACTERS or token.text != text:
            raise MalformedToken("the token was cut off or mistyped")
        return token

    @property
    def text(self) -> str:
        """
        The token as it is sent.
        """
        body = f"{PREFIX}{self.id}_{self.secret}"
        return body + _checksum(body)

    @property
    def sha256(self) -> str:
        """
        The SHA-256 of the secret, in hexadecimal digits.
        """
        return hashlib.sha256(self.secret.encode("utf-8", "surrogatepass")).hexdigest()


def public_part(text: str) -> str:
    """
    Return the id in a text that begins like a token; empty if it has none.
    """
    id_ = text.removeprefix(PREFIX)[:_ID_CHARACTERS]
    is_token = text.startswith(f"{PREFIX}{id_}_") and len(id_) == _ID_CHARACTERS and set(id_) <= set(_DIGITS)
    return id_ if is_token else ""


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode("utf-8", "surrogatepass")), ""
    for _ in range(_CHECK_CHARACTERS):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
