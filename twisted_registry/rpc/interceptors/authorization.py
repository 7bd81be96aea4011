"""
The interceptor that checks whether a caller may make a call.

What a call needs stands in the method table.  The decision never depends on what exists: a caller without the
permission learns nothing about a model, not even whether there is one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Any

from twisted_registry.domain.access import Action, Caller, Need, roles_with
from twisted_registry.domain.errors import NotAuthenticated, NotPermitted, shown
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.idle_timeout import RequestStream
from twisted_registry.rpc.methods import Handler, Method

_NEEDS_AT_ONCE = 256
"""After so many, other calls get a chance to run."""


Refresh = Callable[[CallContext], Awaitable[None] | None]
"""Determines a call's caller again if that may have changed; ``None`` if it has not."""


def authorizer(refresh: Refresh) -> Callable[[Method, Handler], Handler]:
    """
    Return the interceptor.

    Args:
        refresh: called when the request of a call has arrived.
    """

    def authorize(method: Method, handler: Handler) -> Handler:
        if method.action in (Action.NONE, Action.IDENTIFY):
            return handler

        async def permit(request: Any, call: CallContext) -> None:
            call.request = request
            refreshing = refresh(call)
            if refreshing is not None:
                await refreshing
            caller = call.caller
            assert caller is not None, "authentication comes first"
            if not _may_at_once(call, caller):
                await _check_needs_of(call, caller)

        async def handle_message(request: Any, call: CallContext) -> Any:
            await permit(request, call)
            return await handler(request, call)

        async def handle_stream(messages: RequestStream, call: CallContext) -> Any:
            header = await messages.header()
            if header is not None:
                await permit(header, call)
            return await handler(messages, call)

        return handle_stream if method.streams_requests else handle_message

    return authorize


def _may_at_once(call: CallContext, caller: Caller) -> bool:
    """
    Return whether a caller may make a call, if that is found without waiting: most calls are about one model.
    """
    method, permissions = call.method, caller.permissions
    if method.further_needs is not None:
        return False
    if permissions.allow_everywhere(method.action):
        return True  # the request need not be read to know
    model_id = None if method.resource is None else method.resource(call.request)
    return model_id is not None and permissions.allow_on(method.action, model_id)


async def check(call: CallContext, caller: Caller) -> None:
    """
    Check that a caller may make a call whose request has arrived.

    Raises:
        NotAuthenticated: it may not, and presented no credentials.
        NotPermitted: it may not.
        RegistryError: the request is not valid.
    """
    if not _may_at_once(call, caller):
        await _check_needs_of(call, caller)


async def _check_needs_of(call: CallContext, caller: Caller) -> None:
    needs = iter(await call.method.needs(call.request))
    while batch := list(islice(needs, _NEEDS_AT_ONCE)):
        check_needs(caller, batch)
        if len(batch) == _NEEDS_AT_ONCE:
            await asyncio.sleep(0)


def check_needs(caller: Caller, needs: Iterable[Need]) -> None:
    """
    Check that a caller has permissions.

    Raises:
        NotAuthenticated: it has not, and presented no credentials.
        NotPermitted: it has not.
    """
    missing = next((need for need in needs if not caller.permissions.allow(need)), None)
    if missing is None:
        return
    where = "" if missing.scope is None else f" model {shown(missing.scope.text)}"
    if missing.scope is not None and missing.scope.is_prefix:
        where = f" all models that match {shown(str(missing.scope))}"
    text = f"{caller.identity} lacks the permission '{missing.action.value}'{' on' if where else ''}{where}"
    if caller.identity.is_anonymous:
        raise NotAuthenticated(f"{text}; send a token or a client certificate")
    raise NotPermitted(f"{text}, which the role {roles_with(missing.action)[0]} has")
