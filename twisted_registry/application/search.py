"""
Searches of versions and models: filtered, ordered, in pages.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import islice, takewhile
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from twisted_registry.application.models import model_record
from twisted_registry.application.page_tokens import PageTokens, not_from_this_list
from twisted_registry.application.queries import Queries
from twisted_registry.application.search_work import SearchWork
from twisted_registry.domain.access import Readable, all_readable
from twisted_registry.domain.errors import CorruptModel, UnknownModel, Unreadable, index_loading
from twisted_registry.domain.fields import MODEL_FIELDS, VERSION_FIELDS, Fields
from twisted_registry.domain.models import ModelInfo
from twisted_registry.domain.query import Order, Position, Query
from twisted_registry.domain.records import ModelRecord, VersionRecord
from twisted_registry.domain.search import VersionSearch
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.domain.version_index import VersionIndex

T = TypeVar("T", VersionRecord, ModelRecord)

MAX_PAGE_BYTES = 1024 * 1024
"""A page ends when it has so much text, so that its message stays below the 4 MiB that clients accept by default."""

_BATCH = 256
_LOADED_TOGETHER = 64


@frozen
class SearchRequest:
    """
    The part of a list that a client asks for.

    Attributes:
        filter: a filter; empty for everything.
        order_by: an order; empty for the order of numbers or ids.
        page_size: the most entries of the page.
        page_token: ``Page.next_token`` of the page before; empty to begin.
    """

    filter: str = ""
    order_by: str = ""
    page_size: int = 100
    page_token: str = ""


@frozen
class Page(Generic[T]):
    """
    A page of a list.

    Attributes:
        next_token: continues the list; empty at its end.
    """

    records: Sequence[T]
    next_token: str


class Search(Protocol[T]):
    """
    A search that is ready to be made.
    """

    async def page(self) -> Page[T]:
        """
        Return the page that the client asks for.
        """


@frozen
class Searches:
    """
    Searches of a registry.
    """

    _queries: Queries
    _work: SearchWork
    _now_ns: Callable[[], int] = time.time_ns

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
            return await _ready(prepared, _NumberedVersions(self._queries, self._work, snapshot, prepared))
        search = _FoundVersions(self._queries, self._work, snapshot, prepared)
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
        return await _ready(prepared, _Models(self._queries, self._work, prepared, readable))

    async def _prepare(self, request: SearchRequest, fields: Fields, *subject: str) -> "_Prepared":
        query = await self._work.compiled(
            len(request.filter) + len(request.order_by),
            lambda: Query.parse(request.filter, request.order_by, fields, self._now_ns()),
        )
        tokens = PageTokens.of(*subject, request.filter, request.order_by)
        after = tokens.decode(request.page_token)
        is_by_id = query.order.keys[0].field == fields.tie_break
        if after is not None and query.order.key_at(after)[0] and is_by_id:
            raise not_from_this_list()  # every record has a number or an id
        return _Prepared(query, request.page_size, tokens, after, is_by_id)


@frozen
class _Prepared:
    """
    A request that was understood.

    Attributes:
        after: the position of the last entry of the page before; ``None`` to begin.
        is_by_id: whether the order is that of numbers or ids, in either direction.
    """

    query: Query
    page_size: int
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
    def is_descending(self) -> bool:
        """
        Return whether a list by number or id begins at its end.
        """
        return self.order.keys[0].is_descending

    def page(self, records: Iterable[T], *, is_end: bool) -> Page[T]:
        """
        Return a page.

        Args:
            records: what follows the page before.
            is_end: whether nothing follows these.
        """
        entries: list[T] = []
        size_bytes = 0
        for record in records:
            size_bytes += _text_bytes(record)
            if len(entries) == self.page_size or (entries and size_bytes > MAX_PAGE_BYTES):
                is_end = False
                break
            entries.append(record)
        is_last = is_end or not entries
        return Page(entries, "" if is_last else self.tokens.encode(self.order.position(entries[-1])))


@frozen
class _Ready(Generic[T]):
    """
    A search that was made already.
    """

    _page: Page[T]

    async def page(self) -> Page[T]:
        """See ``Search.page``."""
        return self._page


async def _ready(prepared: _Prepared, search: Search[T]) -> Search[T]:
    # A filter may take long, and the slots for long lists are for the lists.
    return _Ready(await search.page()) if prepared.query.filter.cost else search


def _text_bytes(record: VersionRecord | ModelRecord) -> int:
    texts: list[Mapping[str, object]] = [record.metadata]
    texts += [record.labels, record.metrics] if isinstance(record, VersionRecord) else [record.aliases]
    return sum(
        len(key.encode()) + (len(value.encode()) if isinstance(value, str) else 8)
        for each in texts
        for key, value in each.items()
    )


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
    _work: SearchWork
    _snapshot: ModelSnapshot
    _prepared: _Prepared

    async def page(self) -> Page[VersionRecord]:
        """See ``Search.page``."""
        prepared, numbers = self._prepared, self._numbers()
        found: list[VersionRecord] = []
        matching: list[int] = []
        size_bytes = 0
        # A damaged version is skipped, and the next one takes its place.
        while len(found) <= prepared.page_size and size_bytes <= MAX_PAGE_BYTES:
            if not matching:
                examined = list(islice(numbers, _BATCH))
                if not examined:
                    return prepared.page(found, is_end=True)
                matching = await self._matching(examined)
                continue
            wanted = min(_LOADED_TOGETHER, prepared.page_size + 1 - len(found))
            read = await self._read(matching[:wanted])
            matching = matching[wanted:]
            found += read
            size_bytes += sum(map(_text_bytes, read))
        return prepared.page(found, is_end=False)

    def _numbers(self) -> Iterator[int]:
        values, numbers = self._prepared.query.seek_range, self._snapshot.numbers
        after = None if self._prepared.after is None else self._prepared.after[0]
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

    async def _read(self, numbers: Sequence[int]) -> list[VersionRecord]:
        registry, snapshot = self._queries.registry, self._snapshot
        known = {number: registry.version_record(snapshot, number) for number in numbers}
        missing = [number for number, record in known.items() if record is None]
        if missing:
            loaded = await self._queries.runtime.call(lambda: registry.load_version_records(snapshot, missing))
            known.update(
                {
                    number: None if isinstance(record, Unreadable) else record
                    for number, record in zip(missing, loaded, strict=True)
                }
            )
        return [record for record in known.values() if record is not None]


@frozen
class _FoundVersions:
    """
    The versions of a model that match a filter, or in any other order.
    """

    _queries: Queries
    _work: SearchWork
    _snapshot: ModelSnapshot
    _prepared: _Prepared

    async def load(self, remaining_seconds: float | None) -> VersionIndex:
        """
        Return the model's index, once it is in memory.

        Args:
            remaining_seconds: the time until the client's deadline; ``None`` if it set none.

        Raises:
            Unavailable: it still is not, shortly before the deadline.
        """
        registry, snapshot, order = self._queries.registry, self._snapshot, self._prepared.order
        index = registry.version_index(snapshot, order)
        if index is not None:
            return index
        # The answer has to arrive in time, on a busy machine, too.
        wait_seconds = None if remaining_seconds is None else remaining_seconds - min(1.0, 0.2 * remaining_seconds)
        try:
            return await self._queries.runtime.call(lambda: registry.load_version_index(snapshot, order), wait_seconds)
        except TimeoutError:
            read, total = registry.index_progress(snapshot)
            raise index_loading(snapshot.model_id, read, total) from None

    async def page(self) -> Page[VersionRecord]:
        """See ``Search.page``."""
        prepared = self._prepared
        index = await self.load(None)
        await self._work.apply_changes(index)
        search = VersionSearch(index, prepared.query, prepared.page_size + 1, prepared.after)
        await self._work.finish(search, prepared.query.filter)
        return prepared.page(search.found, is_end=True)


@frozen
class _Models:
    """
    The models that match a filter.
    """

    _queries: Queries
    _work: SearchWork
    _prepared: _Prepared
    _readable: Readable

    async def page(self) -> Page[ModelRecord]:
        """See ``Search.page``."""
        model_ids = self._readable(await self._queries.model_ids())
        if self._prepared.is_by_id:
            return await self._by_id(model_ids)
        prepared = self._prepared
        first: list[ModelRecord] = []
        key = prepared.order.key
        after = None if prepared.after is None else prepared.order.key_at(prepared.after)
        for start in range(0, len(model_ids), _BATCH):
            read = await self._read(model_ids[start : start + _BATCH])
            records = await self._work.matching(read, prepared.query.filter)
            first += [record for record in records if after is None or key(record) > after]
            first = nsmallest(prepared.page_size + 1, first, key=key)
            await self._queries.runtime.pause()
        return prepared.page(first, is_end=True)

    async def _by_id(self, model_ids: Sequence[str]) -> Page[ModelRecord]:
        prepared = self._prepared
        position = self._start(model_ids)
        found: list[ModelRecord] = []
        size_bytes = 0
        while len(found) <= prepared.page_size and size_bytes <= MAX_PAGE_BYTES:
            batch = self._batch(model_ids, position)
            if not batch:
                return prepared.page(found, is_end=True)
            position += len(batch)
            matching = await self._work.matching(await self._read(batch), prepared.query.filter)
            found += matching
            size_bytes += sum(map(_text_bytes, matching))
            await self._queries.runtime.pause()
        return prepared.page(found, is_end=False)

    def _batch(self, model_ids: Sequence[str], position: int) -> Sequence[str]:
        if not self._prepared.is_descending:
            return model_ids[position : position + _LOADED_TOGETHER]
        end = len(model_ids) - position
        return model_ids[max(0, end - _LOADED_TOGETHER) : end][::-1]

    def _start(self, model_ids: Sequence[str]) -> int:
        # A position counts from the end if the order is descending.
        if self._prepared.after is None:
            return 0
        (first, *_), after, count = self._prepared.order.keys, self._prepared.after[0], len(model_ids)
        at = (lambda position: count - 1 - position) if self._prepared.is_descending else int
        return bisect_right(
            range(count), first.comparable(after), key=lambda position: first.comparable(model_ids[at(position)])
        )

    async def _read(self, model_ids: Sequence[str]) -> list[ModelRecord]:
        # What was deleted meanwhile, or is damaged, is skipped.
        records = []
        for info in await self._queries.models(model_ids):
            if isinstance(info, ModelInfo):
                try:
                    records.append(model_record(info, await self._queries.snapshot(info.model_id)))
                except (UnknownModel, CorruptModel):
                    continue
        return records
