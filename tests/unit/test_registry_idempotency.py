"""
Tests of idempotent creation.
"""

from pathlib import Path
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from zope.interface import implementer_only

from tests.support.client import data_hash
from tests.support.registry import BUDGET, PumpedRegistryCase
from tests.unit.test_registry_models import FaultyWriter
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.idempotency import IKeyedArchive
from twisted_registry.contracts.lifecycle import ILifecycleArchive
from twisted_registry.contracts.transfers import IUpload
from twisted_registry.domain.errors import (
    CommitUncertain,
    CorruptVersion,
    InvalidRequest,
    ModelReplaced,
    StorageFailure,
    StorageFull,
)
from twisted_registry.domain.events import VersionCommitted, VersionDeleted
from twisted_registry.domain.idempotency import KEY_SECONDS, key_sha256
from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo
from twisted_registry.registry import idempotency
from twisted_registry.registry.idempotency import CreationKeys
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.claim import ClaimTimes
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium

DATA = b"data"
HEADER = VersionHeader("m", False, 0, data_hash(b""))


class KeyedCase(PumpedRegistryCase):
    """
    A registry whose versions are created with keys.
    """

    def setUp(self) -> None:
        """
        Make a model, and count the commits that are published.
        """
        super().setUp()
        self.save()
        self.committed: list[int] = []
        self.registry.subscribe(lambda event: self.committed.append(event.key.version_number), VersionCommitted)

    def keyed(self, key: str = "key", data: bytes = DATA, model_id: str = "m", **fields: Any) -> IUpload:
        """
        Upload a version with a key, all but its commit.
        """
        header = VersionHeader(model_id, fields.pop("archived", False), len(data), **fields)
        upload = self.registry.upload(header, self.snapshot(model_id), key)
        self.settle(upload.write(Chunk(data)))
        self.settle(upload.finish())
        return upload

    def create_keyed(self, key: str = "key", data: bytes = DATA, model_id: str = "m", **fields: Any) -> VersionInfo:
        """
        Create a version with a key.
        """
        return self.done(self.keyed(key, data, model_id, **fields).commit())

    def early(self, key: str = "key", data: bytes = DATA, model_id: str = "m", **fields: Any) -> VersionInfo | None:
        """
        Look up a creation before its data arrives.
        """
        fields.setdefault("sha256", data_hash(data))
        header = VersionHeader(model_id, fields.pop("archived", False), len(data), **fields)
        return self.registry.created(header, self.snapshot(model_id), key)

    def refused(self, deferred: "Deferred[Any]", *said: str) -> None:
        """
        Check that a creation is refused as another one than before.
        """
        error = str(self.fails(deferred, InvalidRequest))
        for part in said:
            self.assertIn(part, error)


