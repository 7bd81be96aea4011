"""
Searches of models: filtered, ordered, in pages.
"""

from bisect import bisect_right
from collections.abc import Sequence
from heapq import nsmallest

from attrs import frozen

from twisted_registry.application.models import model_record
from twisted_registry.application.queries import Queries
from twisted_registry.application.search_pages import (
    BATCH,
    LOADED_TOGETHER,
    MAX_PAGE_BYTES,
    Page,
    PreparedSearch,
    text_bytes,
)
from twisted_registry.application.search_work import SearchWork
from twisted_registry.domain.access import Readable
from twisted_registry.domain.errors import CorruptModel, UnknownModel
from twisted_registry.domain.models import ModelInfo
from twisted_registry.domain.records import ModelRecord


@frozen
class ModelsSearch:
    """
    The models that match a filter.
    """

    _queries: Queries
    _work: SearchWork
    _prepared: PreparedSearch
    _readable: Readable

    async def page(self) -> Page[ModelRecord]:
        """See ``Search.page``."""
        model_ids = self._readable(await self._queries.model_ids())
        if self._prepared.is_by_id:
            return await self._by_id(model_ids)
        prepared = self._prepared
        wanted = prepared.skip + prepared.page_size + 1
        first: list[ModelRecord] = []
        matched = 0
        key = prepared.order.key
        after = None if prepared.after is None else prepared.order.key_at(prepared.after)
        for start in range(0, len(model_ids), BATCH):
            read = await self._read(model_ids[start : start + BATCH])
            records = await self._work.matching(read, prepared.query.filter)
            matched += len(records)
            first += [record for record in records if after is None or key(record) > after]
            if len(first) >= 2 * wanted:
                first = nsmallest(wanted, first, key=key)
            await self._queries.runtime.pause()
        total = matched if prepared.counts_matches or not prepared.is_filtered else None
        return prepared.page(nsmallest(wanted, first, key=key)[prepared.skip :], total, is_end=True)

    async def _by_id(self, model_ids: Sequence[str]) -> Page[ModelRecord]:
        prepared = self._prepared
        position, skip = self._start(model_ids), prepared.skip
        if not prepared.is_filtered:
            position, skip = position + skip, 0
        total = await self._total(model_ids)
        found: list[ModelRecord] = []
        size_bytes = 0
        while len(found) <= prepared.page_size and size_bytes <= MAX_PAGE_BYTES:
            batch = self._batch(model_ids, position)
            if not batch:
                return prepared.page(found, total, is_end=True)
            position += len(batch)
            matches = await self._matching(batch)
            matching, skip = matches[skip:], max(0, skip - len(matches))
            found += matching
            size_bytes += sum(map(text_bytes, matching))
        return prepared.page(found, total, is_end=False)

    async def _total(self, model_ids: Sequence[str]) -> int | None:
        if not self._prepared.is_filtered:
            return len(model_ids)
        if not self._prepared.counts_matches:
            return None
        total = 0
        for start in range(0, len(model_ids), BATCH):
            total += len(await self._matching(model_ids[start : start + BATCH]))
        return total

    async def _matching(self, model_ids: Sequence[str]) -> Sequence[ModelRecord]:
        matches = await self._work.matching(await self._read(model_ids), self._prepared.query.filter)
        await self._queries.runtime.pause()
        return matches

    def _batch(self, model_ids: Sequence[str], position: int) -> Sequence[str]:
        if not self._prepared.is_descending:
            return model_ids[position : position + LOADED_TOGETHER]
        end = max(0, len(model_ids) - position)
        return model_ids[max(0, end - LOADED_TOGETHER) : end][::-1]

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
