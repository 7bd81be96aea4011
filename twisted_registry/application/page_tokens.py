"""
Page tokens: where a list continues, for the query that began it and no other.
"""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.query import Position

_DIGEST_CHARACTERS = 16


@frozen
class PageTokens:
    """
    The page tokens of one query.

    Attributes:
        digest: differs from that of any other query.
    """

    digest: str

    @classmethod
    def of(cls, *parts: str) -> "PageTokens":
        """
        Return the page tokens of a query.

        Args:
            parts: what must be the same on all pages.
        """
        return cls(hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_DIGEST_CHARACTERS])

    def encode(self, position: Position) -> str:
        """
        Return the token that continues a list after a position.
        """
        content = json.dumps([self.digest, *position], separators=(",", ":"))
        return urlsafe_b64encode(content.encode()).decode().rstrip("=")

    def decode(self, token: str) -> Position | None:
        """
        Return the position of a token; ``None`` if it is empty.

        Raises:
            InvalidRequest: it is not a token of this query.
        """
        if not token:
            return None
        content = _content(token)
        if not content or content[0] != self.digest:
            raise not_from_this_list()
        return content[1:]


def not_from_this_list() -> InvalidRequest:
    """
    Return the error for a page token of another list.
    """
    return InvalidRequest(
        "the page_token is not from this list; repeat model, filter and order_by of the page before, or begin again "
        "without it"
    )


def _content(token: str) -> Sequence[Any] | None:
    try:
        content = json.loads(urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4)))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, list) else None
