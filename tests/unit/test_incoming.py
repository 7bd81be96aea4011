"""
Facts about waiting for what a call brings.
"""

import asyncio
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import Stalled
from twisted_registry.rpc.incoming import Incoming, Patience


@define
class Clock:
    """
    A clock that is moved by hand.
    """

    now_seconds: float = 0.0

    def seconds(self) -> float:
        """
        Tell the time.
        """
        return self.now_seconds


@define
class Context:
    """
    Stands in for gRPC's side of a call: gives what it was told to, then never anything more.

    Attributes:
        messages: a message each; anything else for the end.
        seconds_each: how long a message takes.
    """

    messages: list[Any]
    clock: Clock
    seconds_each: float
    waiting: asyncio.Event = field(factory=asyncio.Event)

    async def read(self) -> Any:
        """
        Give the next message.
        """
        self.waiting.set()
        self.clock.now_seconds += self.seconds_each
        if self.seconds_each or not self.messages:
            # Long enough for somebody to look at the clock.
            await asyncio.sleep(0.6)
        return self.messages.pop(0)


class IncomingTests(SynchronousTestCase):
    """
    ``Incoming`` gives messages, as long as there is patience for them.
    """

    def test_messages_and_end(self) -> None:
        """
        Messages come in their order, then nothing.
        """

        async def read() -> list[bytes | None]:
            incoming = Incoming(Context([b"a", b"", object()], Clock(), 0.0), Patience(60))
            return [await incoming.read() for _ in range(3)]

        self.assertEqual(asyncio.run(read()), [b"a", b"", None])

    def read_all(self, messages: list[bytes], seconds_each: float) -> list[bytes | None]:
        """
        Read messages each of which takes its time, and then the end.  Patience is for a second.
        """

        async def read() -> list[bytes | None]:
            clock = Clock()
            incoming = Incoming(Context([*messages, object()], clock, seconds_each), Patience(1.0, clock.seconds))
            return [await incoming.read() for _ in range(len(messages) + 1)]

        return asyncio.run(read())

    def test_stalled(self) -> None:
        """
        A call that brings nothing for too long is ended.
        """
        self.assertIn("nothing came for 1 s", str(self.assertRaises(Stalled, self.read_all, [b"a"], 2.0)))

    def test_next_to_nothing(self) -> None:
        """
        A call that brings a byte now and then is ended too; one that brings much each time is not.
        """
        self.assertRaises(Stalled, self.read_all, [b"a"] * 3, 0.6)
        much = [bytes(64 * 1024)] * 3
        self.assertEqual(self.read_all(much, 0.6), [*much, None])

    def test_the_servers_own_time(self) -> None:
        """
        The time between a message and the wish for the next one is not the client's.
        """

        async def read() -> list[bytes | None]:
            clock = Clock()
            incoming = Incoming(Context([b"a", b"b", object()], clock, 0.3), Patience(1.0, clock.seconds))
            messages = []
            for _ in range(3):
                clock.now_seconds += 60
                messages.append(await incoming.read())
            return messages

        self.assertEqual(asyncio.run(read()), [b"a", b"b", None])

    def test_cancelled_by_others(self) -> None:
        """
        Who is cancelled by somebody else has not stalled.
        """

        async def test() -> None:
            context = Context([], Clock(), 0.0)
            task = asyncio.create_task(Incoming(context, Patience(60)).read())
            await context.waiting.wait()
            task.cancel()
            await task

        self.assertRaises(asyncio.CancelledError, lambda: asyncio.run(test()))
