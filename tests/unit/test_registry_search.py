"""
Tests of the registry's search indexes: made in the background, kept current, and bounded.
"""

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from tests.support.archive_files import write_version
from tests.support.records import query
from tests.support.registry import PumpedRegistryCase
from tests.unit.test_registry_strangers import StrangersCase
from twisted_registry.contracts.transfers import IUpload
from twisted_registry.contracts.transient import TransientBudget
from twisted_registry.domain.aliases import AliasChange
from twisted_registry.domain.annotations import Annotations, AnnotationUpdate
from twisted_registry.domain.creation import CreationDetails
from twisted_registry.domain.errors import (
    CorruptAnnotations,
    CorruptVersion,
    RegistryError,
    StorageFailure,
    TooLarge,
    Unavailable,
    UnknownModel,
)
from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo
from twisted_registry.domain.query import Order
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.search import VersionSearch
from twisted_registry.domain.version_index import VersionIndex, sorted_records
from twisted_registry.storage.memory import MemoryStore
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium

ORDERS = (
    "number",
    "metrics.x",
    "metrics.x desc",
    "labels.env, metrics.x desc",
    "size_bytes",
    "created desc",
    "archived",
    "sha256",
)
VERSIONS_PER_JOB = 64

Act = tuple[str, int, int]
acts = st.lists(
    st.tuples(
        st.sampled_from(
            ["commit", "delete", "annotate", "alias", "archive", "index", "disk", "disk", "disk", "reactor", "pump"]
        ),
        st.integers(1, 90),
        st.integers(-2, 7),
    ),
    max_size=50,
)


def order_of(text: str) -> Order:
    """
    Parse an order.
    """
    order: Order = query("", text).order
    return order


class TestedArchive(MemoryArchive):
    """
    An archive that fails when a test says so.

    Attributes:
        is_failing: whether labels and metrics cannot be read.
        damaged: the numbers of damaged versions.
        read_together: of how many versions labels and metrics were read at once, each time.
    """

    def __init__(self, medium: MemoryMedium) -> None:
        super().__init__(medium)
        self.is_failing = False
        self.damaged: set[int] = set()
        self.read_together: list[int] = []

    def load_version(self, model_id: str, version_number: int) -> VersionInfo:
        """See ``IVersionStore.load_version``."""
        if version_number in self.damaged:
            raise CorruptVersion(model_id, version_number, "a test damaged it")
        return super().load_version(model_id, version_number)

    def load_annotations(self, model_id: str, version_numbers: Sequence[int]) -> list[Annotations | CorruptAnnotations]:
        """See ``IAnnotationStore.load_annotations``."""
        if self.is_failing:
            raise StorageFailure("the disk is gone")
        self.read_together.append(len(version_numbers))
        return super().load_annotations(model_id, version_numbers)


class SearchCase(PumpedRegistryCase):
    """
    A registry with one model.
    """

    archive: TestedArchive

    def make_archive(self, medium: MemoryMedium) -> TestedArchive:
        """
        Make the archive.
        """
        return TestedArchive(medium)

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.save()

    def start_index(self, order: str = "number") -> "Deferred[VersionIndex]":
        """
        Begin to make the model's index.
        """
        return self.registry.load_version_index(self.snapshot(), order_of(order))

    def index(self, order: str = "number") -> VersionIndex:
        """
        Make the model's index.
        """
        return self.done(self.start_index(order))

    def present(self, order: str = "number") -> VersionIndex | None:
        """
        Return the model's index, if it is in memory.
        """
        found: VersionIndex | None = self.registry.version_index(self.snapshot(), order_of(order))
        return found

    def restart(self) -> None:
        """
        Open the registry again, as after a crash, with the model loaded.
        """
        self.open()
        self.done(self.registry.load_snapshot("m"))

    def annotate(self, number: int, **metrics: float) -> VersionRecord:
        """
        Set metrics of a version.
        """
        update = AnnotationUpdate({"env": f"{number}"}, metrics)
        return self.done(self.registry.annotate_version(self.snapshot(), number, update))

    def records(self) -> list[VersionRecord]:
        """
        Read all versions as they are.
        """
        results = self.done(self.registry.load_version_records(self.snapshot(), self.numbers()))
        return [result for result in results if isinstance(result, VersionRecord)]

    def assert_current(self, order: str) -> None:
        """
        Check that the index in memory has every version as it is, also in an order.
        """
        index = self.index(order)
        self.assertIs(self.present(order), index)
        expected = self.records()
        self.assertEqual([record for _, record in index.records.ascending_items()], expected)
        found = query("", order)
        search = VersionSearch(index, found, len(expected) + 1)
        while not search.step(100):
            pass
        self.assertEqual(search.found, found.select(expected))
        for key, tree in index.orders.items():
            self.assertEqual(list(tree.ascending_items()), list(sorted_records(index.records, key).ascending_items()))


