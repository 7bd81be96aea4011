"""
Lists of models and versions, in pages or whole.

A list of all models or versions continues from a decimal handle: an offset, or the number of the next version.  A list
of version numbers that the client named continues from an opaque handle.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import islice
from typing import Generic, TypeVar

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.application.validation import check_entries
from twisted_registry.contracts.application import IRuntime
from twisted_registry.domain.access import Readable, all_readable
from twisted_registry.domain.errors import InvalidRequest, Unreadable, shown
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot

T = TypeVar("T")

BATCH = 256
"""After so many entries other calls get a chance to run."""

_DECIMAL = re.compile(r"[0-9]+", re.ASCII)
_LISTED = re.compile(r"listed:([0-9]+)", re.ASCII)
_MOST_DIGITS = 18
PAST_ALL = 10**_MOST_DIGITS
"""More than there can ever be of anything."""


def _number(digits: str) -> int:
    # A handle may have any number of digits; Python refuses to read very many.
    significant = digits.lstrip("0")
    return PAST_ALL if len(significant) > _MOST_DIGITS else int(significant or "0")


def parse_decimal(handle: str) -> int:
    """
    Parse a decimal handle; an empty one is 0.

    Raises:
        InvalidRequest: it is not a non-negative decimal.
    """
    if not handle:
        return 0
    if not _DECIMAL.fullmatch(handle):
        raise InvalidRequest(
            f"the handle {shown(handle)} is not a non-negative decimal; leave it empty to begin, "
            "then pass the handle of the last reply"
        )
    return _number(handle)


def parse_listed(handle: str) -> int:
    """
    Parse a handle that continues a list of named version numbers: an offset into it.

    Raises:
        InvalidRequest: it is not such a handle.
    """
    if handle in ("", "0"):
        return 0
    match = _LISTED.fullmatch(handle)
    if match is None:
        raise InvalidRequest(
            f"the handle {shown(handle)} does not continue a list of version numbers; leave it empty to begin, "
            "then pass the handle of the reply to a request with versions_count"
        )
    return _number(match.group(1))


def format_listed(offset: int) -> str:
    """
    Return the handle that continues a list of named version numbers.
    """
    return f"listed:{offset}"


@frozen
class VersionsQuery:
    """
    The versions of a model that a client asks for.

    Attributes:
        version_numbers: selectors of the versions; empty for all of them.
        count: the most versions on a page; 0 for no limit.
        handle: continues an earlier page; empty to begin.
    """

    model_id: str
    version_numbers: Sequence[int] = ()
    count: int = 0
    handle: str = ""


@frozen
class ModelsQuery:
    """
    The models that a client asks for.

    Attributes:
        model_ids: the models; empty for all of them.
        count: the most models on a page; 0 for no limit.
        handle: continues an earlier page; empty to begin.
    """

    model_ids: Sequence[str] = ()
    count: int = 0
    handle: str = ""


@frozen
class PageEnd:
    """
    The end of a page.

    Attributes:
        next_handle: continues the list.
        is_complete: false if damaged entries were skipped.  They are tried again the next time: the disk may have
            failed only for a short time.
    """

    next_handle: str
    is_complete: bool = True


class _Page(Generic[T]):
    """
    The count of a page's entries.

    Attributes:
        length: the number of entries so far.
        last: the last of them.
    """

    def __init__(self, add: Callable[[T], None], count: int) -> None:
        self.length = 0
        self.last: T | None = None
        self._add = add
        self._count = count

    @property
    def room(self) -> int:
        """
        The number of entries to read next; 0 if the page is full.
        """
        return min(self._count - self.length, BATCH) if self._count else BATCH

    def extend(self, entries: Sequence[T]) -> None:
        """
        Add entries.
        """
        add = self._add
        for entry in entries:
            add(entry)
        if entries:
            self.length += len(entries)
            self.last = entries[-1]


@frozen
class Lists:
    """
    Lists of models and versions.
    """

    _queries: Queries

    async def versions(self, query: VersionsQuery) -> "VersionList":
        """
        Return the list of versions that a client asks for, as its model is now.

        Raises:
            InvalidRequest: the handle does not continue such a list.
            TooLarge: the query names too many versions.
            UnknownModel: there is no such model.
            CorruptModel: its metadata is damaged.
            StorageFailure: the archive cannot be read.
        """
        check_entries(len(query.version_numbers))
        start = (parse_listed if query.version_numbers else parse_decimal)(query.handle)
        return VersionList(await self._queries.snapshot(query.model_id), self._queries, query, start)

    async def models(self, query: ModelsQuery, readable: Readable = all_readable) -> "ModelList":
        """
        Return the list of models that a client asks for.

        Args:
            readable: returns those models of a sorted list that the client may read.  It is asked only for a list of
                all models.

        Raises:
            InvalidRequest: the handle does not continue such a list.
            TooLarge: the query names too many models.
            StorageFailure: the archive cannot be read.
        """
        check_entries(len(query.model_ids))
        start = parse_decimal(query.handle)
        length = len(query.model_ids) or len(readable(await self._queries.model_ids()))
        return ModelList(min(length, query.count or length), self._queries, query, start, readable)


@frozen
class VersionList:
    """
    A list of versions of one snapshot.  The same page can be written several times.
    """

    snapshot: ModelSnapshot
    _queries: Queries
    _query: VersionsQuery
    _start: int

    @property
    def length(self) -> int:
        """
        The most versions that a page holds.
        """
        length = len(self._query.version_numbers or self.snapshot.numbers)
        return min(length, self._query.count or length)

    async def write(self, add: Callable[[VersionInfo], None]) -> PageEnd:
        """
        Write the page that the query asks for.

        Args:
            add: adds a version to the page.

        Raises:
            UnknownVersion: a version that the query names does not exist.
            CorruptVersion: a version that the query names is damaged.
        """
        page = _Page(add, self._query.count)
        if self._query.version_numbers:
            await self._write_named(page)
            if self._query.count:
                return PageEnd(format_listed(self._start + page.length))
            return PageEnd(self._after(page.last))
        skipped = await self._write_all(page)
        return PageEnd(self._after(page.last), is_complete=not skipped)

    def _after(self, last: VersionInfo | None) -> str:
        return self._query.handle or "0" if last is None else str(last.version_number + 1)

    async def _write_named(self, page: _Page[VersionInfo]) -> None:
        selectors, runtime, select = self._query.version_numbers, self._queries.runtime, self.snapshot.select
        # All of them are selected, on whichever page an unknown one is.
        if len(selectors) < BATCH:
            numbers = [select(each) for each in selectors]
        else:
            numbers = [select(each) async for batch in _batches(runtime, selectors) for each in batch]
        end = self._start + self._query.count if self._query.count else None
        wanted = numbers[self._start : end]
        if len(wanted) < BATCH:
            await self._add_named(page, wanted)
        else:
            async for batch in _batches(runtime, wanted):
                await self._add_named(page, batch)

    async def _add_named(self, page: _Page[VersionInfo], numbers: Sequence[int]) -> None:
        results = await self._queries.versions(self.snapshot, numbers)
        whole = [result for result in results if not isinstance(result, Unreadable)]
        page.extend(whole)
        if len(whole) < len(results):
            raise next(result for result in results if isinstance(result, Unreadable))

    async def _write_all(self, page: _Page[VersionInfo]) -> int:
        # A damaged version is skipped, and the next one takes its place: a short page would mean the end.
        numbers = self.snapshot.numbers.starting_at(self._start)
        skipped = 0
        while batch := list(islice(numbers, page.room)):
            results = await self._queries.versions(self.snapshot, batch)
            whole = [result for result in results if not isinstance(result, Unreadable)]
            skipped += len(results) - len(whole)
            page.extend(whole)
            if len(batch) == BATCH:
                await self._queries.runtime.pause()
        return skipped


@frozen
class ModelList:
    """
    A list of models.  The same page can be written several times, each time with the models of then.

    Attributes:
        length: the most models that a page holds.
    """

    length: int
    _queries: Queries
    _query: ModelsQuery
    _start: int
    _readable: Readable = all_readable

    async def write(self, add: Callable[[ModelInfo], None]) -> PageEnd:
        """
        Write the page that the query asks for.

        Args:
            add: adds a model to the page.

        Raises:
            UnknownModel: a model that the query names does not exist.
            CorruptModel: a model that the query names is damaged.
            StorageFailure: the archive cannot be read.
        """
        page = _Page(add, self._query.count)
        if self._query.model_ids:
            await self._check_named()
        model_ids = self._query.model_ids or self._readable(await self._queries.model_ids())
        position = self._start
        # In a list of all models a damaged one is skipped, and the next one takes its place: a short page would mean
        # the end.
        while batch := model_ids[position : position + page.room]:
            position += len(batch)
            whole = []
            for result in await self._queries.models(batch):
                if isinstance(result, ModelInfo):
                    whole.append(result)
                elif self._query.model_ids:
                    raise result
            page.extend(whole)
            if len(batch) == BATCH:
                await self._queries.runtime.pause()
        return PageEnd(str(self._start + page.length) if page.length else self._query.handle or "0")

    async def _check_named(self) -> None:
        # An unknown model is reported by every page, not only by the one that it would be on.
        async for batch in _batches(self._queries.runtime, self._query.model_ids):
            for model_id in batch:
                self._queries.check_known(model_id)


async def _batches(runtime: IRuntime, items: Iterable[T]) -> AsyncIterator[list[T]]:
    """
    Iterate over items a few at a time, and let other calls run in between.
    """
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
        if len(batch) == BATCH:
            await runtime.pause()
