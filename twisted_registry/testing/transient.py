"""
The tests of transient stores.
"""

import sys
import threading

from zope.interface.verify import verifyObject

from twisted_registry.contracts.transient import (
    EvictionRank,
    IPredictableStore,
    ITransientReader,
    ITransientStore,
    ITransientWriter,
    TransientBudget,
    Usage,
)
from twisted_registry.domain.models import Chunk, VersionKey
from twisted_registry.testing._case import ContractCase


def key(number: int, model_id: str = "m", incarnation: int = 1) -> VersionKey:
    """
    Return the key of a version.

    Args:
        number: the version's number.
        model_id: the model's id.
        incarnation: the number that distinguishes the model from earlier ones with the same id.
    """
    return VersionKey(model_id, incarnation, number)


class TransientStoreContract(ContractCase):
    """
    The tests of ``ITransientStore``.

    A subclass defines ``make_store``, and derives from a test case as well::

        class MyStoreTests(TransientStoreContract, unittest.TestCase):
            def make_store(self, budget):
                return MyStore(budget)

    Attributes:
        store: an empty store for four versions and 1000 bytes.
    """

    store: ITransientStore

    def make_store(self, budget: TransientBudget) -> ITransientStore:
        """
        Make an empty store.

        Args:
            budget: how much the store may hold.

        Returns:
            A new store.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        """
        Make a store.
        """
        super().setUp()
        self.store = self.make_store(TransientBudget(max_items=4, max_bytes=1000))

    def put(self, number: int, rank: EvictionRank = EvictionRank.LATEST, data: bytes = b"data") -> list[VersionKey]:
        """
        Commit a version with one chunk.

        Args:
            number: the version's number.
            rank: the version's rank.
            data: the chunk.

        Returns:
            The keys of the versions that were evicted for it.
        """
        writer = self.store.create_version()
        writer.write(Chunk(data))
        return writer.commit(key(number), rank)

    def held(self, *numbers: int) -> list[int]:
        """
        Return which of certain versions the store holds.

        Args:
            numbers: the versions' numbers.
        """
        return [number for number in numbers if self.read(number) is not None]

    def read(self, number: int) -> list[Chunk] | None:
        """
        Return a version's chunks.

        Args:
            number: the version's number.

        Returns:
            ``None`` if the store does not hold the version.
        """
        try:
            reader = self.store.open_version(key(number))
        except KeyError:
            return None
        return list(iter(reader.read, None))

    def test_provides_the_interfaces(self) -> None:
        """
        The store, its writers and its readers provide their interfaces.
        """
        self.put(1)
        verifyObject(ITransientStore, self.store)
        verifyObject(ITransientWriter, self.store.create_version())
        verifyObject(ITransientReader, self.store.open_version(key(1)))

    def test_chunks_are_returned_unchanged(self) -> None:
        """
        A reader returns the chunks in order, with the same buffers and offsets.
        """
        chunks = [Chunk(b"..one", 2), Chunk(b"two"), Chunk(b"", 0)]
        writer = self.store.create_version()
        for chunk in chunks:
            writer.write(chunk)
        writer.commit(key(1), EvictionRank.LATEST)
        self.assertEqual(self.read(1), chunks)

    def test_uncommitted(self) -> None:
        """
        A version exists only after its commit, and never after an abort.
        """
        writer = self.store.create_version()
        writer.write(Chunk(b"data"))
        self.assertIsNone(self.read(1))
        writer.abort()
        writer.abort()
        self.assertEqual(self.store.usage(), Usage(0, 0))

    def test_abort_after_commit(self) -> None:
        """
        Aborting the writer of a committed version changes nothing.
        """
        writer = self.store.create_version()
        writer.write(Chunk(b"data"))
        writer.commit(key(1), EvictionRank.LATEST)
        writer.abort()
        self.assertEqual(self.read(1), [Chunk(b"data")])

    def test_unknown_version(self) -> None:
        """
        Opening a version that is not held raises ``KeyError``; touching, ranking and removing it does nothing.
        """
        self.assertRaises(KeyError, lambda: list(iter(self.store.open_version(key(9)).read, None)))
        self.store.touch([key(9)])
        self.store.set_rank(key(9), EvictionRank.COPY)
        self.store.remove([key(9)])

    def test_keys(self) -> None:
        """
        Versions of another model, or of an earlier one with the same id, are different versions.
        """
        self.put(1)
        for other in (key(2), key(1, "n"), key(1, "m", 2)):
            self.assertRaises(KeyError, lambda other=other: self.store.open_version(other).read())

    def test_least_recently_used_first(self) -> None:
        """
        Above the budget of items, the least recently used version is evicted, and reported.
        """
        for number in (1, 2, 3, 4):
            self.assertEqual(self.put(number), [])
        self.store.touch([key(1), key(9)])
        self.assertEqual(self.put(5), [key(2)])
        self.assertEqual(self.held(1, 2, 3, 4, 5), [1, 3, 4, 5])

    def test_budget_of_bytes(self) -> None:
        """
        Above the budget of bytes, as many versions are evicted as necessary.
        """
        for number in (1, 2, 3):
            self.put(number, data=b"x" * 300)
        self.assertEqual(self.put(4, data=b"x" * 600), [key(1), key(2)])
        self.assertEqual(self.store.usage(), Usage(2, 900))

    def test_ranks(self) -> None:
        """
        Copies are evicted before superseded versions, and these before latest ones, however recently they were used.
        """
        self.put(1, EvictionRank.LATEST)
        self.put(2, EvictionRank.SUPERSEDED)
        self.put(3, EvictionRank.COPY)
        self.put(4, EvictionRank.LATEST)
        self.store.touch([key(1), key(2), key(3)])
        self.assertEqual([self.put(number) for number in (5, 6, 7)], [[key(3)], [key(2)], [key(4)]])

    def publish(self, number: int, model_id: str, data: bytes) -> list[VersionKey]:
        """
        Commit a model's next version as the registry does: lower the rank of the one before it first.

        Args:
            number: the version's number.
            model_id: the model's id.
            data: the version's data.

        Returns:
            The keys of the versions that were evicted for it.
        """
        self.store.set_rank(key(number - 1, model_id), EvictionRank.SUPERSEDED)
        writer = self.store.create_version()
        writer.write(Chunk(data))
        return writer.commit(key(number, model_id), EvictionRank.LATEST)

    def test_latest_of_each_model_stays(self) -> None:
        """
        A model with many versions evicts its own, and not the latest of another model, whichever budget is short.
        """
        for data, most in ((b"x", 4), (b"x" * 250, 4), (b"x" * 240, 4)):
            others = [key(1, model_id) for model_id in "abc"]
            for model_id in "abc":
                self.publish(1, model_id, data)
            evicted = [gone for number in range(1, 50) for gone in self.publish(number, "m", data)]
            self.assertEqual(evicted, [key(number) for number in range(1, 49)])
            self.assertEqual(self.store.usage().items, most)
            self.store.remove([*others, key(49)])
            self.assertEqual(self.store.usage(), Usage(0, 0))

    def test_rank_changes(self) -> None:
        """
        A version whose rank was lowered is evicted first.
        """
        for number in (1, 2, 3, 4):
            self.put(number)
        self.store.set_rank(key(3), EvictionRank.SUPERSEDED)
        self.assertEqual(self.put(5), [key(3)])

    def test_found_while_its_rank_changes(self) -> None:
        """
        A version can be opened while its rank changes.
        """
        self.put(1)
        is_over = threading.Event()

        def change() -> None:
            while not is_over.is_set():
                for rank in (EvictionRank.SUPERSEDED, EvictionRank.LATEST):
                    self.store.set_rank(key(1), rank)

        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(0.00001)
        changing = threading.Thread(target=change)
        changing.start()
        try:
            self.assertEqual(sum(self.held(1) != [1] for _ in range(5000)), 0)
        finally:
            is_over.set()
            changing.join()

    def test_copy_displaces_no_version(self) -> None:
        """
        If transient versions fill the budget, a new copy is evicted instead of one of them.
        """
        for number in (1, 2, 3, 4):
            self.put(number)
        self.assertEqual(self.put(5, EvictionRank.COPY), [key(5)])

    def test_has_room(self) -> None:
        """
        There is room for a version that would stay: a copy may displace other copies, and no transient version.
        """
        for number, rank in enumerate((EvictionRank.LATEST, EvictionRank.SUPERSEDED, EvictionRank.COPY), 1):
            self.put(number, rank, data=b"x" * 300)
        self.assertEqual([self.store.has_room(size, EvictionRank.COPY) for size in (400, 401)], [True, False])
        self.assertEqual([self.store.has_room(size, EvictionRank.LATEST) for size in (1000, 1001)], [True, False])
        for number in (3, 4):
            self.assertTrue(self.store.has_room(4, EvictionRank.COPY))
            self.put(number)
        self.assertFalse(self.store.has_room(4, EvictionRank.COPY))
        self.assertTrue(self.store.has_room(4, EvictionRank.LATEST))
        self.assertEqual(self.put(5, EvictionRank.COPY), [key(5)])

    def test_victims(self) -> None:
        """
        If the store can predict its victims, it evicts exactly those; pinned versions are not among them.
        """
        if not IPredictableStore.providedBy(self.store):
            return
        store = IPredictableStore(self.store)
        self.put(1, EvictionRank.PINNED, b"x" * 300)
        for number, rank in ((2, EvictionRank.LATEST), (3, EvictionRank.SUPERSEDED), (4, EvictionRank.RECENT)):
            self.put(number, rank, b"x" * 200)
        for size_bytes, expected in ((1, [3]), (300, [3]), (301, [3, 4]), (501, [3, 4, 2]), (1000, [3, 4, 2])):
            self.assertEqual(store.victims(size_bytes), [key(number) for number in expected])
        self.assertEqual(self.put(5, EvictionRank.LATEST, b"x" * 400), [key(3), key(4)])
        self.assertEqual(list(store.victims(100)), [])

    def test_remove(self) -> None:
        """
        A removed version is not held and does not count.
        """
        self.put(1)
        self.put(2)
        self.store.remove([key(1)])
        self.assertEqual(self.held(1, 2), [2])
        self.assertEqual(self.store.usage(), Usage(1, 4))

    def test_commit_replaces(self) -> None:
        """
        A key holds the version that was committed last.
        """
        self.put(1, data=b"old")
        self.put(1, data=b"newer")
        self.assertEqual(self.read(1), [Chunk(b"newer")])
        self.assertEqual(self.store.usage(), Usage(1, 5))

    def test_reading_after_eviction(self) -> None:
        """
        An open reader reads its version to the end, even if it is removed.
        """
        writer = self.store.create_version()
        writer.write(Chunk(b"one"))
        writer.write(Chunk(b"two"))
        writer.commit(key(1), EvictionRank.LATEST)
        reader = self.store.open_version(key(1))
        self.assertEqual(reader.read(), Chunk(b"one"))
        self.store.remove([key(1)])
        self.assertEqual(reader.read(), Chunk(b"two"))
        self.assertIsNone(reader.read())
        reader.close()
        reader.close()
