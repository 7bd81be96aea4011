"""
The interceptor that finds out who makes a call, and ends calls whose caller may no longer make them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from functools import lru_cache, partial
from typing import Any

from twisted.logger import Logger

from twisted_registry.contracts.access import IAccess
from twisted_registry.domain.access import Action, Caller, Credentials
from twisted_registry.domain.errors import (
    NotAuthenticated,
    NotPermitted,
    RegistryError,
    SignInsThrottled,
    Unavailable,
)
from twisted_registry.protocol.limits import TOKEN_MAX_BYTES
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.authorization import check
from twisted_registry.rpc.interceptors.refusals import Refusals
from twisted_registry.rpc.methods import Handler, Method
from twisted_registry.rpc.sockets import is_this_machine

_log = Logger()

_AUTHORIZATION_KEY = "authorization"
_SCHEME = "bearer "
_SHORT_CHARACTERS = 2048
_NO_CREDENTIALS = Credentials()
_SWEEP_SECONDS = 1.0

_CHECKS_AT_ONCE = 16
"""The most credentials that are checked at once: so many may pass before the first of a flood is found to be wrong."""

_RECHECKS_AT_ONCE = 4
"""The most credentials of running calls that are checked at once, if that blocks."""

_OVERDUE_SECONDS = 30.0
"""How long a call may outlive its credentials while nobody can find out whether they were renewed."""

Run = Callable[[Callable[[], Caller]], Awaitable[Caller]]
"""A function that runs one that may block in another thread."""


def token_in(call: CallContext) -> str:
    """
    Return the bearer token that came with a call; empty if there is none.

    Raises:
        NotAuthenticated: the metadata hold something else, or several.
    """
    return credentials_in(call).token


def credentials_in(call: CallContext) -> Credentials:
    """
    Return the bearer token that came with a call, as credentials.

    Raises:
        NotAuthenticated: the metadata hold something else, or several.
    """
    value: str | bytes | None = None
    for key, each in call.metadata:
        if key == _AUTHORIZATION_KEY:
            if value is not None:
                raise NotAuthenticated("the call has several 'authorization' metadata; send one")
            value = each
    if value is None:
        return _NO_CREDENTIALS
    return _short_credentials(value) if len(value) <= _SHORT_CHARACTERS else _credentials(value)


def _credentials(value: str | bytes) -> Credentials:
    if not isinstance(value, str) or value[: len(_SCHEME)].lower() != _SCHEME:
        raise NotAuthenticated("the 'authorization' metadatum is not a bearer token; send 'Bearer TOKEN'")
    token = value[len(_SCHEME) :].strip(" ")
    if not token or len(token) > TOKEN_MAX_BYTES or not (token.isascii() and token.isprintable()):
        raise NotAuthenticated(
            f"the 'authorization' metadatum does not hold a token: one has 1 to {TOKEN_MAX_BYTES} printable ASCII "
            "characters"
        )
    return Credentials(token)


# A client sends the same token with each call.
_short_credentials = lru_cache(maxsize=1024)(_credentials)


class Authentication:
    """
    The interceptor that finds out who makes a call.  Callers that have no permission at all are refused.

    A call is ended within seconds when its credentials end, when they are revoked, or when what it needs is no longer
    permitted.
    """

    def __init__(
        self,
        access: IAccess,
        run: Run,
        *,
        is_encrypted: bool,
        certificate_of: Callable[[CallContext], tuple[tuple[str, ...], float | None]] | None = None,
        now_seconds: Callable[[], float] = time.time,
        refusals: Refusals | None = None,
    ) -> None:
        """

        Args:
            run: runs what may block in another thread.
            is_encrypted: whether connections from other machines are encrypted.
            certificate_of: returns the names in the verified client certificate of a call's connection, and when it
                ends; ``None`` if no client has one.
            now_seconds: returns the time in seconds since the Unix epoch.
            refusals: counts and limits what is refused; ``None`` for the usual limits.
        """
        self._access = access
        self._run = run
        self._is_encrypted = is_encrypted
        self._certificate_of = certificate_of
        self._now_seconds = now_seconds
        self._running: dict[asyncio.Task[Any], CallContext] = {}
        self._rechecks: dict[asyncio.Task[Any], asyncio.Task[None]] = {}
        self._may_recheck = asyncio.Semaphore(_RECHECKS_AT_ONCE)
        self._refusals = Refusals() if refusals is None else refusals
        self._checks = asyncio.Semaphore(_CHECKS_AT_ONCE)

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls have a caller.
        """
        if method.action is Action.NONE:
            return handler
        access = self._access

        async def handle(request: Any, call: CallContext) -> Any:
            if self._refusals.is_closed(call.peer):
                raise asyncio.CancelledError  # nobody waits for an answer
            call.generation = access.generation
            try:
                credentials = call.credentials = self._credentials(call)
                caller = access.kept_caller(credentials)
                call.caller = await self._sign_in(call) if caller is None else _with_permissions(caller)
            except (NotAuthenticated, NotPermitted, SignInsThrottled) as error:
                if isinstance(error, NotPermitted) and call.credentials is not None:
                    call.caller = access.kept_caller(call.credentials)  # for the audit log
                self._refusals.refused(call.peer, call.credentials, error)
                raise
            task = asyncio.current_task()
            assert task is not None, "a call runs in a task"
            self._running[task] = call
            try:
                return await handler(request, call)
            except asyncio.CancelledError:
                if call.refusal is not None:
                    raise call.refusal from None
                raise
            finally:
                del self._running[task]

        return handle

    def _credentials(self, call: CallContext) -> Credentials:
        credentials = credentials_in(call)
        token = credentials.token
        if token and (call.is_plain or not self._is_encrypted) and not is_this_machine(call.peer):
            self._refusals.exposed(call.peer, self._access.public_part(token))
            raise NotAuthenticated(
                "the token came unencrypted from another machine, where others can have read it; revoke it, and "
                "connect with TLS"
            )
        if self._certificate_of is None and call.unix_user is None:
            return credentials
        certificate = ((), None) if self._certificate_of is None else self._certificate_of(call)
        return Credentials(token, *certificate, unix_user=call.unix_user)

    async def _sign_in(self, call: CallContext) -> Caller:
        credentials = call.credentials
        assert credentials is not None, "they are read first"
        if not credentials.token or self._access.was_valid(credentials):
            return await self._caller(credentials)
        try:
            # Tokens of the registry cost next to nothing to check, and cannot be guessed.  So no flood of wrong ones
            # keeps out those who call from the same address, such as that of a proxy.
            caller = self._access.known_caller(credentials)
        except NotAuthenticated:
            self._refusals.throttle.admit(call.peer)
            raise
        if caller is not None:
            return _with_permissions(caller)
        async with self._checks:
            self._refusals.throttle.admit(call.peer)
            return await self._caller(credentials)

    async def _caller(self, credentials: Credentials) -> Caller:
        caller = self._access.known_caller(credentials)
        return await self._find(credentials) if caller is None else _with_permissions(caller)

    async def _find(self, credentials: Credentials) -> Caller:
        return _with_permissions(await self._run(lambda: self._access.find_caller(credentials)))

    # Changes while a call runs

    async def watch(self, sweep_seconds: float = _SWEEP_SECONDS) -> None:
        """
        Check the running calls periodically, until cancelled.
        """
        try:
            while True:
                await asyncio.sleep(sweep_seconds)
                await self.sweep()
        finally:
            for each in self._rechecks.values():
                each.cancel()

    @property
    def busy_peers(self) -> Collection[str]:
        """
        The connections with calls of callers that were accepted.
        """
        return {call.peer for call in self._running.values()}

    async def sweep(self) -> None:
        """
        End the calls whose caller may no longer make them.

        Credentials whose check blocks are checked beside the others, so that they do not delay those.
        """
        for task, call in list(self._running.items()):
            if call.refusal is not None or not self._is_outdated(call):
                continue
            if task in self._rechecks:
                self._end_if_overdue(task, call)
            elif self._blocks(call):
                recheck = asyncio.ensure_future(self._check_in_turn(task, call))
                self._rechecks[task] = recheck
                recheck.add_done_callback(partial(self._rechecked, task))
            else:
                await self._check_running(task, call)

    def _blocks(self, call: CallContext) -> bool:
        assert call.credentials is not None, "a running call has credentials, if only none"
        try:
            return self._access.known_caller(call.credentials) is None
        except Exception:  # the check finds it, too
            return False

    async def _check_in_turn(self, task: "asyncio.Task[Any]", call: CallContext) -> None:
        async with self._may_recheck:
            if task in self._running:
                await self._check_running(task, call)

    def _rechecked(self, task: "asyncio.Task[Any]", _: object) -> None:
        del self._rechecks[task]

    async def _check_running(self, task: "asyncio.Task[Any]", call: CallContext) -> None:
        try:
            await self._check_again(task, call)
        except Exception:  # a plugin may fail in any way; the next sweep tries again
            _log.failure("cannot check a running call again")

    def _end_if_overdue(self, task: "asyncio.Task[Any]", call: CallContext) -> None:
        if self._has_ended(call, _OVERDUE_SECONDS):
            call.refusal = NotAuthenticated(
                "the credentials have ended, and it takes too long to find out whether they were renewed; call again"
            )
            task.cancel()

    def _is_outdated(self, call: CallContext) -> bool:
        return call.generation != self._access.generation or self._has_ended(call)

    def _has_ended(self, call: CallContext, for_seconds: float = 0.0) -> bool:
        ends_seconds = None if call.caller is None else call.caller.ends_seconds
        return ends_seconds is not None and ends_seconds + for_seconds <= self._now_seconds()

    async def _check_again(self, task: "asyncio.Task[Any]", call: CallContext) -> None:
        generation = self._access.generation
        assert call.credentials is not None, "a running call has credentials, if only none"
        try:
            caller = await self._caller(call.credentials)
            if call.request is not None:
                await check(call, caller)
        except RegistryError as error:
            # If it cannot be determined now, the call goes on for as long as its credentials are known to be valid.
            if task in self._running and (not isinstance(error, Unavailable) or self._has_ended(call)):
                call.refusal = error
                task.cancel()
            return
        call.caller, call.generation = caller, generation

    def refresh(self, call: CallContext) -> Awaitable[None] | None:
        """
        Determine a call's caller again if that may have changed since the call began: its request may come much later.

        Returns:
            what to wait for; ``None`` if nothing has changed.  Raises ``NotAuthenticated`` if the credentials are no
            longer valid, and ``NotPermitted`` if the caller no longer has any permission.
        """
        return self._refresh(call) if self._is_outdated(call) else None

    async def _refresh(self, call: CallContext) -> None:
        generation = self._access.generation
        assert call.credentials is not None, "authentication comes first"
        call.caller = await self._caller(call.credentials)
        call.generation = generation


def _with_permissions(caller: Caller) -> Caller:
    """
    Return a caller.

    Raises:
        NotAuthenticated: it has no permission at all, and presented no credentials.
        NotPermitted: it has no permission at all.
    """
    if caller.permissions.is_empty:
        if caller.identity.is_anonymous:
            raise NotAuthenticated("this registry must know who calls; send a token or a client certificate")
        raise NotPermitted(f"{caller.identity} has no permission at all; give it a role")
    return caller
