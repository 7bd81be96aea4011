"""
Tests of the queue of one destination.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.deliveries import destination, new_journal, types
from twisted_registry.deliveries.journal import JournalUnusable, Waiting
from twisted_registry.deliveries.messages import Happened, Message
from twisted_registry.deliveries.queue import Queue, QueuePorts
from twisted_registry.deliveries.schedule import DELAYS_SECONDS, DELIVERED, Outcome
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.events import AliasChanged
from twisted_registry.observability.log_lines import event_as_json

_FAILED = Outcome("it answered with status 500")
_DAY_SECONDS = 24 * 3600


class QueueTestCase(SynchronousTestCase):
    """
    A queue with a real journal, and attempts that the test ends.
    """

    def setUp(self) -> None:
        """
        Start the queue.
        """
        self.clock = Clock()
        self.clock.advance(1000)
        self.journal = new_journal(Path(self.mktemp()))
        self.journal.open("id")
        self.addCleanup(self.journal.close)
        self.is_broken = False
        self.attempts: list[tuple[Message, Deferred[Outcome]]] = []
        self.counts: list[str] = []
        self.recorded = 0
        self.queue = self.start()

    def start(self) -> Queue:
        """
        Start a queue.
        """
        ports = QueuePorts(
            clock=self.clock,
            exchange=self.exchange,
            discard=self.discard,
            now_ns=self.now_ns,
            random=lambda: 0.5,
            count=lambda name, result: self.counts.append(result),
        )
        queue = Queue("ci", self.send, ports)
        queue.start()
        return queue

    def now_ns(self) -> int:
        """
        Return the time of the clock.
        """
        return int(self.clock.seconds() * 1e9)

    def exchange(self, *arguments: object, **keywords: object) -> "Deferred[Waiting]":
        """
        Exchange with the journal.
        """
        if self.is_broken:
            failed: Deferred[Waiting] = Deferred()
            failed.errback(Failure(JournalUnusable("disk I/O error")))
            return failed
        return succeed(self.journal.exchange(*arguments, **keywords))  # type: ignore[arg-type]

    def discard(self, name: str) -> "Deferred[None]":
        """
        Remove the messages from the journal.
        """
        self.journal.discard(name)
        return succeed(None)

    def send(self, message: Message) -> "Deferred[Outcome]":
        """
        Begin an attempt.
        """
        ended: Deferred[Outcome] = Deferred()
        self.attempts.append((message, ended))
        return ended

    def record(self, count: int = 1) -> None:
        """
        Record events, and wake the queue.
        """
        for _ in range(count):
            self.recorded += 1
            event = AliasChanged("m", 1, AliasMove("a", 0, self.recorded, 5, sequence=self.recorded))
            self.journal.record([Happened(event, 5)], [destination("ci")], self.now_ns())
        self.queue.wake()

    def end(self, outcome: Outcome = DELIVERED) -> int:
        """
        End the attempt under way, and return the number of its event.
        """
        message, ended = self.attempts[-1]
        ended.callback(outcome)
        return message.sequence

    def under_way(self) -> int | None:
        """
        Return the number of the event that is tried now.
        """
        return self.attempts[-1][0].sequence if self.attempts and not self.attempts[-1][1].called else None


class OrderTests(QueueTestCase):
    """
    Which event is tried when.
    """

    def test_in_order(self) -> None:
        """
        Events are tried in order, one at a time, and each once if all goes well.
        """
        self.record(40)
        self.assertEqual([self.end() for _ in range(40)], list(range(1, 41)))
        self.assertIsNone(self.under_way())
        self.assertEqual(types(self.journal, "ci"), [])
        self.assertEqual(self.counts, ["delivered"] * 40)
        self.record()
        self.assertEqual(self.under_way(), 41)

    def test_a_failing_event_is_passed(self) -> None:
        """
        An event that fails does not stop the others, and is tried again when it is due.
        """
        self.record(3)
        self.end(_FAILED)
        self.assertIsNone(self.under_way())
        self.clock.advance(1)
        self.assertEqual([self.end(), self.end()], [2, 3])
        self.assertIsNone(self.under_way())
        self.clock.advance(DELAYS_SECONDS[0] - 2)
        self.assertIsNone(self.under_way())
        self.clock.advance(1)
        self.assertEqual(self.under_way(), 1)

    def test_schedule(self) -> None:
        """
        An event is tried ten times in three days, and then given up.
        """
        self.record()
        with capturedLogs() as events:
            for delay_seconds in DELAYS_SECONDS:
                self.end(_FAILED)
                # A new event does not end the wait of a destination that fails.
                self.queue.wake()
                self.assertIsNone(self.under_way())
                self.clock.advance(max(delay_seconds, 60))
                self.clock.advance(60)
            self.end(_FAILED)
        self.assertEqual((len(self.attempts), self.counts[-1]), (len(DELAYS_SECONDS) + 1, "given_up"))
        self.assertEqual(types(self.journal, "ci"), [])
        self.assertIn("is not delivered", str(events[-1]["log_format"]))
        self.assertGreater(sum(DELAYS_SECONDS), 3 * _DAY_SECONDS)

    def test_a_destination_that_is_down_gets_one_attempt_a_minute(self) -> None:
        """
        While a destination fails, the pauses grow to a minute, however many events wait.
        """
        self.record(100)
        for _ in range(20):
            self.end(_FAILED)
            self.clock.advance(60)
        before = len(self.attempts)
        self.end(_FAILED)
        self.clock.pump([1] * 59)
        self.assertEqual(len(self.attempts), before)
        self.clock.advance(1)
        self.assertEqual(len(self.attempts), before + 1)

    def test_recovery(self) -> None:
        """
        When a destination works again after an outage, everything is tried at once.
        """
        self.record(6)
        for _ in range(4):
            self.end(_FAILED)
            self.clock.advance(60)
        delivered = []
        with capturedLogs() as events:
            while (number := self.under_way()) is not None:
                delivered.append(number)
                self.end()
        self.assertEqual(set(delivered), {1, 2, 3, 4, 5, 6})
        self.assertEqual([event["log_format"] for event in events], ["events are delivered to {name} again"])

    def test_new_events_do_not_end_a_pause(self) -> None:
        """
        A destination that has failed is left alone, whatever happens meanwhile.
        """
        self.record()
        self.end(_FAILED)
        self.record()
        self.clock.advance(0.9)
        self.assertEqual(len(self.attempts), 1)
        self.clock.advance(0.2)
        self.assertEqual(len(self.attempts), 2)

    def test_busy(self) -> None:
        """
        A receiver that asks for a pause gets it, and the event keeps its attempts.
        """
        self.record(2)
        self.end(Outcome("it answered with status 429", retry_after_seconds=100.0))
        self.clock.advance(99)
        self.assertIsNone(self.under_way())
        self.clock.advance(1)
        while self.under_way() is not None:
            self.end()
        self.assertEqual(types(self.journal, "ci"), [])
        self.assertEqual([message.attempts for message, _ in self.attempts], [0, 0, 0])

    def test_gone(self) -> None:
        """
        A receiver that wants no more events gets none, and nothing waits for it.
        """
        self.record(2)
        with capturedLogs() as events:
            self.end(Outcome("it answered with status 410", is_gone=True))
        self.assertEqual([event["log_level"] for event in events], [LogLevel.error])
        self.assertTrue(self.queue.is_gone)
        self.clock.advance(10 * _DAY_SECONDS)
        self.assertEqual((len(self.attempts), types(self.journal, "ci")), (1, []))

    def test_log(self) -> None:
        """
        A destination that fails is one line a minute.
        """
        self.record(50)
        with capturedLogs() as events:
            for _ in range(20):
                self.end(_FAILED)
                self.clock.advance(30)
                self.clock.advance(30)
        lines: Sequence[object] = [event for event in events if event["log_level"] is LogLevel.warn]
        self.assertLessEqual(len(lines), 20)
        self.assertGreater(len(lines), 5)
        self.assertEqual(events[0]["problem"], _FAILED.problem)
        self.assertNotIn("model", json.loads(event_as_json(events[0])))


class StopTests(QueueTestCase):
    """
    The end of a queue, and journals that fail.
    """

    def test_delivered_events_are_noted(self) -> None:
        """
        A message that was delivered before the stop is not delivered again.
        """
        self.record(3)
        self.end()
        self.successResultOf(self.queue.stop())
        self.queue = self.start()
        self.assertEqual(self.under_way(), 2)

    def test_a_journal_that_fails(self) -> None:
        """
        While the journal cannot be used, nothing is tried, and afterwards everything is.
        """
        self.is_broken = True
        self.record(20)
        self.clock.advance(5)
        self.assertEqual(self.attempts, [])
        self.is_broken = False
        self.clock.advance(1)
        while self.under_way() is not None:
            self.end()
        self.assertEqual((len(self.attempts), types(self.journal, "ci")), (20, []))
