"""
How long an upload waits for the server.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._transfer.upload import _Attempt
from twisted_registry.client._transport.connection import Connection
from twisted_registry.client._transport.options import Options
from twisted_registry.client._types import Buffer
from twisted_registry.domain.models import VersionHeader


@frozen
class Pieces:
    """
    Three pieces; before each, it is noted whether the server is waited for.
    """

    is_limited: Callable[[], bool]
    limited: list[bool] = field(factory=list)
    size_bytes: int = 6
    repeatable: bool = False
    ends_at_once: bool = False

    async def pieces(self) -> AsyncGenerator[Buffer, None]:
        """See ``Source.pieces``."""
        for piece in (b"ab", b"cd", b"ef"):
            self.limited.append(self.is_limited())
            yield piece


@frozen
class Call:
    """
    Notes the same where something is sent.
    """

    is_limited: Callable[[], bool]
    limited: list[bool] = field(factory=list)

    async def write(self, message: bytes) -> None:
        """
        Take a message.
        """
        self.limited.append(self.is_limited())

    async def done_writing(self) -> None:
        """
        End the stream.
        """


class LimitTests(SynchronousTestCase):
    """
    The limit of time of an upload.
    """

    def test_only_the_server_is_limited(self) -> None:
        """
        The server has a limited time for each message; the source may take as long as it takes.
        """
        attempts: list[_Attempt] = []

        def is_limited() -> bool:
            return attempts[0]._waiting_since is not None

        source, call = Pieces(is_limited), Call(is_limited)
        header = VersionHeader("walker", False, 6)

        async def send() -> None:
            attempts.append(
                _Attempt(Connection(Options("localhost:1")), header, source, "key", lambda size_bytes: None, 60.0)
            )
            await attempts[0]._write(call)

        asyncio.run(send())
        self.assertEqual((source.limited, call.limited), ([False] * 3, [True] * 5))
