"""
Tests of what the registry does to versions after their creation: promotion, deletion, annotations and aliases.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from zope.interface import directlyProvides

from tests.support.registry import BUDGET, PumpedRegistryCase
from tests.unit.test_registry_models import FaultyRegistryCase
from twisted_registry.contracts.lifecycle import ILifecycleWriter
from twisted_registry.domain.aliases import AliasChange, AliasMove
from twisted_registry.domain.annotations import AnnotationUpdate
from twisted_registry.domain.errors import (
    AliasedVersion,
    AliasMoved,
    CommitUncertain,
    CorruptAliases,
    StorageReadOnly,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.events import (
    AliasChanged,
    VersionAnnotated,
    VersionArchived,
    VersionCommitted,
    VersionDeleted,
    VersionEvicted,
)
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference
from twisted_registry.registry.deletion import VersionDeletion


class UncertainWriter:
    """
    A writer whose commit succeeds, and whose last sync seems to fail.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        directlyProvides(self, ILifecycleWriter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def commit_between(self, info: VersionInfo) -> None:
        """
        Commit, and fail.
        """
        self._writer.commit_between(info)
        raise CommitUncertain("I/O error")


@frozen
class PausingCoordination:
    """
    A coordination that calls a function when a change of the archive is over.
    """

    _coordination: Any
    _written: Callable[[], object]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coordination, name)

    @asynccontextmanager
    async def writing(self, model_id: str) -> AsyncIterator[None]:
        """See ``ICoordination.writing``."""
        async with self._coordination.writing(model_id):
            yield
        self._written()


KINDS = (AliasChanged, VersionAnnotated, VersionArchived, VersionCommitted, VersionDeleted, VersionEvicted)


class LifecycleCase(PumpedRegistryCase):
    """
    A registry with one model.
    """

    def setUp(self) -> None:
        """
        Make the model, and listen to its events.
        """
        super().setUp()
        self.save()
        self.events: list[Any] = []
        self.registry.subscribe(self.events.append, *KINDS)

    def restart(self) -> None:
        """
        Open the registry again, as after a crash, with the model loaded.
        """
        self.open()
        self.done(self.registry.load_snapshot("m"))

    def archive_version(self, number: int) -> VersionInfo:
        """
        Promote a version.
        """
        return self.done(self.registry.archive_version(self.snapshot(), number))

    def move(self, alias: str, number: int, expected: int | None = None, reason: str = "") -> AliasMove:
        """
        Move an alias.
        """
        change = AliasChange(alias, number, expected, "ann", reason)
        return self.done(self.registry.move_alias(self.snapshot(), change))

    def moves(self) -> list[AliasMove]:
        """
        Read the history of the aliases.
        """
        moves: Sequence[AliasMove] = self.done(self.registry.alias_moves(self.snapshot()))
        return list(moves)

    def resolve(self, reference: str) -> int:
        """
        Return the number that a reference names.
        """
        return self.snapshot().resolve(Reference.parse(reference))

    def record(self, number: int) -> VersionRecord:
        """
        Read a version with its labels, metrics and aliases.
        """
        (record,) = self.done(self.registry.load_version_records(self.snapshot(), [number]))
        assert isinstance(record, VersionRecord), record
        return record


