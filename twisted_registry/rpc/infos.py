"""
The call that lists versions.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import islice

from attrs import field, frozen

from twisted_registry.domain.errors import CorruptVersion
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.protocol.messages import api
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.handles import format_listed, parse_decimal, parse_listed
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.outgoing import COUNTED_BYTES
from twisted_registry.rpc.pages import BATCH, LongLists, Page, batches, check_asked
from twisted_registry.rpc.replies import Replies
from twisted_registry.rpc.wire import parse, version_message


def _page(request: "api.RetrieveVersionInfosRequest") -> "Page[api.ModelVersionInfo]":
    return Page(request.versions_count, "versions_count", _serialized)


def _serialized(infos: "Sequence[api.ModelVersionInfo]", following: str) -> bytes:
    return api.RetrieveVersionInfosReply(version_infos=infos, next_version_handle=following).SerializeToString()


def _after_last(page: "Page[api.ModelVersionInfo]", handle: str) -> str:
    return str(page.last.version_number + 1) if page.last is not None else handle or "0"


@frozen
class InfoCalls:
    """
    ``RetrieveVersionInfos``.
    """

    _lookup: Lookup
    _lists: LongLists
    _replies: Replies = field(init=False)

    @_replies.default
    def _no_replies(self) -> Replies:
        return Replies(self._lookup.registry)

    async def retrieve_version_infos(self, raw: bytes, call: CallContext) -> bytes:
        """
        List a model's versions: all of them, or those asked for.
        """
        known = self._replies.find(raw)
        if known is not None:
            return known if len(known) < COUNTED_BYTES else await self._lists.outgoing.count(call, known)
        request = parse(api.RetrieveVersionInfosRequest, raw)
        if request.version_numbers:
            check_asked(len(request.version_numbers))
            offset = parse_listed(request.version_handle)
            snapshot = await self._lookup.snapshot(request.model_id)
            length, make = len(request.version_numbers), partial(self._asked, raw, request, snapshot, offset)
        else:
            start = parse_decimal(request.version_handle)
            snapshot = await self._lookup.snapshot(request.model_id)
            length, make = len(snapshot.numbers), partial(self._all, raw, request, snapshot, start)
        return await self._lists.reply(call, min(length, request.versions_count or length), make)

    async def _asked(
        self, raw: bytes, request: "api.RetrieveVersionInfosRequest", snapshot: ModelSnapshot, offset: int
    ) -> bytes:
        numbers = [snapshot.select(selector) async for batch in batches(request.version_numbers) for selector in batch]
        count = request.versions_count
        page = _page(request)
        async for batch in batches(numbers[offset : offset + count if count else None]):
            for result in await self._lookup.versions(snapshot, batch):
                if isinstance(result, CorruptVersion):
                    raise result
                page.add(version_message(result))
        following = format_listed(offset + page.length) if count else _after_last(page, request.version_handle)
        reply = page.reply(following)
        self._replies.keep(raw, snapshot, reply)
        return reply

    async def _all(
        self, raw: bytes, request: "api.RetrieveVersionInfosRequest", snapshot: ModelSnapshot, start: int
    ) -> bytes:
        page = _page(request)
        passed_over = await self._add_all(page, snapshot, start)
        reply = page.reply(_after_last(page, request.version_handle))
        # What is damaged is looked at again: the disk may have failed for a moment only.
        if not passed_over:
            self._replies.keep(raw, snapshot, reply)
        return reply

    async def _add_all(self, page: "Page[api.ModelVersionInfo]", snapshot: ModelSnapshot, start: int) -> int:
        # A damaged version is passed over, and another one takes its place: a short page would mean the end.
        numbers = iter(snapshot.numbers.starting_at(start))
        passed_over = 0
        while batch := list(islice(numbers, page.room)):
            for result in await self._lookup.versions(snapshot, batch):
                if isinstance(result, CorruptVersion):
                    passed_over += 1
                else:
                    page.add(version_message(result))
            if len(batch) == BATCH:
                await asyncio.sleep(0)
        return passed_over
