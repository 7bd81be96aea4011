"""
The queue of one destination: which message is tried when.

One message is tried at a time, in the order in which the events happened.  A message that fails waits for its next
attempt, and the others pass it.  After each failure the destination is left alone for a while.
"""

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger

from twisted_registry.deliveries.journal import JournalUnusable, Settled, Waiting
from twisted_registry.deliveries.messages import Message
from twisted_registry.deliveries.schedule import Outcome, pause_seconds, retry_seconds

_log = Logger()

_LOG_SECONDS = 60.0
_JOURNAL_PAUSE_SECONDS = 1.0
_RECOVERED_AFTER = 3
"""After so many failures one after another, it was the destination that failed, and not one message."""

_NS = 10**9


@frozen
class QueuePorts:
    """
    The ports of a queue.

    Attributes:
        clock: the clock.
        exchange: notes what became of messages, and returns the next ones, as ``Journal.exchange`` does.
        discard: removes all messages for a destination.
        now_ns: returns the time in nanoseconds since the Unix epoch.
        random: returns a number from 0 to 1.
        count: called with the name of the destination and the result of an attempt: ``delivered``, ``failed`` or
            ``given_up``.
    """

    clock: Any
    exchange: Callable[..., "Deferred[Waiting]"]
    discard: Callable[[str], "Deferred[None]"]
    now_ns: Callable[[], int]
    random: Callable[[], float]
    count: Callable[[str, str], None]


class Queue:
    """
    The queue of one destination.  Used in the reactor's thread.

    Attributes:
        is_gone: whether the receiver wants no more events.
    """

    def __init__(self, name: str, send: Callable[[Message], "Deferred[Outcome]"], ports: QueuePorts) -> None:
        """

        Args:
            name: the name of the destination.
            send: tries to deliver a message; fires with the result, and never fails unless it is cancelled.
        """
        self._name = name
        self._send = send
        self._ports = ports
        self._failures = 0
        self._has_recovered = False
        self._pause_seconds = 0.0
        self._settled: list[Settled] = []
        self._next_log_seconds = 0.0
        self._is_woken = False
        self._is_stopped = False
        self._waiting: Deferred[None] | None = None
        self._working: Deferred[None] | None = None
        self.is_gone = False

    def start(self) -> None:
        """
        Begin to deliver.  Does nothing if that has begun.
        """
        if self._working is not None:
            return
        self._working = Deferred.fromCoroutine(self._run())
        self._working.addErrback(self._ended)

    def _ended(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            _log.failure("a bug in the queue of {name}: nothing more is delivered to it", failure, name=self._name)

    def wake(self) -> None:
        """
        Look for new messages.
        """
        self._is_woken = True
        # A pause after a failure is not ended.
        if self._waiting is not None and not self._failures:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def stop(self) -> "Deferred[None]":
        """
        Cancel what is under way, and note what was delivered.

        Returns:
            fires with ``None``.
        """
        if self._working is None:
            return succeed(None)
        self._is_stopped = True
        self._working.cancel()
        if not self._settled:
            return succeed(None)
        settled, self._settled = self._settled, []
        noted = self._ports.exchange(self._name, settled, self._ports.now_ns())
        return noted.addErrback(lambda failure: failure.trap(JournalUnusable)).addCallback(lambda _: None)

    async def _run(self) -> None:
        while not self._is_over():
            try:
                waiting = await self._exchange()
            except JournalUnusable:
                await self._wait(_JOURNAL_PAUSE_SECONDS)
                continue
            if self._pause_seconds:
                await self._wait(self._pause_seconds)
                self._pause_seconds = 0.0
                continue
            for message in waiting.messages:
                outcome = await self._send(message)
                if self._is_over():
                    return
                self._settle(message, outcome)
                if outcome.problem:
                    break
            if not waiting.messages:
                await self._sleep(waiting.next_ns)
        self._settled.clear()
        await self._ports.discard(self._name)

    def _is_over(self) -> bool:
        return self.is_gone or self._is_stopped

    async def _exchange(self) -> Waiting:
        settled, has_recovered = list(self._settled), self._has_recovered
        self._is_woken = False
        now_ns = self._ports.now_ns()
        waiting = await self._ports.exchange(self._name, settled, now_ns, has_recovered=has_recovered)
        del self._settled[: len(settled)]
        self._has_recovered = False
        return waiting

    def _settle(self, message: Message, outcome: Outcome) -> None:
        attempts = message.attempts + 1
        if not outcome.problem:
            if self._failures:
                _log.info("events are delivered to {name} again", name=self._name)
            self._has_recovered = self._has_recovered or self._failures >= _RECOVERED_AFTER
            self._failures = 0
            self._settled.append(Settled(message.sequence))
            self._ports.count(self._name, "delivered")
            return
        self._failures += 1
        self.is_gone = outcome.is_gone
        self._pause_seconds = pause_seconds(self._failures, self._ports.random)
        delay_seconds = retry_seconds(attempts, self._ports.random)
        if outcome.retry_after_seconds is not None:
            self._pause_seconds = max(self._pause_seconds, outcome.retry_after_seconds)
            attempts = message.attempts  # the receiver is busy, and the message is not at fault
            delay_seconds = outcome.retry_after_seconds
        self._ports.count(self._name, "failed" if delay_seconds is not None else "given_up")
        due_ns = None if delay_seconds is None else self._ports.now_ns() + int(delay_seconds * _NS)
        self._settled.append(Settled(message.sequence, due_ns, attempts))
        self._log(message, outcome, attempts, is_given_up=delay_seconds is None)

    def _log(self, message: Message, outcome: Outcome, attempts: int, *, is_given_up: bool) -> None:
        now = self._ports.clock.seconds()
        if outcome.is_gone:
            _log.error(
                "{name} is gone: {problem}; nothing is delivered to it until it is changed or the daemon starts again",
                name=self._name,
                problem=outcome.problem,
            )
        elif is_given_up:
            _log.error(
                "the event {event_id} is not delivered to {name} after {attempts} attempts: {problem}",
                event_id=message.message_id,
                name=self._name,
                attempts=attempts,
                problem=outcome.problem,
            )
        elif now >= self._next_log_seconds:
            self._next_log_seconds = now + _LOG_SECONDS
            _log.warn(
                "cannot deliver the event {event_id} to {name}: {problem}; it is tried again",
                event_id=message.message_id,
                name=self._name,
                problem=outcome.problem,
            )

    async def _sleep(self, until_ns: int | None) -> None:
        if not self._is_woken:
            await self._wait(None if until_ns is None else max(0.0, (until_ns - self._ports.now_ns()) / _NS))

    async def _wait(self, seconds: float | None) -> None:
        self._waiting = waiting = Deferred[None]()
        timer = None if seconds is None else self._ports.clock.callLater(seconds, self._wake_up)
        try:
            await waiting
        finally:
            self._waiting = None
            if timer is not None and timer.active():
                timer.cancel()

    def _wake_up(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
