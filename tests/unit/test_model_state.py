"""
Tests of the state of a model: promotions and removals of its versions.
"""

from attrs import evolve

from tests.support.registry import PumpedRegistryCase
from twisted_registry.domain.models import VersionInfo
from twisted_registry.registry.models import Model


class ModelStateCase(PumpedRegistryCase):
    """
    A model with transient versions 1, 2 and 3.
    """

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.save()
        self.infos = [self.create(data) for data in (b"one", b"two", b"three")]

    @property
    def model(self) -> Model:
        """
        The model's state.
        """
        return self.registry._state.index.get("m")

    def promoted(self, number: int) -> VersionInfo:
        """
        Promote a version, and return its new info.
        """
        info = evolve(self.infos[number - 1], archived=True)
        self.model.promote(info)
        return info

    def transient(self) -> list[int]:
        """
        Return the numbers of the transient versions.
        """
        return list(self.snapshot().numbers.transient())


class PromoteTests(ModelStateCase):
    """
    ``Model.promote``.
    """

    def test_number_and_copy_stay(self) -> None:
        """
        A promoted version keeps its number and its place, and stays in memory.
        """
        info = self.promoted(2)
        self.assertEqual((self.numbers(), self.transient()), ([1, 2, 3], [1, 3]))
        self.assertEqual(self.snapshot().held[2], info)
        self.assertEqual(self.read(info), b"two")

    def test_latest(self) -> None:
        """
        A promoted latest version is still the latest, as an archived one; the next commit lowers no rank.
        """
        info = self.promoted(3)
        self.assertEqual(self.snapshot().latest, info)
        self.assertFalse(self.model.is_latest_transient(3))
        self.assertEqual(self.registry._state.ranks.lowered(self.snapshot()), [])
        self.promoted(1)
        self.assertEqual(self.snapshot().latest, info)

    def test_evicted_copy(self) -> None:
        """
        If the copy of a promoted version leaves memory, the version still exists.
        """
        self.promoted(1)
        self.registry._state.evict([self.snapshot().key(1)])
        self.assertEqual((self.numbers(), sorted(self.snapshot().held)), ([1, 2, 3], [2, 3]))

    def test_evicted_before(self) -> None:
        """
        A version that was evicted while it was written to the archive exists again, and is not in memory.
        """
        for number in (1, 3):
            self.registry._state.evict([self.snapshot().key(number)])
            info = self.promoted(number)
            self.assertEqual((self.numbers(), self.snapshot().held.get(number)), ([1, 2, 3], None))
        self.assertEqual((self.transient(), self.snapshot().latest), ([2], info))

    def test_adopted_before(self) -> None:
        """
        A version that was evicted, and found in the archive by then, is archived already.
        """
        self.registry._state.evict([self.snapshot().key(2)])
        self.model.adopt([2], 2)
        self.promoted(2)
        self.assertEqual((self.numbers(), self.transient()), ([1, 2, 3], [1, 3]))

    def test_older_snapshots_stay(self) -> None:
        """
        Those who hold the snapshot from before still see a transient version.
        """
        before = self.snapshot()
        self.promoted(3)
        self.assertTrue(before.numbers.is_transient(3))
        self.assertEqual(before.latest, self.infos[2])


class RemoveTests(ModelStateCase):
    """
    ``Model.remove``.
    """

    def test_transient(self) -> None:
        """
        A removed transient version no longer exists; -n counts the others.
        """
        self.model.remove(2)
        snapshot = self.snapshot()
        self.assertEqual((self.numbers(), self.transient(), sorted(snapshot.held)), ([1, 3], [1, 3], [1, 3]))
        self.assertEqual((snapshot.select(-1), snapshot.select(-2)), (3, 1))

    def test_archived(self) -> None:
        """
        A removed archived version no longer exists, and neither does its copy in memory.
        """
        self.promoted(2)
        self.model.remove(2)
        self.assertEqual((self.numbers(), self.transient(), sorted(self.snapshot().held)), ([1, 3], [1, 3], [1, 3]))

    def test_latest(self) -> None:
        """
        If the latest version is removed, the one before is the latest, and the number is not used again.
        """
        self.model.remove(3)
        self.assertEqual((self.snapshot().latest, self.snapshot().select(-1)), (self.infos[1], 2))
        self.assertEqual(self.create(b"four").version_number, 4)

    def test_latest_is_not_in_memory(self) -> None:
        """
        If the version before the removed latest one is not in memory, its info is read from the archive.
        """
        archived = self.create(b"four", archived=True)
        self.model.evict(4)
        self.create(b"five")
        self.model.remove(5)
        self.assertIsNone(self.snapshot().latest)
        (info,) = self.done(self.registry.load_version_infos(self.snapshot(), [4]))
        self.assertEqual((info, self.snapshot().latest), (archived, archived))

    def test_all(self) -> None:
        """
        A model without versions has no latest one.
        """
        for number in (3, 1, 2):
            self.model.remove(number)
        self.assertEqual((self.numbers(), self.snapshot().latest), ([], None))

    def test_unknown(self) -> None:
        """
        A version that does not exist (any more), or whose model was lost, is ignored.
        """
        self.model.remove(9)
        self.assertEqual(self.numbers(), [1, 2, 3])
        self.model.snapshot = None
        self.model.remove(1)
        self.assertIsNone(self.model.snapshot)
