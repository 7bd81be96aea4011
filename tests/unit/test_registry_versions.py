"""
Tests of creating, keeping and evicting versions.
"""

from attrs import evolve
from twisted.logger import LogLevel, capturedLogs, formatEvent
from zope.interface import classImplementsOnly
from zope.interface.verify import verifyObject

from tests.support.registry import BUDGET, PumpedRegistryCase, data_hash
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.contracts.transfers import IDownload, IUpload
from twisted_registry.contracts.transient import ITransientStore, Usage
from twisted_registry.coordination.local import MAX_RAISED
from twisted_registry.domain.aliases import AliasChange
from twisted_registry.domain.errors import (
    CorruptVersion,
    HashMismatch,
    ModelReplaced,
    NumbersExhausted,
    StorageReadOnly,
    TooLarge,
    UnknownVersion,
)
from twisted_registry.domain.models import MAX_VERSION_NUMBER, ModelInfo, VersionHeader
from twisted_registry.storage.memory import MemoryStore


class CreateTests(PumpedRegistryCase):
    """
    An upload becomes a version when it is committed.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.save()

    def test_provides_the_interfaces(self) -> None:
        """
        The registry, its uploads and its downloads provide their interfaces.
        """
        verifyObject(IRegistry, self.registry)
        verifyObject(IUpload, self.upload())
        for archived in (False, True):
            info = self.create(b"x" * 2000, archived=archived)
            verifyObject(IDownload, self.registry.download(self.snapshot(), info))

    def test_info_holds_the_whole_truth(self) -> None:
        """
        The registry sets number, time, hash and size; the creator sets the flag and the metadata.
        """
        info = self.create(b"some data", metadata={"a": "b"})
        self.assertEqual(
            (info.version_number, info.created_ns, info.archived, info.sha256, info.size_bytes, info.metadata),
            (1, 1000 * 10**9, False, data_hash(b"some data"), 9, {"a": "b"}),
        )

    def test_creation_time_may_be_declared(self) -> None:
        """
        A time other than 0 in the header is kept.
        """
        self.assertEqual(self.create(created_ns=123).created_ns, 123)

    def test_numbers_rise_in_the_order_of_commits(self) -> None:
        """
        The first commit gets the lower number, whichever upload began first, transient or archived.
        """
        uploads = [self.upload(archived=archived) for archived in (True, False, True)]
        commits = [upload.commit() for upload in reversed(uploads)]
        self.assertEqual([self.done(commit).version_number for commit in commits], [1, 2, 3])
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_version_is_seen_only_once_it_is_durable(self) -> None:
        """
        While the archive commits, the version is not visible, and a transient one of the same model waits.
        """
        self.create()
        uploads = self.upload(archived=True), self.upload()
        archived, transient = [upload.commit() for upload in uploads]
        self.assertEqual(self.numbers(), [1])
        self.assertNoResult(transient)
        self.assertEqual(self.done(archived).version_number, 2)
        self.assertEqual(self.done(transient).version_number, 3)

    def test_other_models_do_not_wait_for_an_archive(self) -> None:
        """
        While the commit of one model waits for the disk, a transient version of another one is committed.
        """
        self.save("other")
        self.create(model_id="other")
        uploads = self.upload(archived=True), self.upload(model_id="other")
        waiting, quick = [upload.commit() for upload in uploads]
        self.assertNoResult(waiting)
        self.assertEqual(self.successResultOf(quick).version_number, 2)
        self.pump()

    def test_wrong_hash_is_refused_before_the_commit(self) -> None:
        """
        Data that does not match its declared SHA-256 never becomes a version and uses no number.
        """
        for archived in (False, True):
            self.assertRaises(HashMismatch, self.upload, sha256=data_hash(b"other"), archived=archived)
        self.assertEqual(self.create().version_number, 1)

    def test_aborted_upload_leaves_nothing(self) -> None:
        """
        An aborted upload leaves no version, no memory, no number and nothing on the archive.
        """
        for archived in (False, True):
            self.upload(archived=archived).abort()
        self.pump()
        self.assertEqual((self.numbers(), self.registry.usage()), ([], Usage(0, 0)))
        self.assertEqual(self.create(archived=True).version_number, 1)

    def test_abort_after_the_commit_changes_nothing(self) -> None:
        """
        A version stays if it is aborted after its commit.
        """
        upload = self.upload(archived=True)
        info = self.done(upload.commit())
        upload.abort()
        self.assertEqual(self.read(info), b"data")

    def test_model_deleted_meanwhile(self) -> None:
        """
        The version of a deleted model is refused, also if the model exists again.
        """
        for archived in (False, True):
            gone, again = self.upload(archived=archived), self.upload(archived=archived)
            self.done(self.registry.delete_model("m"))
            self.fails(gone.commit(), ModelReplaced)
            self.save()
            self.fails(again.commit(), ModelReplaced)
            self.assertEqual((self.numbers(), self.registry.usage().items), ([], 0))

    def test_no_number_left(self) -> None:
        """
        After the highest number that fits the wire, nothing is created.
        """
        self.archive.set_high_water_mark("m", MAX_VERSION_NUMBER - 1)
        self.open()
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.create().version_number, MAX_VERSION_NUMBER)
        self.fails(self.upload().commit(), NumbersExhausted)

    def test_transient_version_larger_than_memory_is_refused_at_once(self) -> None:
        """
        A transient version that can never be held is refused before its data; an archived one may have any size.
        """
        header = VersionHeader("m", False, BUDGET.max_bytes + 1)
        self.assertRaises(TooLarge, self.registry.upload, header, self.snapshot())
        self.assertEqual(self.create(b"x" * (BUDGET.max_bytes + 1), archived=True).version_number, 1)


class SeenTests(PumpedRegistryCase):
    """
    A client has seen higher numbers than this registry has given.
    """

    def setUp(self) -> None:
        """
        Make a model that has lost versions, as after a backup was restored.
        """
        super().setUp()
        self.save()
        self.create(archived=True)
        self.reopen()
        self.events = self.enterContext(capturedLogs())

    def reopen(self) -> None:
        """
        Start the registry again.
        """
        self.open()
        self.done(self.registry.load_snapshot("m"))

    def note_seen(self, number: int) -> None:
        """
        Report a number that a client has seen.
        """
        self.done(self.registry.note_seen(self.snapshot(), number))

    def warnings(self) -> list[str]:
        """
        Return the warnings in the log.
        """
        return [formatEvent(event) for event in self.events if event["log_level"] is LogLevel.warn]

    def test_numbers_go_on_after_it(self) -> None:
        """
        The next version, archived or not, gets a higher number; the log names the model, both numbers and the command.
        """
        for number, archived in ((5, True), (9, False)):
            self.note_seen(number)
            self.assertEqual(self.create(archived=archived).version_number, number + 1)
        (line,) = self.warnings()
        for part in ("version 5", "'m'", "here is 1", "the next number is 6", "archive raise-numbers"):
            self.assertIn(part, line)

    def test_durable(self) -> None:
        """
        The raised number is on the archive before anything else happens.
        """
        self.note_seen(5)
        self.reopen()
        self.assertEqual(self.create().version_number, 6)

    def test_reserved_numbers_stay_reserved(self) -> None:
        """
        A number that was reserved stays reserved.
        """
        self.create()
        mark = self.archive.high_water_mark("m")
        self.note_seen(5)
        self.assertEqual(self.archive.high_water_mark("m"), mark)
        self.assertEqual(self.create().version_number, 6)

    def test_no_higher(self) -> None:
        """
        A number that this registry has given changes nothing.
        """
        self.note_seen(1)
        self.assertEqual((self.create().version_number, self.warnings()), (2, []))

    def test_named_by_an_alias(self) -> None:
        """
        If an alias names a higher number than any version has, numbers continue after it, and the log says so.
        """
        self.create(archived=True)
        change = AliasChange("production", 2, None, "", "")
        self.done(self.registry.move_alias(self.snapshot(), change))
        model = self.medium.models["m"]
        del model.versions[2]
        model.high_water_mark = 0
        self.reopen()
        (line,) = self.warnings()
        for part in ("'m'", "names version 2", "in the archive is 1", "continue after 2", "archive raise-numbers"):
            self.assertIn(part, line)
        self.assertEqual(self.create().version_number, 3)

    def test_lost_version_of_an_alias(self) -> None:
        """
        The log names the aliases whose versions the archive has lost, also if it has later versions.
        """
        for number, alias in ((2, "canary"), (3, "production"), (4, "best")):
            self.create(archived=True)
            self.done(self.registry.move_alias(self.snapshot(), AliasChange(alias, number)))
        del self.medium.models["m"].versions[2]
        del self.medium.models["m"].versions[3]
        self.reopen()
        (line,) = [formatEvent(event) for event in self.events if event["log_level"] is LogLevel.error]
        self.assertIn("these aliases of 'm' name: canary, production;", line)

    def test_bounded(self) -> None:
        """
        Clients can raise the numbers of a model by a million in the life of a process, and no further.
        """
        self.note_seen(MAX_RAISED + 2)
        self.assertEqual(self.create().version_number, 2)
        (line,) = self.warnings()
        self.assertIn("implausible", line)
        self.note_seen(MAX_RAISED - 100)
        self.assertEqual(self.create().version_number, MAX_RAISED - 99)
        self.note_seen(MAX_RAISED + 100)
        self.assertEqual(self.create().version_number, MAX_RAISED - 98)
        self.assertEqual(len(self.warnings()), 1)

    def test_no_number_that_cannot_be(self) -> None:
        """
        A number above the highest possible one is ignored.
        """
        self.archive.set_high_water_mark("m", MAX_VERSION_NUMBER - 10)
        self.reopen()
        self.note_seen(MAX_VERSION_NUMBER + 1)
        self.assertEqual(self.create().version_number, MAX_VERSION_NUMBER - 9)

    def test_cannot_be_remembered(self) -> None:
        """
        If the archive takes no writes, the numbers are raised until the process ends, and the log says so.
        """

        def refuse(model_id: str, version_number: int) -> None:
            raise StorageReadOnly("read-only")

        self.patch(self.archive, "set_high_water_mark", refuse)
        self.note_seen(5)
        self.assertIn("only in memory", self.warnings()[-2])
        self.fails(self.upload().commit(), StorageReadOnly)
        self.assertEqual(self.create(archived=True).version_number, 6)

    def test_recreated(self) -> None:
        """
        A model that was created since the start counts from 1, whatever clients saw of an earlier one with its id.
        """
        snapshot = self.snapshot()
        self.done(self.registry.delete_model("m"))
        self.save()
        self.done(self.registry.note_seen(snapshot, 5))
        self.assertFalse(self.registry.went_back("m", 5))
        self.note_seen(5)
        self.assertEqual((self.create().version_number, self.warnings()), (1, []))


class EvictionTests(PumpedRegistryCase):
    """
    Memory holds four versions; the others are gone, or read from the archive.
    """

    def setUp(self) -> None:
        """
        Make two models.
        """
        super().setUp()
        self.save("m")
        self.save("n")

    def test_evicted_transient_versions_are_gone(self) -> None:
        """
        Only the versions in memory exist, and selectors count those.
        """
        infos = [self.create() for _ in range(6)]
        self.assertEqual(self.numbers(), [3, 4, 5, 6])
        self.assertEqual(self.snapshot().select(-4), 3)
        self.assertRaises(UnknownVersion, self.registry.download, self.snapshot(), infos[0])

    def test_superseded_versions_go_before_another_models_latest(self) -> None:
        """
        A model with many commits does not evict the only version of one with few.
        """
        self.create(model_id="n")
        for _ in range(10):
            self.create()
        self.assertEqual((self.numbers("n"), self.numbers("m")), ([1], [8, 9, 10]))

    def test_archived_commit_supersedes_the_transient_latest(self) -> None:
        """
        A transient version is no longer its model's latest after an archived one.
        """
        self.create(model_id="n")
        self.create()
        self.create(b"x" * 2000, archived=True)
        for model_id in ("a", "b"):
            self.save(model_id)
            self.create(model_id=model_id)
        self.save("c")
        self.create(model_id="c")
        self.assertEqual((self.numbers("n"), self.numbers("m")), ([1], [2]))

    def test_used_versions_stay(self) -> None:
        """
        A version that was read recently stays longer than one that was not.
        """
        infos = [self.create() for _ in range(4)]
        self.read(infos[0])
        self.create()
        self.assertEqual(self.numbers(), [1, 3, 4, 5])

    def test_evicted_numbers_are_not_used_again(self) -> None:
        """
        The next number is a new one, even if all versions are gone.
        """
        self.create()
        for name in ("a", "b", "c", "d"):
            self.save(name)
            self.create(model_id=name)
        self.assertEqual(self.numbers(), [])
        self.assertIsNone(self.snapshot().latest)
        self.assertEqual(self.create().version_number, 2)

    def test_reading_goes_on_while_a_version_is_evicted(self) -> None:
        """
        A download under way ends with all the data.
        """
        info = self.create(b"x" * 25)
        download = self.registry.download(self.snapshot(), info)
        first = self.settle(download.read())
        for _ in range(5):
            self.create()
        assert first is not None
        self.assertEqual(first.size_bytes + sum(chunk.size_bytes for chunk in self.chunks(download)), 25)


class CopyTests(PumpedRegistryCase):
    """
    Small archived versions are copied to memory.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.save()

    def test_created_version_is_read_from_memory(self) -> None:
        """
        A version is read from memory right after it was archived.
        """
        info = self.create(b"some data", archived=True)
        download = self.registry.download(self.snapshot(), info)
        self.assertTrue(download.read().done())
        self.assertEqual(len(self.disk), 0)

    def test_read_version_is_copied(self) -> None:
        """
        A version that was read from the archive is read from memory the next time.
        """
        info = self.create(b"some data", archived=True)
        self.open()
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.registry.usage().items, 0)
        self.assertEqual(self.read(info), b"some data")
        self.assertEqual(self.registry.usage().items, 1)
        self.assertTrue(self.registry.download(self.snapshot(), info).read().done())

    def test_one_reader_at_a_time_makes_a_copy(self) -> None:
        """
        However many clients read a version from the archive at once, only one copy takes memory; the next one is made
        after that one was abandoned.
        """
        info = self.create(b"x" * 25, archived=True)
        self.open()
        self.done(self.registry.load_snapshot("m"))
        first, second = [self.registry.download(self.snapshot(), info) for _ in range(2)]
        self.settle(first.read())
        self.chunks(second)
        self.assertEqual(self.registry.usage().items, 0)
        first.close()
        self.pump()
        self.assertEqual((self.read(info), self.registry.usage().items), (b"x" * 25, 1))

    def test_versions_over_an_eighth_of_the_budget_are_not_copied(self) -> None:
        """
        One archived version takes at most an eighth of the memory.
        """
        for size, items in ((BUDGET.max_bytes // 8, 1), (BUDGET.max_bytes // 8 + 1, 1)):
            self.assertEqual(self.read(self.create(b"x" * size, archived=True)), b"x" * size)
            self.assertEqual(self.registry.usage().items, items)

    def test_no_copy_without_room(self) -> None:
        """
        If transient versions have taken all memory, no copy is made that would not stay.
        """
        for _ in range(BUDGET.max_items):
            self.create()
        self.assertEqual(self.upload(archived=True).held_bytes, 0)
        info = self.create(archived=True)
        self.assertEqual(self.read(info), b"data")
        self.assertEqual(self.registry.usage().items, BUDGET.max_items)

    def test_copies_go_first(self) -> None:
        """
        A copy is evicted for a transient version, and its version still exists.
        """
        for _ in range(3):
            self.create()
        info = self.create(archived=True)
        self.create()
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])
        self.assertFalse(self.registry.download(self.snapshot(), info).read().done())
        self.assertEqual(self.read(info), b"data")

    def test_copy_of_a_deleted_model_is_not_kept(self) -> None:
        """
        A download that ends after its model was deleted leaves nothing in memory.
        """
        info = self.create(b"x" * 25, archived=True)
        self.open()
        self.done(self.registry.load_snapshot("m"))
        download = self.registry.download(self.snapshot(), info)
        self.settle(download.read())
        self.done(self.registry.delete_model("m"))
        self.done(self.registry.save_model(ModelInfo("m")))
        self.chunks(download)
        self.assertEqual(self.registry.usage().items, 0)


