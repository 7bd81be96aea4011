"""
What gRPC's poller raises in event loops, which is ignored, and what others raise there, which is not.
"""

import asyncio
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._calls.polling import ignore_empty_polls


class PollerCompletionQueue:
    """
    Stands for gRPC's.
    """

    def _handle_events(self) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")


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
        What the poller raises is ignored where gRPC is old; all else goes to the handler that was there before.
        """
        ignore_empty_polls(self.loop, is_quiet=False)
        ignore_empty_polls(self.loop, is_quiet=False)
        self.call(PollerCompletionQueue()._handle_events, fail)
        self.assertEqual(len(self.handled), 1)
        self.assertIn("fail", self.handled[0])

    def test_newer_versions(self) -> None:
        """
        Where gRPC raises nothing, the loop is left as it is.
        """
        before = self.loop.get_exception_handler()
        ignore_empty_polls(self.loop, is_quiet=True)
        self.assertIs(self.loop.get_exception_handler(), before)

    def test_no_handler(self) -> None:
        """
        Where the loop had no handler, asyncio logs what is not the poller's.
        """
        self.loop.set_exception_handler(None)
        ignore_empty_polls(self.loop, is_quiet=False)
        with self.assertLogs("asyncio") as logged:
            self.call(PollerCompletionQueue()._handle_events, fail)
        self.assertEqual(len(logged.records), 1)
