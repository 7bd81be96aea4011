"""
Tests for ``twisted_registry.rpc.interceptors.idle_timeout``.
"""

import asyncio
from typing import Any

from attrs import define, evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import METHOD, FakeContext, call_on
from twisted_registry.domain.errors import Stalled
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout, RequestStream


@define
class Clock:
    """
    A clock that the test sets.
    """

    now_seconds: float = 0.0

    def seconds(self) -> float:
        """
        Return the time.
        """
        return self.now_seconds


class SlowContext(FakeContext):
    """
    A call whose client takes its time, and in the end sends nothing more.
    """

    def __init__(self, messages: list[Any], clock: Clock, seconds_each: float) -> None:
        """

        Args:
            messages: bytes for a message; anything else for the end.
            seconds_each: how long a message takes.
        """
        super().__init__(messages=messages)
        self._clock = clock
        self._seconds_each = seconds_each
        self.waiting = asyncio.Event()

    async def read(self) -> Any:
        """
        Return the next message.
        """
        self.waiting.set()
        self._clock.now_seconds += self._seconds_each
        if self._seconds_each or not self.messages:
            # Long enough for a sweep.
            await asyncio.sleep(0.6)
        return self.messages.pop(0)


class RequestStreamTests(SynchronousTestCase):
    """
    ``RequestStream`` returns messages, unless the client is idle for too long.
    """

    def test_messages_and_end(self) -> None:
        """
        Messages come in order, then nothing.
        """

        async def read() -> list[bytes | None]:
            stream = RequestStream(call_on(SlowContext([b"a", b"", object()], Clock(), 0.0)), IdleTimeout(60))
            return [await stream.read() for _ in range(3)]

        self.assertEqual(asyncio.run(read()), [b"a", b"", None])

    def test_header_is_read_once(self) -> None:
        """
        The first message is parsed once, however often it is asked for, and is not among the others.
        """
        parsed: list[bytes] = []

        def read_header(message: bytes) -> str:
            parsed.append(message)
            return message.decode()

        async def read() -> list[object]:
            call = call_on(SlowContext([b"first", b"second"], Clock(), 0.0), evolve(METHOD, read_header=read_header))
            stream = RequestStream(call, IdleTimeout(60))
            return [await stream.header(), await stream.header(), await stream.read()]

        self.assertEqual(asyncio.run(read()), ["first", "first", b"second"])
        self.assertEqual(parsed, [b"first"])

    def read_all(self, messages: list[bytes], seconds_each: float) -> list[bytes | None]:
        """
        Read messages, each of which takes its time, and then the end.  The timeout is a second.
        """

        async def read() -> list[bytes | None]:
            clock = Clock()
            context = SlowContext([*messages, object()], clock, seconds_each)
            stream = RequestStream(call_on(context), IdleTimeout(1.0, now_seconds=clock.seconds))
            return [await stream.read() for _ in range(len(messages) + 1)]

        return asyncio.run(read())

    def test_nothing_comes(self) -> None:
        """
        A call that sends nothing for too long is ended.
        """
        self.assertIn("arrived for 1 s", str(self.assertRaises(Stalled, self.read_all, [b"a"], 2.0)))

    def test_next_to_nothing_comes(self) -> None:
        """
        A call that sends a byte now and then is ended too; one that sends much each time is not.
        """
        self.assertRaises(Stalled, self.read_all, [b"a"] * 3, 0.6)
        much = [bytes(64 * 1024)] * 3
        self.assertEqual(self.read_all(much, 0.6), [*much, None])

    def test_time_of_the_server(self) -> None:
        """
        The time between a message and the next read does not count.
        """

        async def read() -> list[bytes | None]:
            clock = Clock()
            context = SlowContext([b"a", b"b", object()], clock, 0.3)
            stream = RequestStream(call_on(context), IdleTimeout(1.0, now_seconds=clock.seconds))
            messages = []
            for _ in range(3):
                clock.now_seconds += 60
                messages.append(await stream.read())
            return messages

        self.assertEqual(asyncio.run(read()), [b"a", b"b", None])

    def test_cancelled_by_others(self) -> None:
        """
        A call that is cancelled by something else has not stalled.
        """

        async def test() -> None:
            context = SlowContext([], Clock(), 0.0)
            task = asyncio.create_task(RequestStream(call_on(context), IdleTimeout(60)).read())
            await context.waiting.wait()
            task.cancel()
            await task

        self.assertRaises(asyncio.CancelledError, lambda: asyncio.run(test()))
