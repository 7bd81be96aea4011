"""
Tests that the effect of a call is visible to all later calls.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

from grpc import StatusCode

from tests.support.client import Client
from tests.support.edge import SharedEdgeTestCase

ROUNDS = 60
READERS = 4


class LinearizabilityTests(SharedEdgeTestCase):
    """
    A writer and readers, with a connection each.
    """

    def setUp(self) -> None:
        """
        Make the test's model, and connect a reader.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        self.reader = self.connect_apart()

    def connect_apart(self) -> Client:
        """
        Connect over a connection that nobody shares.
        """
        return self.connect(**{"grpc.use_local_subchannel_pool": 1})

    def test_user_data(self) -> None:
        """
        After the reply to an update all clients read the new metadata, in lists too.
        """
        for round_ in range(ROUNDS):
            self.client.save_model(self.model_id, round=str(round_))
            for infos in (self.reader.models(self.model_id).model_infos, self.reader.models().model_infos):
                info = next(info for info in infos if info.model_id == self.model_id)
                self.assertEqual(info.user_data["round"], str(round_))

    def test_versions(self) -> None:
        """
        After the reply to a creation everybody finds the version, by number, as the latest, in lists, and its data.
        """
        for number in range(1, ROUNDS + 1):
            created = self.client.create(self.model_id, b"%d" % number, archived=number % 3 == 0)
            self.assertEqual(created.version_number, number)
            self.assertEqual(self.reader.latest(self.model_id), created)
            self.assertEqual(self.reader.infos(self.model_id, number).version_infos[0], created)
            self.assertEqual(self.reader.infos(self.model_id).version_infos[-1], created)
            self.assertEqual(self.reader.data(self.model_id, -1), b"%d" % number)

    def test_deletion(self) -> None:
        """
        After the reply to a deletion no client finds the model, and after it is created again all find the new one.
        """
        for round_ in range(ROUNDS // 4):
            self.client.create(self.model_id, b"%d" % round_, archived=round_ % 2 == 0)
            self.client.delete_model(self.model_id)
            self.assert_refused(StatusCode.NOT_FOUND, lambda: self.reader.infos(self.model_id))
            self.assert_refused(StatusCode.NOT_FOUND, lambda: self.reader.models(self.model_id))
            self.assertNotIn(self.model_id, [info.model_id for info in self.reader.models().model_infos])
            self.client.save_model(self.model_id, round=str(round_))
            self.assertEqual(self.reader.models(self.model_id).model_infos[0].user_data["round"], str(round_))
            self.assertEqual(list(self.reader.infos(self.model_id).version_infos), [])

    def test_the_latest_never_goes_back(self) -> None:
        """
        While versions are created, no reader sees the latest go back, or stay behind an earlier reply.
        """
        self.client.create(self.model_id, b"1")
        self.reported = 1
        done = threading.Event()
        with ThreadPoolExecutor(READERS) as pool:
            readers = [pool.submit(self.watch, self.connect_apart(), done) for _ in range(READERS)]
            try:
                for number in range(2, 3 * ROUNDS):
                    self.reported = self.client.create(self.model_id, b"data", archived=number % 5 == 0).version_number
            finally:
                done.set()
            for reader in readers:
                self.assertGreater(reader.result(), 1)

    def watch(self, client: Client, done: threading.Event) -> int:
        """
        Ask for the latest version repeatedly.

        Returns:
            the last one seen.
        """
        seen = 0
        while not done.is_set():
            reported = self.reported
            latest = client.latest(self.model_id).version_number
            self.assertGreaterEqual(latest, max(seen, reported))
            listed = client.infos(self.model_id, handle=str(latest)).version_infos[0]
            self.assertEqual(listed.version_number, latest)
            seen = latest
        return seen
