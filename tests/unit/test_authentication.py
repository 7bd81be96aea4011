"""
Tests for ``twisted_registry.rpc.interceptors.authentication``.
"""

import asyncio
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.access import Grants, NamedTokens, grant
from tests.support.calls import FakeContext
from tests.support.logs import LoggedLines
from twisted_registry.access.callers import Callers
from twisted_registry.access.tokens import Token
from twisted_registry.domain.access import Action, Caller
from twisted_registry.domain.errors import NotAuthenticated, NotPermitted, RegistryError
from twisted_registry.protocol.limits import TOKEN_MAX_BYTES
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.authentication import Authentication, RefusalLog, is_this_machine
from twisted_registry.rpc.methods import Method

LOCAL, REMOTE = "ipv4:127.0.0.1:5000", "ipv4:10.0.0.1:5000"


class AuthenticationTests(SynchronousTestCase):
    """
    ``Authentication`` finds out who makes a call.
    """

    def setUp(self) -> None:
        """
        Make an access control with one token.
        """
        policy = Grants(by_subject={"token:ann": [grant("reader", "*")]})
        self.callers = Callers([NamedTokens(names={"ann": None, "new": None})], policy)

    def caller(
        self,
        *metadata: tuple[str, str | bytes],
        peer: str = LOCAL,
        is_encrypted: bool = False,
        action: Action = Action.READ,
    ) -> Caller | None:
        """
        Make a call, and return its caller.
        """

        async def find(function: Any) -> Caller:
            raise AssertionError("nothing here blocks")

        async def handle(request: Any, call: CallContext) -> Any:
            return call.caller

        method = Method("GetModel", handle, action)
        wrapped: Any = Authentication(self.callers, find, is_encrypted=is_encrypted).intercept(method, handle)
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
            ("ipv4:192.0.2.1:1", False),
            ("ipv6:%5B2001:db8::1%5D:1", False),
            ("nonsense", False),
        ):
            self.assertEqual(is_this_machine(peer), expected, peer)


class RefusalLogTests(SynchronousTestCase):
    """
    ``RefusalLog`` logs refused callers.
    """

    def test_flood(self) -> None:
        """
        The first refusal is logged at once, and then at most one line a minute, with how many there were.
        """
        clock, lines = Clock(), LoggedLines(self)
        log = RefusalLog(clock.seconds)
        for _ in range(100):
            log.refused(REMOTE, NotAuthenticated("no"))
        clock.advance(61)
        log.refused(REMOTE, NotAuthenticated("no"))
        found = lines.of("twisted_registry.rpc")
        self.assertEqual(len(found), 2)
        self.assertIn("100 calls", found[1])
