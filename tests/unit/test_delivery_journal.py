"""
Tests of the journal of deliveries.
"""

import os
import sqlite3
import stat
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.deliveries import bodies, destination, ids, new_journal, types
from twisted_registry.deliveries.journal import Journal, JournalUnusable, Pending, Settled
from twisted_registry.deliveries.messages import Happened
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.events import (
    AliasChanged,
    Event,
    ModelDeleted,
    ModelSaved,
    VersionArchived,
    VersionCommitted,
    VersionDeleted,
)
from twisted_registry.domain.models import ModelInfo, VersionKey
from twisted_registry.testing.samples import version_info

_NOW_NS = 1_700_000_000_123_456_789


def created(number: int, model_id: str = "m", *, archived: bool = True) -> VersionCommitted:
    """
    Return the event of a new version.
    """
    return VersionCommitted(VersionKey(model_id, 1, number), version_info(model_id, number, b"x", archived=archived))


def deleted(number: int) -> VersionDeleted:
    """
    Return the event of a version that was deleted.
    """
    return VersionDeleted(VersionKey("m", 1, number), 1, is_latest=False)


def moved(sequence: int) -> AliasChanged:
    """
    Return the event of an alias that moved.
    """
    return AliasChanged("m", 1, AliasMove("a", 0, 1, 5, sequence=sequence))


def saved(*, is_new: bool = True) -> ModelSaved:
    """
    Return the event of a model that was created, or changed.
    """
    return ModelSaved(ModelInfo("m"), 1, is_new)


class JournalTestCase(SynchronousTestCase):
    """
    An open journal.
    """

    def setUp(self) -> None:
        """
        Open the journal.
        """
        self.path = Path(self.mktemp())
        self.destinations = [destination("all"), destination("moves", "alias.moved")]
        self.journal = self.open()

    def open(self, pending_max: int = 1000) -> Journal:
        """
        Open a journal of the archive ``id1``.
        """
        journal = new_journal(self.path, pending_max=pending_max)
        journal.open("id1")
        if journal.is_new:
            journal.adopt("id1", lambda: iter(()))
        self.addCleanup(journal.close)
        return journal

    def reopen(self) -> None:
        """
        Close the journal, and open it again.
        """
        self.journal.close()
        self.journal = self.open()

    def record(self, *events: Event) -> None:
        """
        Record events.
        """
        self.journal.record([Happened(event, _NOW_NS) for event in events], self.destinations, _NOW_NS)


