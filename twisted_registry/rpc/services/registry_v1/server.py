"""
The calls of ``twisted_registry.v1.Registry`` about the server, its callers, and those who follow models.
"""

import time
from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from twisted_registry import __version__
from twisted_registry.application.followers import Follower, Followers, Following
from twisted_registry.application.queries import Queries
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.access import GRANTABLE, Action, Caller, Need, Scope
from twisted_registry.protocol.messages import v1
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.numbers import ServerNumbers
from twisted_registry.rpc.options import ServerOptions
from twisted_registry.rpc.services.registry_v1 import codec

_NS = 10**9


async def follower_needs(request: Any) -> Iterable[Need]:
    """
    Return what a caller must be permitted to do to list followers.

    Their names and addresses are information about others: to read the model is not enough, it also takes the
    permission to read the status of the server, on this model.
    """
    scope = Scope(request.model_id) if request.model_id else None
    return (Need(Action.STATUS, scope), Need(Action.READ, scope))


@frozen
class FollowerCalls:
    """
    The calls about the streams that clients follow models with.
    """

    _followers: Followers
    _queries: Queries

    async def list(self, request: Any, call: CallContext) -> Any:
        """
        List the streams.
        """
        size = codec.page_size(request.page_size)
        if request.model_id:
            await self._queries.snapshot(request.model_id)  # checks that it exists

        def is_visible(following: Following) -> bool:
            if call.caller is None:
                return True
            needs = (Need(Action.STATUS, following.scope), Need(Action.READ, following.scope))
            return all(map(call.caller.permissions.allow, needs))

        page = self._followers.page(request.model_id, size, request.page_token, is_visible)
        return v1.ListFollowersResponse(
            followers=map(_follower, page.followers), next_page_token=page.next_token, total_size=page.total
        )


def _follower(follower: Follower) -> Any:
    following = follower.following
    message = v1.Follower(
        model_id=following.model_id,
        prefix=following.prefix,
        stream=following.stream,
        actor=following.actor,
        peer=following.peer,
        last_number=follower.last_number,
    )
    message.start_time.FromNanoseconds(follower.began_ns)
    if follower.last_ns:
        message.last_time.FromNanoseconds(follower.last_ns)
    return message


@frozen
class ServerCalls:
    """
    The calls about the server and its callers.
    """

    _queries: Queries
    _archive_status: ArchiveStatus
    _numbers: ServerNumbers
    _options: ServerOptions
    _start_ns: int = field(factory=time.time_ns)
    _start_seconds: float = field(factory=time.monotonic)

    async def status(self, request: Any, call: CallContext) -> Any:
        """
        Return the state of the server.
        """
        archive = self._archive_status
        message = v1.ServerStatus(
            version=__version__,
            archive_problem=archive.problem,
            write_problem=archive.write_problem,
            archive_id=archive.identity.archive_id or "",
            model_count=self._queries.registry.model_count(),
            evicted_latest=self._queries.registry.evicted_latest(),
        )
        message.start_time.FromNanoseconds(self._start_ns)
        message.uptime.FromNanoseconds(int((time.monotonic() - self._start_seconds) * _NS))
        self._add_memory(message)
        self._add_archive(message)
        self._add_clients(message)
        return message

    def _add_memory(self, message: Any) -> None:
        registry, memory = self._queries.registry, self._options.memory
        usage = registry.usage()
        message.memory_versions, message.memory_bytes = usage.items, usage.size_bytes
        message.search_index_bytes = registry.search_index_bytes()
        if memory is not None:
            message.memory_max_versions, message.memory_max_bytes = memory.max_items, memory.max_bytes
            message.search_index_max_bytes = memory.search_index_max_bytes

    def _add_archive(self, message: Any) -> None:
        numbers = self._options.archive_numbers
        if numbers is None:
            return
        if (disk := numbers.disk_bytes()) is not None:
            message.disk_free_bytes, message.disk_bytes = disk
        if (stored := numbers.stored()) is not None:
            message.archive_versions, message.archive_bytes = stored

    def _add_clients(self, message: Any) -> None:
        numbers = self._numbers
        message.subscribers = len(numbers.subscriptions)
        message.event_watches = len(numbers.feed)
        message.running_calls = numbers.calls()
        message.uploads_waiting = numbers.uploads.waiting
        message.uploads_reserved_bytes = numbers.uploads.reserved_bytes
        message.uploads_max_bytes = self._options.limits.uploads_max_bytes
        message.uploads_refused = numbers.uploads.refused
        message.kept_uploads = len(numbers.kept_uploads)

    async def caller(self, request: Any, call: CallContext) -> Any:
        """
        Return who makes the call, and what they may do.
        """
        scope = Scope(request.model_id) if request.model_id else None
        message = v1.Caller(actions=sorted(action.value for action in GRANTABLE if _allows(call.caller, action, scope)))
        if call.caller is not None:
            identity = call.caller.identity
            message.subject, message.token_id = identity.subject, identity.token_id
            if identity.ends_seconds is not None:
                message.expire_time.FromNanoseconds(int(identity.ends_seconds * _NS))
        return message


def _allows(caller: Caller | None, action: Action, scope: Scope | None) -> bool:
    return caller is None or caller.permissions.allow(Need(action, scope))