class RepeatedTests(KeyedCase):
    """
    A creation that is repeated with its key makes one version.
    """

    def test_same_version(self) -> None:
        """
        The same key gives the same version, transient or archived, and nothing is published a second time.
        """
        for number, archived in enumerate((False, True), 1):
            key = str(archived)
            infos = [self.create_keyed(key, archived=archived) for _ in range(3)]
            self.assertEqual([info.version_number for info in infos], [number] * 3)
            self.assertEqual(infos[1:], infos[:1] * 2)
            self.assertEqual(self.early(key, archived=archived), infos[0])
        self.assertEqual((self.numbers(), self.committed), ([1, 2], [1, 2]))

    def test_no_key_and_other_keys(self) -> None:
        """
        Without a key, or with another one, each creation makes a version.
        """
        self.create()
        self.create()
        self.create_keyed("one")
        self.create_keyed("two")
        self.assertEqual(self.numbers(), [1, 2, 3, 4])

    def test_keys_that_are_not_allowed(self) -> None:
        """
        A key that is not allowed is refused before any data.
        """
        for key in ("x" * 129, "a\n", "é"):
            self.assertRaises(InvalidRequest, self.keyed, key)
            self.assertRaises(InvalidRequest, self.early, key)

    def test_other_content(self) -> None:
        """
        The same key with other content is refused: before the data if the header shows it, or else at the commit.
        """
        self.save("n")
        self.create_keyed(metadata={"a": "b"})
        others: list[tuple[str, dict[str, Any]]] = [
            ("SHA-256", {"data": b"DATA", "metadata": {"a": "b"}}),
            ("size", {"data": b"longer", "metadata": {"a": "b"}}),
            ("metadata", {"metadata": {}}),
            ("archived", {"archived": True, "metadata": {"a": "b"}}),
            ("model 'n'", {"model_id": "n", "metadata": {"a": "b"}}),
        ]
        for different, fields in others:
            with self.assertRaises(InvalidRequest) as caught:
                self.early(**dict(fields))
            self.assertIn(different, str(caught.exception))
            self.refused(self.keyed(**dict(fields)).commit(), different, "use a new key")
        self.assertEqual((self.numbers(), self.numbers("n")), ([1], []))

    def test_undeclared_sha256(self) -> None:
        """
        If the header declares no SHA-256, the version is found once its data is there.
        """
        info = self.create_keyed()
        self.assertIsNone(self.early(sha256=""))
        self.assertEqual(self.create_keyed(), info)

    def test_overlapping(self) -> None:
        """
        Of two creations with the same key under way, the first commit makes the version and the other gets it.
        """
        for archived in (False, True):
            uploads = [self.keyed(str(archived), archived=archived) for _ in range(2)]
            commits = [upload.commit() for upload in uploads]
            first, second = (self.done(commit) for commit in commits)
            self.assertEqual(first, second)
        self.assertEqual(self.numbers(), [1, 2])

    def test_overlapping_models(self) -> None:
        """
        A key is refused in another model while the first creation is being committed.
        """
        self.save("n")
        first, second = self.keyed(archived=True), self.keyed(model_id="n", archived=True)
        committing = first.commit()
        self.refused(second.commit(), "is being used for model 'm'")
        self.assertEqual(self.done(committing).version_number, 1)

    def test_evicted_version(self) -> None:
        """
        A version that was evicted meanwhile was made all the same.
        """
        info = self.create_keyed()
        for _ in range(BUDGET.max_items):
            self.create()
        self.assertNotIn(1, self.numbers())
        self.assertEqual((self.early(), self.create_keyed()), (info, info))

    def test_failed_commit(self) -> None:
        """
        A key whose creation failed can be used again.
        """
        upload = self.keyed()
        self.done(self.registry.delete_model("m"))
        self.fails(upload.commit(), ModelReplaced)
        self.save()
        self.assertEqual(self.create_keyed().version_number, 1)

    def test_expiry(self) -> None:
        """
        A key is forgotten after a day, also if the clock was set back.
        """
        self.create_keyed()
        self.clock.advance(KEY_SECONDS - 1)
        self.assertEqual(self.create_keyed().version_number, 1)
        self.clock.advance(1)
        self.assertIsNone(self.early())
        self.assertEqual(self.create_keyed().version_number, 2)
        self.clock.rightNow -= KEY_SECONDS
        self.assertEqual(self.create_keyed().version_number, 3)

    def test_deleted_model(self) -> None:
        """
        With a model its keys are forgotten.
        """
        self.create_keyed()
        self.done(self.registry.delete_model("m"))
        self.save("n")
        self.assertEqual(self.create_keyed(model_id="n").model_id, "n")

    def test_deleted_version(self) -> None:
        """
        If a version is deleted, its keys are forgotten, and no others.
        """
        self.create_keyed("one")
        other = self.create_keyed("two")
        self.registry._state.coordination.publish(VersionDeleted(self.snapshot().key(1), 4, False))
        self.assertIsNone(self.early("one"))
        self.assertEqual(self.early("two"), other)

    def test_model_created_again(self) -> None:
        """
        While the many keys of a deleted model are being forgotten, none is found, and a new model can use them.
        """
        for number in range(3):
            self.create_keyed(str(number))
        deletion = self.registry.delete_model("m")
        self.patch(idempotency, "_KEYS_AT_ONCE", 1)
        while not deletion.called:
            self.disk.pump(1)
            self.reactor.pump()
        self.assertEqual(len(self.registry._keys._entries), 2)
        self.save()
        self.assertEqual(self.create_keyed("2").version_number, 1)
        self.pump()
        self.assertEqual(self.create_keyed("2").version_number, 1)
        self.assertEqual(list(self.registry._keys._entries), [key_sha256("2")])

    def test_lost_model_restored(self) -> None:
        """
        A lost model that is back while its keys are being forgotten keeps those that the archive has, and those of its
        transient versions count no more.
        """
        keys = [str(number) for number in range(30)]
        for key in keys:
            self.create_keyed(key, archived=True)
        self.create_keyed("transient")
        self.patch(idempotency, "_KEYS_AT_ONCE", 1)
        lost = self.medium.models.pop("m")
        stored = set(lost.keys)
        self.registry._lose(self.registry._state.index.get("m"))
        self.medium.models["m"] = lost
        self.run_until(self.registry.load_snapshot("m"))
        upload = self.registry.upload(VersionHeader("m", True, 4), self.snapshot(), keys[-1])
        for future in (upload.write(Chunk(DATA)), upload.finish()):
            self.run_until(future)
        self.assertEqual(self.run_until(upload.commit()).version_number, 30)
        self.assertGreater(len(self.registry._keys._entries), 1)
        self.pump()
        self.assertEqual(lost.keys, stored)
        self.assertEqual([self.create_keyed(key, archived=True).version_number for key in keys], list(range(1, 31)))
        self.assertGreater(self.create_keyed("transient").version_number, 31)

    def run_until(self, waiting: Any) -> Any:
        """
        Run jobs one by one, so that others are still waiting when a Deferred or a future is done.
        """
        while not (waiting.called if isinstance(waiting, Deferred) else waiting.done()):
            self.disk.pump(1)
            self.processor.pump(1)
            self.reactor.pump()
        return self.successResultOf(waiting) if isinstance(waiting, Deferred) else waiting.result(timeout=0)

    def test_bounds(self) -> None:
        """
        The number and the bytes of remembered keys are bounded; the oldest are forgotten first.
        """
        for bounds in ({"max_keys": 2}, {"max_bytes": 4000}):
            state = self.registry._state
            keys = CreationKeys(state, self.registry._loader, lambda: 0, self.registry._run, **bounds)
            info = VersionInfo("m", 1, 0, False, HEADER.sha256, 0)
            uploads: list[Any] = [self.registry.upload(HEADER, self.snapshot(), name) for name in "abc"]
            for upload in uploads:
                keys.add(upload, self.snapshot().key(1), info, 0)
            found = [keys.created(HEADER, self.snapshot(), upload.key_sha256) for upload in uploads]
            self.assertEqual(found, [None, info, info])


