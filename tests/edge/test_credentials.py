"""
Tests of every method with every kind of credential, with the registry's own tokens and a policy.
"""

from collections.abc import Mapping
from typing import Any

import grpc
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.edge.test_permissions import CASES, Case
from tests.support.access import grant
from tests.support.calls import code_of
from tests.support.client import DEADLINE_SECONDS
from twisted_registry.access.callers import Callers
from twisted_registry.access.client_certificates import ClientCertificates
from twisted_registry.access.policy.policy import Policy, PolicyRules
from twisted_registry.access.tokens.authenticator import OwnTokens
from twisted_registry.access.tokens.file import TokenRecord
from twisted_registry.access.tokens.token import Token
from twisted_registry.domain.access import Action
from twisted_registry.testing.server import InProcessRegistry

_REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_ENDS_SECONDS = 1000


class CredentialTests(SynchronousTestCase):
    """
    Every method, with every kind of credential.
    """

    def setUp(self) -> None:
        """
        Start a registry with tokens of each kind.
        """
        self.records: dict[str, TokenRecord] = {}
        clock = Clock()
        policy = Policy(PolicyRules(grants=[("token:right", grant("reader", "open/m"))]))
        tokens = OwnTokens(lambda: policy.roles, clock.seconds)
        access = Callers([tokens, ClientCertificates()], policy, clock.seconds)
        self.tokens = {
            "right": self.add("right", "a/*", "copies/m"),
            "other prefix": self.add("other prefix", "ab/*"),
            "ended": self.add("ended", "*", ends_seconds=_ENDS_SECONDS),
            "revoked": self.add("revoked", "*"),
        }
        tokens.replace(dict(self.records))
        self.registry = InProcessRegistry(access=access)
        self.registry.start()
        self.addCleanup(self.registry.stop)
        self.connect()
        for name in ("ended", "revoked"):  # known before, and kept
            self.assertNotIn(self.code(CASES[0], f"Bearer {self.tokens[name].text}"), _REFUSALS)
        clock.advance(_ENDS_SECONDS)
        del self.records[self.tokens["revoked"].id]
        tokens.replace(dict(self.records))

    def connect(self) -> None:
        """
        Connect.
        """
        self.channel = grpc.insecure_channel(self.registry.address, [("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(self.channel.close)

    def add(self, name: str, *models: str, ends_seconds: int | None = None) -> Token:
        """
        Add a token that permits everything on some models.
        """
        token = Token.make()
        self.records[token.id] = TokenRecord(token.id, name, token.sha256, "admin", models, 0, ends_seconds)
        return token

    def code(self, case: Case, *values: str) -> grpc.StatusCode:
        """
        Make a call about the model ``a/m``, and return its code; OK once a stream has sent a message.

        Args:
            values: the ``authorization`` metadata.
        """
        request = case.request("a/" if case.on_prefix else "a/m")
        messages = request if isinstance(request, list) else [request]
        begin: Any = self.channel.stream_stream(case.path, lambda message: message.SerializeToString(), bytes)
        metadata = [("authorization", value) for value in values]
        return code_of(begin(iter(messages), metadata=metadata, timeout=DEADLINE_SECONDS))

    def wrong_credentials(self) -> Mapping[str, tuple[str, ...]]:
        """
        Return credentials that are not valid, by what is wrong with them.
        """
        right, unknown = self.tokens["right"], Token.make()
        values = {
            "unknown": unknown.text,
            "another secret": Token(right.id, unknown.secret).text,
            "another id": Token(unknown.id, right.secret).text,
            "id of another": Token(self.tokens["other prefix"].id, right.secret).text,
            "another case": right.text.swapcase(),
            "cut off": right.text[:-1],
            "longer": f"{right.text}0",
            "without a checksum": right.text[:-6],
            "of another kind": "ghp_0123456789",
            "the id alone": right.id,
            "the hash": right.sha256,
            "ended": self.tokens["ended"].text,
            "revoked": self.tokens["revoked"].text,
        }
        bearer = f"Bearer {right.text}"
        others = {
            "none": (),
            "empty": ("",),
            "without a scheme": (right.text,),
            "another scheme": (f"Basic {right.text}",),
            "two": (bearer, bearer),
            "two, one wrong": (bearer, f"Bearer {unknown.text}"),
            "two in one": (f"{bearer}, {bearer}",),
        }
        return {name: (f"Bearer {text}",) for name, text in values.items()} | others

    def test_wrong(self) -> None:
        """
        With credentials that are not valid, every call is UNAUTHENTICATED but those of health.
        """
        for name, values in self.wrong_credentials().items():
            self.registry.restart()  # it has forgotten the failures that it would throttle
            self.connect()
            for case in CASES:
                code = self.code(case, *values)
                refused = Action.NONE not in case.actions
                self.assertEqual(code is grpc.StatusCode.UNAUTHENTICATED, refused, (name, case.path, code))

    def test_right(self) -> None:
        """
        With a token whose role permits everything on the model, no call is refused.
        """
        for case in CASES:
            code = self.code(case, f"Bearer {self.tokens['right'].text}")
            self.assertNotIn(code, _REFUSALS, case.path)

    def test_other_prefix(self) -> None:
        """
        With a token whose role permits everything on other models, every call about the model is PERMISSION_DENIED.
        """
        for case in CASES:
            if not case.actions or Action.NONE in case.actions or case.anywhere:
                continue
            code = self.code(case, f"Bearer {self.tokens['other prefix'].text}")
            self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED, case.path)
