"""
Tests of creations with an idempotency key that the caller chooses.
"""

from tests.support.client import data_hash
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

    def test_another_creation(self) -> None:
        """
        With the same key, other data, other metadata or another kind of version is refused, whatever the size.
        """
        for data in (b"small", bytes(40_000_000)):
            key = f"key-{len(data)}"
            info = self.registry.store(self.model_id, data, {"step": "1"}, idempotency_key=key)
            for create, other, metadata in (
                (self.registry.store, data, {"step": "2"}),
                (self.registry.store, data, None),
                (self.registry.store, data[1:], {"step": "1"}),
                (self.registry.store, data[::-1] + b"!", {"step": "1"}),
                (self.registry.publish, data, {"step": "1"}),
            ):
                with self.assertRaises(InvalidRequest) as caught:
                    create(self.model_id, other, metadata, idempotency_key=key)
                self.assertIn("use a new key for each version", str(caught.exception))
            self.assertEqual(self.registry.store(self.model_id, data, {"step": "1"}, idempotency_key=key), info)

    def test_data_that_is_read_once(self) -> None:
        """
        Data from an iterable may have a key as well, and its creation returns the version again.
        """
        for _ in range(2):
            info = self.registry.publish(self.model_id, iter([b"ab", b"c"]), size_bytes=3, idempotency_key="key-once")
            self.assertEqual((info.version_number, info.sha256), (1, data_hash(b"abc")))
        with self.assertRaises(InvalidRequest):
            self.registry.publish(self.model_id, iter([b"xyz"]), size_bytes=3, idempotency_key="key-once")

    def test_annotated_since(self) -> None:
        """
        Labels that have changed since do not make another version of it.
        """
        info = self.registry.store(self.model_id, b"data", labels={"a": "1"}, idempotency_key="key-labels")
        self.registry.annotate(info, labels={"a": "2"})
        self.assertEqual(
            self.registry.store(self.model_id, b"data", labels={"a": "1"}, idempotency_key="key-labels"), info
        )
        self.assertEqual(self.registry.get(info).labels, {"a": "2"})
