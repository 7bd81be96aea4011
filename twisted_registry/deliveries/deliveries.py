"""
The deliveries of a registry: its events are recorded in the journal, and sent from there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from twisted_registry.contracts.registry import IRegistry
from twisted_registry.deliveries.command import CommandRunner
from twisted_registry.deliveries.destinations import Command, Destination
from twisted_registry.deliveries.journal import Journal, JournalUnusable, Pending, Waiting
from twisted_registry.deliveries.messages import Happened, Message, size_bytes
from twisted_registry.deliveries.queue import Queue, QueuePorts
from twisted_registry.deliveries.schedule import Outcome
from twisted_registry.deliveries.webhook import WebhookSender
from twisted_registry.domain.events import WATCHED, Event

_log = Logger()

T = TypeVar("T")

_DELAY_SECONDS = 0.05
"""How long an event waits for others: each batch costs a sync."""

_RETRY_SECONDS = 1.0
_LOG_SECONDS = 60.0
_UNRECORDED_MAX = 20_000
_UNRECORDED_MAX_BYTES = 64 * 1024 * 1024
"""The most events that wait in memory while the journal cannot be written, and the approximate memory for them."""

_BATCH = 500


class Deliveries:
    """
    The deliveries.  Used in the reactor's thread.

    Attributes:
        pending: what waits for each destination, as it was last seen.
        destinations: the destinations that are in use.
    """

    def __init__(
        self,
        clock: Any,
        journal: Journal,
        defer: Callable[[Callable[[], Any]], "Deferred[Any]"],
        webhooks: WebhookSender,
        commands: CommandRunner,
        *,
        now_ns: Callable[[], int],
        random: Callable[[], float],
        count: Callable[[str, str, int], None],
    ) -> None:
        """

        Args:
            clock: the clock.
            journal: the journal.
            defer: runs a function that blocks in a thread, one at a time.
            now_ns: returns the time in nanoseconds since the Unix epoch.
            random: returns a number from 0 to 1.
            count: called with the name of a destination, a result, and how many messages had it.
        """
        self._clock = clock
        self._journal = journal
        self._defer = defer
        self._webhooks = webhooks
        self._commands = commands
        self._now_ns = now_ns
        self._count = count
        self._ports = QueuePorts(
            clock, self._exchange, self._discard, now_ns, random, lambda name, result: count(name, result, 1)
        )
        self._queues: dict[str, tuple[Destination, Queue]] = {}
        self._unrecorded: list[Happened] = []
        self._unrecorded_bytes = 0
        self._timer: Any = None
        self._recording: Deferred[None] | None = None
        self._next_log_seconds = 0.0
        self._missed = 0
        self._is_running = False
        self.pending: Mapping[str, Pending] = {}
        self.destinations: Sequence[Destination] = ()

    def follow(self, registry: IRegistry) -> None:
        """
        Record the events of a registry from now on.
        """
        registry.subscribe(self._add, *WATCHED)

    def start(self) -> None:
        """
        Begin to deliver.
        """
        self._is_running = True
        self.use(self.destinations)

    def use(self, destinations: Sequence[Destination]) -> None:
        """
        Deliver to these destinations from now on.  What waits for others is removed.  What is under way to a
        destination that has not changed goes on.
        """
        self.destinations = destinations
        if not self._is_running:
            return
        before, self._queues = self._queues, {}
        for each in destinations:
            used, queue = before.get(each.name, (None, None))
            if queue is not None and used == each and not queue.is_gone:
                self._queues[each.name] = before.pop(each.name)
            else:
                self._queues[each.name] = each, Queue(each.name, self._sender(each), self._ports)
        for _, queue in before.values():
            queue.stop()
        names = list(self._queues)
        self._defer(lambda: self._journal.keep_only(names)).addCallbacks(self._log_removed, self._log_unusable)
        for _, queue in self._queues.values():
            queue.start()

    def _sender(self, destination: Destination) -> Callable[[Message], "Deferred[Outcome]"]:
        if isinstance(destination, Command):
            return lambda message: self._commands.run(destination, message)
        return lambda message: self._webhooks.send(destination, message)

    def _log_removed(self, removed: Mapping[str, int]) -> None:
        for name, count in removed.items():
            _log.warn("{count} events for {name}, which there is no more, are dropped", count=count, name=name)

    # Events

    def _add(self, event: Event) -> None:
        if len(self._unrecorded) >= _UNRECORDED_MAX or self._unrecorded_bytes >= _UNRECORDED_MAX_BYTES:
            self._missed += 1
            return
        self._unrecorded_bytes += size_bytes(event)
        self._unrecorded.append(Happened(event, self._now_ns()))
        if self._timer is None and self._recording is None:
            self._timer = self._clock.callLater(_DELAY_SECONDS, self._begin_recording)

    def _begin_recording(self) -> None:
        self._timer = None
        self._recording = Deferred.fromCoroutine(self._record())
        self._recording.addErrback(lambda failure: _log.failure("a bug in the record of events", failure))
        self._recording.addBoth(self._recorded)

    async def _record(self) -> None:
        while self._unrecorded:
            batch = self._unrecorded[:_BATCH]
            live = [each for each in self.destinations if not self._is_gone(each.name)]
            now_ns = self._now_ns()
            try:
                dropped = await self._defer(lambda: self._journal.record(batch, live, now_ns))  # noqa: B023
            except JournalUnusable as error:
                self._log_problem(error)
                return
            del self._unrecorded[: len(batch)]
            self._unrecorded_bytes -= sum(size_bytes(each.event) for each in batch)
            self._log_dropped(dropped)
            for _, queue in self._queues.values():
                queue.wake()

    def _is_gone(self, name: str) -> bool:
        return name in self._queues and self._queues[name][1].is_gone

    def _recorded(self, _: object) -> None:
        self._recording = None
        if self._unrecorded and self._is_running:
            self._timer = self._clock.callLater(_RETRY_SECONDS, self._begin_recording)

    def _log_dropped(self, dropped: Mapping[str, int]) -> None:
        for name, count in dropped.items():
            self._count(name, "dropped", count)
            _log.error("the oldest {count} events for {name} are dropped: too many wait", count=count, name=name)

    def _log_unusable(self, failure: Any) -> None:
        failure.trap(JournalUnusable)
        self._log_problem(failure.value)

    def _log_problem(self, error: JournalUnusable) -> None:
        now = self._clock.seconds()
        if now >= self._next_log_seconds:
            self._next_log_seconds = now + _LOG_SECONDS
            _log.error(
                "the journal of deliveries cannot be used: {error}; {count} events wait in memory, {missed} are lost",
                error=error,
                count=len(self._unrecorded),
                missed=self._missed,
            )

    # The journal

    def _exchange(self, *arguments: Any, **keywords: Any) -> "Deferred[Waiting]":
        names = [each.name for each in self.destinations]
        exchanged = self._defer(lambda: (self._journal.exchange(*arguments, **keywords), self._journal.pending(names)))
        return exchanged.addCallback(self._exchanged)

    def _exchanged(self, found: tuple[Waiting, Mapping[str, Pending]]) -> Waiting:
        waiting, self.pending = found
        return waiting

    def _discard(self, name: str) -> "Deferred[None]":
        return self._defer(lambda: self._journal.discard(name)).addErrback(self._log_unusable)

    # The end

    async def stop(self) -> None:
        """
        Cancel what is under way, record what has happened, and close the journal.
        """
        self._is_running = False
        await gatherResults([queue.stop() for _, queue in self._queues.values()])
        await self._commands.idle()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._recording is not None:
            await self._recording
        await self._record()
        await self._defer(self._journal.close)
