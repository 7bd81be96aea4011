"""
Tests of the time limit of an upload.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import data_hash
from twisted_registry.client._transfer.attempt import Attempt
from twisted_registry.client._transfer.wires import CogmentWire
from twisted_registry.client._transport.connection import Connection
from twisted_registry.client._transport.options import Options
from twisted_registry.client._types import Buffer
from twisted_registry.client.errors import CorruptTransfer
from twisted_registry.domain.models import VersionHeader, VersionInfo


@frozen
class Pieces:
    """
    A source of three pieces that records, before each, whether the time is limited.
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
    A call that records the same for each message.
    """

    is_limited: Callable[[], bool]
    limited: list[bool] = field(factory=list)

    async def write(self, message: bytes) -> None:
        """
        Record a message.
        """
        self.limited.append(self.is_limited())

    async def done_writing(self) -> None:
        """
        Half-close the call.
        """


class LimitTests(SynchronousTestCase):
    """
    The limit of time of an upload.
    """

    def test_only_the_server_is_limited(self) -> None:
        """
        The server has a limited time for each message; the source does not.
        """
        attempts: list[Attempt] = []

        def is_limited() -> bool:
            return attempts[0]._waiting_since is not None

        source, call = Pieces(is_limited), Call(is_limited)
        header = VersionHeader("walker", False, 6)

        async def send() -> None:
            attempts.append(
                Attempt(
                    Connection(Options("localhost:1")),
                    header,
                    source,
                    CogmentWire("key"),
                    lambda size_bytes: None,
                    60.0,
                )
            )
            await attempts[0]._write(call, source.pieces(), None)

        asyncio.run(send())
        self.assertEqual((source.limited, call.limited), ([False] * 3, [True] * 5))


class DeclaredHashTests(SynchronousTestCase):
    """
    An upload whose SHA-256 was computed before.
    """

    def test_hashed_once(self) -> None:
        """
        The declared SHA-256 is compared with that of the stored version, and no other is computed.
        """

        async def check(archived: bool) -> None:
            source = Pieces(lambda: False)
            header = VersionHeader("walker", archived, 6, data_hash(b"abcdef"))
            attempt = Attempt(
                Connection(Options("localhost:1")), header, source, CogmentWire("key"), lambda size_bytes: None, 60.0
            )
            self.assertIsNone(attempt._sha256)
            self.assertEqual(await attempt.sha256(), data_hash(b"abcdef"))
            self.assertEqual(source.limited, [], "nothing was read")
            with self.assertRaises(CorruptTransfer):
                await attempt._check_stored(VersionInfo("walker", 1, 1, archived, data_hash(b"abcdeg"), 6), None)

        for archived in (False, True):
            asyncio.run(check(archived))
