"""
Tests of the processes that the fork server starts.
"""

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fork_server import ForkedProcess


class StatusTests(SynchronousTestCase):
    """
    The exit status that the fork server reports.
    """

    def status_after(self, reported: bytes) -> int:
        """
        Return the exit status of a process of which the fork server has written so much.
        """
        status, written = os.pipe()
        os.write(written, reported)
        os.close(written)
        with open(os.devnull) as stdout:
            return ForkedProcess(0, stdout, status).wait(0)

    def test_reported(self) -> None:
        """
        It is what the fork server wrote.
        """
        self.assertEqual(self.status_after(b"-15"), -signal.SIGTERM)

    def test_not_reported(self) -> None:
        """
        If the fork server was killed, its child counts as killed.
        """
        self.assertEqual(self.status_after(b""), -signal.SIGKILL)
