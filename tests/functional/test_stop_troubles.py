"""
Facts about how the daemon ends when its archive is in its way.
"""

from tests.support.daemon import Daemon
from tests.support.gates import GatedTestCase


class EndOfStartTests(GatedTestCase):
    """
    A daemon that is told to stop before it serves.
    """

    def start_daemon(self, *flags: str) -> Daemon:
        """
        Start it, with its archive held.
        """
        self.gates.hold("open")
        daemon = self.make_daemon(*flags)
        self.addCleanup(daemon.kill)
        daemon.launch()
        return daemon

    def test_told_while_the_archive_opens(self) -> None:
        """
        It ends at once, with status 0, though the archive does not answer.
        """
        self.wait_for_calls("open")
        self.daemon.process.terminate()
        self.assertEqual(self.daemon.wait(), 0, self.daemon.log)


class FailingCloseTests(GatedTestCase):
    """
    A daemon whose archive breaks its promises.
    """

    def tearDown(self) -> None:
        """
        Find the failure in the log, where it belongs.
        """
        self.assertIn("RuntimeError: close fails", self.daemon.log)

    def test_close_that_raises(self) -> None:
        """
        It ends all the same, says so, and its status tells that something was wrong.
        """
        self.gates.fail("close")
        self.assertEqual(self.daemon.stop(), 1)
        self.assertIn("not closed as they should be", self.daemon.log)
