"""
The handlers of the calls about models, versions, aliases and events.
"""

import time
from typing import Any

from attrs import evolve, frozen

from twisted_registry.application.aliases import Aliases
from twisted_registry.application.event_feed import EventFeed
from twisted_registry.application.followers import Followers, Following
from twisted_registry.application.models import Models
from twisted_registry.application.queries import Queries
from twisted_registry.application.versions import Versions
from twisted_registry.contracts.tracing import ITracer
from twisted_registry.domain.events import VersionCommitted
from twisted_registry.domain.records import VersionRecord
from twisted_registry.protocol.messages import Empty, v1
from twisted_registry.rpc.budgets import ReplyBudget
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.services.registry_v1 import codec


@frozen
class ModelCalls:
    """
    The calls about single models.
    """

    _models: Models

    async def create(self, request: Any, call: CallContext) -> Any:
        """
        Create a model.
        """
        info = codec.model_to_create(request)
        call.note(model_id=info.model_id)
        return codec.model(await self._models.create(info, allow_existing=request.allow_existing))

    async def get(self, request: Any, call: CallContext) -> Any:
        """
        Return a model.
        """
        return codec.model(await self._models.get(request.model_id))

    async def update(self, request: Any, call: CallContext) -> Any:
        """
        Change a model's metadata.
        """
        call.note(model_id=request.model.model_id)
        update = codec.model_update(request)
        return codec.model(await self._models.update(update, allow_missing=request.allow_missing))

    async def delete(self, request: Any, call: CallContext) -> Any:
        """
        Delete a model with all its versions.
        """
        call.note(model_id=request.model_id)
        await self._models.delete(request.model_id, request.etag)
        return Empty()


@frozen
class VersionCalls:
    """
    The calls about single versions.
    """

    _versions: Versions

    async def get(self, request: Any, call: CallContext) -> Any:
        """
        Return a version without its data.
        """
        record = await self._versions.get(codec.reference(request.reference))
        call.note_used(record.info)
        return codec.version(record)

    async def update(self, request: Any, call: CallContext) -> Any:
        """
        Change a version's labels and metrics.
        """
        reference = codec.reference(request.reference)
        call.note(model_id=reference.model_id)
        return self._changed(await self._versions.annotate(reference, codec.annotations_update(request)), call)

    async def archive(self, request: Any, call: CallContext) -> Any:
        """
        Move a transient version to the archive.
        """
        reference = codec.reference(request.reference)
        call.note(model_id=reference.model_id)
        return self._changed(await self._versions.archive(reference), call)

    def _changed(self, record: VersionRecord, call: CallContext) -> Any:
        call.note(**codec.version_facts(record.info))
        return codec.version(record)

    async def delete(self, request: Any, call: CallContext) -> Any:
        """
        Delete a version.
        """
        reference = codec.reference(request.reference)
        call.note(model_id=reference.model_id)
        call.note(version_number=await self._versions.delete(reference))
        return Empty()


@frozen
class AliasCalls:
    """
    The calls about aliases.
    """

    _aliases: Aliases

    async def set(self, request: Any, call: CallContext) -> Any:
        """
        Point an alias at a version.
        """
        reference = codec.reference(request.reference)
        expected = codec.expected_number(request)
        call.note(model_id=reference.model_id, alias=request.alias)
        move = await self._aliases.set(
            reference, request.alias, expected, request.reason, call.actor, request.request_id
        )
        call.note(version_number=move.to_number, from_number=move.from_number)
        return codec.alias(reference.model_id, move)

    async def delete(self, request: Any, call: CallContext) -> Any:
        """
        Delete an alias.
        """
        expected = codec.expected_number(request)
        call.note(model_id=request.model_id, alias=request.alias)
        move = await self._aliases.delete(
            request.model_id, request.alias, expected, request.reason, call.actor, request.request_id
        )
        call.note(from_number=move.from_number)
        return Empty()

    async def list(self, request: Any, call: CallContext) -> Any:
        """
        List a model's aliases.
        """
        moves = await self._aliases.of_model(request.model_id)
        return v1.ListAliasesResponse(aliases=[codec.alias(request.model_id, move) for move in moves])

    async def history(self, request: Any, call: CallContext) -> Any:
        """
        List the moves of a model's aliases.
        """
        size = codec.page_size(request.page_size)
        page = await self._aliases.moves(request.model_id, request.alias, size, request.page_token)
        events = [codec.alias_event(request.model_id, move) for move in page.moves]
        return v1.ListAliasEventsResponse(events=events, next_page_token=page.next_token)


@frozen
class EventCalls:
    """
    The calls about events.
    """

    _feed: EventFeed
    _followers: Followers
    _queries: Queries
    _reply_budget: ReplyBudget
    _tracer: ITracer | None

    async def watch(self, request: Any, call: CallContext) -> None:
        """
        Send events as they happen.
        """
        await self._queries.note_seen_of(request.model_id, call.seen(request.model_id))
        wanted = evolve(codec.event_filter(request), may_read=call.may_read)
        following = Following(request.model_id, call.method.name, call.actor, call.peer, request.prefix, call.may_read)
        with self._followers.add(following) as follower, self._feed.watch(wanted, request.cursor) as watch:
            await call.write(codec.started(watch.cursor, time.time_ns()))
            while True:
                entries = await watch.next()
                for entry in entries:
                    await self._reply_budget.write(call, codec.event_message(entry, self._tracer))
                    watch.note_sent(entry)
                    follower.note_sent(codec.created_number(entry))
                    if call.span is not None and isinstance(entry.event, VersionCommitted):
                        call.span.link(entry.event.info)
                if not entries:
                    await call.write(codec.checkpoint(watch.cursor, time.time_ns()))
