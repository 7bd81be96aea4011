"""
Tests for ``twisted_registry.rpc.interceptors.authorization``.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.access import grant
from tests.support.calls import FakeContext
from twisted_registry.domain.access import Action, Caller, Identity, Need, Permissions, Scope
from twisted_registry.domain.errors import NotPermitted
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.chain import read_requests
from twisted_registry.rpc.interceptors.authorization import authorizer
from twisted_registry.rpc.methods import Method

COUNT = 100_000


class AuthorizationTests(SynchronousTestCase):
    """
    Calls with very many needs.
    """

    def setUp(self) -> None:
        """
        Prepare to count.
        """
        self.made = 0
        self.turns = 0
        self.requests: list[Any] = []

    def needs(self, model_ids: Iterable[str]) -> Iterator[Need]:
        """
        Make needs, and count them.
        """
        for model_id in model_ids:
            self.made += 1
            yield Need(Action.READ, Scope(model_id))

    def call(self, request: Any, read_request: Any = None) -> None:
        """
        Make a call about models within ``a/``, and count how often others may run meanwhile.
        """

        async def named(model_ids: Any) -> Iterable[Need]:
            self.requests.append(model_ids)
            return self.needs(model_ids)

        async def handle(model_ids: Any, call: CallContext) -> None:
            self.requests.append(model_ids)

        async def refresh(call: CallContext) -> None:
            """
            Nothing has changed.
            """

        async def count_turns() -> None:
            while True:
                self.turns += 1
                await asyncio.sleep(0)

        async def run() -> None:
            others = asyncio.create_task(count_turns())
            try:
                await wrapped(request, call)
            finally:
                others.cancel()

        method = Method("RetrieveModels", handle, Action.READ, further_needs=named, read_request=read_request)
        wrapped: Any = read_requests(method, authorizer(refresh)(method, handle))
        call = CallContext(method, FakeContext("ipv4:127.0.0.1:5000"))
        call.caller = Caller(Identity("token", "ann"), Permissions([grant("reader", "a/*")]))
        asyncio.run(run())

    def test_in_batches(self) -> None:
        """
        Other calls run while many needs are checked.
        """
        self.call([f"a/{number}" for number in range(COUNT)])
        self.assertEqual(self.made, COUNT)
        self.assertGreater(self.turns, COUNT // 1000)

    def test_refused_early(self) -> None:
        """
        No more needs are made than a batch once one is missing.
        """
        self.assertRaises(NotPermitted, self.call, ["b/1", *(f"a/{number}" for number in range(COUNT))])
        self.assertLess(self.made, 1000)

    def test_read_once(self) -> None:
        """
        A request that takes long to read is read once, for the check and for the handler.
        """
        read: list[bytes] = []

        async def read_request(message: bytes) -> list[str]:
            read.append(message)
            return message.decode().split()

        self.call(b"a/1 a/2", read_request)
        self.assertEqual(read, [b"a/1 a/2"])
        self.assertEqual(self.requests, [["a/1", "a/2"]] * 2)
        self.assertIs(self.requests[0], self.requests[1])