class PromotionTests(LifecycleCase):
    """
    A transient version becomes an archived one.
    """

    def test_same_version(self) -> None:
        """
        It keeps its number, its data and all its facts, and survives a restart.
        """
        info = self.create(b"some data", metadata={"a": "b"})
        archived = self.archive_version(1)
        self.assertEqual(archived, evolve(info, archived=True))
        self.assertEqual(self.snapshot().latest, archived)
        self.assertEqual(self.read(archived), b"some data")
        self.restart()
        self.assertEqual(self.numbers(), [1])
        self.assertEqual(self.record(1).info, archived)
        self.assertEqual(self.read(archived), b"some data")

    def test_event(self) -> None:
        """
        One event is published, when the snapshot shows the archived version.
        """
        self.create()
        self.events.clear()
        seen = []
        self.registry.subscribe(lambda _: seen.append(self.snapshot().numbers.is_transient(1)), VersionArchived)
        archived = self.archive_version(1)
        self.assertEqual(self.events, [VersionArchived(self.snapshot().key(1), archived)])
        self.assertEqual(seen, [False])

    def test_between_others(self) -> None:
        """
        It may stand before and between archived versions, while newer ones come.
        """
        self.create(b"one")
        self.create(b"two", archived=True)
        promotion = self.registry.archive_version(self.snapshot(), 1)
        three = self.create(b"three", archived=True)
        self.done(promotion)
        self.assertEqual(self.snapshot().latest, three)
        self.restart()
        self.assertEqual(self.numbers(), [1, 2, 3])
        self.assertEqual([self.read(self.record(number).info) for number in (1, 2, 3)], [b"one", b"two", b"three"])
        self.assertGreater(self.create().version_number, 3)

    def test_twice(self) -> None:
        """
        Two callers at once get the same version, and a later one as well.
        """
        self.create()
        both = [self.registry.archive_version(self.snapshot(), 1) for _ in range(2)]
        self.pump()
        first, second = (self.successResultOf(promotion) for promotion in both)
        self.assertEqual(first, second)
        self.assertEqual(self.archive_version(1), first)
        self.assertEqual([type(event) for event in self.events], [VersionCommitted, VersionArchived])

    def test_archived_already(self) -> None:
        """
        An archived version stays as it is.
        """
        info = self.create(archived=True)
        self.assertEqual(self.archive_version(1), info)

    def test_unknown(self) -> None:
        """
        A version or a model that is not there cannot be archived.
        """
        snapshot = self.snapshot()
        self.fails(self.registry.archive_version(snapshot, 1), UnknownVersion)
        self.done(self.registry.delete_model("m"))
        self.fails(self.registry.archive_version(snapshot, 1), UnknownModel)

    def test_pinned(self) -> None:
        """
        It is not evicted while it is written, however many versions come.
        """
        self.create(b"one")
        promotion = self.registry.archive_version(self.snapshot(), 1)
        self.reactor.pump()
        self.save("n")
        for _ in range(BUDGET.max_items + 2):
            self.create(model_id="n")
        self.done(promotion)
        evicted = {event.model_id for event in self.events if isinstance(event, VersionEvicted)}
        self.assertEqual(evicted, {"n"})
        self.assertEqual(self.read(self.record(1).info), b"one")

    def test_evicted_as_a_copy(self) -> None:
        """
        Afterwards its copy in memory is evicted before transient versions, and the version stays.
        """
        self.create(b"one")
        archived = self.archive_version(1)
        for _ in range(BUDGET.max_items):
            self.create()
        self.assertNotIn(1, self.snapshot().held)
        self.assertEqual(self.numbers()[0], 1)
        self.assertEqual(self.read(archived), b"one")

    def test_deleted_meanwhile(self) -> None:
        """
        If it is deleted while it is written, it is not archived, and nothing is left.
        """
        self.create()
        promotion = self.registry.archive_version(self.snapshot(), 1)
        self.reactor.pump()
        deletion = self.registry.delete_version(self.snapshot(), 1)
        self.pump()
        self.failureResultOf(promotion, UnknownVersion)
        self.successResultOf(deletion)
        self.restart()
        self.assertEqual(self.numbers(), [])