class DurableCase(KeyedCase):
    """
    A registry on an archive that stores keys.
    """

    archive: Any

    def make_archive(self, medium: MemoryMedium) -> Any:
        """
        Make an archive on the file system, whose calls wait as usual.
        """
        if not hasattr(self, "directory"):
            self.directory = self.mktemp()
        return FilesystemArchive(self.directory, times=ClaimTimes(seconds=lambda: 0.0))

    def restart(self) -> None:
        """
        Restart as after a crash: only the archive is closed, as the system would do.
        """
        self.archive.close()
        self.archive = self.make_archive(self.medium)
        self.open()
        self.done(self.registry.load_snapshot("m"))

    def tearDown(self) -> None:
        """
        Close the archive.
        """
        self.archive.close()

    def key_files(self) -> list[str]:
        """
        Return the keys that are stored, by their versions' numbers.
        """
        return sorted(str(key.version_number) for key in self.archive.stored_keys("m"))

    def files(self, pattern: str) -> Any:
        """
        Return the files in the model's folder whose names match a pattern.
        """
        return list(Path(self.directory, "m").glob(pattern))


class DurableTests(DurableCase):
    """
    On an archive that stores keys, those of archived versions survive a restart.
    """

    def test_after_a_restart(self) -> None:
        """
        The same key gives the archived version of before, read from the archive; other content is refused.
        """
        info = self.create_keyed(archived=True, metadata={"a": "b"})
        transient = self.create_keyed("transient")
        self.restart()
        self.assertIsNone(self.early(archived=True, metadata={"a": "b"}))
        self.refused(self.keyed(data=b"DATA", archived=True, metadata={"a": "b"}).commit(), "SHA-256")
        self.assertEqual(self.create_keyed(archived=True, metadata={"a": "b"}), info)
        self.assertEqual(self.early(archived=True, metadata={"a": "b"}), info)
        self.assertGreater(self.create_keyed("transient").version_number, transient.version_number)

    def test_archived_since(self) -> None:
        """
        A transient version that was archived later is found by its key after a restart, too, before the data and with
        it; the same key for an archived version is refused.
        """
        self.create_keyed(metadata={"a": "b"})
        archived = self.done(self.registry.archive_version(self.snapshot(), 1))
        for _ in range(2):
            self.assertEqual(self.create_keyed(metadata={"a": "b"}), archived)
            self.assertEqual(self.early(metadata={"a": "b"}), archived)
            self.assertTrue(self.registry.may_be_created(self.snapshot(), "key"))
            self.refused(self.keyed(archived=True, metadata={"a": "b"}).commit(), "archived")
            self.refused(self.keyed(metadata={"a": "c"}).commit(), "metadata")
            self.restart()
        self.assertEqual(self.done(self.registry.find_version_with_key(self.snapshot(), "key")), archived)
        self.assertEqual(self.key_files(), ["1"])
        self.done(self.registry.delete_version(self.snapshot(), 1))
        self.assertGreater(self.create_keyed(metadata={"a": "b"}).version_number, 1)

    def test_archived_without_a_key(self) -> None:
        """
        A version without a key, and one whose key has expired, are archived without one.
        """
        self.create()
        self.create_keyed()
        self.clock.advance(KEY_SECONDS)
        for number in (1, 2):
            self.done(self.registry.archive_version(self.snapshot(), number))
        self.assertEqual(self.key_files(), [])
        self.assertEqual(self.create_keyed().version_number, 3)

    def test_expired_since(self) -> None:
        """
        The key of a version that was archived later is forgotten a day after the creation.
        """
        self.create_keyed()
        self.done(self.registry.archive_version(self.snapshot(), 1))
        self.clock.advance(KEY_SECONDS - 1)
        self.restart()
        self.assertEqual(self.create_keyed().version_number, 1)
        self.clock.advance(1)
        self.assertGreater(self.create_keyed().version_number, 1)

    def find(self, key: str, data: bytes = DATA) -> "Deferred[VersionInfo | None]":
        """
        Look up an archived creation before its data arrives, in the archive if necessary.
        """
        header = VersionHeader("m", True, len(data), sha256=data_hash(data))
        return self.registry.find_created(header, self.snapshot(), key)

    def test_found_before_the_data(self) -> None:
        """
        After a restart, an archived version is found by its key before the data arrives; other content is refused.
        """
        infos = {key: self.create_keyed(key, archived=True) for key in ("one", "two")}
        self.create_keyed("latest", b"latest", archived=True)
        self.assertFalse(self.registry.may_be_created(self.snapshot(), "new"))
        self.restart()
        for key, info in infos.items():
            self.assertTrue(self.registry.may_be_created(self.snapshot(), key))
            self.assertEqual(self.done(self.find(key)), info)
            self.assertEqual(self.early(key, archived=True), info)
        self.assertIsNone(self.done(self.find("new")))
        self.assertFalse(self.registry.may_be_created(self.snapshot(), "new"))
        self.refused(self.find("one", b"DATA"), "SHA-256")
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_deleted_before_it_is_found(self) -> None:
        """
        Nothing is found in a model that was deleted meanwhile.
        """
        self.create_keyed(archived=True)
        snapshot = self.snapshot()
        self.done(self.registry.delete_model("m"))
        header = VersionHeader("m", True, len(DATA), sha256=data_hash(DATA))
        self.assertFalse(self.registry.may_be_created(snapshot, "key"))
        self.assertIsNone(self.done(self.registry.find_created(header, snapshot, "key")))

    def test_swept_after_a_day(self) -> None:
        """
        Expired keys are removed from the archive when the model's keys are next read.
        """
        self.create_keyed("one", archived=True)
        self.clock.advance(KEY_SECONDS)
        self.create_keyed("two", archived=True)
        self.assertEqual(self.key_files(), ["1", "2"])
        self.restart()
        self.create_keyed("three", archived=True)
        self.pump()
        self.assertEqual(self.key_files(), ["2", "3"])
        self.assertEqual(self.create_keyed("one", archived=True).version_number, 4)

    def test_swept_in_batches(self) -> None:
        """
        A daemon that runs for days removes the keys that expire, many at a time.
        """
        for number in range(64):
            self.create_keyed(str(number), archived=True)
        self.clock.advance(KEY_SECONDS)
        self.create_keyed("last", archived=True)
        self.pump()
        self.assertEqual(self.key_files(), ["65"])

    def test_many_keys(self) -> None:
        """
        Many keys are read in parts; if that is interrupted, it begins again and loses none.
        """
        self.patch(idempotency, "_KEYS_AT_ONCE", 2)
        for number in range(5):
            self.create_keyed(str(number), archived=True)
        self.restart()
        calls: list[int] = []
        entries_of = self.registry._keys._entries_of

        def fail_once(snapshot: Any, keys: Any) -> Any:
            calls.append(len(keys))
            if len(calls) == 2:
                raise StorageFailure("a test says so")
            return entries_of(snapshot, keys)

        self.patch(self.registry._keys, "_entries_of", fail_once)
        self.fails(self.keyed("0", archived=True).commit(), StorageFailure)
        for number in range(5):
            self.assertEqual(self.create_keyed(str(number), archived=True).version_number, number + 1)
        self.assertEqual(calls, [2, 2, 2, 2, 1])
        self.assertEqual(self.key_files(), ["1", "2", "3", "4", "5"])

    def test_deleted_versions(self) -> None:
        """
        The archive removes the key of a deleted version with it: nothing about it is kept in memory until then.
        """
        for number in range(3):
            self.create_keyed(str(number), archived=True)
        for number in (1, 2):
            self.done(self.registry.delete_version(self.snapshot(), number))
        keys = self.registry._keys
        self.assertEqual((len(keys._entries), keys._stale), (1, []))

    def test_key_of_another_version(self) -> None:
        """
        A key that a crash left without its version is not taken for that of the version that got the number.
        """
        info = self.create_keyed(archived=True)
        self.restart()
        for path in self.files("*-v000001.*"):
            path.unlink()
        self.restart()
        self.create(b"other", archived=True)
        self.assertEqual(self.numbers()[-1:], [info.version_number])
        again = self.create_keyed(archived=True)
        self.assertEqual(again.version_number, info.version_number + 1)
        self.restart()
        self.assertEqual(self.create_keyed(archived=True), again)
        self.pump()
        self.assertEqual(self.key_files(), [str(again.version_number)])

    def test_deleted_model(self) -> None:
        """
        With a model its keys go from the archive too.
        """
        self.create_keyed(archived=True)
        self.done(self.registry.delete_model("m"))
        self.save()
        self.restart()
        self.assertEqual(self.create_keyed(archived=True).version_number, 1)
        self.assertEqual(self.key_files(), ["1"])


