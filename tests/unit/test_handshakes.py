"""
Tests for ``twisted_registry.rpc.handshakes``.
"""

import asyncio
from collections.abc import Collection

from twisted.trial.unittest import SynchronousTestCase

from tests.support.logs import LoggedLines
from twisted_registry.rpc.handshakes import Handshakes
from twisted_registry.rpc.sockets import Address


class HandshakesTests(SynchronousTestCase):
    """
    ``Handshakes`` logs those that led to nothing.
    """

    def setUp(self) -> None:
        """
        Begin without connections.
        """
        self.lines = LoggedLines(self)
        self.callers: tuple[set[str], set[str]] = (set(), set())
        self.open: list[Address] = []
        self.handshakes = Handshakes(self.callers, self.unused)

    async def unused(self) -> Collection[Address]:
        """
        Return the connections without calls.
        """
        return self.open

    def log(self, begun: int) -> list[str]:
        """
        Let handshakes begin, and return the lines so far.
        """
        for _ in range(begun):
            self.handshakes.begin()
        asyncio.run(self.handshakes.log())
        return self.lines.of("twisted_registry.rpc")

    def test_flood(self) -> None:
        """
        Many that led to no call are logged, with the address that has most of those that are open.
        """
        self.callers[0].update({"a", "b"})
        self.callers[1].update({"b", "c"})
        self.open = [("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.1", 2)]
        (line,) = self.log(103)
        self.assertIn("100 of 103 TLS connections of the last minute made no call", line)
        self.assertIn("3 without a call are open now, 2 of them from 10.0.0.1", line)

    def test_usual(self) -> None:
        """
        Connections that make calls are not logged, and neither are a few that do not.
        """
        for minute in range(3):
            self.callers[0].update(f"{minute}-{number}" for number in range(100))
            self.assertEqual(self.log(150), [])

    def test_each_minute(self) -> None:
        """
        Each minute counts alone, and a connection counts in the minute of its first call.
        """
        self.callers[0].add("old")
        self.log(1)
        self.callers[0].add("old")
        self.open = []
        (line,) = self.log(60)
        self.assertIn("60 of 60 TLS connections", line)
        self.assertIn("0 without a call are open now", line)
        self.assertEqual(len(self.log(59)), 1)
