"""
Facts about making lists that may be large.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import FakeContext, call_on
from twisted_registry.config.limits import Limits
from twisted_registry.domain.errors import Overloaded
from twisted_registry.protocol.messages import api
from twisted_registry.rpc.outgoing import Outgoing
from twisted_registry.rpc.pages import BATCH, LongLists, Page

MIB = 2**20
LONG = 1000


class LongListTests(SynchronousTestCase):
    """
    ``LongLists`` has room for 7 MiB of large replies.
    """

    def setUp(self) -> None:
        """
        Nothing was made yet.
        """
        self.made = 0
        self.outgoing = Outgoing(Limits(0, 0, 0.0, 0.0, 8 * MIB, 60.0, 0.0), lambda peers: set())
        self.lists = LongLists(self.outgoing)

    def making(self, size_bytes: int, until: asyncio.Event | None = None) -> Callable[[], Awaitable[bytes]]:
        """
        Make a function that makes a reply.

        Args:
            until: what it waits for.
        """

        async def make() -> bytes:
            self.made += 1
            if until is not None:
                await until.wait()
            return bytes(size_bytes)

        return make

    def test_made_again_when_there_is_room(self) -> None:
        """
        A large reply that has to wait waits without being there, and does not hold up the small ones behind it.
        """

        async def test() -> None:
            first = FakeContext("first")
            await self.lists.reply(call_on(first), LONG, self.making(5 * MIB))
            large = [
                asyncio.create_task(self.lists.reply(call_on(FakeContext()), LONG, self.making(5 * MIB)))
                for _ in range(5)
            ]
            await asyncio.sleep(0.01)
            self.assertEqual(await self.lists.reply(call_on(FakeContext()), LONG, self.making(10)), bytes(10))
            self.assertEqual((self.made, any(task.done() for task in large)), (7, False))
            first.end()
            self.assertEqual(len(await large[0]), 5 * MIB)
            self.assertEqual(self.made, 8)
            for task in large[1:]:
                task.cancel()

        asyncio.run(test())

    def test_a_few_at_a_time(self) -> None:
        """
        Of long lists two are made at a time, whatever short ones are; a hundred wait, and more are refused.
        """

        async def test() -> None:
            go = asyncio.Event()
            long = [
                asyncio.create_task(self.lists.reply(call_on(FakeContext()), LONG, self.making(1, go)))
                for _ in range(102)
            ]
            await asyncio.sleep(0.01)
            self.assertEqual(self.made, 2)
            self.assertEqual(await self.lists.reply(call_on(FakeContext()), 2, self.making(1)), bytes(1))
            refused = asyncio.create_task(self.lists.reply(call_on(FakeContext()), LONG, self.making(1)))
            await asyncio.wait([refused])
            self.assertIsInstance(refused.exception(), Overloaded)
            go.set()
            self.assertEqual(len(await asyncio.gather(*long)), 102)

        asyncio.run(test())


class PageTests(SynchronousTestCase):
    """
    ``Page`` serializes the infos of a reply a few at a time.
    """

    def test_pieces_are_one_message(self) -> None:
        """
        However many there are, the reply has them all in their order, and the handle; no piece has more than a step.
        """
        for length in (0, 1, BATCH, BATCH + 1, 3 * BATCH + 7):
            pieces: list[int] = []

            def serialize(infos: Sequence[Any], handle: str, pieces: list[int] = pieces) -> bytes:
                pieces.append(len(infos))
                return api.RetrieveModelsReply(model_infos=infos, next_model_handle=handle).SerializeToString()

            page: Page[Any] = Page(0, "models_count", serialize)
            ids = [f"m{number}" for number in range(length)]
            for model_id in ids:
                page.add(api.ModelInfo(model_id=model_id))
            reply = api.RetrieveModelsReply.FromString(page.reply("handle"))
            self.assertEqual([info.model_id for info in reply.model_infos], ids)
            self.assertEqual(reply.next_model_handle, "handle")
            self.assertEqual((page.length, sum(pieces)), (length, length))
            self.assertLessEqual(max(pieces), BATCH)