class DeletionTests(LifecycleCase):
    """
    Single versions are deleted.
    """

    def delete(self, number: int) -> None:
        """
        Delete a version.
        """
        self.done(self.registry.delete_version(self.snapshot(), number))

    def test_deleted(self) -> None:
        """
        A transient version and an archived one disappear; -n counts those that exist.
        """
        for archived in (True, False, True, False):
            self.create(archived=archived)
        self.delete(2)
        self.delete(3)
        self.assertEqual(self.numbers(), [1, 4])
        self.assertEqual((self.resolve("m@-1"), self.resolve("m@-2")), (4, 1))
        for number in (2, 3):
            self.assertRaises(UnknownVersion, self.resolve, f"m@{number}")
        self.restart()
        self.assertEqual(self.numbers(), [1])

    def test_number_never_again(self) -> None:
        """
        The number of a deleted version is not used again, also not the highest one, and not after a restart.
        """
        for archived in (True, False):
            number = self.create(archived=archived).version_number
            self.delete(number)
            self.restart()
            self.assertGreater(self.create(archived=archived).version_number, number)

    def test_latest(self) -> None:
        """
        After the latest version is deleted, the one before it is the latest.
        """
        first = self.create(archived=True)
        self.create(archived=True)
        self.delete(2)
        self.assertEqual(self.resolve("m"), 1)
        self.assertEqual(self.record(1).info, first)
        self.delete(1)
        self.assertRaises(UnknownVersion, self.resolve, "m")

    def test_latest_is_kept_longest(self) -> None:
        """
        The transient version that is the latest after a deletion is evicted like a latest one.
        """
        self.create(b"one")
        self.create(b"two")
        self.delete(2)
        self.save("n")
        for _ in range(BUDGET.max_items):
            self.create(model_id="n")
        self.assertEqual(self.numbers(), [1])

    def test_event(self) -> None:
        """
        The event has the version's size, and whether it was the latest.
        """
        self.create(b"1234")
        self.create(archived=True)
        self.events.clear()
        self.delete(1)
        self.delete(2)
        key = self.snapshot().key
        self.assertEqual(self.events, [VersionDeleted(key(1), 4, False), VersionDeleted(key(2), 4, True)])

    def test_reader_ends(self) -> None:
        """
        A download under way gets all data.
        """
        data = b"0123456789" * 5
        for archived in (True, False):
            info = self.create(data, archived=archived)
            download = self.registry.download(self.snapshot(), info)
            first = self.settle(download.read())
            assert first is not None
            self.delete(info.version_number)
            self.assertEqual(bytes(first.data) + b"".join(bytes(c.data) for c in self.chunks(download)), data)

    def test_read_meanwhile(self) -> None:
        """
        A version that cannot be read because it is being deleted, or was, does not exist, and is not damaged.  That is
        not answered before the snapshot lacks it.
        """
        for _ in range(2):
            self.create(archived=True)
        for number, deliver in ((1, self.reactor.pump_last), (2, self.reactor.pump)):
            self.restart()
            with capturedLogs() as events:
                deletion = self.registry.delete_version(self.snapshot(), number)
                loading = self.registry.load_version_infos(self.snapshot(), [number])
                self.disk.pump(2)
                self.assertEqual(len(self.reactor), 2)
                deliver()
                self.assertEqual(loading.called, number not in self.snapshot().numbers)
                (result,) = self.done(loading)
                self.assertIsInstance(result, UnknownVersion)
                self.done(deletion)
            self.assertEqual([event for event in events if "damage" in str(event["log_format"])], [])
            self.assertNotIn(number, self.numbers())

    def test_annotations_read_meanwhile(self) -> None:
        """
        A version that is deleted while its annotations are read has its annotations, or does not exist.
        """
        for _ in range(2):
            self.create(archived=True)
        for number in (1, 2):
            self.done(self.registry.annotate_version(self.snapshot(), number, AnnotationUpdate({"k": "v"}, {})))
        for number, deliver in ((1, self.reactor.pump_last), (2, self.reactor.pump)):
            self.restart()
            self.done(self.registry.load_version_infos(self.snapshot(), [number]))
            snapshot = self.snapshot()
            deletion = self.registry.delete_version(snapshot, number)
            loading = self.registry.load_version_records(snapshot, [number])
            self.disk.pump(1)
            while not deletion.called:
                self.assertFalse(loading.called and number in self.snapshot().numbers)
                deliver()
                self.disk.pump(1)
            (result,) = self.done(loading)
            self.assertIsInstance(result, UnknownVersion)

    def test_gone_without_a_gap(self) -> None:
        """
        From the moment the archive has deleted a version until the snapshot lacks it, it counts as being deleted.
        """
        for _ in range(4):
            self.create(archived=True)
        state, snapshot = self.registry._state, self.snapshot()
        keys = [snapshot.key(number) for number in (1, 2, 3)]
        seen: list[list[bool]] = []
        coordination: Any = PausingCoordination(
            state.coordination, lambda: seen.append([state.may_be_gone(key) for key in keys])
        )
        deletion = VersionDeletion(evolve(state, coordination=coordination))
        self.done(Deferred.fromCoroutine(deletion.delete(snapshot, 1)))
        self.done(Deferred.fromCoroutine(deletion.delete_unprotected(snapshot, {2: 4}, ())))
        self.assertEqual(seen, [[True, False, False], [True, True, False]])
        self.assertEqual([state.may_be_gone(key) for key in keys], [True, True, False])

    def test_failed(self) -> None:
        """
        A version that could not be deleted is there, and does not count as being deleted.
        """
        self.create(archived=True)

        def refuse(model_id: str, version_number: int) -> None:
            raise StorageReadOnly("read-only")

        self.patch(self.archive, "delete_version", refuse)
        self.fails(self.registry.delete_version(self.snapshot(), 1), StorageReadOnly)
        self.assertFalse(self.registry._state.may_be_gone(self.snapshot().key(1)))
        self.assertEqual(self.numbers(), [1])

    def test_opened_too_late(self) -> None:
        """
        A download that opens a version after its deletion has begun finds none, and no damage.
        """
        info = self.create(archived=True)
        self.restart()
        download = self.registry.download(self.snapshot(), info)
        with capturedLogs() as events:
            deletion = self.registry.delete_version(self.snapshot(), 1)
            self.disk.pump(1)
            first = download.read()
            self.disk.pump(1)
            self.assertIsInstance(first.exception(timeout=0), UnknownVersion)
            self.done(deletion)
        self.assertEqual([event for event in events if "damage" in str(event["log_format"])], [])

    def test_unknown(self) -> None:
        """
        A version that is not there cannot be deleted, nor twice.
        """
        self.fails(self.registry.delete_version(self.snapshot(), 1), UnknownVersion)
        self.create()
        self.delete(1)
        self.fails(self.registry.delete_version(self.snapshot(), 1), UnknownVersion)