class RecordTests(JournalTestCase):
    """
    Events that are recorded, and their destinations.
    """

    def test_each_destination_gets_what_it_wants(self) -> None:
        """
        The events that a destination wants wait for it, in order, and are there after a restart.
        """
        self.record(saved(), created(1), moved(1))
        self.reopen()
        self.assertEqual(types(self.journal, "all"), ["model.created", "version.created", "alias.moved"])
        self.assertEqual(types(self.journal, "moves"), ["alias.moved"])

    def test_a_message_has_the_form_of_standard_webhooks(self) -> None:
        """
        A message has a type, the time of the event, and data.
        """
        self.record(moved(1))
        (found,) = bodies(self.journal, "moves")
        self.assertEqual(
            found,
            {
                "type": "alias.moved",
                "timestamp": "2023-11-14T22:13:20.123456Z",
                "data": {"modelId": "m", "kind": "AliasChanged", "ns": _NOW_NS},
            },
        )

    def test_an_event_has_one_id_for_all(self) -> None:
        """
        The message of an event has the same id for each destination, and no other message has it.
        """
        self.record(
            saved(), created(1), created(2), created(3, archived=False), moved(1), deleted(2), saved(is_new=False)
        )
        found = list(ids(self.journal, "all"))
        self.assertEqual(len(set(found)), 7)
        self.assertEqual(ids(self.journal, "moves"), [found[4]])

    def test_another_model_of_the_same_id_has_other_ids(self) -> None:
        """
        The events of a model that was created again have other ids than those of the first one.
        """
        self.record(saved(), created(1), moved(1), ModelDeleted("m", 1), saved(), created(1), moved(1))
        self.assertEqual(len(set(ids(self.journal, "all"))), 7)

    def test_what_was_seen(self) -> None:
        """
        Archived versions and moves of aliases are noted, also if nobody wants them, and transient versions are not.
        """
        self.destinations = []
        self.record(saved(), created(1), created(2), created(3, archived=False), deleted(1), moved(1))
        info = version_info("m", 4, b"x")
        self.record(VersionArchived(VersionKey("m", 1, 4), info))
        self.reopen()
        seen = self.journal.model("m")
        assert seen is not None
        self.assertEqual((list(seen.versions), seen.moves), ([2, 4], 1))
        self.record(ModelDeleted("m", 1))
        self.assertIsNone(self.journal.model("m"))

    def test_moves_after_a_gap_are_not_noted(self) -> None:
        """
        If a move is missing, those after it are looked for in the archive again.
        """
        self.record(saved(), moved(1), moved(3))
        seen = self.journal.model("m")
        assert seen is not None
        self.assertEqual(seen.moves, 1)

    def test_the_oldest_are_dropped(self) -> None:
        """
        If too many wait, the oldest ones are dropped, and counted.
        """
        self.journal.close()
        self.journal = self.open(pending_max=2)
        batch = [Happened(each, _NOW_NS) for each in (created(1), created(2), created(3), moved(1))]
        self.assertEqual(self.journal.record(batch, self.destinations, _NOW_NS), {"all": 2})
        self.assertEqual(types(self.journal, "all"), ["version.created", "alias.moved"])
        self.assertEqual(types(self.journal, "moves"), ["alias.moved"])

    def test_the_oldest_are_dropped_for_space(self) -> None:
        """
        If the journal is too large, the oldest messages of all are dropped, and the newest stay.
        """
        self.journal.close()
        path = Path(self.mktemp())
        self.journal = Journal(path, lambda event, happened_ns: f'{{"note": "{"x" * 30_000}"}}', max_bytes=2_000_000)
        self.journal.open("id1")
        self.addCleanup(self.journal.close)
        dropped: Counter[str] = Counter()
        self.record(moved(1))
        for _ in range(6):
            batch = [Happened(saved(is_new=False), _NOW_NS)] * 50
            dropped.update(self.journal.record(batch, self.destinations, _NOW_NS))
        left = self.journal.pending(["all", "moves"])
        self.assertEqual((dropped["moves"], left["moves"].count), (1, 0))
        self.assertEqual(dropped["all"] + left["all"].count, 301)
        self.assertGreater(left["all"].count, 10)
        self.journal.close()
        self.assertLess(path.stat().st_size, 4_000_000)

    def test_a_failed_record_changes_nothing(self) -> None:
        """
        If an event cannot be recorded, none of its batch is.
        """

        def encode(event: Event, happened_ns: int) -> str:
            if isinstance(event, AliasChanged):
                raise sqlite3.OperationalError("disk I/O error")
            return "{}"

        self.journal.close()
        self.journal = new_journal(self.path, encode)
        self.journal.open("id1")
        self.addCleanup(self.journal.close)
        self.assertRaises(JournalUnusable, self.record, saved(), created(1), moved(1))
        self.assertEqual((types(self.journal, "all"), self.journal.model_ids()), ([], []))


