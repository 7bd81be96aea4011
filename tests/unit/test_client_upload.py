"""
How long an upload waits for the server.
"""

import asyncio
from collections.abc import AsyncGenerator

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._calls.connection import Connection
from twisted_registry.client._data.sources import Buffer
from twisted_registry.client._data.upload import _Attempt
from twisted_registry.values import VersionHeader


@frozen
class Pieces:
    """
    Three pieces; before each, it is noted whether there is a limit of time.
    """

    limited: dict[str, list[bool]]
    limit: list[asyncio.Timeout]
    size_bytes: int = 6
    repeatable: bool = False
    ends_at_once: bool = False

    async def pieces(self) -> AsyncGenerator[Buffer, None]:
        """See L{Source.pieces}."""
        for piece in (b"ab", b"cd", b"ef"):
            self.limited["source"].append(self.limit[0].when() is not None)
            yield piece


@frozen
class Call:
    """
    Notes the same where something is sent.
    """

    limited: dict[str, list[bool]]
    limit: list[asyncio.Timeout]

    async def write(self, message: bytes) -> None:
        """
        Take a message.
        """
        self.limited["server"].append(self.limit[0].when() is not None)

    async def done_writing(self) -> None:
        """
        Be at the end.
        """


class LimitTests(SynchronousTestCase):
    """
    The limit of time of an upload.
    """

    def test_only_the_server_is_limited(self) -> None:
        """
        The server has a limited time for each message; the source may take as long as it takes.
        """
        limited: dict[str, list[bool]] = {"source": [], "server": []}
        limit: list[asyncio.Timeout] = []

        async def send() -> None:
            header = VersionHeader("walker", False, 6)
            source = Pieces(limited, limit)
            attempt = _Attempt(Connection("localhost:1"), header, source, lambda size_bytes: None, 60.0)
            limit.append(attempt._limit)
            async with attempt._limit:
                await attempt._write(Call(limited, limit))

        asyncio.run(send())
        self.assertEqual(limited, {"source": [False] * 3, "server": [True] * 5})
