"""
The journal of deliveries: the messages that wait, and what of the archive was already made into messages.

It is an SQLite database, changed in transactions.  A message and the note that its event was seen are one transaction,
so after a crash the archive shows which events are missing.  Used by one thread at a time.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from twisted_registry.deliveries.destinations import Destination
from twisted_registry.deliveries.messages import Happened, Message, message_body, message_id
from twisted_registry.deliveries.seen_models import SEEN_SCHEMA, SeenModel, SeenModels, leaves_traces
from twisted_registry.domain.events import Event

_FORMAT = 1
_PENDING_MAX = 100_000
"""The most messages that wait for one destination.  If there are more, the oldest are dropped."""

_MAX_BYTES = 1024**3
"""The most bytes of the whole journal: an event may hold the metadata of a version, and any publisher can make many."""

_DROPPED_AT_ONCE = 10

_AT_ONCE = 16
_AT_ONCE_BYTES = 4 * 1024 * 1024

_SCHEMA = """
CREATE TABLE archive (archive_id TEXT NOT NULL);
CREATE TABLE messages (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL, message_id TEXT NOT NULL, body BLOB NOT NULL,
    attempts INTEGER NOT NULL, recorded_ns INTEGER NOT NULL, due_ns INTEGER NOT NULL
);
CREATE INDEX due ON messages (destination, due_ns, sequence);
"""


class JournalUnusable(Exception):
    """
    The journal cannot be used.  The text says why.
    """


@frozen
class Settled:
    """
    The state of a message after an attempt.

    Attributes:
        sequence: the message.
        due_ns: when it is tried again, in nanoseconds since the Unix epoch; ``None`` for never.
        attempts: how often it was tried.
    """

    sequence: int
    due_ns: int | None = None
    attempts: int = 0


@frozen
class Waiting:
    """
    Messages for one destination.

    Attributes:
        messages: those that are due, first the one that was due first.
        next_ns: if none is due, when the next one is, in nanoseconds since the Unix epoch; ``None`` if there is none.
    """

    messages: Sequence[Message]
    next_ns: int | None


@frozen
class Pending:
    """
    The messages that wait for one destination.

    Attributes:
        count: how many messages.
        oldest_ns: when the oldest was recorded, in nanoseconds since the Unix epoch; ``None`` if there is none.
    """

    count: int
    oldest_ns: int | None


class Journal:
    """
    A journal in a file.

    Attributes:
        pending_max: the most messages that wait for one destination.
        max_bytes: the most bytes of the whole journal.
    """

    def __init__(
        self,
        path: Path,
        encode: Callable[[Event, int], str],
        pending_max: int = _PENDING_MAX,
        max_bytes: int = _MAX_BYTES,
    ) -> None:
        """

        Args:
            path: the file.
            encode: returns an event in JSON, on one line; takes the event, and when it happened.
        """
        self._path = path
        self._encode = encode
        self.pending_max = pending_max
        self.max_bytes = max_bytes
        self._database: sqlite3.Connection | None = None
        self.is_new = False

    @property
    def _open(self) -> sqlite3.Connection:
        assert self._database is not None, "the journal is open"
        return self._database

    @property
    def _seen(self) -> SeenModels:
        return SeenModels(self._open)

    def open(self, archive_id: str) -> None:
        """
        Open the journal, and create it if it is missing.

        Args:
            archive_id: the id of the archive whose events it is for.

        Raises:
            JournalUnusable: it cannot be opened, another process uses it, or it is that of another archive.
        """
        try:
            # SQLite would let other users read it, and gives its other files the same mode.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._database = database = sqlite3.connect(self._path, 0.2, isolation_level=None, check_same_thread=False)
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._check_kind()
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            with self._transaction():
                self._prepare(archive_id)
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise JournalUnusable(_reason(error)) from None
        except JournalUnusable:
            self.close()
            raise

    def _version(self) -> int:
        return int(self._open.execute("PRAGMA user_version").fetchone()[0])

    def _check_kind(self) -> None:
        tables = self._open.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if self._version() != (_FORMAT if tables else 0):
            raise JournalUnusable("it is not a journal of this version; name another file")

    def _prepare(self, archive_id: str) -> None:
        if not self._version():
            self.is_new = True
            for statement in (SEEN_SCHEMA + _SCHEMA).split(";\n"):
                self._open.execute(statement)
            self._open.execute(f"PRAGMA user_version = {_FORMAT}")
            return
        found = self._open.execute("SELECT archive_id FROM archive").fetchone()
        self.is_new = found is None
        if found is not None and found[0] != archive_id:
            raise JournalUnusable("it belongs to another archive; name another file, which begins now")

    def close(self) -> None:
        """
        Close the journal.
        """
        database, self._database = self._database, None
        if database is not None:
            database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._open.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._open.in_transaction:  # SQLite ends it itself after some errors
                self._open.execute("ROLLBACK")
            raise
        self._open.execute("COMMIT")

    # What was seen of the archive

    def adopt(self, archive_id: str, models: Callable[[], Iterator[tuple[str, SeenModel]]]) -> None:
        """
        Note an archive as it is, without messages: deliveries begin now.

        Args:
            models: yields its models.

        Raises:
            JournalUnusable: it cannot be written; nothing was changed.
        """
        with self._errors(), self._transaction():
            for model_id, seen in models():
                self._seen.put(model_id, seen)
            self._open.execute("INSERT INTO archive VALUES (?)", (archive_id,))

    def model_ids(self) -> Sequence[str]:
        """
        Return the ids of the models that were seen.

        Raises:
            JournalUnusable: it cannot be read.
        """
        with self._errors():
            return self._seen.model_ids()

    def model(self, model_id: str) -> SeenModel | None:
        """
        Return what was seen of a model; ``None`` if it was not.

        Raises:
            JournalUnusable: it cannot be read.
        """
        with self._errors():
            return self._seen.find(model_id)

    def raise_moves(self, model_id: str, moves: int) -> None:
        """
        Note that the moves of a model's aliases were seen.

        Args:
            moves: the sequence of the last one.

        Raises:
            JournalUnusable: it cannot be written; nothing was changed.
        """
        with self._errors(), self._transaction():
            self._seen.raise_moves(model_id, moves)

    # Messages

    def record(self, batch: Sequence[Happened], destinations: Sequence[Destination], now_ns: int) -> Mapping[str, int]:
        """
        Add the messages of some events, durably.

        Args:
            batch: the events, in the order in which they happened.
            now_ns: time in nanoseconds since the Unix epoch.

        Returns:
            how many messages were dropped because too many wait, for each destination where there are any.

        Raises:
            JournalUnusable: it cannot be written; nothing was changed.
        """
        with self._errors(), self._transaction():
            wanted_by = set()
            for each in batch:
                wanting = [one.name for one in destinations if one.selection.wants(each.event)]
                if wanting or leaves_traces(each.event):
                    self._record(each, wanting, now_ns)
                    wanted_by.update(wanting)
            dropped = Counter({name: self._drop_oldest(name) for name in sorted(wanted_by)})
            dropped.update(self._drop_for_space())
        return +dropped

    def _record(self, happened: Happened, wanting: Collection[str], now_ns: int) -> None:
        event = happened.event
        epoch = self._seen.note(event)
        if wanting:
            body = message_body(event, happened.happened_ns, self._encode(event, happened.happened_ns))
            identity = message_id(event, epoch)
            self._open.executemany(
                "INSERT INTO messages (destination, message_id, body, attempts, recorded_ns, due_ns) "
                "VALUES (?, ?, ?, 0, ?, 0)",
                [(name, identity, body, now_ns) for name in wanting],
            )

    def _drop_oldest(self, name: str) -> int:
        excess = self._count(name) - self.pending_max
        if excess <= 0:
            return 0
        self._open.execute(
            "DELETE FROM messages WHERE sequence IN "
            "(SELECT sequence FROM messages WHERE destination = ? ORDER BY sequence LIMIT ?)",
            (name, excess),
        )
        return excess

    def _drop_for_space(self) -> Mapping[str, int]:
        """
        Drop the oldest messages of all while the journal is too large.
        """
        dropped: Counter[str] = Counter()
        while self._used_bytes() > self.max_bytes:
            rows = self._open.execute(
                "SELECT sequence, destination FROM messages ORDER BY sequence LIMIT ?", (_DROPPED_AT_ONCE,)
            ).fetchall()
            if not rows:
                break  # it is large because the archive has very many versions
            self._open.execute("DELETE FROM messages WHERE sequence <= ?", (rows[-1][0],))
            dropped.update(name for _, name in rows)
        return dropped

    def _used_bytes(self) -> int:
        pages, free, page_bytes = (
            int(self._open.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * page_bytes

    def _count(self, name: str) -> int:
        return int(self._open.execute("SELECT COUNT(*) FROM messages WHERE destination = ?", (name,)).fetchone()[0])

    def exchange(self, name: str, settled: Sequence[Settled], now_ns: int, *, has_recovered: bool = False) -> Waiting:
        """
        Note what became of messages, and return the next ones.

        Args:
            name: the destination.
            settled: the messages that were tried.
            now_ns: time in nanoseconds since the Unix epoch.
            has_recovered: whether the destination works again: everything that waits for it is due.

        Raises:
            JournalUnusable: it cannot be read or written; nothing was changed.
        """
        with self._errors():
            if settled or has_recovered:
                with self._transaction():
                    self._settle(name, settled, has_recovered=has_recovered)
            return self._waiting(name, now_ns)

    def _settle(self, name: str, settled: Sequence[Settled], *, has_recovered: bool) -> None:
        for each in settled:
            if each.due_ns is None:
                self._open.execute("DELETE FROM messages WHERE sequence = ?", (each.sequence,))
            else:
                self._open.execute(
                    "UPDATE messages SET due_ns = ?, attempts = ? WHERE sequence = ?",
                    (each.due_ns, each.attempts, each.sequence),
                )
        if has_recovered:
            self._open.execute("UPDATE messages SET due_ns = 0 WHERE destination = ? AND due_ns > 0", (name,))

    def _waiting(self, name: str, now_ns: int) -> Waiting:
        rows = self._open.execute(
            "SELECT sequence, message_id, body, attempts, recorded_ns, due_ns FROM messages WHERE destination = ? "
            "ORDER BY due_ns, sequence LIMIT ?",
            (name, _AT_ONCE),
        )
        messages: list[Message] = []
        size_bytes = 0
        for sequence, identity, body, attempts, recorded_ns, due_ns in rows:
            size_bytes += len(body)
            if due_ns > now_ns or (messages and size_bytes > _AT_ONCE_BYTES):
                return Waiting(messages, due_ns)
            messages.append(Message(sequence, identity, body, attempts, recorded_ns))
        return Waiting(messages, None)

    def pending(self, names: Collection[str]) -> Mapping[str, Pending]:
        """
        Return what waits for some destinations.

        Raises:
            JournalUnusable: it cannot be read.
        """
        with self._errors():
            return {name: Pending(self._count(name), self._oldest(name)) for name in names}

    def _oldest(self, name: str) -> int | None:
        found = self._open.execute(
            "SELECT recorded_ns FROM messages WHERE destination = ? ORDER BY sequence LIMIT 1", (name,)
        ).fetchone()
        return None if found is None else int(found[0])

    def discard(self, name: str) -> None:
        """
        Remove the messages for a destination.

        Raises:
            JournalUnusable: it cannot be written; nothing was changed.
        """
        with self._errors(), self._transaction():
            self._open.execute("DELETE FROM messages WHERE destination = ?", (name,))

    def keep_only(self, names: Collection[str]) -> Mapping[str, int]:
        """
        Remove the messages for destinations that are no longer there.

        Args:
            names: the destinations that there are.

        Returns:
            how many messages were removed, for each other destination.

        Raises:
            JournalUnusable: it cannot be written; nothing was changed.
        """
        with self._errors(), self._transaction():
            found = self._open.execute("SELECT DISTINCT destination FROM messages").fetchall()
            removed = {name: self._count(name) for (name,) in found if name not in names}
            self._open.executemany("DELETE FROM messages WHERE destination = ?", [(name,) for name in removed])
        return removed

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalUnusable(_reason(error)) from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if "locked" in str(error):
        return "another process uses it"
    return str(error)