@define
class _Failing:
    """
    A replacement of a call of an archive by one that fails.
    """

    error: BaseException

    def __call__(self, *arguments: object) -> Any:
        raise self.error


class FailingArchiveTests(DurableCase):
    """
    An archive that fails.
    """

    def test_keys_that_cannot_be_read(self) -> None:
        """
        Nothing is created while it is unknown whether it was created before.
        """
        info = self.create_keyed(archived=True)
        self.restart()
        stored_keys = self.archive.stored_keys
        self.archive.stored_keys = _Failing(StorageFailure("I/O error"))
        self.fails(self.keyed(archived=True).commit(), StorageFailure)
        self.archive.stored_keys = stored_keys
        self.assertEqual(self.create_keyed(archived=True), info)

    def test_damaged_version(self) -> None:
        """
        The damage of the version that was created is reported, and no second one is created.
        """
        self.create_keyed(archived=True)
        self.restart()
        (yaml,) = self.files("*-v000001.yaml")
        yaml.write_bytes(b"{")
        self.fails(self.keyed(archived=True).commit(), CorruptVersion)
        self.assertEqual(self.numbers(), [1])


@implementer_only(IArchive, ILifecycleArchive)
class KeylessArchive(MemoryArchive):
    """
    An archive that stores no keys.
    """


class KeylessArchiveTests(KeyedCase):
    """
    A registry on an archive that stores no keys.
    """

    def make_archive(self, medium: MemoryMedium) -> MemoryArchive:
        """
        Make an archive that stores no keys.
        """
        return KeylessArchive(medium)

    def test_in_memory_only(self) -> None:
        """
        The keys of archived versions are remembered until the process ends.
        """
        self.assertFalse(IKeyedArchive.providedBy(self.archive))
        info = self.create_keyed(archived=True)
        self.assertEqual(self.create_keyed(archived=True), info)
        self.open()
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.create_keyed(archived=True).version_number, 2)

    def test_commit_that_failed(self) -> None:
        """
        A creation that failed is made when it is repeated; a number that may be in use stays unused.
        """
        for error, number in ((StorageFull("no room"), 1), (CommitUncertain("I/O error"), 3)):
            upload: Any = self.keyed(type(error).__name__, archived=True)
            upload.archive_writer = FaultyWriter(error)
            self.fails(upload.commit(), type(error))
            self.assertEqual(self.create_keyed(type(error).__name__, archived=True).version_number, number)
