"""
What gRPC's poller raises in event loops, which is ignored, and what others raise there, which is not.
"""

import asyncio
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._transport.poller_errors import ignore_errors_of_poller


class PollerCompletionQueue:
    """
    Stands for gRPC's.
    """

    error: Exception = BlockingIOError(11, "Resource temporarily unavailable")

    def _handle_events(self) -> None:
        raise self.error


def fail() -> None:
    """
    Stand for what somebody else has in the loop.
    """
    raise BlockingIOError(11, "Resource temporarily unavailable")


class PollingTests(SynchronousTestCase):
    """
    An event loop with a handler of errors.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.handled: list[str] = []
        self.loop.set_exception_handler(lambda loop, context: self.handled.append(context["message"]))

    def call(self, *callbacks: Any) -> None:
        """
        Have the loop call something.
        """
        for callback in callbacks:
            self.loop.call_soon(callback)
        self.loop.run_until_complete(asyncio.sleep(0))

    def test_empty_polls(self) -> None:
        """
        What the poller raises is ignored; all else goes to the handler that was there before.
        """
        ignore_errors_of_poller(self.loop)
        ignore_errors_of_poller(self.loop)
        self.call(PollerCompletionQueue()._handle_events, fail)
        self.assertEqual(len(self.handled), 1)
        self.assertIn("fail", self.handled[0])

    def test_closed_loops(self) -> None:
        """
        What was meant for a loop that has been closed is ignored too.
        """
        ignore_errors_of_poller(self.loop)
        poller = PollerCompletionQueue()
        poller.error = RuntimeError("Event loop is closed")
        self.call(poller._handle_events)
        self.assertEqual(self.handled, [])

    def test_no_handler(self) -> None:
        """
        Where the loop had no handler, asyncio logs what is not the poller's.
        """
        self.loop.set_exception_handler(None)
        ignore_errors_of_poller(self.loop)
        with self.assertLogs("asyncio") as logged:
            self.call(PollerCompletionQueue()._handle_events, fail)
        self.assertEqual(len(logged.records), 1)
