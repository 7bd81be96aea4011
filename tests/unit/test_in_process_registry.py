"""
Tests of the registry inside the process of a test.
"""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.client import Client, body, header
from twisted_registry.client import BlockingClient, DeferredClient
from twisted_registry.client.errors import UnknownVersion
from twisted_registry.domain.errors import CannotStart
from twisted_registry.protocol.call_metadata import IDEMPOTENCY_KEY_ENTRY
from twisted_registry.testing import InProcessRegistry, MemoryArchive, MemoryMedium, running_registry, start_registry

ROOT = Path(__file__).parents[2]


class InProcessRegistryTests(SynchronousTestCase):
    """
    A registry that a blocking client uses.
    """

    def test_publish_and_retrieve(self) -> None:
        """
        It stores transient and archived versions, and notifies a tracker.
        """
        registry = start_registry(self)
        with BlockingClient(registry.address) as client:
            client.save_model("m", {"a": "b"})
            client.publish("m", b"one")
            archived = client.store("m", b"x" * 3_000_000)
            self.assertEqual([info.version_number for info in client.versions("m")], [1, 2])
            self.assertEqual(client.retrieve("m", 1), b"one")
            self.assertEqual(client.retrieve("m", 2), b"x" * 3_000_000)
            self.assertEqual(client.latest("m"), archived)

    def test_restart(self) -> None:
        """
        After a restart the archived versions are there, at the same address; transient ones are lost.
        """
        registry = start_registry(self)
        address = registry.address
        with BlockingClient(address) as client:
            client.save_model("m")
            client.store("m", b"archived")
            client.publish("m", b"transient")
            registry.restart()
            self.assertEqual(registry.address, address)
            self.assertEqual(client.retrieve("m", 1), b"archived")
            self.assertRaises(UnknownVersion, client.retrieve, "m", 2)

    def test_keys_after_restart(self) -> None:
        """
        As with a daemon, an archived creation that is repeated with its key after a restart makes no second version.
        """
        registry = start_registry(self)
        client = Client(registry.address)
        self.addCleanup(client.close)
        client.save_model("m")

        def create(data: bytes) -> int:
            messages = iter([header("m", len(data), archived=True), body(data)])
            reply = client._callable("CreateVersion")(messages, metadata=[(IDEMPOTENCY_KEY_ENTRY, data.decode())])
            return int(reply.version_info.version_number)

        self.assertEqual([create(b"one"), create(b"two")], [1, 2])
        registry.restart()
        self.assertEqual([create(b"one"), create(b"two"), create(b"three")], [1, 2, 3])

    def test_several(self) -> None:
        """
        Registries in one process do not know each other.
        """
        with running_registry() as first, running_registry() as second:
            self.assertNotEqual(first, second)
            with BlockingClient(first) as one, BlockingClient(second) as other:
                one.save_model("m")
                self.assertEqual([info.model_id for info in one.models()], ["m"])
                self.assertEqual(list(other.models()), [])

    def test_archive_in_use(self) -> None:
        """
        An archive that is in use is refused, and stays with the registry that has it.
        """
        medium = MemoryMedium()
        registry = start_registry(self, MemoryArchive(medium))
        self.assertRaises(CannotStart, start_registry, self, MemoryArchive(medium))
        with BlockingClient(registry.address) as client:
            client.save_model("m")
        self.assertEqual(list(medium.models), ["m"])
        registry.stop()
        registry.stop()
        self.assertFalse(medium.in_use)


class DeferredTests(TestCase):
    """
    A registry that a client in trial's reactor uses.
    """

    def test_deferred_client(self) -> "Deferred[None]":
        """
        The registry does not need the reactor of the test.
        """
        return Deferred.fromCoroutine(self._publish(start_registry(self)))

    async def _publish(self, registry: InProcessRegistry) -> None:
        from twisted.internet import reactor as installed

        reactor: Any = installed
        client = DeferredClient(reactor, registry.address)
        await client.save_model("m")
        await client.publish("m", b"data")
        self.assertEqual(await client.retrieve("m", -1), b"data")
        await client.close()


class OutsideTrialTests(SynchronousTestCase):
    """
    A registry in a test that trial does not run.
    """

    def test_unittest(self) -> None:
        """
        The context manager and ``start_registry`` work in a process with nothing but unittest.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "test_mine.py").write_text(
            dedent(
                """
                import unittest

                from twisted_registry.client import BlockingClient
                from twisted_registry.testing import running_registry, start_registry


                def test_function():
                    with running_registry() as address, BlockingClient(address) as client:
                        client.save_model("m")
                        client.publish("m", b"data")
                        assert client.retrieve("m", 1) == b"data"


                class MyTests(unittest.TestCase):
                    def test_function(self):
                        test_function()

                    def test_method(self):
                        registry = start_registry(self)
                        with BlockingClient(registry.address) as client:
                            self.assertEqual(list(client.models()), [])
                """
            )
        )
        done = subprocess.run(
            [sys.executable, "-m", "unittest", "-v", "test_mine"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Ran 2 tests", done.stderr)
