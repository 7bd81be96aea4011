"""
Tests of creations that are repeated with an idempotency key, against a daemon.
"""

import threading
from collections.abc import Iterator
from typing import Any

import grpc

from tests.support.client import body, data_hash, header
from tests.support.edge import EdgeTestCase
from tests.support.registry_case import RegistryTestCase
from twisted_registry.protocol.call_metadata import IDEMPOTENCY_KEY_ENTRY, checksum_in

DATA = b"data" * 1000
INVALID = grpc.StatusCode.INVALID_ARGUMENT


class IdempotencyCase(RegistryTestCase):
    """
    A model, whose versions are created with keys.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.client.save_model("m")

    def create(self, key: str, data: bytes = DATA, **fields: Any) -> Any:
        """
        Create a version with a key.

        Returns:
            its info, as it is on the wire.
        """
        messages = iter([header("m", len(data), **fields), body(data)])
        return self.client._callable("CreateVersion")(messages, metadata=[(IDEMPOTENCY_KEY_ENTRY, key)]).version_info

    def numbers(self) -> list[int]:
        """
        Return the numbers of the versions.
        """
        return [info.version_number for info in self.client.infos("m").version_infos]

    def create_without_data(self, key: str, **fields: Any) -> tuple[Any, Any]:
        """
        Repeat a creation, and send nothing after its header.

        Returns:
            the version's info, and the call.
        """
        released = threading.Event()
        self.addCleanup(released.set)

        def messages() -> Iterator[Any]:
            yield header("m", len(DATA), data_hash=data_hash(DATA), **fields)
            released.wait(60)

        reply, call = self.client._callable("CreateVersion").with_call(
            messages(), metadata=[(IDEMPOTENCY_KEY_ENTRY, key)], timeout=30
        )
        return reply.version_info, call


class IdempotencyTests(IdempotencyCase, EdgeTestCase):
    """
    A creation can be repeated with its key.
    """

    def test_repeated(self) -> None:
        """
        The same key with the same version returns it again; without a key, or with another one, there is a new version.
        """
        for number, archived in ((1, False), (2, True)):
            infos = [self.create(str(number), archived=archived) for _ in range(3)]
            self.assertEqual(infos, infos[:1] * 3)
            self.assertEqual(infos[0].version_number, number)
        self.client.create("m", DATA)
        self.create("3")
        self.assertEqual(self.numbers(), [1, 2, 3, 4])

    def test_refused(self) -> None:
        """
        A key that is not allowed, and a key that was used for another version, are refused with the reason.
        """
        self.create("key")
        self.assert_refused(INVALID, lambda: self.create("key", b"other"), "version 1 of model 'm'", "differs in size")
        self.assert_refused(INVALID, lambda: self.create("key", DATA.upper()), "differs in SHA-256")
        self.assert_refused(INVALID, lambda: self.create("key", archived=True), "archived")
        self.assert_refused(INVALID, lambda: self.create("k" * 129), "1 to 128 characters")
        self.assertEqual(self.numbers(), [1])

    def test_reply_before_the_data(self) -> None:
        """
        If the header declares the hash, the reply comes without the data, with the same trailing metadata.
        """
        first = self.create("key", data_hash=data_hash(DATA))
        info, call = self.create_without_data("key")
        self.assertEqual(info, first)
        checksum = checksum_in(call.trailing_metadata())
        assert checksum is not None, "the checksum is missing"
        self.assertEqual(checksum.size_bytes, len(DATA))

    def test_many_at_once(self) -> None:
        """
        Creations with the same key at the same time make one version.
        """
        infos: list[Any] = []

        def create() -> None:
            infos.append(self.create("key", archived=True))

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([info.version_number for info in infos], [1] * 8)
        self.assertEqual(self.numbers(), [1])


class KilledTests(IdempotencyCase):
    """
    A creation can be repeated after a kill.
    """

    def test_killed_after_the_reply(self) -> None:
        """
        After ``kill -9`` right behind the reply, the key returns the archived version; for a transient one, which died
        with the daemon, it creates another.
        """
        fields: dict[str, Any] = {"archived": True, "user_data": {"a": "b"}}
        archived, transient = self.create("archived", **fields), self.create("transient")
        self.crash()
        self.assertEqual(self.create("archived", **fields), archived)
        self.assert_refused(INVALID, lambda: self.create("archived", DATA.upper(), **fields), "SHA-256")
        self.assertGreater(self.create("transient").version_number, transient.version_number)
        self.crash()
        self.assertEqual(self.create("archived", **fields), archived)

    def test_reply_before_the_data_after_a_kill(self) -> None:
        """
        If the header declares the hash, an archived version is returned without the data after ``kill -9`` too.
        """
        infos = {key: self.create(key, archived=True) for key in ("one", "two", "three")}
        self.crash()
        for key, info in infos.items():
            self.assertEqual(self.create_without_data(key, archived=True)[0], info)
        self.assertEqual(self.numbers(), [1, 2, 3])
