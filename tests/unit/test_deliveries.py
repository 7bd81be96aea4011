"""
Tests of the deliveries of a registry, from the event to the command.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.support.deliveries import destination, new_journal, types
from twisted_registry.deliveries import deliveries as module
from twisted_registry.deliveries.deliveries import Deliveries
from twisted_registry.deliveries.destinations import Command
from twisted_registry.deliveries.journal import JournalUnusable
from twisted_registry.deliveries.messages import Message
from twisted_registry.deliveries.schedule import DELIVERED, Outcome
from twisted_registry.domain.events import Event, ModelSaved
from twisted_registry.domain.models import ModelInfo


class FakeRegistry:
    """
    A registry that publishes what the test says.
    """

    def subscribe(self, listener: Callable[[Event], None], *kinds: type[Event]) -> None:
        """
        Keep the listener.
        """
        self.publish = listener


class FakeCommands:
    """
    Commands that end when the test says so.
    """

    def __init__(self) -> None:
        self.running: list[tuple[Command, Message, Deferred[Outcome]]] = []

    def run(self, command: Command, message: Message) -> "Deferred[Outcome]":
        """
        Begin a command.
        """
        ended: Deferred[Outcome] = Deferred()
        self.running.append((command, message, ended))
        return ended

    def idle(self) -> "Deferred[None]":
        """
        Wait for nothing.
        """
        return succeed(None)


class DeliveriesTests(SynchronousTestCase):
    """
    Deliveries with a real journal.
    """

    def setUp(self) -> None:
        """
        Start them with one destination.
        """
        self.clock = Clock()
        self.path = Path(self.mktemp())
        self.journal = new_journal(self.path)
        self.journal.open("id")
        self.addCleanup(self.journal.close)
        self.registry = FakeRegistry()
        self.commands = FakeCommands()
        self.counts: list[tuple[str, str, int]] = []
        self.is_broken = False
        parts: Any = (self.clock, self.journal, self.defer, None, self.commands)
        self.deliveries = Deliveries(
            *parts,
            now_ns=lambda: int(self.clock.seconds() * 1e9),
            random=lambda: 0.5,
            count=lambda *counted: self.counts.append(counted),
        )
        self.deliveries.destinations = [destination("one")]
        self.deliveries.follow(self.registry)  # type: ignore[arg-type]
        self.deliveries.start()

    def defer(self, job: Callable[[], Any]) -> "Deferred[Any]":
        """
        Run a job at once, unless the journal is broken.
        """

        def run() -> Any:
            if self.is_broken:
                raise JournalUnusable("disk I/O error")
            return job()

        return maybeDeferred(run)

    def publish(self, count: int = 1) -> None:
        """
        Publish events.
        """
        for number in range(count):
            self.registry.publish(ModelSaved(ModelInfo(f"m{number}"), 1, is_new=True))

    def test_nothing_happens_at_once(self) -> None:
        """
        The registry waits for nothing: an event is recorded afterwards, and then delivered.
        """
        self.publish(3)
        self.assertEqual(types(self.journal, "one"), [])
        self.clock.advance(0.1)
        self.assertEqual(len(types(self.journal, "one")), 3)
        self.assertEqual(self.deliveries.pending["one"].count, 3)
        for _ in range(3):
            self.commands.running[-1][2].callback(DELIVERED)
        self.assertEqual((len(self.commands.running), self.deliveries.pending["one"].count), (3, 0))
        self.assertEqual(self.counts, [("one", "delivered", 1)] * 3)

    def test_a_journal_that_cannot_be_written(self) -> None:
        """
        Events wait in memory while the journal cannot be written, up to a limit; that is one line a minute.
        """
        self.is_broken = True
        self.patch(module, "_UNRECORDED_MAX", 5)
        with capturedLogs() as events:
            self.publish(7)
            self.clock.pump([1] * 90)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.error] * 2)
        self.assertEqual((events[0]["count"], events[0]["missed"]), (5, 2))
        self.is_broken = False
        self.clock.advance(1)
        self.assertEqual(len(types(self.journal, "one")), 5)

    def test_an_unchanged_destination_goes_on(self) -> None:
        """
        If another destination is added, what is under way is not cancelled; if it is changed itself, it is.
        """
        self.publish()
        self.clock.advance(0.1)
        self.deliveries.use([destination("one"), destination("two")])
        ((_, _, ended),) = self.commands.running
        self.assertFalse(ended.called)
        self.deliveries.use([destination("one", "model.created")])
        self.assertTrue(ended.called)
        self.assertEqual([each.sequence for _, each, _ in self.commands.running], [1, 1])

    def test_a_destination_that_is_removed(self) -> None:
        """
        If a destination is removed, what waits for it is dropped, and the log says how much.
        """
        self.publish(3)
        self.clock.advance(0.1)
        with capturedLogs() as events:
            self.deliveries.use([])
        self.assertEqual([(event["name"], event["count"]) for event in events], [("one", 3)])
        self.assertEqual(types(self.journal, "one"), [])

    def test_a_destination_that_is_gone(self) -> None:
        """
        A destination that wants no more events gets none, and nothing is recorded for it, until the file changes.
        """
        self.publish(2)
        self.clock.advance(0.1)
        self.commands.running[0][2].callback(Outcome("it answered with status 410", is_gone=True))
        self.publish()
        self.clock.advance(10)
        self.assertEqual((len(self.commands.running), types(self.journal, "one")), (1, []))
        self.deliveries.use([destination("one")])
        self.publish()
        self.clock.advance(0.1)
        self.assertEqual(len(self.commands.running), 2)

    def test_stop(self) -> None:
        """
        A stop cancels what is under way, and records what has happened.
        """
        self.publish()
        self.clock.advance(0.1)
        self.publish()
        self.successResultOf(Deferred.fromCoroutine(self.deliveries.stop()))
        self.assertTrue(self.commands.running[0][2].called)
        journal = new_journal(self.path)
        journal.open("")
        self.addCleanup(journal.close)
        self.assertEqual(len(types(journal, "one")), 2)
