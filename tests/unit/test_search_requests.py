"""
Tests of searches as clients ask for them: deadlines, and filters that take long.
"""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from tests.support.registry import PumpedRegistryCase
from tests.support.runtimes import DeferredRuntime
from twisted_registry.application.queries import Queries
from twisted_registry.application.search import Searches
from twisted_registry.application.search_pages import SearchRequest
from twisted_registry.application.search_work import SearchWork
from twisted_registry.contracts.application import IBudget, IReservation
from twisted_registry.domain.annotations import AnnotationUpdate
from twisted_registry.domain.errors import Overloaded, RegistryError, StorageUnavailable, Unavailable
from twisted_registry.domain.models import ModelInfo
from twisted_registry.rpc.budgets import ListSlots
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium

VERSIONS = 150
VERSIONS_PER_JOB = 64
SLOW = " OR ".join(f"labels.env = a{number}" for number in range(400)) + " OR size_bytes > 0"


@implementer(IBudget)
class NoSlots:
    """
    A budget that is exhausted.
    """

    async def reserve(self, amount: int, caller: str = "") -> Any:
        """
        Refuse.
        """
        raise Overloaded("too many searches wait")


@implementer(IBudget, IReservation)
class CountedSlots:
    """
    A budget without a limit.

    Attributes:
        taken: how many slots are taken.
    """

    def __init__(self) -> None:
        self.taken = 0

    async def reserve(self, amount: int, caller: str = "") -> Any:
        """
        Take a slot.
        """
        self.taken += amount
        return self

    def release(self) -> None:
        """
        Release a slot.
        """
        self.taken -= 1


class SearchCase(PumpedRegistryCase):
    """
    A model with archived versions, whose index is not in memory.
    """

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.save()
        for _ in range(VERSIONS):
            self.create(archived=True)
        self.open()
        self.done(self.registry.load_snapshot("m"))
        self.searches = self.make_searches(ListSlots.for_searches())

    def make_searches(self, slots: IBudget) -> Searches:
        """
        Make the use case.
        """
        queries = Queries(self.registry, DeferredRuntime(self.clock))
        return Searches(queries, SearchWork(queries, slots), lambda: 0)

    def start(self, filter: str = "", order: str = "", remaining_seconds: float | None = None) -> "Deferred[list[int]]":
        """
        Begin a search for the first ten versions.
        """

        async def search() -> list[int]:
            request = SearchRequest(filter, order, 10)
            found = await self.searches.versions("m", request, lambda: remaining_seconds)
            return [record.number for record in (await found.page()).records]

        return Deferred.fromCoroutine(search())

    def models(self, filter: str) -> "Coroutine[Any, Any, list[str]]":
        """
        Search models.
        """

        async def search() -> list[str]:
            found = await self.searches.models(SearchRequest(filter))
            return [record.model_id for record in (await found.page()).records]

        return search()


class PartlyUnreadable(MemoryArchive):
    """
    An archive in which some models cannot be read.

    Attributes:
        unreadable: their ids.
    """

    def __init__(self, medium: MemoryMedium) -> None:
        super().__init__(medium)
        self.unreadable: set[str] = set()

    def load_model(self, model_id: str) -> ModelInfo:
        """See ``IModelStore.load_model``."""
        if model_id in self.unreadable:
            raise StorageUnavailable("Permission denied", f"model {model_id!r}")
        return super().load_model(model_id)


class LoadingTests(SearchCase):
    """
    Searches while the index is made.
    """

    def test_deadline(self) -> None:
        """
        A search whose deadline comes sooner says how far the index is; the next one finds it.
        """
        searching = self.start("size_bytes > 0", "number desc", remaining_seconds=10.0)
        self.disk.pump(1)
        self.reactor.pump()
        self.clock.advance(8.9)
        self.assertNoResult(searching)
        self.clock.advance(0.2)
        error = self.failureResultOf(searching, Unavailable).value
        self.assertIn(f"the index of 'm' is being loaded ({VERSIONS_PER_JOB} of {VERSIONS} versions)", str(error))
        self.pump()
        self.assertEqual(self.successResultOf(self.start("size_bytes > 0", remaining_seconds=10.0))[:2], [1, 2])

    def test_short_deadline(self) -> None:
        """
        A short deadline leaves a part of it for the answer.
        """
        searching = self.start("size_bytes > 0", remaining_seconds=0.1)
        self.clock.advance(0.081)
        self.failureResultOf(searching, Unavailable)

    def test_no_deadline(self) -> None:
        """
        Without a deadline, a search waits.
        """
        searching = self.start("size_bytes > 0")
        self.clock.advance(10_000)
        self.assertNoResult(searching)
        self.assertEqual(self.done(searching)[0], 1)

    def test_failure(self) -> None:
        """
        A search that fails before its deadline says why.
        """
        searching, deletion = self.start("size_bytes > 0", remaining_seconds=10.0), self.registry.delete_model("m")
        self.done(deletion)
        self.failureResultOf(searching, RegistryError)

    def test_many_waiting(self) -> None:
        """
        The searches that wait for an index are bounded.
        """
        waiting = [self.start("size_bytes > 0") for _ in range(1000)]
        refused = self.start("size_bytes > 0")
        self.failureResultOf(refused, Unavailable)
        self.pump()
        self.assertEqual({len(self.successResultOf(each)) for each in waiting}, {10})
        self.assertEqual(len(self.successResultOf(self.start("size_bytes > 0"))), 10)