class ExchangeTests(JournalTestCase):
    """
    Messages that were tried.
    """

    def setUp(self) -> None:
        """
        Record three events.
        """
        super().setUp()
        self.record(created(1), created(2), created(3))
        self.sequences = [each.sequence for each in self.journal.exchange("all", (), 0).messages]

    def test_delivered(self) -> None:
        """
        A message that was delivered does not come again, also after a restart.
        """
        self.journal.exchange("all", [Settled(self.sequences[1])], 0)
        self.reopen()
        left = self.journal.exchange("all", (), 0)
        self.assertEqual([each.sequence for each in left.messages], [self.sequences[0], self.sequences[2]])
        self.assertEqual(
            self.journal.pending(["all", "moves"]), {"all": Pending(2, _NOW_NS), "moves": Pending(0, None)}
        )

    def test_tried_later(self) -> None:
        """
        A message that failed comes again when it is due, after the others.
        """
        waiting = self.journal.exchange("all", [Settled(self.sequences[0], 500, 1)], 499)
        self.assertEqual(([each.sequence for each in waiting.messages], waiting.next_ns), (self.sequences[1:], 500))
        waiting = self.journal.exchange("all", [Settled(each) for each in self.sequences[1:]], 499)
        self.assertEqual((waiting.messages, waiting.next_ns), ([], 500))
        (message,) = self.journal.exchange("all", (), 500).messages
        self.assertEqual((message.sequence, message.attempts), (self.sequences[0], 1))

    def test_recovered(self) -> None:
        """
        If the destination works again, all that waits for it is due.
        """
        self.journal.exchange("all", [Settled(each, 10**18, 3) for each in self.sequences], 0)
        waiting = self.journal.exchange("all", (), 0, has_recovered=True)
        self.assertEqual(
            [(each.sequence, each.attempts) for each in waiting.messages], [(n, 3) for n in self.sequences]
        )

    def test_destinations_that_are_gone(self) -> None:
        """
        The messages for a destination that is no longer there are removed.
        """
        self.assertEqual(self.journal.keep_only(["moves"]), {"all": 3})
        self.assertEqual(types(self.journal, "all"), [])

    def test_large_messages_come_a_few_at_a_time(self) -> None:
        """
        Messages of megabytes are not read all at once.
        """
        self.journal.close()
        self.journal = new_journal(self.path, lambda event, ns: f'"{"x" * 3_000_000}"')
        self.journal.open("id1")
        self.addCleanup(self.journal.close)
        self.destinations = [destination("large")]
        self.record(created(4), created(5), created(6))
        waiting = self.journal.exchange("large", (), 0)
        self.assertEqual((len(waiting.messages), waiting.next_ns), (1, 0))


class OpenTests(JournalTestCase):
    """
    Files that can be used, and files that cannot.
    """

    def refuse(self, archive_id: str = "id1", path: Path | None = None) -> str:
        """
        Open a journal that cannot be used, and return the error.
        """
        journal = new_journal(path or self.path)
        self.addCleanup(journal.close)
        return str(self.assertRaises(JournalUnusable, journal.open, archive_id))

    def test_one_process_at_a_time(self) -> None:
        """
        A second daemon does not get the journal of the first.
        """
        self.assertEqual(self.refuse(), "another process uses it")

    def test_another_archive(self) -> None:
        """
        The journal of an archive is not used for another one.
        """
        self.journal.close()
        self.assertIn("belongs to another archive", self.refuse("id2"))

    def test_other_files(self) -> None:
        """
        Another file, a directory and a place that does not exist are refused; the file is left alone.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        other = directory / "other"
        other.write_text("not a journal, but something that somebody needs" * 100)
        before = other.read_bytes()
        self.assertIn("not a database", self.refuse(path=other))
        self.assertEqual(other.read_bytes(), before)
        self.refuse(path=directory)
        self.assertEqual(self.refuse(path=directory / "x" / "journal"), "No such file or directory")

    def test_a_journal_of_another_version(self) -> None:
        """
        A journal that a later version has written is refused, and so is the database of another program.
        """
        self.journal.close()
        other = Path(self.mktemp())
        for path, statement in ((self.path, "PRAGMA user_version = 9"), (other, "CREATE TABLE somebody (name TEXT)")):
            database = sqlite3.connect(path)
            database.execute(statement)
            database.close()
            before = path.read_bytes()
            self.assertIn("not a journal of this version", self.refuse(path=path))
            self.assertEqual(path.read_bytes(), before)

    def test_damage(self) -> None:
        """
        Damage that is found after the journal was opened is reported as such.
        """
        self.record(created(1))
        root = self.journal._open.execute("SELECT rootpage FROM sqlite_master WHERE name = 'models'").fetchone()[0]
        page_bytes = self.journal._open.execute("PRAGMA page_size").fetchone()[0]
        self.journal.close()
        with self.path.open("r+b") as file:
            file.seek((root - 1) * page_bytes)
            file.write(b"\xff" * page_bytes)
        journal = new_journal(self.path)
        self.addCleanup(journal.close)
        journal.open("id1")
        for read in (journal.model_ids, lambda: journal.model("m"), lambda: journal.raise_moves("m", 1)):
            self.assertIn("malformed", str(self.assertRaises(JournalUnusable, read)))

    def test_only_its_owner_reads_it(self) -> None:
        """
        Other users can read neither the journal nor the files beside it.
        """
        self.record(created(1))
        files = [self.path, *self.path.parent.glob(f"{self.path.name}-*")]
        self.assertGreater(len(files), 1)
        self.assertEqual({stat.S_IMODE(os.stat(each).st_mode) for each in files}, {0o600})
