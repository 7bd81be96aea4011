"""
Tests for ``twisted_registry.rpc.interceptors.authentication``.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from attrs import define, evolve
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.support.access import Changing, Grants, NamedTokens, grant
from tests.support.calls import FakeContext
from tests.support.logs import LoggedLines
from twisted_registry.access.callers import Callers
from twisted_registry.access.tokens.token import Token
from twisted_registry.contracts.access import IAuthenticator, ISelectiveAuthenticator
from twisted_registry.domain.access import Action, Caller, Credentials, Identity, UnixUser
from twisted_registry.domain.errors import NotAuthenticated, NotPermitted, RegistryError, SignInsThrottled
from twisted_registry.protocol.limits import TOKEN_MAX_BYTES
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.authentication import Authentication
from twisted_registry.rpc.methods import Method
from twisted_registry.rpc.sockets import is_this_machine

LOCAL, REMOTE = "ipv4:127.0.0.1:5000", "ipv4:10.0.0.1:5000"


async def _run_nothing(function: Any) -> Caller:
    raise AssertionError("nothing here blocks")


async def _run_later(function: Any) -> Caller:
    await asyncio.sleep(0)
    caller: Caller = function()
    return caller


async def _caller_of(request: Any, call: CallContext) -> Any:
    return call.caller


async def _wait_for_ever(request: Any, call: CallContext) -> Any:
    await asyncio.Event().wait()


async def _run_for_ever(function: Any) -> Caller:
    await asyncio.Event().wait()
    raise AssertionError("it does not end")


_METHOD = Method("GetModel", _caller_of, Action.READ)


class AuthenticationTests(SynchronousTestCase):
    """
    ``Authentication`` finds out who makes a call.
    """

    def setUp(self) -> None:
        """
        Make an access control with one token.
        """
        policy = Grants(by_subject={"token:ann": [grant("reader", "*")]})
        self.names: dict[str, float | None] = {"ann": None, "new": None}
        self.tokens = NamedTokens(names=self.names)
        self.callers = Callers([self.tokens], policy)

    def caller(
        self,
        *metadata: tuple[str, str | bytes],
        peer: str = LOCAL,
        is_encrypted: bool = False,
        action: Action = Action.READ,
        authentication: Authentication | None = None,
    ) -> Caller | None:
        """
        Make a call, and return its caller.
        """
        method = evolve(_METHOD, action=action)
        authentication = authentication or Authentication(self.callers, _run_nothing, is_encrypted=is_encrypted)
        wrapped: Any = authentication.intercept(method, _caller_of)
        call = CallContext(method, FakeContext(peer, metadata))
        caller: Caller | None = asyncio.run(wrapped(None, call))
        return caller

    def refusal(self, *metadata: tuple[str, str | bytes], **given: Any) -> RegistryError:
        """
        Make a call that is refused.
        """
        error: RegistryError = self.assertRaises(NotAuthenticated, self.caller, *metadata, **given)
        return error

    def test_scheme(self) -> None:
        """
        The scheme may be written in any case, and spaces around the token do not matter.
        """
        for value in ("Bearer ann", "bearer ann", "BEARER  ann "):
            caller = self.caller(("x-other", "1"), ("authorization", value))
            assert caller is not None
            self.assertEqual(caller.identity.name, "ann")

    def test_malformed(self) -> None:
        """
        Anything but one bearer token is refused, and the refusal does not repeat it.
        """
        for value in (
            "",
            "ann",
            "Basic ann",
            "Bearer",
            "Bearer ",
            "Bearer a\tsecret",
            "Bearer " + "s" * (TOKEN_MAX_BYTES + 1),
        ):
            text = str(self.refusal(("authorization", value)))
            self.assertNotIn("sss", text)
            self.assertNotIn("secret", text)
        self.refusal(("authorization", b"Bearer ann"))
        self.assertIn("several", str(self.refusal(("authorization", "Bearer ann"), ("authorization", "Bearer ann"))))

    def test_wrong_token(self) -> None:
        """
        An unknown token is refused, and the refusal does not repeat it.
        """
        self.assertNotIn("eve-secret", str(self.refusal(("authorization", "Bearer eve-secret"))))

    def test_unencrypted(self) -> None:
        """
        A token from another machine is accepted only if the connection is encrypted; otherwise it is logged by its id.
        """
        ann, lines = ("authorization", "Bearer ann"), LoggedLines(self)
        self.assertIn("unencrypted", str(self.refusal(ann, peer=REMOTE)))
        token = Token.make()
        self.refusal(("authorization", f"Bearer {token.text}"), peer=REMOTE)
        self.assertIn(token.id, "".join(lines.of("twisted_registry.rpc")))
        self.assertNotIn(token.secret, "".join(lines.of("twisted_registry.rpc")))
        self.assertIsNotNone(self.caller(ann, peer=REMOTE, is_encrypted=True))
        for peer in (LOCAL, "ipv6:%5B::1%5D:5000", "unix:", "unix-abstract:x"):
            self.assertIsNotNone(self.caller(ann, peer=peer))

    def test_throttled(self) -> None:
        """
        After too many wrong tokens of its address, a token that was not accepted before is not even checked, if that
        may block; one that was is served.
        """
        policy = Grants(by_subject={"token:ann": [grant("reader", "*")]})
        authentication = Authentication(Callers([self.tokens, _Blocking()], policy), _run_later, is_encrypted=True)
        self.caller(("authorization", "Bearer ann"), peer=REMOTE, authentication=authentication)
        for _ in range(10):
            self.refusal(("authorization", "Bearer eve"), peer=REMOTE, authentication=authentication)
        new = ("authorization", "Bearer new")
        self.names["bob"] = self.names["new"] = None
        for expected in (NotPermitted, NotPermitted):  # the first of its connection, and then it is known
            self.assertRaises(expected, self.caller, new, peer=REMOTE, authentication=authentication)
        bob = ("authorization", "Bearer bob")
        self.assertRaises(SignInsThrottled, self.caller, bob, peer=REMOTE, authentication=authentication)
        for change in (lambda: None, self.tokens.change):  # also if files were read again
            change()
            self.assertIsNotNone(
                self.caller(("authorization", "Bearer ann"), peer=REMOTE, authentication=authentication)
            )
        self.assertRaises(NotPermitted, self.caller, bob, peer="ipv4:10.0.0.1:5001", authentication=authentication)

    def test_own_tokens_are_not_throttled(self) -> None:
        """
        A valid token that can be checked without blocking is accepted, however many wrong ones come from its address
        and on its connection: they may be those of others behind a proxy.
        """
        authentication = Authentication(self.callers, _run_nothing, is_encrypted=True)
        for peer in (LOCAL, REMOTE):
            for _ in range(200):
                self.assertRaises(
                    RegistryError,
                    self.caller,
                    ("authorization", "Bearer eve"),
                    peer=peer,
                    authentication=authentication,
                )
            eve = ("authorization", "Bearer eve")
            self.assertRaises(SignInsThrottled, self.caller, eve, peer=peer, authentication=authentication)
        self.assertFalse(self.callers.was_valid(Credentials("ann")))
        self.assertIsNotNone(self.caller(("authorization", "Bearer ann"), peer=REMOTE, authentication=authentication))

    def test_a_flood_is_checked_in_parts(self) -> None:
        """
        If checks block, those of a flood stop when the first were found to be wrong, and are not all queued before.
        """
        policy, checked = Grants(), []

        def check(credentials: Credentials) -> Caller:
            checked.append(credentials)
            raise NotAuthenticated("no")

        callers = Callers([NamedTokens(), _Blocking()], policy)
        callers.find_caller = check  # type: ignore[method-assign]

        async def flood() -> Sequence[Any]:
            authentication = Authentication(callers, _run_later, is_encrypted=True)
            wrapped: Any = authentication.intercept(_METHOD, _caller_of)
            metadata = [("authorization", "Bearer eve")]
            calls = [CallContext(_METHOD, FakeContext(REMOTE, metadata)) for _ in range(200)]
            return list(await asyncio.gather(*(wrapped(None, call) for call in calls), return_exceptions=True))

        kinds = Counter(type(error).__name__ for error in asyncio.run(flood()))
        self.assertEqual(kinds, {"NotAuthenticated": len(checked), "SignInsThrottled": 200 - len(checked)})
        self.assertLess(len(checked), 30)

    def test_without_permissions(self) -> None:
        """
        A caller without credentials is refused as unknown, one without any permission as not permitted.
        """
        self.refusal()
        self.assertRaises(NotPermitted, self.caller, ("authorization", "Bearer new"))

    def test_open_methods(self) -> None:
        """
        A method that needs nothing has no caller, whatever credentials come with it.
        """
        self.assertIsNone(self.caller(("authorization", "nonsense"), action=Action.NONE))
        self.refusal(action=Action.IDENTIFY)

    def test_this_machine(self) -> None:
        """
        Loopback addresses and unix sockets are on this machine.
        """
        for peer, expected in (
            ("ipv4:127.8.9.1:1", True),
            ("ipv6:%5B::1%5D:1", True),
            ("ipv6:%5B::ffff:127.0.0.1%5D:1", True),
            ("unix:", True),
            ("unix:uid=1000:pid=7,connection=1", True),
            ("ipv4:192.0.2.1:1", False),
            ("ipv6:%5B2001:db8::1%5D:1", False),
            ("nonsense", False),
        ):
            self.assertEqual(is_this_machine(peer), expected, peer)


@implementer(IAuthenticator)
class _Blocking(Changing):
    """
    An authenticator of a plugin that knows nobody, and may block to find that out.
    """

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        return None


@implementer(ISelectiveAuthenticator)
@define
class _Slow(Changing):
    """
    An authenticator that blocks, for users of a Unix socket.

    Attributes:
        ends_seconds: when the credentials end.
    """

    ends_seconds: float | None = None

    def concerns(self, credentials: Credentials) -> bool:
        """See ``ISelectiveAuthenticator.concerns``."""
        return credentials.unix_user is not None

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        return Identity("slow", "sue", ends_seconds=self.ends_seconds) if self.concerns(credentials) else None


class SweepTests(SynchronousTestCase):
    """
    ``Authentication.sweep`` ends calls whose caller may no longer make them.
    """

    def setUp(self) -> None:
        """
        Make an access control that knows some callers at once, and others slowly.
        """
        self.tokens = NamedTokens(names={"ann": None})
        self.slow = _Slow(ends_seconds=100.0)
        policy = Grants(by_subject={"token:ann": [grant("reader", "*")], "slow:sue": [grant("reader", "*")]})
        self.now = 0.0
        self.callers = Callers([self.tokens, self.slow], policy, lambda: self.now)
        self.run_check: Any = _run_later

    async def check(self, function: Any) -> Caller:
        """
        Run a check in another thread.
        """
        caller: Caller = await self.run_check(function)
        return caller

    async def begin(
        self, authentication: Authentication, *metadata: tuple[str, str], user: UnixUser | None = None
    ) -> "asyncio.Task[Any]":
        """
        Begin a call, and wait until it has its caller.
        """
        wrapped: Any = authentication.intercept(_METHOD, _wait_for_ever)
        call = CallContext(_METHOD, FakeContext(LOCAL, metadata))
        call.unix_user = user
        task = asyncio.create_task(wrapped(None, call))
        while call.caller is None:
            await asyncio.sleep(0)
        return task

    def test_slow_checks(self) -> None:
        """
        A check that does not end delays the end of no other call.  Its own call ends some time after its credentials.
        """

        async def main() -> None:
            authentication = Authentication(self.callers, self.check, is_encrypted=True, now_seconds=lambda: self.now)
            slow = await self.begin(authentication, user=UnixUser(1000, ()))
            quick = await self.begin(authentication, ("authorization", "Bearer ann"))
            self.run_check = _run_for_ever
            self.tokens.revoke("ann")
            async with asyncio.timeout(30):
                await authentication.sweep()
                with self.assertRaises(NotAuthenticated):
                    await quick
                self.now = 101.0
                await authentication.sweep()
                self.assertFalse(slow.done())
                self.now = 131.0
                await authentication.sweep()
                with self.assertRaises(NotAuthenticated):
                    await slow

        asyncio.run(main())
