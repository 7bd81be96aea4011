"""
Tests of the quotas of what is stored, on the wire.
"""

from concurrent.futures import ThreadPoolExecutor

from tests.support.quotas import COGMENT, CREATE, V1, QuotaCase
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import QuotaExceeded
from twisted_registry.domain.access import Scope
from twisted_registry.domain.quotas import Quota
from twisted_registry.protocol.messages import v1
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium

A = (Scope.parse("a/*"),)
ARCHIVE = Quota("disk", scopes=A, archive_bytes=1000)
MEMORY = Quota("ram", scopes=A, memory_bytes=1000)


class StorageQuotaTests(QuotaCase):
    """
    Both services keep the quotas.
    """

    def test_archive(self) -> None:
        """
        A quota of the archive is filled to the byte, by both services.
        """
        for path in CREATE:
            self.serve([ARCHIVE])
            self.save("a/m", "b/m")
            self.assertIsNone(self.create("a/m", 999, True, path=path))
            refusal = self.create("a/m", 2, True, path=path)
            assert refusal is not None, path
            self.assertEqual((refusal["quota"], refusal["limit"]), ("disk", "archive_bytes = 1000"))
            self.assertEqual(float(refusal["retry_after_seconds"]), 0)
            self.assertIsNone(self.create("a/m", 1, True, path=path))
            self.assertEqual(self.numbers("a/m"), [1, 2])
            self.assertIsNone(self.create("b/m", 5000, True, path=path))

    def test_memory(self) -> None:
        """
        A quota of memory evicts the prefix's own versions, and refuses one that is larger, in both services.
        """
        for path in CREATE:
            self.serve([MEMORY])
            self.save("a/m", "b/m")
            for model_id in ("b/m", "a/m", "a/m"):
                self.assertIsNone(self.create(model_id, 500, path=path))
            self.assertIsNone(self.create("a/m", 1000, path=path))
            self.assertEqual((self.numbers("a/m"), self.numbers("b/m")), ([3], [1]))
            refusal = self.create("a/m", 1001, path=path)
            assert refusal is not None, path
            self.assertEqual((refusal["quota"], refusal["limit"]), ("ram", "memory_bytes = 1000"))

    def test_every_call_that_archives(self) -> None:
        """
        Calls that archive a version by other means count, too.
        """
        self.serve([ARCHIVE])
        self.save("a/m", "b/m")
        for model_id in ("a/m", "b/m"):
            self.create(model_id, 600)
        self.create("a/m", 500, True)
        requests = {
            "ArchiveVersion": v1.ArchiveVersionRequest(reference="a/m@1"),
            "SetAlias": v1.SetAliasRequest(reference="a/m@1", alias="best"),
            "CopyVersion": v1.CopyVersionRequest(reference="b/m@1", model_id="a/m"),
        }
        for method, request in requests.items():
            refusal = self.refusal(f"{V1}/{method}", request)
            assert refusal is not None, method
            self.assertEqual(refusal["quota"], "disk")
        self.assertIsNone(self.refusal(f"{V1}/DeleteVersion", v1.DeleteVersionRequest(reference="a/m@2")))
        self.assertIsNone(self.refusal(f"{V1}/ArchiveVersion", requests["ArchiveVersion"]))

    def test_hundred_at_once(self) -> None:
        """
        Of a hundred uploads at once, exactly as many as fit are accepted.
        """
        for path in CREATE:
            self.serve([ARCHIVE])
            self.save("a/m")
            with ThreadPoolExecutor(100) as pool:
                refusals = list(pool.map(lambda _, path=path: self.create("a/m", 60, True, path=path), range(100)))
            self.assertEqual(refusals.count(None), 16)
            self.assertEqual(len(self.numbers("a/m")), 16)

    def test_restart(self) -> None:
        """
        Stored versions count after a restart; the client waits until they are counted.
        """
        medium = MemoryMedium()
        self.serve([ARCHIVE], MemoryArchive(medium))
        self.save("a/m")
        self.create("a/m", 600, True)
        self.registry.stop()
        self.serve([ARCHIVE], MemoryArchive(medium))
        self.tokens.names["ann"] = None
        with BlockingClient(self.registry.address, token="ann") as client:
            error = self.assertRaises(QuotaExceeded, client.store, "a/m", bytes(401))
            self.assertEqual(error.quota, "disk")
            client.store("a/m", bytes(400))

    def test_reload(self) -> None:
        """
        Quotas change while the registry serves, and lower ones delete nothing.
        """
        registry = self.serve([])
        self.save("a/m")
        self.create("a/m", 600, True)
        registry.use_quotas([Quota("disk", scopes=A, archive_bytes=1)])
        self.assertIsNotNone(self.create("a/m", 1, True))
        self.assertEqual(self.numbers("a/m"), [1])
        registry.use_quotas([])
        self.assertIsNone(self.create("a/m", 1, True, path=f"{COGMENT}/CreateVersion"))
