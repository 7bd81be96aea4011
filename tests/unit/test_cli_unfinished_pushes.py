"""
Tests for ``twisted_registry.cli.unfinished_pushes``.
"""

import fcntl
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.cli.unfinished_pushes import LEAST_BYTES, UnfinishedPush, remember


class RememberTests(SynchronousTestCase):
    """
    Pushes that are remembered.
    """

    def setUp(self) -> None:
        """
        Make a file and a cache.
        """
        self.file = Path(self.mktemp())
        with self.file.open("wb") as file:
            file.truncate(LEAST_BYTES)
        self.cache = Path(self.mktemp()).absolute()
        self.patch(os, "environ", {**os.environ, "XDG_CACHE_HOME": str(self.cache)})

    def push(self, model_id: str = "m", archived: bool = False, step: str = "1") -> UnfinishedPush:
        """
        Remember a push, which must be possible.
        """
        found = remember("localhost:9000", model_id, self.file, archived, [["step", step]])
        assert found is not None
        self.addCleanup(found.close)
        return found

    def key(self, model_id: str = "m", archived: bool = False, step: str = "1") -> str:
        """
        Return the key of a push that ends without an outcome.
        """
        found = self.push(model_id, archived, step)
        found.close()
        return found.key

    def test_same(self) -> None:
        """
        The same push has the same key until its outcome is known.
        """
        first = self.key()
        self.assertEqual(self.key(), first)
        self.push().forget()
        self.assertNotEqual(self.key(), first)

    def test_other(self) -> None:
        """
        Another model, kind, metadata or content makes another push.
        """
        keys = [self.key(), self.key("n"), self.key(archived=True), self.key(step="2")]
        os.utime(self.file, (1, 1))
        keys.append(self.key())
        self.assertEqual(len({*keys}), 5)

    def test_at_the_same_time(self) -> None:
        """
        A push that another process is making has no key: it is another version.
        """
        self.push()
        self.assertIsNone(remember("localhost:9000", "m", self.file, False, [["step", "1"]]))

    def test_finished_meanwhile(self) -> None:
        """
        If another process finishes the same push between opening the record and locking it, its key is not used again.
        """
        first = self.push()

        def lock(descriptor: int, operation: int) -> None:
            first.forget()
            fcntl.flock(descriptor, operation)

        self.assertIsNone(remember("localhost:9000", "m", self.file, False, [["step", "1"]], lock))
        self.assertNotEqual(self.key(), first.key)

    def test_not_remembered(self) -> None:
        """
        Small files, devices and directories are not remembered, and neither is anything without a cache.
        """
        for path in (Path(os.devnull), Path(), Path(self.mktemp())):
            self.assertIsNone(remember("localhost:9000", "m", path, False, []))
        os.truncate(self.file, LEAST_BYTES - 1)
        self.assertIsNone(remember("localhost:9000", "m", self.file, False, []))
        os.truncate(self.file, LEAST_BYTES)
        os.environ["XDG_CACHE_HOME"] = os.devnull
        self.assertIsNone(remember("localhost:9000", "m", self.file, False, []))

    def test_damaged(self) -> None:
        """
        A damaged record is replaced.
        """
        first = self.key()
        (record,) = (self.cache / "twisted-registry" / "pushes").iterdir()
        record.write_bytes(b"\xff" * 10)
        self.assertNotEqual(self.key(), first)
        self.assertEqual(len(record.read_bytes()), 32)

    def test_old(self) -> None:
        """
        After a day a push is forgotten, as by the registry.
        """
        first = self.key()
        (record,) = (self.cache / "twisted-registry" / "pushes").iterdir()
        os.utime(record, (1, 1))
        self.assertNotEqual(self.key(), first)
