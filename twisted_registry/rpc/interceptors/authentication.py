"""
The interceptor that finds out who makes a call, and ends calls whose caller may no longer make them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from attrs import define
from twisted.logger import Logger

from twisted_registry.contracts.access import IAccess
from twisted_registry.domain.access import Action, Caller, Credentials
from twisted_registry.domain.errors import NotAuthenticated, NotPermitted, RegistryError, Unavailable
from twisted_registry.protocol.limits import TOKEN_MAX_BYTES
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.authorization import check_needs
from twisted_registry.rpc.methods import Handler, Method
from twisted_registry.rpc.sockets import address_of

_log = Logger()

_AUTHORIZATION_KEY = "authorization"
_SCHEME = "bearer "
_SWEEP_SECONDS = 1.0

Run = Callable[[Callable[[], Caller]], Awaitable[Caller]]
"""A function that runs one that may block in another thread."""


def token_in(call: CallContext) -> str:
    """
    Return the bearer token that came with a call; empty if there is none.

    Raises:
        NotAuthenticated: the metadata hold something else, or several.
    """
    values = [value for key, value in call.metadata if key == _AUTHORIZATION_KEY]
    if not values:
        return ""
    if len(values) > 1:
        raise NotAuthenticated("the call has several 'authorization' metadata; send one")
    value = values[0]
    if not isinstance(value, str) or value[: len(_SCHEME)].lower() != _SCHEME:
        raise NotAuthenticated("the 'authorization' metadatum is not a bearer token; send 'Bearer TOKEN'")
    token = value[len(_SCHEME) :].strip(" ")
    if not token or len(token) > TOKEN_MAX_BYTES or not (token.isascii() and token.isprintable()):
        raise NotAuthenticated(
            f"the 'authorization' metadatum does not hold a token: one has 1 to {TOKEN_MAX_BYTES} printable ASCII "
            "characters"
        )
    return token


def is_this_machine(peer: str) -> bool:
    """
    Return whether a peer, as gRPC names it, connects from this machine.
    """
    address = address_of(peer)
    if address is None:
        return peer.startswith("unix")
    with suppress(ValueError):
        return ip_address(address[0]).is_loopback
    return False


@define(eq=False)
class _Stream:
    """
    A call that may outlive its credentials.

    Attributes:
        generation: the state of the access control in which the caller was found.
        ended: why the call was ended; ``None`` if it was not.
    """

    call: CallContext
    credentials: Credentials
    generation: int
    ended: RegistryError | None = None


class Authentication:
    """
    The interceptor that finds out who makes a call.  Callers that have no permission at all are refused.

    A long call is ended when its credentials end, when they are revoked, or when what it needs is no longer permitted,
    within seconds.
    """

    def __init__(
        self,
        access: IAccess,
        run: Run,
        *,
        is_encrypted: bool,
        certificate_of: Callable[[CallContext], tuple[tuple[str, ...], float | None]] | None = None,
        user_of: Callable[[CallContext], int | None] | None = None,
        now_seconds: Callable[[], float] = time.time,
    ) -> None:
        """

        Args:
            run: runs what may block in another thread.
            is_encrypted: whether connections from other machines are encrypted.
            certificate_of: returns the names in the verified client certificate of a call's connection, and when it
                ends; ``None`` if no client has one.
            user_of: returns the user at the other end of a call's unix socket; ``None`` if there is no such socket.
            now_seconds: returns the time in seconds since the Unix epoch.
        """
        self._access = access
        self._run = run
        self._is_encrypted = is_encrypted
        self._certificate_of = certificate_of
        self._user_of = user_of
        self._now_seconds = now_seconds
        self._streams: dict[asyncio.Task[Any], _Stream] = {}

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls have a caller.
        """
        if method.action is Action.NONE:
            return handler
        is_long = method.streams_requests or method.streams_replies

        async def handle(request: Any, call: CallContext) -> Any:
            credentials = self._credentials(call)
            generation = self._access.generation
            call.caller = await self._caller(credentials)
            if is_long:
                return await self._handle_long(handler, request, _Stream(call, credentials, generation))
            return await handler(request, call)

        return handle

    def _credentials(self, call: CallContext) -> Credentials:
        token = token_in(call)
        if token and not self._is_encrypted and not is_this_machine(call.peer):
            self._access.exposed(token)
            raise NotAuthenticated(
                "the token came unencrypted from another machine, where others can have read it; revoke it, and "
                "connect with TLS"
            )
        if self._certificate_of is None and self._user_of is None:
            return Credentials(token)
        names, ends_seconds = ((), None) if self._certificate_of is None else self._certificate_of(call)
        return Credentials(token, names, ends_seconds, None if self._user_of is None else self._user_of(call))

    async def _caller(self, credentials: Credentials) -> Caller:
        caller = self._access.known_caller(credentials)
        if caller is None:
            caller = await self._run(lambda: self._access.find_caller(credentials))
        if caller.permissions.is_empty:
            if caller.identity.is_anonymous:
                raise NotAuthenticated("this registry must know who calls; send a token or a client certificate")
            raise NotPermitted(f"{caller.identity} has no permission at all; give it a role")
        return caller

    # Long calls

    async def _handle_long(self, handler: Handler, request: Any, stream: _Stream) -> Any:
        task = asyncio.current_task()
        assert task is not None, "a call runs in a task"
        self._streams[task] = stream
        try:
            return await handler(request, stream.call)
        except asyncio.CancelledError:
            if stream.ended is not None:
                raise stream.ended from None
            raise
        finally:
            del self._streams[task]

    async def watch(self, sweep_seconds: float = _SWEEP_SECONDS) -> None:
        """
        Check the long calls periodically, until cancelled.
        """
        while True:
            await asyncio.sleep(sweep_seconds)
            await self.sweep()

    async def sweep(self) -> None:
        """
        End the long calls whose caller may no longer make them.
        """
        generation, now = self._access.generation, self._now_seconds()
        for task, stream in list(self._streams.items()):
            ends = stream.call.caller.ends_seconds if stream.call.caller is not None else None
            if stream.generation == generation and (ends is None or now < ends):
                continue
            try:
                caller = await self._caller(stream.credentials)
                check_needs(caller, stream.call.needs)
            except Unavailable:  # nothing can be said now
                continue
            except RegistryError as error:
                if task in self._streams:
                    stream.ended = error
                    task.cancel()
            else:
                stream.call.caller, stream.generation = caller, generation