class AliasTests(LifecycleCase):
    """
    Aliases name versions.
    """

    def test_named(self) -> None:
        """
        An alias names a version, durably, and a transient version is archived first.
        """
        self.create(archived=True)
        self.create()
        move = self.move("production", 2, reason="better")
        self.assertEqual(
            (move.from_number, move.to_number, move.actor, move.reason, move.sequence), (0, 2, "ann", "better", 1)
        )
        self.assertEqual(self.resolve("m@production"), 2)
        self.assertEqual(self.record(2).aliases, ("production",))
        self.restart()
        self.assertEqual(self.resolve("m@production"), 2)
        self.assertEqual(self.numbers(), [1, 2])

    def test_moved(self) -> None:
        """
        An alias is moved if it names the expected version.
        """
        for _ in range(2):
            self.create(archived=True)
        self.move("production", 1, expected=0)
        change = AliasChange("production", 2, 0)
        error = self.fails(self.registry.move_alias(self.snapshot(), change), AliasMoved)
        self.assertEqual(error.present_number, 1)
        self.move("production", 2, expected=1)
        self.assertEqual(self.resolve("m@production"), 2)

    def test_history(self) -> None:
        """
        The history has every move, also after the alias is deleted and after a restart.
        """
        for _ in range(2):
            self.create(archived=True)
        moves = [self.move("a", 1), self.move("b", 1), self.move("a", 2), self.move("a", 0)]
        self.assertRaises(UnknownAlias, self.resolve, "m@a")
        self.assertEqual([move.sequence for move in moves], [1, 2, 3, 4])
        self.assertEqual(self.moves(), moves)
        self.restart()
        self.assertEqual(self.moves(), moves)
        self.assertEqual(self.move("a", 1).sequence, 5)

    def test_same_number(self) -> None:
        """
        A move to the same number changes nothing.
        """
        self.create(archived=True)
        first = self.move("production", 1)
        self.assertEqual(self.move("production", 1), first)
        self.assertEqual(len(self.moves()), 1)

    def test_event(self) -> None:
        """
        Each move is published, after the promotion that it needed.
        """
        self.create()
        self.events.clear()
        move = self.move("production", 1)
        self.assertEqual([type(event) for event in self.events], [VersionArchived, AliasChanged])
        self.assertEqual(self.events[1], AliasChanged("m", self.snapshot().incarnation, move))

    def test_refused_move_archives_nothing(self) -> None:
        """
        A move that is refused does not archive its version.
        """
        self.create(archived=True)
        self.create()
        self.move("production", 1)
        change = AliasChange("production", 2, 7)
        self.fails(self.registry.move_alias(self.snapshot(), change), AliasMoved)
        self.assertTrue(self.snapshot().numbers.is_transient(2))

    def test_not_deleted(self) -> None:
        """
        A version with an alias cannot be deleted until the alias is moved or deleted.
        """
        self.create(archived=True)
        self.move("production", 1)
        error = self.fails(self.registry.delete_version(self.snapshot(), 1), AliasedVersion)
        self.assertEqual(error.alias, "production")
        self.move("production", 0)
        self.done(self.registry.delete_version(self.snapshot(), 1))

    def test_damaged_history(self) -> None:
        """
        If a part of the history is damaged, an alias may name any archived version, and none is deleted.
        """
        self.create(archived=True)
        self.medium.models["m"].damaged_moves = 1
        self.restart()
        self.fails(self.registry.delete_version(self.snapshot(), 1), CorruptAliases)
        self.create()
        self.done(self.registry.delete_version(self.snapshot(), self.numbers()[-1]))
        self.assertEqual(self.numbers(), [1])

    def test_delete_and_move_at_once(self) -> None:
        """
        If a version is deleted and named at once, one of the two fails.
        """
        for is_delete_first in (True, False):
            number = self.create(archived=True).version_number
            acts = [
                lambda number=number: self.registry.delete_version(self.snapshot(), number),
                lambda number=number: self.registry.move_alias(self.snapshot(), AliasChange("a", number)),
            ]
            results = [act() for act in (acts if is_delete_first else acts[::-1])]
            self.successResultOf(self.done_or_failed(results[0]))
            self.failureResultOf(self.done_or_failed(results[1]), UnknownVersion, AliasedVersion)

    def done_or_failed(self, deferred: Any) -> Any:
        """
        Run everything, and return the Deferred.
        """
        self.pump()
        return deferred

    def test_unknown(self) -> None:
        """
        A version or an alias that is not there is an error.
        """
        self.fails(self.registry.move_alias(self.snapshot(), AliasChange("a", 1)), UnknownVersion)
        self.fails(self.registry.move_alias(self.snapshot(), AliasChange("a", 0)), UnknownAlias)
        self.assertRaises(UnknownAlias, self.resolve, "m@a")

    def test_deleted_model(self) -> None:
        """
        A model that is made again has no aliases.
        """
        self.create(archived=True)
        self.move("production", 1)
        self.done(self.registry.delete_model("m"))
        self.save()
        self.done(self.registry.load_snapshot("m"))
        self.assertRaises(UnknownAlias, self.resolve, "m@production")
        self.assertEqual(self.moves(), [])


