"""
Searches of versions and models: filtered, ordered, in pages.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from typing import Generic

from attrs import frozen

from twisted_registry.application.model_search import ModelsSearch
from twisted_registry.application.page_tokens import PageTokens, not_from_this_list
from twisted_registry.application.pagination import PAST_ALL
from twisted_registry.application.queries import Queries
from twisted_registry.application.search_pages import (
    BATCH,
    LOADED_TOGETHER,
    MAX_PAGE_BYTES,
    Page,
    PreparedSearch,
    Search,
    SearchRequest,
    T,
    text_bytes,
)
from twisted_registry.application.search_work import SearchWork
from twisted_registry.application.version_records import VersionRecords
from twisted_registry.domain.access import Readable, all_readable
from twisted_registry.domain.fields import MODEL_FIELDS, VERSION_FIELDS, Fields
from twisted_registry.domain.query import Position, Query
from twisted_registry.domain.records import ModelRecord, VersionRecord
from twisted_registry.domain.search import VersionSearch
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.domain.version_index import VersionIndex


@frozen
class Searches:
    """
    Searches of a registry.
    """

    _queries: Queries
    _work: SearchWork
    _now_ns: Callable[[], int] = time.time_ns

    @property
    def _records(self) -> VersionRecords:
        return VersionRecords(self._queries)

    async def versions(
        self, model_id: str, request: SearchRequest, remaining_seconds: Callable[[], float | None] = lambda: None
    ) -> Search[VersionRecord]:
        """
        Prepare a search of a model's versions.  The first one of a model reads all of its versions.

        Args:
            model_id: the model.
            request: what to search.
            remaining_seconds: returns the time until the client's deadline; ``None`` if it set none.

        Raises:
            Unavailable: the versions are still being read shortly before the deadline.
            Overloaded: too many searches wait already.
            InvalidFilter: the filter or the order cannot be understood.
            InvalidRequest: the token is not from this list.
            UnknownModel: there is no such model.
            TooLarge: the model has too many versions to search them.
            StorageFailure: the archive cannot be read.
        """
        prepared = await self._prepare(request, VERSION_FIELDS, "versions", model_id)
        snapshot = await self._queries.snapshot(model_id)
        if prepared.is_by_id and prepared.query.filter.names <= _KNOWN_BY_NUMBER:
            return await _ready(
                prepared, _NumberedVersions(self._queries, self._records, self._work, snapshot, prepared)
            )
        search = _FoundVersions(self._records, self._work, snapshot, prepared)
        await search.load(remaining_seconds())
        return await _ready(prepared, search)

    async def models(self, request: SearchRequest, readable: Readable = all_readable) -> Search[ModelRecord]:
        """
        Prepare a search of the models.

        Args:
            readable: returns those models of a sorted list that the client may read.

        Raises:
            Overloaded: too many searches wait already.
            InvalidFilter: the filter or the order cannot be understood.
            InvalidRequest: the token is not from this list.
            StorageFailure: the archive cannot be read.
        """
        prepared = await self._prepare(request, MODEL_FIELDS, "models")
        return await _ready(prepared, ModelsSearch(self._queries, self._work, prepared, readable))

    async def _prepare(self, request: SearchRequest, fields: Fields, *subject: str) -> "PreparedSearch":
        query = await self._work.compiled(
            len(request.filter) + len(request.order_by),
            lambda: Query.parse(request.filter, request.order_by, fields, self._now_ns()),
        )
        tokens = PageTokens.of(*subject, request.filter, request.order_by)
        after = tokens.decode(request.page_token)
        is_by_id = query.order.keys[0].field == fields.tie_break
        if after is not None and query.order.key_at(after)[0] and is_by_id:
            raise not_from_this_list()  # every record has a number or an id
        return PreparedSearch(query, request, tokens, after, is_by_id)


@frozen
class _Ready(Generic[T]):
    """
    A search that was made already.
    """

    _page: Page[T]

    async def page(self) -> Page[T]:
        """See ``Search.page``."""
        return self._page


async def _ready(prepared: PreparedSearch, search: Search[T]) -> Search[T]:
    # A filter may take long, and the slots for long lists are for the lists.
    return _Ready(await search.page()) if prepared.query.filter.cost else search


@frozen
class _Numbered:
    """
    The facts about a version that the numbers of its model contain.
    """

    number: int
    archived: bool


_KNOWN_BY_NUMBER = frozenset({"number", "archived"})


@frozen
class _NumberedVersions:
    """
    The versions of a model by number: all of them, or those that match a filter on ``number`` and ``archived`` alone.
    They need no index.
    """

    _queries: Queries
    _records: VersionRecords
    _work: SearchWork
    _snapshot: ModelSnapshot
    _prepared: PreparedSearch

    async def page(self) -> Page[VersionRecord]:
        """See ``Search.page``."""
        prepared = self._prepared
        numbers, skip = self._numbers(prepared.after), prepared.skip if prepared.is_filtered else 0
        total = await self._total()
        found: list[VersionRecord] = []
        matching: list[int] = []
        size_bytes = 0
        # A damaged version is skipped, and the next one takes its place.
        while len(found) <= prepared.page_size and size_bytes <= MAX_PAGE_BYTES:
            if not matching:
                examined = list(islice(numbers, BATCH))
                if not examined:
                    return prepared.page(found, total, is_end=True)
                matches = await self._matching(examined)
                matching, skip = matches[skip:], max(0, skip - len(matches))
                continue
            wanted = min(LOADED_TOGETHER, prepared.page_size + 1 - len(found))
            read = await self._records.of_numbers(self._snapshot, matching[:wanted])
            matching = matching[wanted:]
            found += read
            size_bytes += sum(map(text_bytes, read))
        return prepared.page(found, total, is_end=False)

    async def _total(self) -> int | None:
        if not self._prepared.is_filtered:
            return len(self._snapshot.numbers)
        if not self._prepared.counts_matches:
            return None
        numbers, total = self._numbers(None), 0
        while examined := list(islice(numbers, BATCH)):
            total += len(await self._matching(examined))
        return total

    def _numbers(self, position: Position | None) -> Iterator[int]:
        """
        Iterate over the numbers that may match.

        Args:
            position: the position of the entry that those come after; ``None`` for all of them.
        """
        values, numbers = self._prepared.query.seek_range, self._snapshot.numbers
        after = None if position is None else position[0]
        if not self._prepared.is_filtered:
            return numbers.skipping(self._prepared.skip, after, is_descending=self._prepared.is_descending)
        low, high = values.low, values.high
        if values.is_empty:
            return iter(())
        if self._prepared.is_descending:
            start = min(
                (each for each in (high, None if after is None else after - 1) if each is not None), default=None
            )
            return takewhile(lambda number: low is None or number >= low, numbers.ending_at(start))
        start = max(low or 1, 1 if after is None else after + 1)
        return takewhile(lambda number: high is None or number <= high, numbers.starting_at(start))

    async def _matching(self, numbers: list[int]) -> list[int]:
        condition, is_transient = self._prepared.query.filter, self._snapshot.numbers.is_transient
        if not condition.cost:
            return numbers
        records = [_Numbered(number, not is_transient(number)) for number in numbers]
        found = [record.number for record in await self._work.matching(records, condition)]
        await self._queries.runtime.pause()
        return found


@frozen
class _FoundVersions:
    """
    The versions of a model that match a filter, or in any other order.
    """

    _records: VersionRecords
    _work: SearchWork
    _snapshot: ModelSnapshot
    _prepared: PreparedSearch

    async def load(self, remaining_seconds: float | None) -> VersionIndex:
        """
        Return the model's index; see ``VersionRecords.index``.
        """
        return await self._records.index(self._snapshot, self._prepared.order, remaining_seconds)

    async def page(self) -> Page[VersionRecord]:
        """See ``Search.page``."""
        prepared = self._prepared
        index = await self.load(None)
        await self._work.apply_changes(index)
        search = VersionSearch(index, prepared.query, prepared.page_size + 1, prepared.after, prepared.skip)
        await self._work.finish(search, prepared.query.filter)
        return prepared.page(search.found, await self._total(index, search), is_end=True)

    async def _total(self, index: VersionIndex, search: VersionSearch) -> int | None:
        prepared = self._prepared
        if not prepared.is_filtered:
            return len(index.records)
        if not prepared.counts_matches:
            return None
        if prepared.after is None and search.is_exhausted:
            return search.matched
        count = VersionSearch(index, prepared.query, count=1, skip=PAST_ALL)
        await self._work.finish(count, prepared.query.filter)
        return count.matched