class CurrentTests(SearchCase):
    """
    An index has every version as it is.
    """

    def started(self) -> dict[str, Callable[[int, int], Any]]:
        """
        Return what happens to the model, each act begun and not waited for.
        """
        return {
            "commit": lambda number, value: self.uploads.pop().commit() if self.uploads else None,
            "delete": lambda number, value: self.registry.delete_version(self.snapshot(), number),
            "annotate": lambda number, value: self.registry.annotate_version(
                self.snapshot(), number, AnnotationUpdate({"env": str(value % 3)}, {"x": float(value)})
            ),
            "alias": lambda number, value: self.registry.move_alias(
                self.snapshot(), AliasChange("ab"[value % 2], number if value else 0)
            ),
            "archive": lambda number, value: self.registry.archive_version(self.snapshot(), number),
            "index": lambda number, value: self.start_index(ORDERS[value]),
            "disk": lambda number, value: self.disk.pump(1),
            "reactor": lambda number, value: self.reactor.pump(),
            "pump": lambda number, value: self.pump(),
        }

    def begin(self, name: str, number: int, value: int) -> "Deferred[Any] | None":
        """
        Begin an act.  Those of versions that are not there fail.
        """
        begun = self.started()[name](number, value)
        return begun if isinstance(begun, Deferred) else None

    @given(acts)
    @settings(max_examples=60, deadline=None)
    def test_concurrent_changes(self, plan: list[Act]) -> None:
        """
        Commits, deletions, promotions, evictions, labels, metrics and aliases that come while the index is made, and
        afterwards, are in it.
        """
        self.setUp()
        for number in range(1, VERSIONS_PER_JOB + 8):
            self.create(b"%d" % (number % 3), archived=number % 9 != 0)
        self.uploads: list[IUpload] = [self.upload(b"new", archived=bool(number % 2)) for number in range(12)]
        begun = [self.begin("index", 0, 1), *(self.begin(*act) for act in plan)]
        self.pump()
        for deferred in begun:
            if deferred is not None:
                deferred.addErrback(lambda failure: failure.trap(RegistryError))
                self.successResultOf(deferred)
        for order in ORDERS:
            self.assert_current(order)

    def test_after_start(self) -> None:
        """
        After a start the index has what the archive has.
        """
        for _ in range(2 * VERSIONS_PER_JOB + 2):
            self.create(archived=True)
        self.annotate(5, x=1.5)
        self.done(self.registry.move_alias(self.snapshot(), AliasChange("production", 7)))
        self.done(self.registry.delete_version(self.snapshot(), 9))
        self.restart()
        self.assertIsNone(self.present())
        self.assert_current("metrics.x desc")
        self.assertEqual(self.index().records.get(7), self.records()[6])
        self.assertEqual(self.records()[6].aliases, ("production",))

    def test_in_pieces(self) -> None:
        """
        The archive is read in pieces, and calls for other models come between them.
        """
        for _ in range(3 * VERSIONS_PER_JOB):
            self.create(archived=True)
        self.save("other")
        self.restart()
        jobs_before = len(self.archive.read_together)
        loading, other = self.start_index(), self.registry.load_snapshot("other")
        while not other.called:
            self.reactor.pump()
            self.disk.pump(1)
        self.assertNoResult(loading)
        self.pump()
        self.assertEqual(len(self.successResultOf(loading).records), 3 * VERSIONS_PER_JOB)
        self.assertEqual(self.archive.read_together[jobs_before:], [VERSIONS_PER_JOB] * 3)

    def test_once(self) -> None:
        """
        Two searches at once share one index.
        """
        self.create(archived=True)
        self.restart()
        both = [self.start_index("metrics.x") for _ in range(2)]
        self.pump()
        first, second = (self.successResultOf(loading) for loading in both)
        self.assertIs(first, second)

    def test_created_with_details(self) -> None:
        """
        Labels, metrics and aliases that are set in the commit of a version are in the index, and the alias has left the
        version that it named before.
        """
        self.create(archived=True)
        self.index("metrics.x")
        for number in (2, 3):
            details = CreationDetails(Annotations({"env": "a"}, {"x": float(number)}), ("production",))
            header = VersionHeader("m", True, 4)
            upload = self.registry.upload(header, self.snapshot(), details=details)
            self.settle(upload.write(Chunk(b"data")))
            self.settle(upload.finish())
            self.done(upload.commit())
            self.assert_current("metrics.x")
        records = self.index().records
        self.assertEqual([each.aliases for _, each in records.ascending_items() if each], [(), (), ("production",)])

    def test_snapshots(self) -> None:
        """
        An index that was returned never changes.
        """
        self.create()
        index = self.index("metrics.x")
        before = list(index.records.ascending_items())
        self.annotate(1, x=3.0)
        self.create()
        self.assertEqual(list(index.records.ascending_items()), before)
        self.assertEqual(len(self.index("metrics.x").records), 2)

    def test_orders_are_bounded(self) -> None:
        """
        The orders that were not used for longest are dropped.
        """
        self.create()
        for number in range(12):
            self.index(f"metrics.x{number}")
        self.assertIsNone(self.present("metrics.x0"))
        self.assertIsNotNone(self.present("metrics.x11"))
        self.assertEqual(len(self.index("metrics.x0").orders), 8)