class AnnotationTests(LifecycleCase):
    """
    Versions have labels and metrics.
    """

    def annotate(self, number: int, **update: Any) -> VersionRecord:
        """
        Change the labels and metrics of a version.
        """
        return self.done(self.registry.annotate_version(self.snapshot(), number, AnnotationUpdate(**update)))

    def test_changed(self) -> None:
        """
        Labels and metrics are set and removed, on transient and archived versions.
        """
        for archived in (True, False):
            number = self.create(archived=archived).version_number
            self.annotate(number, labels={"env": "walker", "x": "y"}, metrics={"return": 3.5})
            record = self.annotate(number, labels={"x": None}, metrics={"loss": 1.0})
            self.assertEqual(record.labels, {"env": "walker"})
            self.assertEqual(record.metrics, {"return": 3.5, "loss": 1.0})
            self.assertEqual(self.record(number), record)
            self.assertEqual(self.registry.version_record(self.snapshot(), number), record)

    def test_durable(self) -> None:
        """
        Those of archived versions survive a restart, also if the version was promoted after they were set.
        """
        self.create(archived=True)
        self.create()
        for number in (1, 2):
            self.annotate(number, metrics={"return": float(number)})
        self.archive_version(2)
        self.restart()
        self.assertEqual([self.record(number).metrics for number in (1, 2)], [{"return": 1.0}, {"return": 2.0}])

    def test_event(self) -> None:
        """
        Each change is published.
        """
        info = self.create()
        self.events.clear()
        record = self.annotate(1, labels={"a": "b"})
        self.assertEqual(self.events, [VersionAnnotated(self.snapshot().key(1), info, record.annotations)])

    def test_gone_with_the_version(self) -> None:
        """
        They go with their version.
        """
        for archived in (True, False):
            number = self.create(archived=archived).version_number
            self.annotate(number, labels={"a": "b"})
            self.done(self.registry.delete_version(self.snapshot(), number))
            self.fails(self.registry.annotate_version(self.snapshot(), number, AnnotationUpdate()), UnknownVersion)
        self.assertEqual(self.snapshot().annotated, {})