class BlockingStore(MemoryStore):
    """
    A transient store without the mark that it never blocks.
    """


classImplementsOnly(BlockingStore, ITransientStore)


class BlockingStoreTests(PumpedRegistryCase):
    """
    A transient store that may block is called in threads, and its changes follow each other.
    """

    def make_store(self) -> ITransientStore:
        """
        Make the transient store.
        """
        return BlockingStore(BUDGET)

    def test_versions_come_and_go(self) -> None:
        """
        Versions are created, read and evicted as with any other store.
        """
        self.save()
        infos = [self.create() for _ in range(6)]
        self.assertEqual(self.numbers(), [3, 4, 5, 6])
        self.assertEqual(self.read(infos[-1]), b"data")

    def test_a_change_is_published_before_the_next_is_made(self) -> None:
        """
        The eviction of a version is never published before its arrival.
        """
        for model_id in ("m", "n"):
            self.save(model_id)
            self.create(model_id=model_id)
        uploads = [self.upload(model_id=model_id) for model_id in ("m", "n")]
        commits = [upload.commit() for upload in uploads]
        self.assertEqual(len(self.disk), 1)
        self.assertEqual([self.done(commit).version_number for commit in commits], [2, 2])


class DamageTests(PumpedRegistryCase):
    """
    Data that does not match its SHA-256 is not returned whole.
    """

    def test_wrong_data(self) -> None:
        """
        The last chunk is held back, nothing is kept in memory, and the log has one line.
        """
        self.save()
        info = self.create(b"x" * 25, archived=True)
        self.open()
        self.done(self.registry.load_snapshot("m"))
        wrong = evolve(info, sha256=data_hash(b"other"))
        with capturedLogs() as events:
            for _ in range(2):
                download = self.registry.download(self.snapshot(), wrong)
                for _ in range(2):
                    self.assertIsNotNone(self.settle(download.read()))
                self.assertRaises(CorruptVersion, self.settle, download.read())
                download.close()
                self.pump()
        self.assertEqual(self.registry.usage().items, 0)
        self.assertEqual(len([event for event in events if "damage" in str(event["log_format"])]), 1)

    def test_damage_after_it_was_read(self) -> None:
        """
        Damage after a version was read and found to be whole is found, too, in the chunk that has it; the next read
        reports the SHA-256.
        """
        self.save()
        for _ in range(BUDGET.max_items):
            self.create()  # no room for a copy
        info = self.create(b"x" * 25, archived=True)
        for _ in range(2):
            self.assertEqual(self.read(info), b"x" * 25)
        self.medium.models["m"].versions[info.version_number] = info, b"x" * 15 + b"y" + b"x" * 9
        download = self.registry.download(self.snapshot(), info)
        self.assertIsNotNone(self.settle(download.read()))
        error = self.assertRaises(CorruptVersion, self.settle, download.read())
        self.assertIn("has changed since its SHA-256 matched", str(error))
        download.close()
        self.assertIn("SHA-256", str(self.assertRaises(CorruptVersion, self.read, info)))
        self.medium.models["m"].versions[info.version_number] = info, b"x" * 25
        self.assertEqual(self.read(info), b"x" * 25)

    def test_short_after_it_was_read(self) -> None:
        """
        A version that has become shorter since it was read is damaged.
        """
        self.save()
        for _ in range(BUDGET.max_items):
            self.create()
        info = self.create(b"x" * 25, archived=True)
        self.assertEqual(self.read(info), b"x" * 25)
        self.medium.models["m"].versions[info.version_number] = info, b"x" * 20
        self.assertIn("ends after 20", str(self.assertRaises(CorruptVersion, self.read, info)))

    def test_nothing_is_read_after_damage(self) -> None:
        """
        Reads after a damaged chunk fail, too: their data is not taken for that chunk's, and no copy is kept of it.
        """
        for model_id in ("m", "other"):
            self.save(model_id)
        for _ in range(BUDGET.max_items):
            self.create(model_id="other")
        info = self.create(b"x" * 30, archived=True)
        self.read(info)
        self.done(self.registry.delete_model("other"))  # now there is room for a copy
        self.medium.models["m"].versions[info.version_number] = info, b"x" * 15 + b"y" + b"x" * 14
        download = self.registry.download(self.snapshot(), info)
        chunks = [download.read() for _ in range(4)]
        self.pump()
        self.assertIsNone(chunks[0].exception(timeout=0))
        for chunk in chunks[1:]:
            self.assertIsInstance(chunk.exception(timeout=0), CorruptVersion)
        download.close()
        self.pump()
        self.assertEqual(self.registry.usage().items, 0)
        self.assertRaises(CorruptVersion, self.read, info)
