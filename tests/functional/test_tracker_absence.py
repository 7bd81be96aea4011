"""
Trackers whose server is away for a while.
"""

from concurrent.futures import Future, ThreadPoolExecutor

from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.edge import EdgeTestCase
from tests.support.registry_case import RegistryTestCase
from tests.support.relay import Relay
from twisted_registry.client import BlockingClient, BlockingTracker, Version, errors


class AbsenceCase(RegistryTestCase):
    """
    A client without retries and with short timeouts; following a model does not depend on them.
    """

    keeps_port = True

    def setUp(self) -> None:
        """
        Make a model, and a client that tries nothing again.
        """
        super().setUp()
        self.registry = BlockingClient(self.daemon.address, retry_seconds=0, deadline_seconds=1, idle_seconds=1)
        self.addCleanup(self.registry.close)
        self.client.save_model("walker")
        self.pool = ThreadPoolExecutor(1)
        # Not waited for: in a failed test, the event that ends it may never happen.
        self.addCleanup(self.pool.shutdown, wait=False)

    def follow(self) -> "BlockingTracker[Version]":
        """
        Follow the model, with the data.
        """
        tracker = self.registry.track("walker", data=True)
        tracker.__enter__()
        self.addCleanup(tracker.close)
        return tracker

    def come_back(self) -> None:
        """
        Stop the server, and start it again where it was.
        """
        self.daemon.kill()
        self.daemon = self.start_daemon()


class DataTests(AbsenceCase, EdgeTestCase):
    """
    The server goes away before the data of a new version is fetched.
    """

    def next_while_away(self) -> "Future[Version]":
        """
        Follow the model, stop the server before the data is fetched, ask for the version, and start the server again.
        """
        tracker = self.follow()
        self.daemon.kill()
        asked = self.pool.submit(next, tracker)
        self.daemon = self.start_daemon()
        return asked

    def test_archived_version_is_given_later(self) -> None:
        """
        An archived version is given when the server is back.
        """
        self.registry.store("walker", b"archived")
        self.assertEqual(self.next_while_away().result(TIMEOUT_SECONDS).data, b"archived")

    def test_newer_version_is_given_where_a_transient_one_was_lost(self) -> None:
        """
        If a transient version went with the server, the next one is returned.
        """
        self.registry.publish("walker", b"lost")
        asked = self.next_while_away()
        waiting_client = BlockingClient(self.daemon.address)
        self.addCleanup(waiting_client.close)
        waiting_client.publish("walker", b"newer")
        self.assertEqual(asked.result(TIMEOUT_SECONDS).data, b"newer")


class LostVersionsTests(AbsenceCase, EdgeTestCase):
    """
    The server has lost transient versions when it is back, or has another model of the name.
    """

    def waiting_client(self) -> BlockingClient:
        """
        Make a client that finds the server as soon as it is back.
        """
        registry = BlockingClient(self.daemon.address)
        self.addCleanup(registry.close)
        return registry

    def test_latest_of_those_that_are_left(self) -> None:
        """
        The latest version that a tracker knows is the server's current one: none if the server has lost all.
        """
        self.registry.publish("walker", b"1")
        tracker = self.follow()
        self.come_back()
        self.wait_until_true(lambda: tracker.latest() is None, "it knows of none")
        registry = self.waiting_client()
        numbers = [registry.store("walker", b"2").version_number, registry.publish("walker", b"3").version_number]
        self.wait_until_true(lambda: (latest := tracker.latest()) and latest.version_number == numbers[1], "of one")
        self.come_back()
        self.wait_until_true(lambda: (latest := tracker.latest()) and latest.version_number == numbers[0], "of another")

    def test_another_model_of_the_name(self) -> None:
        """
        If the model was deleted and created again while the server was away, and a version has the number of the known
        one, the tracker reports that the model was replaced.
        """
        self.registry.store("walker", b"1")
        relayed = BlockingClient(self.relay().address, retry_seconds=0)
        self.addCleanup(relayed.close)
        tracker = relayed.track("walker")
        next(tracker)
        self.away.port = 0
        self.away.cut()
        self.client.delete_model("walker")
        self.client.save_model("walker")
        self.registry.store("walker", b"another")
        self.away.port = self.daemon.port
        self.assertRaises(errors.ModelReplaced, next, tracker)
        self.assertRaises(errors.ModelReplaced, tracker.latest)

    def relay(self) -> Relay:
        """
        Make a relay that can lead nowhere.
        """
        self.away = Relay(self.daemon.port)
        self.addCleanup(self.away.close)
        return self.away


class StoppedServerTests(AbsenceCase):
    """
    The server's process is suspended.
    """

    def asked_while_it_stands_still(self, tracker: "BlockingTracker[Version]") -> "Future[Version]":
        """
        Ask a suspended daemon for the next version, for several deadlines.
        """
        self.daemon.suspend()
        self.addCleanup(self.daemon.go_on)
        asked = self.pool.submit(next, tracker)
        for _ in range(2):
            self.assertRaises(errors.DeadlineExceeded, self.registry.latest, "walker")
        self.daemon.go_on()
        return asked

    def test_tracker_that_waits(self) -> None:
        """
        A tracker that may wait begins when the server goes on.
        """
        self.registry.publish("walker", b"1")
        asked = self.asked_while_it_stands_still(self.registry.track("walker", data=True, wait=True))
        self.assertEqual(asked.result(TIMEOUT_SECONDS).data, b"1")

    def test_data(self) -> None:
        """
        The data of a known version arrives when the server is back.
        """
        self.registry.publish("walker", b"1")
        asked = self.asked_while_it_stands_still(self.follow())
        self.assertEqual(asked.result(TIMEOUT_SECONDS).data, b"1")
