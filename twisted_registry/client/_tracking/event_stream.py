"""
The stream of events, over as many calls as it takes.
"""

from collections.abc import AsyncGenerator, Iterable
from typing import Any, Final

from attrs import define, field
from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs leave it out

from twisted_registry.client._transport.calls import Calls, cancel_call, decoded
from twisted_registry.client._transport.connection import WATCH_EVENTS
from twisted_registry.client._transport.records import alias_move, check_number, model_record, time_ns, version_record
from twisted_registry.client._transport.registry_api import unsupported
from twisted_registry.client._transport.replies import bad_reply, check_size
from twisted_registry.client._transport.requests import sendable_text
from twisted_registry.client._transport.retries import is_retryable_forever, retry, retryable_within
from twisted_registry.client._types import Event, RemovedVersion
from twisted_registry.client.errors import Unavailable, Unreachable, Unsupported
from twisted_registry.protocol.messages import v1

STARTED: Final = "started"
_CHECKPOINT: Final = "checkpoint"


def _subject(message: "v1.Event", kind: str) -> dict[str, Any]:
    """
    Return what an event is about, as attributes of ``Event``.

    Raises:
        BadReply: it has impossible values.
    """
    content: Any = getattr(message, kind) if kind else None
    match kind:
        case "version_created" | "version_archived" | "version_updated":
            return {"version": version_record(content, message.model_id)}
        case "version_deleted" | "version_evicted":
            check_number(content.number, message.model_id)
            return {"removed": RemovedVersion(content.number, content.size_bytes, content.was_latest)}
        case "alias_moved":
            return {"move": alias_move(content, message.model_id)}
        case "model_created" | "model_updated":
            return {"model": model_record(content, message.model_id)}
        case "model_deleted":
            return {"is_lost": content.lost}
    return {}


@define(eq=False)
class EventStream:
    """
    The events of the registry from a cursor on.

    Attributes:
        model_id: one model; empty for all.
        prefix: models whose ids begin with it.
        kinds: the kinds of events; empty for all.
        cursor: the cursor of the last event; empty for none.
    """

    _calls: Calls
    model_id: str = ""
    prefix: str = ""
    kinds: tuple[str, ...] = ()
    cursor: str = ""
    _call: Any = field(default=None, init=False)

    @property
    def subject(self) -> tuple[str, str]:
        """
        The address of the registry and the model's id, for the log.
        """
        return self._calls.connection.address, self.model_id

    async def open(self) -> Event:
        """
        Start a call, and wait until it has begun: all later events will be sent.

        Returns:
            The event ``started``.

        Raises:
            CursorExpired: events after the cursor are no longer kept.
            Unavailable: the server is away.
            Unsupported: the server has no events.
        """
        connection = self._calls.connection
        request = v1.WatchEventsRequest(
            model_id=self.model_id, prefix=self.prefix, kinds=self.kinds, cursor=self.cursor
        )
        metadata = (*connection.subscription_metadata, *connection.memory.metadata_about(self.model_id))
        try:
            with connection.translating_errors(self.model_id):
                self._call = connection.subscribe(WATCH_EVENTS, request.SerializeToString(), metadata)
            event = await self._next()
            if event.kind != STARTED or not event.cursor:
                raise bad_reply("its events did not begin with the start", self.model_id)
            await connection.memory.learn(self._call)
        except Unsupported:
            raise unsupported("WatchEvents") from None
        except Unreachable as error:
            self.close()
            raise await connection.diagnosed(error) from None
        except BaseException:
            self.close()
            raise
        return event

    async def read(self) -> Event:
        """
        Wait for the next event.  If there is no call, start one, and skip its event ``started``.

        Raises:
            CursorExpired: events after the cursor are no longer kept.
            Unavailable: the server has gone away, or is still away.
        """
        if self._call is None:
            await self.open()
        try:
            while (event := await self._next()).kind in ("", _CHECKPOINT):
                pass  # a kind of a newer server, or a new cursor without an event
            if event.kind == STARTED:
                raise bad_reply("its events began a second time", self.model_id)
        except BaseException:
            self.close()
            raise
        return event

    def close(self) -> None:
        """
        Cancel the call.
        """
        call, self._call = self._call, None
        cancel_call(call)

    async def _next(self) -> Event:
        with self._calls.connection.translating_errors(self.model_id):
            raw = await self._call.read()
        if raw is EOF:
            raise Unavailable(f"the server at {self._calls.connection.address} ended the stream of events")
        check_size(raw, 1, self.model_id)
        message = decoded(v1.Event, raw)
        kind = message.WhichOneof("kind") or ""
        if kind not in ("", STARTED, _CHECKPOINT):
            self._check_wanted(message, kind)
        event = Event(kind, message.cursor, time_ns(message.time), message.model_id, **_subject(message, kind))
        self.cursor = event.cursor or self.cursor
        return event

    def _check_wanted(self, message: "v1.Event", kind: str) -> None:
        is_of_model = self.model_id in ("", message.model_id) and message.model_id.startswith(self.prefix)
        if not is_of_model or (self.kinds and kind not in self.kinds) or not message.model_id:
            raise bad_reply(f"it sent an event {kind} of model {message.model_id[:200]!r}", self.model_id)


async def events(
    calls: Calls, model_id: str, prefix: str, kinds: Iterable[str], cursor: str
) -> AsyncGenerator[Event, None]:
    """
    Yield events; see ``Client.events``.
    """
    stream = EventStream(
        calls,
        sendable_text(model_id, "model_id"),
        sendable_text(prefix, "prefix"),
        tuple([kinds] if isinstance(kinds, str) else kinds),
        sendable_text(cursor, "cursor"),
    )
    seconds = calls.options.retry_seconds
    try:
        yield await retry(stream.open, seconds, retryable_within(seconds), stream.subject)
        while True:
            yield await retry(stream.read, None, is_retryable_forever, stream.subject)
    finally:
        stream.close()
