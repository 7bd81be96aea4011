"""
The contract of trackers, for each face.
"""

import logging
import time
from typing import Any, ClassVar

from tests.support.edge import EdgeTestCase
from tests.support.relay import Relay
from tests.support.styles import Followed, Style
from twisted_registry.client import errors


class TrackerContract(EdgeTestCase):
    """
    Run for each style.
    """

    style: ClassVar[Any]

    def setUp(self) -> None:
        """
        Make a model, and a client behind a relay, so that the daemon can come back on another port.
        """
        super().setUp()
        self.relay = Relay(self.daemon.port)
        self.addCleanup(self.relay.close)
        self.registry: Style = self.style(self.relay.address)
        self.addCleanup(self.registry.close)
        self.client.save_model("walker")

    def publish(self, *data: bytes, archived: bool = False) -> None:
        """
        Create versions, from elsewhere.
        """
        for each in data:
            self.client.create("walker", each, archived=archived)

    def follow(self, **keywords: Any) -> Followed:
        """
        Follow the model.
        """
        return self.registry.track("walker", **keywords)

    def come_back(self) -> None:
        """
        Cut the connection, and start the server again: it has lost its transient versions.
        """
        self.relay.port = 0  # another daemon may have the old one next
        self.relay.cut()
        self.restart()
        self.relay.port = self.daemon.port

    def test_log(self) -> None:
        """
        Trackers that lose their server together log three lines together: the loss, the return, and the version that
        they missed.  Each names the server, and none a token.
        """
        lines: list[str] = []
        handler = logging.Handler(logging.INFO)
        handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("twisted_registry.client")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.publish(b"1", archived=True)
        trackers = [self.follow() for _ in range(5)]
        for tracker in trackers:
            self.assertEqual(tracker.next().version_number, 1)
        self.relay.port = 0
        self.relay.cut()
        self.restart()
        self.publish(b"2", b"3", archived=True)
        self.relay.port = self.daemon.port
        for tracker in trackers:
            self.assertEqual(tracker.next().version_number, 3)
        self.assertEqual(len(lines), 3, lines)
        lost, back, missed = lines
        address = self.relay.address
        self.assertIn(
            f"the connection to the registry at {address} is lost (model 'walker'); trying again until it is back: ",
            lost,
        )
        self.assertRegex(
            back, rf"^the registry at {address} is back \(model 'walker'\), after \d+ s and \d+ failed tries$"
        )
        self.assertEqual(missed, f"model 'walker' at {address}: version 3 follows version 1 of before the absence")

    def test_latest_first_then_new_ones(self) -> None:
        """
        A tracker gives the latest version there is, then each new one as it comes.
        """
        self.publish(b"1", b"2")
        tracker = self.follow()
        numbers = [tracker.next().version_number]
        for data in (b"3", b"4"):
            self.publish(data)
            numbers.append(tracker.next().version_number)
        self.assertEqual(numbers, [2, 3, 4])

    def test_infos_are_whole(self) -> None:
        """
        A tracker returns complete infos.
        """
        self.client.create("walker", b"weights", user_data={"step": "1"})
        info = self.follow().next()
        self.assertEqual(info, self.registry.call("latest", "walker"))

    def test_slow_reader(self) -> None:
        """
        A reader that is slower than the trainer is given the newest version, not a backlog.
        """
        self.publish(b"1")
        tracker = self.follow()
        tracker.next()
        self.publish(*(bytes([number]) for number in range(20)))
        self.wait_until_true(lambda: (tracker.latest() or tracker.next()).version_number == 21, "it knows version 21")
        self.assertEqual(tracker.next().version_number, 21)

    def test_data(self) -> None:
        """
        If requested, each version comes with its data.
        """
        tracker = self.follow(data=True)
        for data in (b"a" * 10_000_000, b"b"):
            self.publish(data)
            version = tracker.next()
            self.assertEqual((version.info.size_bytes, version.data), (len(data), data))

    def test_latest_asks_nobody(self) -> None:
        """
        The latest version is known without asking the server: also while it is away.
        """
        tracker = self.follow()
        tracker.start()
        self.assertIsNone(tracker.latest())
        self.publish(b"1")
        self.wait_until_true(tracker.latest, "it knows a version")
        self.daemon.kill()
        latest = tracker.latest()
        assert latest is not None
        self.assertEqual(latest.version_number, 1)

    def test_connection(self) -> None:
        """
        A tracker tells whether it is connected, and since when.
        """
        tracker = self.follow()
        self.assertEqual(tracker.connection(), (False, None))
        before_ns = time.time_ns()
        tracker.start()
        is_connected, began_ns = tracker.connection()
        self.assertTrue(is_connected)
        self.relay.port = 0
        self.relay.cut()
        self.wait_until_true(lambda: not tracker.connection()[0], "it knows that the server is away")
        lost_ns = tracker.connection()[1]
        self.relay.port = self.daemon.port
        self.wait_until_true(lambda: tracker.connection()[0], "it is connected again")
        again_ns = tracker.connection()[1]
        assert began_ns is not None
        assert lost_ns is not None
        assert again_ns is not None
        self.assertTrue(before_ns <= began_ns < lost_ns < again_ns <= time.time_ns())
        tracker.close()
        self.assertFalse(tracker.connection()[0])

    def test_restart(self) -> None:
        """
        A tracker survives the server's restart, and yields the versions created after it.
        """
        self.publish(b"1", archived=True)
        tracker = self.follow(data=True)
        self.assertEqual(tracker.next().data, b"1")
        self.come_back()
        self.publish(b"2")
        self.assertEqual(tracker.next().data, b"2")

    def test_numbers_only_rise(self) -> None:
        """
        After a restart in which the server has lost its latest versions, no version is given twice, nor an older one.
        """
        self.publish(b"1", archived=True)
        self.publish(b"2", b"3")
        tracker = self.follow()
        numbers = [tracker.next().version_number]
        self.come_back()
        self.assertEqual(self.client.latest("walker").version_number, 1)
        self.publish(b"4")
        numbers.append(tracker.next().version_number)
        self.assertEqual(numbers[0], 3)
        self.assertGreater(numbers[1], 3)

    def test_lost_connections(self) -> None:
        """
        A tracker survives the end of its connection, however often.
        """
        tracker = self.follow()
        for number in range(1, 6):
            self.publish(b"x")
            self.assertEqual(tracker.next().version_number, number)
            self.relay.cut()

    def test_deleted_model(self) -> None:
        """
        If the model is deleted, the tracker ends with UnknownModel.
        """
        self.publish(b"1")
        tracker = self.follow()
        tracker.next()
        self.client.delete_model("walker")
        for ask in (tracker.next, tracker.latest):
            self.assertRaises(errors.UnknownModel, ask)

    def test_unknown_model(self) -> None:
        """
        A model that is not there is not followed, unless it is to be waited for.
        """
        tracker = self.registry.track("runner")
        self.assertRaises(errors.UnknownModel, tracker.next)

    def test_wait_for_server_and_model(self) -> None:
        """
        On request, a tracker waits for a server that is away, and for a model that does not exist yet.
        """
        self.relay.port = 0
        tracker = self.registry.track("walker", wait=True)
        self.daemon.kill()
        self.daemon = self.start_daemon()
        self.client = self.connect()
        self.relay.port = self.daemon.port
        self.publish(b"1")
        self.assertEqual(tracker.next().version_number, 1)

    def test_closed_tracker(self) -> None:
        """
        A closed tracker is at its end, and the server has one subscriber less.
        """
        self.publish(b"1")
        tracker = self.follow()
        tracker.next()
        self.wait_until_true(
            lambda: tracker.latest() and self.client.statuses("subscribers") == {"subscribers": "1"}, "it is subscribed"
        )
        tracker.close()
        self.assertRaises(StopAsyncIteration, tracker.next)
        self.wait_for_subscribers(0)

    def test_closed_client(self) -> None:
        """
        If the client is closed, its trackers end.
        """
        self.publish(b"1")
        tracker = self.follow()
        tracker.next()
        self.registry.call("close")
        self.assertRaises(StopAsyncIteration, tracker.next)
