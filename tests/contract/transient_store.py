"""
What every transient store must do.
"""

import sys
import threading

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_registry.contracts.transient import (
    EvictionRank,
    ITransientReader,
    ITransientStore,
    ITransientWriter,
    TransientBudget,
    Usage,
)
from twisted_registry.domain.models import Chunk, VersionKey


def key(number: int, model_id: str = "m", incarnation: int = 1) -> VersionKey:
    """
    Name a version.
    """
    return VersionKey(model_id, incarnation, number)


class TransientStoreContract(SynchronousTestCase):
    """
    The suite.  Subclasses, in test modules, say how to make a store.
    """

    def make_store(self, budget: TransientBudget) -> ITransientStore:
        """
        Make an empty store.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        """
        Make a store for four versions and a thousand bytes.
        """
        self.store = self.make_store(TransientBudget(max_items=4, max_bytes=1000))

    def put(
        self, number: int, rank: EvictionRank = EvictionRank.LATEST, data: bytes = b"data", model_id: str = "m"
    ) -> list[VersionKey]:
        """
        Keep a version of one chunk.
        """
        writer = self.store.create_version()
        writer.write(Chunk(data))
        return writer.commit(key(number), rank)

    def held(self, *numbers: int) -> list[int]:
        """
        Give which of the versions are held.
        """
        return [number for number in numbers if self.read(number) is not None]

    def read(self, number: int) -> list[Chunk] | None:
        """
        Give a version's chunks.
        """
        try:
            reader = self.store.open_version(key(number))
        except KeyError:
            return None
        return list(iter(reader.read, None))

    def test_provides_the_interfaces(self) -> None:
        """
        The store, its writers and its readers provide what they say.
        """
        self.put(1)
        verifyObject(ITransientStore, self.store)
        verifyObject(ITransientWriter, self.store.create_version())
        verifyObject(ITransientReader, self.store.open_version(key(1)))

    def test_chunks_come_back_as_they_were_written(self) -> None:
        """
        A reader gives the very chunks written, in order, with what stands before their data.
        """
        chunks = [Chunk(b"..one", 2), Chunk(b"two"), Chunk(b"", 0)]
        writer = self.store.create_version()
        for chunk in chunks:
            writer.write(chunk)
        writer.commit(key(1), EvictionRank.LATEST)
        self.assertEqual(self.read(1), chunks)

    def test_what_was_not_committed_is_not_held(self) -> None:
        """
        A version exists from its commit on, and not after an abort.
        """
        writer = self.store.create_version()
        writer.write(Chunk(b"data"))
        self.assertIsNone(self.read(1))
        writer.abort()
        writer.abort()
        self.assertEqual(self.store.usage(), Usage(0, 0))

    def test_abort_after_a_commit_changes_nothing(self) -> None:
        """
        A committed version stays when its writer is aborted.
        """
        writer = self.store.create_version()
        writer.write(Chunk(b"data"))
        writer.commit(key(1), EvictionRank.LATEST)
        writer.abort()
        self.assertEqual(self.read(1), [Chunk(b"data")])

    def test_unknown_version(self) -> None:
        """
        Opening what is not held is a KeyError; touching, ranking and removing it does nothing.
        """
        self.assertRaises(KeyError, lambda: list(iter(self.store.open_version(key(9)).read, None)))
        self.store.touch([key(9)])
        self.store.set_rank(key(9), EvictionRank.COPY)
        self.store.remove([key(9)])

    def test_keys_differ_in_each_part(self) -> None:
        """
        Versions of another model, or of an earlier one of the same id, are others.
        """
        self.put(1)
        for other in (key(2), key(1, "n"), key(1, "m", 2)):
            self.assertRaises(KeyError, lambda other=other: self.store.open_version(other).read())

    def test_least_recently_used_goes_first(self) -> None:
        """
        Beyond the budget of items, what was used longest ago is evicted, and named.
        """
        for number in (1, 2, 3, 4):
            self.assertEqual(self.put(number), [])
        self.store.touch([key(1), key(9)])
        self.assertEqual(self.put(5), [key(2)])
        self.assertEqual(self.held(1, 2, 3, 4, 5), [1, 3, 4, 5])

    def test_bytes_are_a_budget_too(self) -> None:
        """
        Beyond the budget of bytes, as many versions go as must.
        """
        for number in (1, 2, 3):
            self.put(number, data=b"x" * 300)
        self.assertEqual(self.put(4, data=b"x" * 600), [key(1), key(2)])
        self.assertEqual(self.store.usage(), Usage(2, 900))

    def test_ranks_go_in_order(self) -> None:
        """
        Copies go before superseded versions, and those before the latest ones, however recently used.
        """
        self.put(1, EvictionRank.LATEST)
        self.put(2, EvictionRank.SUPERSEDED)
        self.put(3, EvictionRank.COPY)
        self.put(4, EvictionRank.LATEST)
        self.store.touch([key(1), key(2), key(3)])
        self.assertEqual([self.put(number) for number in (5, 6, 7)], [[key(3)], [key(2)], [key(4)]])

    def publish(self, number: int, model_id: str, data: bytes) -> list[VersionKey]:
        """
        Commit a model's next version as the registry does: the one before is superseded first.
        """
        self.store.set_rank(key(number - 1, model_id), EvictionRank.SUPERSEDED)
        writer = self.store.create_version()
        writer.write(Chunk(data))
        return writer.commit(key(number, model_id), EvictionRank.LATEST)

    def test_latest_of_each_model_before_a_second_of_another(self) -> None:
        """
        A model that gets many versions evicts its own, and no other model's latest, whichever budget is short.
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

    def test_rank_can_change(self) -> None:
        """
        A version whose rank is lowered goes first.
        """
        for number in (1, 2, 3, 4):
            self.put(number)
        self.store.set_rank(key(3), EvictionRank.SUPERSEDED)
        self.assertEqual(self.put(5), [key(3)])

    def test_found_while_its_rank_changes(self) -> None:
        """
        Whoever opens a version while its rank changes finds it.
        """
        self.put(1)
        over = threading.Event()

        def change() -> None:
            while not over.is_set():
                for rank in (EvictionRank.SUPERSEDED, EvictionRank.LATEST):
                    self.store.set_rank(key(1), rank)

        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(0.00001)
        changing = threading.Thread(target=change)
        changing.start()
        try:
            self.assertEqual(sum(self.held(1) != [1] for _ in range(5000)), 0)
        finally:
            over.set()
            changing.join()

    def test_copy_does_not_displace_its_betters(self) -> None:
        """
        Where there is no room but that of transient versions, a new copy itself is evicted.
        """
        for number in (1, 2, 3, 4):
            self.put(number)
        self.assertEqual(self.put(5, EvictionRank.COPY), [key(5)])

    def test_has_room(self) -> None:
        """
        There is room for what would stay: none for a copy where transient versions have taken all, but where others are
        copies.
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

    def test_removed_version_gives_its_room_back(self) -> None:
        """
        What is removed is not held, and counts no more.
        """
        self.put(1)
        self.put(2)
        self.store.remove([key(1)])
        self.assertEqual(self.held(1, 2), [2])
        self.assertEqual(self.store.usage(), Usage(1, 4))

    def test_commit_replaces(self) -> None:
        """
        A key holds what was committed last.
        """
        self.put(1, data=b"old")
        self.put(1, data=b"newer")
        self.assertEqual(self.read(1), [Chunk(b"newer")])
        self.assertEqual(self.store.usage(), Usage(1, 5))

    def test_reading_goes_on_after_eviction(self) -> None:
        """
        A version that is being read can be read to its end, though it is removed.
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
