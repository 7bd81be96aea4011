"""
Tests for ``twisted_registry.rpc.chain``.
"""

import asyncio
from typing import Any

import grpc
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import METHOD, Aborted, FakeContext, call_on
from twisted_registry.config.limits import ClientLimits
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.chain import ArchiveIdentityCheck, interceptors, log_calls
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout
from twisted_registry.rpc.methods import Handler


class AccessLogTests(SynchronousTestCase):
    """
    Each call is logged when it ends.
    """

    def line(self, handler: Handler, expected: type[BaseException]) -> str:
        """
        Make a call that fails, and return its line.
        """
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        call = call_on(FakeContext(metadata=[("x-request-id", "r-1")]))

        async def run() -> None:
            await log_calls(METHOD, handler)(None, call)

        self.assertRaises(expected, asyncio.run, run())
        (event,) = events
        return str(event["log_format"].format(**event))

    def test_aborted(self) -> None:
        """
        The line of a call that was aborted has its code.
        """

        async def abort(request: Any, call: CallContext) -> None:
            await call.abort(grpc.StatusCode.NOT_FOUND, "no")

        self.assertRegex(self.line(abort, Aborted), r"/tests.Tests/Test from ipv4:10.0.0.1:5000: NOT_FOUND after")

    def test_cancelled(self) -> None:
        """
        The line of a call that its client cancelled says so.
        """

        async def cancel(request: Any, call: CallContext) -> None:
            raise asyncio.CancelledError

        self.assertRegex(self.line(cancel, asyncio.CancelledError), r": CANCELLED after \d+\.\d ms, request r-1$")

    def test_not_in_the_chain(self) -> None:
        """
        Without an access log the chain is shorter, so calls pay nothing for it.
        """
        tracker = CallTracker(ClientLimits(1, 1, 1, 1))
        identity, timeout = ArchiveIdentityCheck(ArchiveStatus()), IdleTimeout(1.0)
        with_log, without = (interceptors(tracker, identity, timeout, access_log) for access_log in (True, False))
        self.assertIn(log_calls, with_log)
        self.assertEqual(len(without), len(with_log) - 1)