class UncertainPromotionTests(LifecycleCase):
    """
    A promotion whose commit ended with an error, though the version is in the archive.
    """

    def setUp(self) -> None:
        """
        Fail the promotion of version 1.
        """
        super().setUp()
        self.create(b"one")
        writer = UncertainWriter(self.archive.create_version("m"))
        patch = self.patch(self.archive, "create_version", lambda model_id: writer)
        self.fails(self.registry.archive_version(self.snapshot(), 1), CommitUncertain)
        patch.restore()
        self.assertTrue(self.snapshot().numbers.is_transient(1))

    def test_deleted(self) -> None:
        """
        If the version is deleted, it does not come back after a restart.
        """
        self.done(self.registry.delete_version(self.snapshot(), 1))
        self.restart()
        self.assertEqual(self.numbers(), [])

    def test_deleted_twice(self) -> None:
        """
        It is deleted from memory too if it is not in the archive.
        """
        self.archive.delete_version("m", 1)
        self.done(self.registry.delete_version(self.snapshot(), 1))
        self.assertEqual(self.numbers(), [])

    def test_annotated_before_the_next_attempt(self) -> None:
        """
        The next attempt finds the version, and stores the labels that were set since.
        """
        update = AnnotationUpdate({"stage": "late"})
        self.done(self.registry.annotate_version(self.snapshot(), 1, update))
        self.archive_version(1)
        self.restart()
        self.assertEqual(dict(self.record(1).annotations.labels), {"stage": "late"})


class DuringDeletionTests(FaultyRegistryCase):
    """
    Calls while their model is being deleted, which is still in memory, and already gone from the archive.
    """

    def setUp(self) -> None:
        """
        Create an archived version, of which memory has nothing after a restart, and a transient one.
        """
        super().setUp()
        self.save()
        self.create(archived=True)
        self.done(self.registry.move_alias(self.snapshot(), AliasChange("prod", 1)))
        self.crash()
        self.create()

    def is_gone(self) -> bool:
        """
        Return whether nobody can see the model any more.
        """
        try:
            return self.registry.snapshot("m") is None
        except UnknownModel:
            return True

    def calls(self) -> list["Deferred[Any]"]:
        """
        Begin calls that do not own the model.
        """
        registry, snapshot = self.registry, self.snapshot()
        return [
            registry.archive_version(snapshot, 2),
            registry.move_alias(snapshot, AliasChange("best", 1)),
            registry.alias_moves(snapshot),
            registry.load_version_records(snapshot, [1]),
            registry.load_model_infos(["m"]),
        ]

    def test_gone(self) -> None:
        """
        None of them finds the model gone as long as others can see it.
        """
        deletion, calls = self.registry.delete_model("m"), self.calls()
        while not self.is_gone():
            self.assertEqual([call.called for call in calls], [False] * len(calls))
            if not self.disk.pump(1):
                self.reactor.pump_last()
        self.done(deletion)
        for call in calls[:-1]:
            self.fails(call, UnknownModel)
        (result,) = self.done(calls[-1])
        self.assertIsInstance(result, UnknownModel)

    def test_failed(self) -> None:
        """
        If the deletion fails, they have their usual results.
        """
        self.archive.faults["delete_model"] = StorageReadOnly("read-only")
        deletion = self.registry.delete_model("m")
        promotion, move, moves, records, models = self.calls()
        self.fails(deletion, StorageReadOnly)
        self.assertTrue(self.done(promotion).archived)
        self.assertEqual(self.done(move).to_number, 1)
        self.assertEqual(len(self.done(moves)), 1)
        self.assertEqual([record.aliases for record in self.done(records)], [("prod",)])
        self.assertEqual(self.done(models), [ModelInfo("m")])
