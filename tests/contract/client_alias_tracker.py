"""
The contract of trackers of aliases, for each face.
"""

from typing import Any, ClassVar

from tests.support.edge import EdgeTestCase
from tests.support.relay import Relay
from tests.support.styles import Followed, Style
from twisted_registry.client import errors


class AliasTrackerContract(EdgeTestCase):
    """
    Run for each style.
    """

    style: ClassVar[Any]

    def setUp(self) -> None:
        """
        Make a model with an alias, and a client behind a relay, so that the daemon can come back on another port.
        """
        super().setUp()
        self.relay = Relay(self.daemon.port)
        self.addCleanup(self.relay.close)
        self.registry: Style = self.style(self.relay.address)
        self.addCleanup(self.registry.close)
        self.client.save_model("walker")
        for data in (b"1", b"2", b"3"):
            self.client.create("walker", data, archived=True)
        self.elsewhere: Style = self.style(self.daemon.address)
        self.addCleanup(self.close_elsewhere)
        self.move(2)

    def close_elsewhere(self) -> None:
        """
        Close the client that moves aliases.
        """
        self.elsewhere.close()

    def move(self, number: int, alias: str = "production") -> None:
        """
        Move the alias, from elsewhere.
        """
        self.elsewhere.call("set_alias", f"walker@{number}", alias)

    def follow(self, **keywords: Any) -> Followed:
        """
        Follow the alias.
        """
        return self.registry.track("walker@production", **keywords)

    def restart_server(self) -> None:
        """
        Cut the connection, and start the server again on another port.
        """
        self.relay.port = 0
        self.relay.cut()
        self.restart()
        self.elsewhere.close()
        self.elsewhere = self.style(self.daemon.address)

    def test_named_version_first_then_each_move(self) -> None:
        """
        A tracker yields the version that the alias names, then the one of each move, also to a lower number.
        """
        tracker = self.follow()
        infos = [tracker.next()]
        for number in (3, 1):
            self.move(number)
            infos.append(tracker.next())
        self.assertEqual(infos, [self.registry.call("version", "walker", number) for number in (2, 3, 1)])
        self.assertEqual(tracker.latest(), infos[-1])

    def test_other_events(self) -> None:
        """
        New versions, and moves of other aliases, are not announced.
        """
        tracker = self.follow()
        tracker.next()
        self.client.create("walker", b"4")
        self.move(3, "canary")
        self.move(1)
        self.assertEqual(tracker.next().version_number, 1)

    def test_slow_reader(self) -> None:
        """
        A reader that is slower than the alias moves gets the version that it names now.
        """
        tracker = self.follow()
        tracker.next()
        for number in (3, 1, 3, 1):
            self.move(number)
        self.move(3, "canary")
        self.move(3)
        self.wait_until_true(
            lambda: tracker.latest() == self.registry.call("version", "walker", 3), "it knows the move"
        )
        self.wait_until_true(lambda: tracker.next().version_number == 3, "the version that the alias names comes")

    def test_data(self) -> None:
        """
        If requested, each version comes with its data; a transient version is archived by the move.
        """
        tracker = self.follow(data=True)
        self.assertEqual(tracker.next().data, b"2")
        self.client.create("walker", b"4" * 10_000_000)
        self.move(4)
        version = tracker.next()
        self.assertEqual((version.info.archived, version.data), (True, b"4" * 10_000_000))

    def test_lost_connections(self) -> None:
        """
        A tracker survives the end of its connection, however often, and yields no version twice for one move.
        """
        tracker = self.follow()
        numbers = [tracker.next().version_number]
        for number in (3, 1, 3):
            self.relay.cut()
            self.move(number)
            numbers.append(tracker.next().version_number)
        self.assertEqual(numbers, [2, 3, 1, 3])

    def test_restart(self) -> None:
        """
        A tracker survives the server's restart, after which no cursor is valid, and yields what has moved meanwhile.
        """
        tracker = self.follow()
        tracker.next()
        self.restart_server()
        self.move(3)
        self.relay.port = self.daemon.port
        self.assertEqual(tracker.next().version_number, 3)
        self.restart_server()
        self.relay.port = self.daemon.port
        self.move(1)
        self.assertEqual(tracker.next().version_number, 1)

    def test_connection(self) -> None:
        """
        A tracker knows whether it is connected.
        """
        tracker = self.follow()
        tracker.start()
        self.assertTrue(tracker.connection()[0])
        self.relay.port = 0
        self.relay.cut()
        self.wait_until_true(lambda: not tracker.connection()[0], "it knows that the server is away")
        self.relay.port = self.daemon.port
        self.wait_until_true(lambda: tracker.connection()[0], "it is connected again")

    def test_deleted_alias(self) -> None:
        """
        If the alias is deleted, the tracker ends with UnknownAlias; so it does if that happened in its absence.
        """
        for is_away in (False, True):
            tracker = self.follow()
            tracker.next()
            if is_away:
                self.restart_server()
            self.elsewhere.call("delete_alias", "walker", "production")
            self.relay.port = self.daemon.port
            for ask in (tracker.next, tracker.latest):
                self.assertRaises(errors.UnknownAlias, ask)
            self.move(2)

    def test_deleted_model(self) -> None:
        """
        If the model is deleted, the tracker ends with UnknownModel.
        """
        tracker = self.follow()
        tracker.next()
        self.client.delete_model("walker")
        for ask in (tracker.next, tracker.latest):
            self.assertRaises(errors.UnknownModel, ask)

    def test_replaced_model(self) -> None:
        """
        If the model was deleted and created again in the tracker's absence, the tracker ends with ModelReplaced.
        """
        tracker = self.follow()
        tracker.next()
        self.restart_server()
        self.elsewhere.call("delete_model", "walker")
        self.elsewhere.call("save_model", "walker")
        self.elsewhere.call("store", "walker", b"1")
        self.move(1)
        self.relay.port = self.daemon.port
        self.assertRaises(errors.ModelReplaced, tracker.next)

    def test_unknown_alias(self) -> None:
        """
        An alias that does not exist is not followed, unless it is to be waited for.
        """
        for followed, error in (("walker@canary", errors.UnknownAlias), ("runner@canary", errors.UnknownModel)):
            self.assertRaises(error, self.registry.track(followed).next)

    def test_wait_for_alias(self) -> None:
        """
        On request, a tracker waits for a server that is away, and for an alias that does not exist yet.
        """
        self.relay.port = 0
        tracker = self.registry.track("walker@canary", wait=True)
        self.relay.port = self.daemon.port
        self.move(3, "canary")
        self.assertEqual(tracker.next().version_number, 3)

    def test_references_that_are_not_aliases(self) -> None:
        """
        The latest version is followed like the model; a single version is not followed.
        """
        for followed in ("walker", "walker@latest", "walker@-1"):
            self.assertEqual(self.registry.track(followed).next().version_number, 3)
        for followed in ("walker@2", "walker@-2", "walker@two words"):
            self.assertRaises(errors.InvalidRequest, self.registry.track, followed)

    def test_model_id_with_at_sign(self) -> None:
        """
        An ``@`` of a model's id is written ``%40``.
        """
        self.client.save_model("team@eu")
        self.client.create("team@eu", b"1", archived=True)
        self.elsewhere.call("set_alias", "team%40eu@1", "production")
        for followed in ("team%40eu", "team%40eu@production"):
            self.assertEqual(self.registry.track(followed).next().model_id, "team@eu")

    def test_closed_tracker(self) -> None:
        """
        A closed tracker is at its end; so are all if the client is closed.
        """
        trackers = [self.follow(), self.follow()]
        for tracker in trackers:
            tracker.next()
        trackers[0].close()
        self.registry.call("close")
        for tracker in trackers:
            self.assertRaises(StopAsyncIteration, tracker.next)
