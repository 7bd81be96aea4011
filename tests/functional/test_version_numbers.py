"""
Tests for the numbers of versions: they start at 1, rise by 1, and are never used twice.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from grpc import StatusCode

from tests.support.client import Client, body, data_hash, header
from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_case import RegistryTestCase
from tests.support.upload import Upload

CREATORS = 8
VERSIONS_EACH = 20


class NumberTests(SharedEdgeTestCase):
    """
    The numbers of a model without evictions and restarts.
    """

    flags = ("--version-cache-max-items", str(10 * CREATORS * VERSIONS_EACH))

    def setUp(self) -> None:
        """
        Make the test's model.
        """
        super().setUp()
        self.client.save_model(self.model_id)

    def test_start_at_1_and_rise_by_1(self) -> None:
        """
        Transient and archived versions of a model share one sequence of numbers.
        """
        kinds = [False, True, True, False, False, True]
        numbers = [self.client.create(self.model_id, b"", archived=kind).version_number for kind in kinds]
        self.assertEqual(numbers, [1, 2, 3, 4, 5, 6])
        infos = self.client.infos(self.model_id).version_infos
        self.assertEqual([info.archived for info in infos], kinds)

    def test_each_model_has_its_own(self) -> None:
        """
        Each model has a separate sequence.
        """
        other = f"{self.model_id}-other"
        self.client.save_model(other)
        numbers = [self.client.create(model_id, b"").version_number for model_id in [self.model_id, other] * 3]
        self.assertEqual(numbers, [1, 1, 2, 2, 3, 3])

    def test_refused_versions_use_up_none(self) -> None:
        """
        A refused version leaves no gap.
        """
        for archived in (False, True):
            for _ in range(3):
                self.assert_refused(
                    StatusCode.INVALID_ARGUMENT,
                    lambda: self.client.create(self.model_id, b"data", data_hash=data_hash(b"")),
                )
            self.client.create(self.model_id, b"data", archived=archived)
        self.assertEqual([info.version_number for info in self.client.infos(self.model_id).version_infos], [1, 2])

    def create_many(self, creator: int) -> list[int]:
        """
        Create versions over a separate connection, and return their numbers.
        """
        client = Client(self.daemon.address, **{"grpc.use_local_subchannel_pool": 1})
        try:
            return [self.create_one(client, creator, index) for index in range(VERSIONS_EACH)]
        finally:
            client.close()

    def create_one(self, client: Client, creator: int, index: int) -> int:
        """
        Create a version whose metadata names its creator.
        """
        data = b"%d of %d " % (index, creator) * (1 + creator * index * 100)
        info = client.create(self.model_id, data, archived=(creator + index) % 3 == 0, user_data={"by": str(creator)})
        self.assertGreaterEqual(client.latest(self.model_id).version_number, info.version_number)
        self.assertEqual(client.data(self.model_id, info.version_number), data)
        return int(info.version_number)

    def test_concurrent_creators(self) -> None:
        """
        Many concurrent creators get distinct numbers without gaps, which rise for each of them.
        """
        with ThreadPoolExecutor(CREATORS) as pool:
            numbers = list(pool.map(self.create_many, range(CREATORS)))
        for creator, given in enumerate(numbers):
            self.assertEqual(given, sorted(given))
            for number in given:
                info = self.client.infos(self.model_id, number).version_infos[0]
                self.assertEqual(info.user_data["by"], str(creator))
        every = sorted(number for given in numbers for number in given)
        self.assertEqual(every, list(range(1, CREATORS * VERSIONS_EACH + 1)))
        infos = self.client.infos(self.model_id).version_infos
        self.assertEqual([info.version_number for info in infos], every)

    def test_hundreds_wait_for_one_model(self) -> None:
        """
        Hundreds of creators that wait for one model are all served.
        """
        with ThreadPoolExecutor(300) as threads:
            creates = [
                threads.submit(self.client.create, self.model_id, b"data", archived=index % 3 == 0)
                for index in range(600)
            ]
        self.assertEqual(sorted(create.result().version_number for create in creates), list(range(1, 601)))

    def test_upload_that_began_first_may_end_last(self) -> None:
        """
        Numbers follow the order of the commits, not that of the uploads' starts.
        """
        for archived in (True, False):
            model_id = f"{self.model_id}-{archived}"
            self.client.save_model(model_id)
            upload = Upload(self.client, header(model_id, 4, archived=archived), body(b"da"))
            self.addCleanup(upload.end)
            self.wait_until_true(partial(upload.has_taken, 2), "gRPC has taken the first half")
            quick = [self.client.create(model_id, b"quick").version_number for _ in range(5)]
            upload.feed_data(b"ta")
            self.assertEqual([*quick, upload.finish().version_number], [1, 2, 3, 4, 5, 6])


class EvictionTests(SharedEdgeTestCase):
    """
    The numbers of evicted versions: only one version fits into memory.
    """

    flags = ("--version-cache-max-items", "1")

    def evict(self) -> None:
        """
        Evict all versions in memory.
        """
        self.client.save_model("other")
        self.client.create("other", b"other")

    def test_evicted_numbers_are_not_used_again(self) -> None:
        """
        After all versions of a model are evicted, its numbers continue.
        """
        self.client.save_model(self.model_id)
        numbers = []
        for _ in range(3):
            numbers.append(self.client.create(self.model_id, b"data").version_number)
            self.evict()
            self.assertEqual(list(self.client.infos(self.model_id).version_infos), [])
            for selector in (-1, numbers[-1]):
                self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.data, self.model_id, selector))
                self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.infos, self.model_id, selector))
        self.assertEqual(numbers, [1, 2, 3])

    def test_archived_numbers_follow_evicted_ones(self) -> None:
        """
        An archived version after an evicted one has the next number, and selectors count those that exist.
        """
        self.client.save_model(self.model_id)
        for archived in (True, False, False, True):
            self.client.create(self.model_id, b"data", archived=archived)
        self.evict()
        infos = self.client.infos(self.model_id).version_infos
        self.assertEqual([info.version_number for info in infos], [1, 4])
        self.assertEqual(self.client.infos(self.model_id, -2).version_infos[0].version_number, 1)
        self.assert_refused(StatusCode.NOT_FOUND, lambda: self.client.infos(self.model_id, -3))


class RestartTests(RegistryTestCase):
    """
    Numbers across restarts.
    """

    def test_clean_restart_leaves_no_gap(self) -> None:
        """
        After a restart the numbers continue after the last one, although transient versions are lost.
        """
        for model_id, kinds in {"t": [False] * 3, "at": [True, False, False], "ta": [False, False, True]}.items():
            self.client.save_model(model_id)
            for archived in kinds:
                self.client.create(model_id, b"data", archived=archived)
        self.client.save_model("none")
        self.restart()
        self.assertEqual(list(self.client.infos("t").version_infos), [])
        self.assertEqual([info.version_number for info in self.client.infos("at").version_infos], [1])
        self.assertEqual([info.version_number for info in self.client.infos("ta").version_infos], [3])
        for model_id, expected in {"t": 4, "at": 4, "ta": 4, "none": 1}.items():
            self.assertEqual(self.client.create(model_id, b"data").version_number, expected, model_id)
        self.restart()
        self.assertEqual(self.client.create("t", b"data", archived=True).version_number, 5)

    def test_restart_after_many(self) -> None:
        """
        The same holds after many transient versions, also if the next run creates none.
        """
        self.client.save_model("m")
        for _ in range(250):
            self.client.create("m", b"data")
        self.restart()
        self.client.infos("m")
        self.restart()
        self.assertEqual(self.client.create("m", b"data").version_number, 251)

    def test_crash_uses_no_number_twice(self) -> None:
        """
        After each kill of the daemon the numbers continue above all earlier ones.
        """
        self.client.save_model("m")
        given: list[int] = []
        for _ in range(3):
            given += [self.client.create("m", b"data", archived=archived).version_number for archived in (True, False)]
            self.crash()
        given.append(self.client.create("m", b"data").version_number)
        self.assertEqual(given, sorted(set(given)))
        archived = [info.version_number for info in self.client.infos("m").version_infos if info.archived]
        self.assertEqual(archived, given[:-1:2])

    def test_crash_after_crossing_a_reserve(self) -> None:
        """
        A crash after any number of transient versions uses no number twice.
        """
        self.client.save_model("m")
        last = 0
        for count in (1, 99, 100, 101):
            for _ in range(count):
                number = self.client.create("m", b"").version_number
                self.assertGreater(number, last)
                last = number
            self.crash()
        self.assertGreater(self.client.create("m", b"", archived=True).version_number, last)
