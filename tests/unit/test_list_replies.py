"""
Tests of replies that hold lists.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.ports import Budget, FullBudget, Receiver
from twisted_registry.application.pagination import BATCH
from twisted_registry.application.replies import ListReplies, account_for
from twisted_registry.domain.errors import Overloaded, TooLarge
from twisted_registry.domain.models import ModelInfo
from twisted_registry.protocol.messages import api
from twisted_registry.rpc.services.cogment import codec

LONG = 1000


class WaitingReceiver(Receiver):
    """
    A client for whose replies there is no space yet.
    """

    def __init__(self) -> None:
        super().__init__(is_full=True)
        self.has_space: Deferred[None] = Deferred()

    async def reserve(self, size_bytes: int) -> Receiver:
        """See ``IReceiver.reserve``."""
        await self.has_space
        return await super().reserve(size_bytes)


class ListRepliesTests(SynchronousTestCase):
    """
    ``ListReplies`` makes replies within the bounds.
    """

    def setUp(self) -> None:
        """
        Nothing is made yet.
        """
        self.made = 0
        self.slots = Budget()
        self.replies = ListReplies(self.slots)

    async def make(self) -> bytes:
        """
        Make a reply.
        """
        self.made += 1
        self.slots_in_use = len(self.slots.reserved)
        return bytes(10)

    def reply(self, receiver: Receiver, length: int) -> "Deferred[bytes]":
        """
        Make a reply for a client.
        """
        return Deferred.fromCoroutine(self.replies.make(receiver, length, self.make))

    def test_made_again_when_there_is_space(self) -> None:
        """
        A reply that has to wait is dropped, and is made again after the wait.
        """
        receiver = WaitingReceiver()
        waiting = self.reply(receiver, LONG)
        self.assertNoResult(waiting)
        self.assertEqual((self.made, self.slots.reserved, receiver.reserved), (1, [], []))
        receiver.has_space.callback(None)
        self.assertEqual(self.successResultOf(waiting), bytes(10))
        self.assertEqual((self.made, receiver.reserved, receiver.timers), (2, [10], ["start"]))

    def test_slots(self) -> None:
        """
        A long list is made in a slot, which is released; a short one needs none.
        """
        for length, slots_in_use in ((LONG, 1), (17, 1), (16, 0)):
            self.successResultOf(self.reply(Receiver(), length))
            self.assertEqual((self.slots_in_use, self.slots.reserved), (slots_in_use, []))

    def test_failure(self) -> None:
        """
        The slot of a list that cannot be made is released.
        """

        async def fail() -> bytes:
            raise TooLarge("too large")

        failing: Any = Deferred.fromCoroutine(self.replies.make(Receiver(), LONG, fail))
        self.failureResultOf(failing, TooLarge)
        self.assertEqual(self.slots.reserved, [])

    def test_no_slot(self) -> None:
        """
        If too many lists wait for a slot, the call fails.
        """
        self.replies = ListReplies(FullBudget())
        self.failureResultOf(self.reply(Receiver(), LONG), Overloaded)
        self.assertEqual(self.made, 0)

    def test_account_for(self) -> None:
        """
        A reply that exists already waits for its bytes.
        """
        receiver = WaitingReceiver()
        waiting = Deferred.fromCoroutine(account_for(receiver, b"reply"))
        self.assertNoResult(waiting)
        receiver.has_space.callback(None)
        self.assertEqual(self.successResultOf(waiting), b"reply")
        self.assertEqual((receiver.reserved, receiver.timers), ([5], ["start"]))


class ReplyPageTests(SynchronousTestCase):
    """
    ``ReplyPage`` serializes the entries of a reply a few at a time.
    """

    def test_parts_are_one_message(self) -> None:
        """
        The reply holds all entries in order, and the handle, however many there are; no part has more than a batch.
        """
        for length in (0, 1, BATCH, BATCH + 1, 3 * BATCH + 7):
            parts: list[int] = []

            def serialize(infos: Any, handle: str, parts: list[int] = parts) -> bytes:
                parts.append(len(infos))
                return api.RetrieveModelsReply(model_infos=infos, next_model_handle=handle).SerializeToString()

            page: codec.ReplyPage[Any, Any] = codec.ReplyPage(codec.model_message, serialize, "models_count")
            ids = [f"m{number}" for number in range(length)]
            for model_id in ids:
                page.add(ModelInfo(model_id))
            reply = api.RetrieveModelsReply.FromString(page.reply("handle"))
            self.assertEqual([info.model_id for info in reply.model_infos], ids)
            self.assertEqual(reply.next_model_handle, "handle")
            self.assertEqual(sum(parts), length)
            self.assertLessEqual(max(parts), BATCH)

    def test_too_large(self) -> None:
        """
        A reply over 64 MiB is refused with the advice to ask in pages.
        """
        page = codec.models_page()
        info = ModelInfo("m", {"k": "v" * 2**18})
        with self.assertRaises(TooLarge) as caught:
            for _ in range(256):
                page.add(info)
        self.assertIn("models_count", str(caught.exception))
