"""
Tests for ``twisted_registry.cli.retry_notice``.
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
        Make a notice that the test reads.
        """
        self.said: list[str] = []
        self.clock = Clock()
        self.waiting = RetryNotice(self.said.append, self.clock.seconds)

    def fail_for(self, seconds: int, error: Exception | None = None) -> None:
        """
        Report a failure each second.
        """
        error = error or errors.Unreachable("refused", "host:1")
        for _ in range(seconds):
            self.waiting.emit(logging.LogRecord("x", logging.INFO, "", 0, "trying again: %s", (error,), None))
            self.clock.advance(1)

    def test_once(self) -> None:
        """
        The notice is printed once, however long the retries take.
        """
        self.fail_for(100)
        self.assertEqual(self.said, ["waiting for the registry at host:1 (refused)"])

    def test_short_failure(self) -> None:
        """
        There is no notice if the retries succeed within two seconds.
        """
        self.fail_for(2)
        self.assertEqual(self.said, [])

    def test_again(self) -> None:
        """
        A failure a while after the last one gets another notice.
        """
        self.fail_for(5)
        self.clock.advance(60)
        self.fail_for(1)
        self.assertEqual(len(self.said), 1)
        self.fail_for(5)
        self.assertEqual(len(self.said), 2)

    def test_a_model_that_is_not_there(self) -> None:
        """
        A notice names the model that the client waits for.
        """
        self.fail_for(5, errors.UnknownModel("walker"))
        self.assertIn("walker", self.said[0])