class TransientTests(SearchCase):
    """
    An index of more transient versions than usual.
    """

    def make_store(self) -> MemoryStore:
        """
        Make a transient store for them.
        """
        return MemoryStore(TransientBudget(max_items=1000, max_bytes=10**6))

    def test_transient_in_pieces(self) -> None:
        """
        Transient versions are taken in pieces, too: the reactor runs between them.  A change meanwhile is in the index.
        """
        count = 3 * VERSIONS_PER_JOB
        for _ in range(count):
            self.create()
        loading = self.start_index()
        turns = 0
        while not loading.called:
            self.reactor.pump()
            self.disk.pump(1)
            turns += 1
            if turns == 3:
                self.registry.annotate_version(self.snapshot(), 1, AnnotationUpdate({}, {"x": 7.0}))
        self.assertGreaterEqual(turns, 4)
        self.assertEqual(len(self.successResultOf(loading).records), count)
        self.assert_current("metrics.x")
        found = self.index().get(1)
        self.assertEqual(None if found is None else found.metrics, {"x": 7.0})


class LifeTests(SearchCase):
    """
    When an index is there, and when it is not.
    """

    def test_deleted_model(self) -> None:
        """
        A model that was deleted is not found, nor is one that was created again under its name.
        """
        self.create(archived=True)
        snapshot = self.snapshot()
        self.index()
        self.done(self.registry.delete_model("m"))
        self.assertIsNone(self.registry.version_index(snapshot, order_of("number")))
        self.fails(self.registry.load_version_index(snapshot, order_of("number")), UnknownModel)
        self.save()
        self.assertEqual(len(self.index().records), 0)

    def test_deleted_while_made(self) -> None:
        """
        If the model is deleted meanwhile, the search fails.
        """
        for _ in range(2 * VERSIONS_PER_JOB):
            self.create(archived=True)
        loading, deletion = self.start_index(), self.registry.delete_model("m")
        self.pump()
        self.successResultOf(deletion)
        self.failureResultOf(loading, UnknownModel)

    def test_close(self) -> None:
        """
        A registry that closes does not wait until an index is made.
        """
        for _ in range(3 * VERSIONS_PER_JOB):
            self.create(archived=True)
        self.restart()
        jobs_before = len(self.archive.read_together)
        errors: list[Failure] = []
        self.start_index().addErrback(errors.append)
        self.reactor.pump()
        self.disk.pump(1)
        closing = self.registry.close()
        self.pump()
        self.successResultOf(closing)
        self.assertEqual([error.type for error in errors], [Unavailable])
        self.assertEqual(len(self.archive.read_together) - jobs_before, 1)

    def test_few_loads_at_once(self) -> None:
        """
        Only a few models are read at once; all are read in the end.
        """
        model_ids = [f"m{number}" for number in range(10)]
        for model_id in model_ids:
            self.save(model_id)
            self.create(model_id=model_id, archived=True)
        loads = [
            self.registry.load_version_index(self.snapshot(model_id), order_of("number")) for model_id in model_ids
        ]
        self.assertEqual(len(self.disk), 4)
        self.pump()
        self.assertEqual([len(self.successResultOf(each).records) for each in loads], [1] * 10)

    def test_failed_disk(self) -> None:
        """
        If the archive fails, the search does, and the next one succeeds.
        """
        self.create(archived=True)
        self.restart()
        self.archive.is_failing = True
        self.fails(self.start_index(), StorageFailure)
        self.archive.is_failing = False
        self.assert_current("number")

    def test_damaged_version(self) -> None:
        """
        A damaged version is left out, logged once, and read again after a minute.
        """
        self.create(archived=True)
        self.create(archived=True)
        self.restart()
        self.archive.damaged = {1}
        with capturedLogs() as events:
            self.assertEqual(list(self.index().records), [2])
            self.archive.damaged = set()
            self.assertEqual(list(self.index().records), [2])
            self.clock.advance(61)
            self.assertIsNone(self.present())
            self.assertEqual(list(self.index().records), [1, 2])
        self.assertEqual(len([event for event in events if "damage" in str(event["log_format"])]), 1)

    def test_deleted_damaged_version(self) -> None:
        """
        A damaged version that is deleted is not read again.
        """
        self.create(archived=True)
        self.restart()
        self.archive.damaged = {1}
        self.assertEqual(list(self.index().records), [])
        self.done(self.registry.delete_version(self.snapshot(), 1))
        self.clock.advance(61)
        self.assertIsNotNone(self.present())


