"""
A tracker that has heard of a version, and finds the server gone when it fetches the data.
"""

from concurrent.futures import Future, ThreadPoolExecutor

from tests.support.daemon import PATIENCE_SECONDS
from tests.support.registry_case import RegistryTestCase
from twisted_registry.client import BlockingClient, Version


class AbsenceTests(RegistryTestCase):
    """
    The client has no patience at all; following a model does not depend on it.
    """

    def setUp(self) -> None:
        """
        Make a model, and a client that tries nothing again.
        """
        super().setUp()
        self.registry = BlockingClient(self.daemon.address, patience_seconds=0)
        self.addCleanup(self.registry.close)
        self.registry.save_model("walker")

    def next_while_away(self) -> "Future[Version]":
        """
        Follow the model, kill the server before the data is fetched, ask for the version, and start the server again.
        """
        tracker = self.registry.track("walker", data=True)
        tracker.__enter__()
        self.addCleanup(tracker.close)
        self.daemon.kill()
        pool = ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        asked = pool.submit(next, tracker)
        self.daemon = self.start_daemon("--port", str(self.daemon.port))
        return asked

    def test_archived_version_is_given_later(self) -> None:
        """
        An archived version is given when the server is back.
        """
        self.registry.store("walker", b"archived")
        self.assertEqual(self.next_while_away().result(PATIENCE_SECONDS).data, b"archived")

    def test_newer_version_is_given_where_a_transient_one_was_lost(self) -> None:
        """
        Where a transient version went with the server, the next one is given.
        """
        self.registry.publish("walker", b"lost")
        asked = self.next_while_away()
        patient = BlockingClient(self.daemon.address)
        self.addCleanup(patient.close)
        patient.publish("walker", b"newer")
        self.assertEqual(asked.result(PATIENCE_SECONDS).data, b"newer")
