"""
Requests of searches, and their pages.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from twisted_registry.application.page_tokens import PageTokens
from twisted_registry.domain.query import Order, Position, Query
from twisted_registry.domain.records import ModelRecord, VersionRecord

T = TypeVar("T", VersionRecord, ModelRecord)

MAX_PAGE_BYTES = 1024 * 1024
"""A page ends when it has so much text, so that its message stays below the 4 MiB that clients accept by default."""

BATCH = 256
"""So many entries are examined before other calls get a chance to run."""

LOADED_TOGETHER = 64
"""So many entries are read from the archive at once."""


@frozen
class SearchRequest:
    """
    The part of a list that a client asks for.

    Attributes:
        filter: a filter; empty for everything.
        order_by: an order; empty for the order of numbers or ids.
        page_size: the most entries of the page.
        page_token: ``Page.next_token`` of the page before; empty to begin.
        skip: how many matches to leave out first, after those of the page before.
        counts_matches: whether the matches of a filter are counted.
    """

    filter: str = ""
    order_by: str = ""
    page_size: int = 100
    page_token: str = ""
    skip: int = 0
    counts_matches: bool = False


@frozen
class Page(Generic[T]):
    """
    A page of a list.

    Attributes:
        next_token: continues the list; empty at its end.
        total: how many entries the list has; ``None`` if they were not counted.
    """

    records: Sequence[T]
    next_token: str
    total: int | None = None


class Search(Protocol[T]):
    """
    A search that is ready to be made.
    """

    async def page(self) -> Page[T]:
        """
        Return the page that the client asks for.
        """


@frozen
class PreparedSearch:
    """
    A request that was understood.

    Attributes:
        after: the position of the last entry of the page before; ``None`` to begin.
        is_by_id: whether the order is that of numbers or ids, in either direction.
    """

    query: Query
    request: SearchRequest
    tokens: PageTokens
    after: Position | None
    is_by_id: bool

    @property
    def order(self) -> Order:
        """
        The order of the list.
        """
        return self.query.order

    @property
    def page_size(self) -> int:
        """
        The most entries of the page.
        """
        return self.request.page_size

    @property
    def skip(self) -> int:
        """
        The number of matches to leave out first.
        """
        return self.request.skip

    @property
    def is_filtered(self) -> bool:
        """
        Return whether there is a filter.
        """
        return bool(self.query.filter.cost)

    @property
    def counts_matches(self) -> bool:
        """
        Return whether the matches of a filter are counted.
        """
        return self.is_filtered and self.request.counts_matches

    @property
    def is_descending(self) -> bool:
        """
        Return whether a list by number or id begins at its end.
        """
        return self.order.keys[0].is_descending

    def page(self, records: Iterable[T], total: int | None, *, is_end: bool) -> Page[T]:
        """
        Return a page.

        Args:
            records: what follows the page before.
            total: see ``Page``.
            is_end: whether nothing follows these.
        """
        entries: list[T] = []
        size_bytes = 0
        for record in records:
            size_bytes += text_bytes(record)
            if len(entries) == self.page_size or (entries and size_bytes > MAX_PAGE_BYTES):
                is_end = False
                break
            entries.append(record)
        is_last = is_end or not entries
        return Page(entries, "" if is_last else self.tokens.encode(self.order.position(entries[-1])), total)


def text_bytes(record: VersionRecord | ModelRecord) -> int:
    texts: list[Mapping[str, object]] = [record.metadata]
    texts += [record.labels, record.metrics] if isinstance(record, VersionRecord) else [record.aliases]
    return sum(
        len(key.encode()) + (len(value.encode()) if isinstance(value, str) else 8)
        for each in texts
        for key, value in each.items()
    )
