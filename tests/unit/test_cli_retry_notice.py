"""
What is said while something is tried again.
"""

import logging

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.cli.retry_notice import RetryNotice
from twisted_registry.client import errors


class WaitingTests(SynchronousTestCase):
    """
    ``RetryNotice``.
    """

    def setUp(self) -> None:
        """
        Make one that speaks to the test.
        """
        self.said: list[str] = []
        self.clock = Clock()
        self.waiting = RetryNotice(self.said.append, self.clock.seconds)

    def fail_for(self, seconds: int, error: Exception | None = None) -> None:
        """
        Let something fail each second.
        """
        error = error or errors.Unreachable("refused", "host:1")
        for _ in range(seconds):
            self.waiting.emit(logging.LogRecord("x", logging.INFO, "", 0, "trying again: %s", (error,), None))
            self.clock.advance(1)

    def test_once(self) -> None:
        """
        It is said once, however long it takes.
        """
        self.fail_for(100)
        self.assertEqual(self.said, ["waiting for the registry at host:1 (refused)"])

    def test_what_is_soon_mended(self) -> None:
        """
        What is mended within two seconds is not said.
        """
        self.fail_for(2)
        self.assertEqual(self.said, [])

    def test_again(self) -> None:
        """
        What fails after a while in which nothing failed is said anew.
        """
        self.fail_for(5)
        self.clock.advance(60)
        self.fail_for(1)
        self.assertEqual(len(self.said), 1)
        self.fail_for(5)
        self.assertEqual(len(self.said), 2)

    def test_a_model_that_is_not_there(self) -> None:
        """
        A model that is waited for is named.
        """
        self.fail_for(5, errors.UnknownModel("walker"))
        self.assertIn("walker", self.said[0])
