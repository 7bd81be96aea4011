"""
Tests of the comparison of an archive with the journal of deliveries.
"""

from pathlib import Path

from attrs import evolve
from twisted.logger import capturedLogs

from tests.support.deliveries import destination, ids, new_journal, types
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.deliveries.messages import Happened
from twisted_registry.deliveries.reconciliation import Reconciliation
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.events import AliasChanged, Event, ModelSaved, VersionCommitted
from twisted_registry.domain.models import ModelInfo, VersionKey
from twisted_registry.rpc.event_json import event_to_json
from twisted_registry.testing.samples import finished, put

_NOW_NS = 1_700_000_000_000_000_000


class ReconciliationTests(FilesystemCase):
    """
    An archive that has changed while the journal was not written.
    """

    def setUp(self) -> None:
        """
        Make a journal that has seen the model ``m`` with two versions and a move.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m"))
        self.infos = [put(self.archive, "m", number) for number in (1, 2)]
        self.archive.append_alias_moves("m", [AliasMove("a", 0, 1, 5, sequence=1)])
        self.journal = new_journal(Path(self.mktemp()), event_to_json)
        self.journal.open("id1")
        self.addCleanup(self.journal.close)
        self.reconciliation = Reconciliation(self.archive, self.journal, lambda: _NOW_NS)
        self.reconciliation.adopt("id1")

    def found(self) -> list[object]:
        """
        Compare, and return the types of the events that were missing.
        """
        before = len(types(self.journal, "all"))
        count = self.reconciliation.run([destination("all")])
        found = types(self.journal, "all")[before:]
        self.assertEqual(len(found), count)
        return found

    def record(self, *events: Event) -> None:
        """
        Record events.
        """
        self.journal.record([Happened(each, _NOW_NS) for each in events], [destination("all")], _NOW_NS)

    def test_nothing(self) -> None:
        """
        The archive as it was when the journal was created is not delivered.
        """
        self.assertEqual(self.found(), [])

    def test_missing_events(self) -> None:
        """
        New versions, deleted ones and moves are found, once.
        """
        put(self.archive, "m", 3)
        self.archive.delete_version("m", 2)
        self.archive.append_alias_moves("m", [AliasMove("a", 1, 3, 6, sequence=2), AliasMove("b", 0, 3, 7, sequence=3)])
        self.assertEqual(self.found(), ["version.created", "alias.moved", "alias.moved", "version.deleted"])
        self.assertEqual(self.found(), [])

    def test_models(self) -> None:
        """
        New models are found with their versions, and deleted ones.
        """
        self.archive.save_model(ModelInfo("n"))
        put(self.archive, "n", 1)
        self.archive.delete_model("m")
        self.assertEqual(self.found(), ["model.deleted", "model.created", "version.created"])
        self.assertEqual(self.found(), [])

    def test_what_was_recorded_is_not_missing(self) -> None:
        """
        An event that was recorded as it happened is not found again.
        """
        info = put(self.archive, "m", 3)
        self.record(VersionCommitted(VersionKey("m", 1, 3), info))
        self.assertEqual(self.found(), [])

    def test_a_model_that_was_created_again(self) -> None:
        """
        If another model got the id, the first one was deleted, although the numbers are the same.
        """
        self.archive.delete_model("m")
        self.archive.save_model(ModelInfo("m"))
        for info in self.infos:
            later = evolve(info, created_ns=info.created_ns + 1)
            finished(self.archive, "m", b"data").commit(later)
        self.assertEqual(self.found(), ["model.deleted", "model.created", "version.created", "version.created"])
        self.assertEqual(self.found(), [])

    def test_the_id_follows_from_the_archive(self) -> None:
        """
        A move that is delivered again, because one before it was not recorded, has the same id.
        """
        moves = [AliasMove("a", 1, 2, 6, sequence=2), AliasMove("a", 2, 1, 7, sequence=3)]
        self.archive.append_alias_moves("m", moves)
        self.record(AliasChanged("m", 1, moves[1]))
        self.assertEqual(self.found(), ["alias.moved", "alias.moved"])
        live, first, again = ids(self.journal, "all")
        self.assertEqual((live == again, live == first), (True, False))

    def test_labels_and_metrics(self) -> None:
        """
        A version that is found has its labels and metrics.
        """
        put(self.archive, "m", 3)
        self.archive.save_annotations("m", 3, Annotations({"env": "walker"}, {"return": 5.0}))
        self.found()
        (message,) = self.journal.exchange("all", (), 10**18).messages
        self.assertIn(b'"labels": {"env": "walker"}', message.body)

    def test_a_damaged_version(self) -> None:
        """
        A damaged version is reported in the log, and found when it is repaired.
        """
        put(self.archive, "m", 3)
        path = self.root / "m" / "m-v000003.yaml"
        content = path.read_bytes()
        path.write_bytes(b"\0")
        with capturedLogs() as events:
            self.assertEqual(self.found(), [])
        self.assertEqual(len(events), 1)
        path.write_bytes(content)
        self.assertEqual(self.found(), ["version.created"])

    def test_a_model_that_was_recorded_and_is_empty(self) -> None:
        """
        A model without versions is found, too.
        """
        self.record(ModelSaved(ModelInfo("n"), 1, is_new=True))
        self.archive.save_model(ModelInfo("n"))
        self.archive.save_model(ModelInfo("p"))
        self.assertEqual(self.found(), ["model.created"])

    def test_a_damaged_move(self) -> None:
        """
        Moves behind one that is damaged are found once.
        """
        for sequence in (2, 3):
            self.archive.append_alias_moves("m", [AliasMove("a", sequence - 1, sequence, 5, sequence=sequence)])
        file = self.root / "m" / ".aliases"
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join([*lines[:-2], b"#" + lines[-2][1:], lines[-1]]))
        self.assertEqual(self.found(), ["alias.moved"])
        self.assertEqual(self.found(), [])
