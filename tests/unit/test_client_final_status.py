"""
Tests of the status of a call whose request streams: it may arrive after the write that failed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._transport.final_status import FinalStatus


class Call:
    """
    A fake call that continues for some time after a write has failed.
    """

    def __init__(self, polls: int, text: str) -> None:
        self._polls = polls
        self._text = text

    def add_done_callback(self, act: Callable[[Any], object]) -> None:
        """See ``grpc.aio.Call``."""

    def done(self) -> bool:
        """See ``grpc.aio.Call``."""
        self._polls -= 1
        return self._polls < 0

    async def code(self) -> grpc.StatusCode:
        """See ``grpc.aio.Call``."""
        if self._polls >= 0:
            await asyncio.Event().wait()
        return grpc.StatusCode.UNKNOWN

    async def details(self) -> str:
        """See ``grpc.aio.Call``."""
        return self._text

    async def trailing_metadata(self) -> tuple[()]:
        """See ``grpc.aio.Call``."""
        return ()


class EndingTests(SynchronousTestCase):
    """
    The end of a call after a failed write.
    """

    def test_call_that_goes_on(self) -> None:
        """
        The client waits for the status of a call that has none yet.
        """
        error = asyncio.run(FinalStatus(Call(3, "the status")).error())
        self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNKNOWN, "the status"))
