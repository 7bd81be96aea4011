"""
Tests of creations with an idempotency key that the caller chooses.
"""

from tests.support.edge import SharedEdgeTestCase
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import InvalidRequest


class KeyTests(SharedEdgeTestCase):
    """
    Small data, which is sent by Cogment's service, and large data, which can be resumed.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        self.registry = BlockingClient(self.daemon.address, retry_seconds=0)
        self.addCleanup(self.registry.close)

    def test_same_key(self) -> None:
        """
        The same creation with the same key, also by another client, returns the version that was made.
        """
        for number, data in ((1, b"small"), (2, bytes(9_000_000))):
            for client in (self.registry, BlockingClient(self.daemon.address)):
                info = client.store(self.model_id, data, idempotency_key=f"key-{number}")
                self.assertEqual((info.version_number, info.size_bytes), (number, len(data)))
            client.close()
        self.assertEqual(len(self.client.infos(self.model_id).version_infos), 2)

    def test_no_key(self) -> None:
        """
        Without a key, each creation makes a version.
        """
        numbers = [self.registry.publish(self.model_id, b"same").version_number for _ in range(2)]
        self.assertEqual(numbers, [1, 2])

    def test_refused(self) -> None:
        """
        A key that is not allowed is refused.
        """
        for key in ("", "x" * 129, "a\nb", " a", "ü"):
            self.assertRaises(InvalidRequest, self.registry.publish, self.model_id, b"x", idempotency_key=key)
