"""
Tests of errors in event loops: those of gRPC's poller are ignored, and others are not.
"""

import asyncio
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._transport.poller_errors import ignore_errors_of_poller


class PollerCompletionQueue:
    """
    A fake of gRPC's class.
    """

    error: Exception = BlockingIOError(11, "Resource temporarily unavailable")

    def _handle_events(self) -> None:
        raise self.error


def fail() -> None:
    """
    Raise the same error outside the poller.
    """
    raise BlockingIOError(11, "Resource temporarily unavailable")


class PollingTests(SynchronousTestCase):
    """
    An event loop with an exception handler.
    """

    def setUp(self) -> None:
        """
        Make the loop.
        """
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.handled: list[str] = []
        self.loop.set_exception_handler(lambda loop, context: self.handled.append(context["message"]))

    def call(self, *callbacks: Any) -> None:
        """
        Let the loop call a function.
        """
        for callback in callbacks:
            self.loop.call_soon(callback)
        self.loop.run_until_complete(asyncio.sleep(0))

    def test_empty_polls(self) -> None:
        """
        Errors of the poller are ignored; others go to the previous handler.
        """
        ignore_errors_of_poller(self.loop)
        ignore_errors_of_poller(self.loop)
        self.call(PollerCompletionQueue()._handle_events, fail)
        self.assertEqual(len(self.handled), 1)
        self.assertIn("fail", self.handled[0])

    def test_closed_loops(self) -> None:
        """
        Events for a closed loop are ignored too.
        """
        ignore_errors_of_poller(self.loop)
        poller = PollerCompletionQueue()
        poller.error = RuntimeError("Event loop is closed")
        self.call(poller._handle_events)
        self.assertEqual(self.handled, [])

    def test_no_handler(self) -> None:
        """
        If the loop had no handler, asyncio logs the other errors.
        """
        self.loop.set_exception_handler(None)
        ignore_errors_of_poller(self.loop)
        with self.assertLogs("asyncio") as logged:
            self.call(PollerCompletionQueue()._handle_events, fail)
        self.assertEqual(len(logged.records), 1)