class UnreadableTests(PumpedRegistryCase):
    """
    A list of models of which one cannot be read.
    """

    def make_archive(self, medium: MemoryMedium) -> MemoryArchive:
        """
        Make an archive with a model that cannot be read at first.
        """
        return PartlyUnreadable(medium)

    def search(self) -> "Deferred[list[str]]":
        """
        List all models.
        """

        async def search() -> list[str]:
            queries = Queries(self.registry, DeferredRuntime(self.clock))
            searches = Searches(queries, SearchWork(queries, CountedSlots()), lambda: 0)
            return [record.model_id for record in (await (await searches.models(SearchRequest())).page()).records]

        return Deferred.fromCoroutine(search())

    def test_models(self) -> None:
        """
        The list fails as a whole and names the model, as all lists do: a client could not see that it is short.  Once
        the model can be read, so can the list.
        """
        for model_id in ("a", "b", "c"):
            self.save(model_id)
        self.open()
        archive = self.archive
        assert isinstance(archive, PartlyUnreadable)
        archive.unreadable = {"b"}
        error = self.fails(self.search(), StorageUnavailable)
        self.assertIn("model 'b'", str(error))
        archive.unreadable = set()
        self.assertEqual(self.done(self.search()), ["a", "b", "c"])


class SlowTests(SearchCase):
    """
    Searches that take long.
    """

    def setUp(self) -> None:
        """
        Make the index.
        """
        super().setUp()
        self.done(self.start("size_bytes > 0"))

    def test_short(self) -> None:
        """
        A usual search is made at once.
        """
        self.assertEqual(self.successResultOf(self.start("size_bytes > 0", "number desc"))[0], VERSIONS)

    def test_threads(self) -> None:
        """
        A filter of many comparisons is compiled and compared in the thread for searches.
        """
        searching = self.start(SLOW)
        self.assertNoResult(searching)
        self.disk.pump(1)
        self.reactor.pump()
        self.assertNoResult(searching)
        self.assertEqual(self.done(searching), list(range(1, 11)))

    def test_changes(self) -> None:
        """
        Many changes of the index are made there, too, and few are not.
        """
        for number in range(1, 10):
            self.annotate(number)
        self.assertEqual(self.successResultOf(self.start("labels.env = a")), list(range(1, 10)))
        for number in range(10, 80):
            self.annotate(number)
        searching = self.start("labels.env = a")
        self.assertNoResult(searching)
        self.assertEqual(self.done(searching), list(range(1, 11)))
        self.assertEqual(self.successResultOf(self.start("labels.env = a")), list(range(1, 11)))

    def annotate(self, number: int) -> None:
        """
        Set a label of a version.
        """
        self.done(self.registry.annotate_version(self.snapshot(), number, AnnotationUpdate({"env": "a"})))

    def test_numbers(self) -> None:
        """
        So is one on numbers alone, which needs no index.
        """
        searching = self.start(" OR ".join(f"number = {number}" for number in (*range(20, 40), *range(1000, 1400))))
        self.assertNoResult(searching)
        self.assertEqual(self.done(searching), list(range(20, 30)))

    def test_models(self) -> None:
        """
        So is one on models.
        """
        searching = Deferred.fromCoroutine(
            self.models(" OR ".join(f"metadata.a = a{number}" for number in range(400)) + " OR version_count > 0")
        )
        self.assertNoResult(searching)
        self.assertEqual(self.done(searching), ["m"])

    def test_mistakes(self) -> None:
        """
        A mistake in a long filter is refused.
        """
        self.fails(self.start(f"{SLOW} archived"), RegistryError)

    def test_slots(self) -> None:
        """
        Long searches take a slot, and short ones none.
        """
        self.searches = self.make_searches(NoSlots())
        self.failureResultOf(self.start(SLOW), Overloaded)
        self.assertEqual(len(self.successResultOf(self.start("size_bytes > 0"))), 10)

    def test_released(self) -> None:
        """
        The slot of a search is released when it ends.
        """
        slots = CountedSlots()
        self.searches = self.make_searches(slots)
        searching = self.start(SLOW)
        self.assertEqual(slots.taken, 1)
        self.assertEqual(len(self.done(searching)), 10)
        self.assertEqual(slots.taken, 0)

    def test_current(self) -> None:
        """
        A long search finds what was changed before it began.
        """
        self.done(self.registry.annotate_version(self.snapshot(), 7, AnnotationUpdate({"env": "a399"})))
        self.assertEqual(self.done(self.start(SLOW.removesuffix(" OR size_bytes > 0"))), [7])
