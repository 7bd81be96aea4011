"""
The access log: a line for each call that is chosen.
"""

import random
import time
from collections.abc import Callable, Iterator
from functools import partial

from zope.interface import implementer

from twisted_registry.contracts.access_log import CallRecord, IAccessLog
from twisted_registry.domain.errors import shown
from twisted_registry.observability.log_lines import Form, bounded

LOGGER = "twisted_registry.access"
_LEVEL = "info"

_MISSING = "{} further failed or slow calls of the last second have no line"

AddLine = Callable[[Callable[[], str]], None]
"""Adds a line to the log: calls the function that makes it later, in the thread that writes the log."""


@implementer(IAccessLog)
class AccessLog:
    """
    The access log.

    Lines are made in the thread that writes them: the thread of the calls only collects what they say.
    """

    def __init__(
        self,
        add_line: AddLine,
        *,
        share: float,
        slow_seconds: float,
        form: Form,
        random: Callable[[], float] = random.random,
        wall_seconds: Callable[[], float] = time.time,
    ) -> None:
        """

        Args:
            add_line: adds a line.
            share: the share of calls that get a line however they end, from 0 to 1.
            slow_seconds: how long a call with one reply takes if it is slow.
            form: makes lines.
            random: returns a number from 0 to 1, below 1.
            wall_seconds: returns the time in seconds since the Unix epoch.
        """
        self.slow_seconds = slow_seconds
        self.chooses: Callable[[], bool]
        if 0 < share < 1:
            self.chooses = lambda: random() < share
        else:
            self.chooses = lambda: share > 0
        self._share = share
        self._add_line = add_line
        self._form = form
        self._wall_seconds = wall_seconds

    def write(self, record: CallRecord) -> None:
        """See ``IAccessLog.write``."""
        self._add_line(partial(self._line, record, self._wall_seconds()))

    def report_missing(self, count: int) -> None:
        """See ``IAccessLog.report_missing``."""
        message, when = _MISSING.format(count), self._wall_seconds()
        self._add_line(lambda: self._form(when, _LEVEL, LOGGER, message, [("times", count)]))

    def _line(self, record: CallRecord, when: float) -> str:
        share = self._share if record.is_sampled else 1.0
        return self._form(when, _LEVEL, LOGGER, message_of(record), fields_of(record, share))


def message_of(record: CallRecord) -> str:
    """
    Return what a line says of a call.
    """
    about = record.reference or record.model_id
    call = f"{record.method}{f' of {shown(about)}' if about else ''}{_author(record)} from {record.peer}"
    if not record.code:
        return f"{call} has begun, request {record.request_id}"
    reason = f" ({record.reason})" if record.reason else ""
    sent = "" if record.sent_bytes is None else f", {record.sent_bytes} out"
    messages = "" if record.sent_messages is None else f" in {record.sent_messages} messages"
    return (
        f"{call}: {record.code}{reason} after {record.seconds * 1000:.1f} ms, {record.received_bytes} bytes in"
        f"{sent}{messages}, request {record.request_id}"
    )


def _author(record: CallRecord) -> str:
    if not record.identity:
        return ""
    # A name may come from an issuer or a plugin, with any characters.
    name = shown(record.identity)[1:-1] if record.identity.isprintable() else shown(record.identity)
    return f" by {name}{f' (token {record.token_id})' if record.token_id else ''}"


def fields_of(record: CallRecord, share: float) -> Iterator[tuple[str, str | int | float]]:
    """
    Iterate over the fields of a call's line in JSON.

    Args:
        share: the share of calls that were chosen as this one was.
    """
    yield "request_id", record.request_id
    yield "method", record.method
    yield "peer", record.peer
    for name, text in (
        ("identity", record.identity),
        ("token_id", record.token_id),
        ("model", record.model_id),
        ("reference", record.reference),
    ):
        if text:
            yield name, bounded(text)
    if record.version_number:
        yield "version", record.version_number
    if share < 1:
        yield "share", share
    if not record.code:
        return
    yield "code", record.code
    if record.reason:
        yield "reason", record.reason
    yield "duration_ms", round(record.seconds * 1000, 3)
    yield "received_bytes", record.received_bytes
    if record.sent_bytes is not None:
        yield "sent_bytes", record.sent_bytes
    if record.sent_messages is not None:
        yield "sent_messages", record.sent_messages