class BudgetTests(SearchCase):
    """
    The memory for indexes is bounded.
    """

    max_index_bytes = 20_000

    def fill(self, model_id: str, count: int) -> None:
        """
        Make a model with versions of about a thousand bytes in an index.
        """
        self.save(model_id)
        for _ in range(count):
            self.create(model_id=model_id, archived=True, metadata={"a": "b" * 50})

    def search(self, model_id: str) -> None:
        """
        Search a model.
        """
        self.done(self.registry.load_version_index(self.snapshot(model_id), order_of("number")))

    def has_index(self, model_id: str) -> bool:
        """
        Return whether a model has an index, without using it.
        """
        return self.registry._state.index.get(model_id).search is not None

    def test_least_recently_searched(self) -> None:
        """
        The index that was not searched for longest is dropped, and made again when it is searched.
        """
        for model_id in "abc":
            self.fill(model_id, 8)
        for model_id in "abac":
            self.search(model_id)
        self.assertEqual([self.has_index(model_id) for model_id in "abc"], [True, False, True])
        self.search("b")
        self.assertEqual([self.has_index(model_id) for model_id in "abc"], [False, True, True])

    def test_dropped_while_others_load(self) -> None:
        """
        An index is not dropped while it is loaded, and has what changes meanwhile.
        """
        for model_id in "abc":
            self.fill(model_id, 12)
        number = self.create(model_id="a").version_number
        self.search("b")
        loads = [self.start_load(model_id) for model_id in "ca"]
        commit = self.upload_only("a")
        for _ in range(3):
            self.disk.pump(1)
            self.reactor.pump()
        self.assertTrue(self.has_index("a"))
        committed = commit()
        self.pump()
        self.assertEqual(self.successResultOf(committed).version_number, number + 1)
        self.assertIn(number + 1, self.successResultOf(loads[1]).records)

    def upload_only(self, model_id: str) -> "Callable[[], Deferred[VersionInfo]]":
        """
        Upload the data of a version that has none, without running what waits, and return the call that commits it.
        """
        upload = self.registry.upload(VersionHeader(model_id, False, 0), self.snapshot(model_id))
        upload.finish()
        return upload.commit

    def start_load(self, model_id: str) -> "Deferred[VersionIndex]":
        """
        Begin to search a model.
        """
        return self.registry.load_version_index(self.snapshot(model_id), order_of("number"))

    def test_dropped_while_sorted(self) -> None:
        """
        If an index is dropped while an order is added to it, it is made again, with what has changed.
        """
        self.fill("a", 3)
        self.search("a")
        upload = self.upload(model_id="a", archived=True)
        loading = self.registry.load_version_index(self.snapshot("a"), order_of("metrics.x"))
        self.registry._state.index.get("a").search = None
        self.done(upload.commit())
        self.assertEqual(len(self.successResultOf(loading).tree(order_of("metrics.x"))), 4)

    def test_loads(self) -> None:
        """
        Models that are being loaded count: others are dropped for them, and loads that do not fit together wait.
        """
        for model_id in "abcd":
            self.fill(model_id, 12)
        self.search("a")
        loads = [self.start_load(model_id) for model_id in "bcd"]
        sizes = []
        while not all(load.called for load in loads):
            self.disk.pump(1)
            self.reactor.pump()
            searches = [model.search for model in self.registry._state.index.models()]
            sizes.append(sum(search.size_bytes for search in searches if search is not None))
            if len(sizes) == 1:
                self.assertFalse(self.has_index("a"))
        self.assertLessEqual(max(sizes), self.max_index_bytes)
        self.assertEqual([len(self.successResultOf(load).records) for load in loads], [12, 12, 12])

    def test_heap(self) -> None:
        """
        The heap is settled when an index or an order is made, and unsettled when an index is dropped for another one.
        """
        for model_id in "abc":
            self.fill(model_id, 8)
        self.search("a")
        self.done(self.registry.load_version_index(self.snapshot("a"), order_of("metrics.x")))
        self.assertEqual(self.heap_calls, ["settle"] * 3)
        self.search("b")
        self.search("c")
        self.assertEqual(self.heap_calls, ["settle"] * 6 + ["unsettle", "settle"])

    def test_too_many_versions(self) -> None:
        """
        A model that does not fit is refused.
        """
        self.fill("a", 30)
        error = self.fails(self.registry.load_version_index(self.snapshot("a"), order_of("number")), TooLarge)
        self.assertIn("without a filter", str(error))
        self.assertFalse(self.has_index("a"))

    def test_too_many_versions_again(self) -> None:
        """
        Its versions are not read again for a minute, unless some of them are deleted.
        """
        self.fill("a", 30)
        for reads, act in (
            (True, lambda: None),
            (False, lambda: self.clock.advance(59)),
            (True, lambda: self.clock.advance(1)),
            (False, lambda: None),
            (True, lambda: self.done(self.registry.delete_version(self.snapshot("a"), 1))),
        ):
            act()
            self.archive.read_together.clear()
            error = self.fails(self.start_load("a"), TooLarge)
            self.assertIn("do not fit", str(error))
            self.assertEqual(bool(self.archive.read_together), reads)

    def test_growth(self) -> None:
        """
        An index that grows too large by commits is dropped.
        """
        self.fill("a", 1)
        self.search("a")
        self.create(model_id="a", archived=True, metadata={"a": "b" * 1_100_000})
        self.assertFalse(self.has_index("a"))


class AdoptedTests(StrangersCase):
    """
    Another program puts versions into the archive.
    """

    def test_found(self) -> None:
        """
        They are found as soon as the registry knows them.
        """
        key = order_of("number")
        self.done(self.registry.load_version_index(self.snapshot(), key))
        write_version(self.root / "m", 4, b"restored")
        self.create(archived=True)
        index = self.done(self.registry.load_version_index(self.snapshot(), key))
        self.assertEqual(list(index.records), [1, 2, 3, 4, 5])
        self.assertIs(self.registry.version_index(self.snapshot(), key), index)
