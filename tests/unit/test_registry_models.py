"""
Tests of models, of faults of the archive, and of restarts.
"""

from functools import partial
from typing import Any

from zope.interface import implementer

from tests.support.registry import PumpedRegistryCase
from twisted_registry.contracts.streams import IArchiveWriter
from twisted_registry.coordination.local import NUMBERS_PER_BLOCK
from twisted_registry.domain.errors import (
    CommitUncertain,
    CorruptModel,
    CorruptVersion,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    UnknownModel,
)
from twisted_registry.domain.events import ModelDeleted, VersionCommitted
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium


class FaultyArchive(MemoryArchive):
    """
    An archive whose calls the test can replace.

    Attributes:
        faults: what to raise, by the call's name.
        results: what to return, by the call's name.
        calls: the names of all calls.
    """

    def __init__(self, medium: MemoryMedium) -> None:
        super().__init__(medium)
        self.faults: dict[str, BaseException] = {}
        self.results: dict[str, Any] = {}
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        """
        Return a call, or its replacement.
        """
        own = super().__getattribute__("__dict__")
        own.get("calls", []).append(name)
        if name in own.get("faults", ()):
            return partial(_fail, own["faults"][name])
        if name in own.get("results", ()):
            return lambda *_: own["results"][name]
        return super().__getattribute__(name)


def _fail(error: BaseException, *_: object) -> None:
    raise error


@implementer(IArchiveWriter)
class FaultyWriter:
    """
    A writer whose commit fails.

    Attributes:
        aborted: how often ``abort`` was called.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self.aborted = 0

    def write(self, chunk: object) -> None:
        """See ``IChunkSink.write``."""

    def finish(self) -> None:
        """See ``IArchiveWriter.finish``."""

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        raise self._error

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self.aborted += 1


class Notes:
    """
    The ids of the models that changed.
    """

    def __init__(self) -> None:
        self.changes: list[str] = []

    def changed(self, event: "VersionCommitted | ModelDeleted") -> None:
        """
        Record an event.
        """
        self.changes.append(event.model_id)


class FaultyRegistryCase(PumpedRegistryCase):
    """
    A registry over an archive that can fail.
    """

    archive: FaultyArchive

    def make_archive(self, medium: MemoryMedium) -> FaultyArchive:
        """
        Make the archive.
        """
        return FaultyArchive(medium)

    def crash(self) -> None:
        """
        Start again with only the archive's content.
        """
        self.open()
        self.done(self.registry.load_snapshot("m"))

    def stop_and_start(self) -> None:
        """
        Stop cleanly, and start again.
        """
        self.done(self.registry.close())
        self.crash()


class ModelTests(FaultyRegistryCase):
    """
    Models are created, changed, listed and deleted.
    """

    def test_saved_model_is_answered_from_memory(self) -> None:
        """
        The metadata that was saved last is returned without the archive.
        """
        self.save(a="1")
        self.save(b="2")
        self.assertEqual(self.registry.model_info("m"), ModelInfo("m", {"b": "2"}))

    def test_unknown_model(self) -> None:
        """
        A model that was never created is unknown to every call, without the archive.
        """
        self.assertRaises(UnknownModel, self.registry.snapshot, "x")
        self.assertRaises(UnknownModel, self.registry.model_info, "x")
        for call in (self.registry.load_snapshot, self.registry.delete_model):
            self.failureResultOf(call("x"), UnknownModel)
        self.assertEqual(len(self.disk), 0)

    def test_failed_save_changes_nothing(self) -> None:
        """
        A save that fails cannot be seen.
        """
        self.save(a="1")
        self.archive.faults["save_model"] = StorageFull("no space")
        self.fails(self.registry.save_model(ModelInfo("m", {"a": "2"})), StorageFull)
        self.fails(self.registry.save_model(ModelInfo("n")), StorageFull)
        self.assertEqual(self.registry.model_info("m"), ModelInfo("m", {"a": "1"}))
        self.assertRaises(UnknownModel, self.registry.snapshot, "n")

    def test_deleted_model_is_gone_with_its_versions(self) -> None:
        """
        Memory and archive hold nothing of a deleted model, and numbers begin at 1 again.
        """
        self.save()
        self.create()
        self.create(archived=True)
        self.done(self.registry.delete_model("m"))
        self.assertRaises(UnknownModel, self.registry.snapshot, "m")
        self.assertEqual((self.registry.usage().items, self.archive.model_ids()), (0, []))
        self.save()
        self.assertEqual(self.create().version_number, 1)

    def test_failed_deletion_leaves_the_model(self) -> None:
        """
        A model that the archive could not remove stays as it was.
        """
        self.save()
        self.create()
        self.archive.faults["delete_model"] = StorageReadOnly("read-only")
        self.fails(self.registry.delete_model("m"), StorageReadOnly)
        self.assertEqual(self.numbers(), [1])
        self.assertEqual(self.create(archived=True).version_number, 2)

    def test_failed_deletion_forgets_no_eviction(self) -> None:
        """
        Versions that were evicted during a deletion stay gone, even if the deletion fails.
        """
        others = ["a", "b", "c", "d"]
        for model_id in [*others, "m"]:
            self.save(model_id)
            self.create(model_id=model_id)
        uploads = [self.upload(model_id=model_id) for model_id in others]
        self.archive.faults["delete_model"] = StorageReadOnly("read-only")
        deletion = self.registry.delete_model("m")
        for upload in uploads:
            self.successResultOf(upload.commit())
        self.fails(deletion, StorageReadOnly)
        self.assertEqual(self.numbers("m"), [])

    def test_survey_lists_whole_models_in_order(self) -> None:
        """
        After a start all models are read once; then the list is kept without the archive.
        """
        for model_id in ("b", "c", "a"):
            self.save(model_id)
        self.open()
        self.assertIsNone(self.registry.model_ids())
        self.assertEqual(self.done(self.registry.survey()), ("a", "b", "c"))
        self.save("aa")
        self.done(self.registry.delete_model("b"))
        self.assertEqual(self.registry.model_ids(), ("a", "aa", "c"))

    def test_list_skips_damage_until_it_is_repaired(self) -> None:
        """
        A damaged model is not listed, is DATA_LOSS by its id, and is listed once it is saved again.
        """
        self.save("m")
        self.save("n")
        self.open()
        self.archive.faults["load_model"] = CorruptModel("m", "garbage")
        survey = self.registry.survey()
        self.disk.pump()
        del self.archive.faults["load_model"]
        self.assertEqual(self.done(survey), ())
        self.archive.faults["load_model"] = CorruptModel("n", "garbage")
        self.save("m")
        self.assertEqual(self.done(self.registry.survey()), ("m",))

    def test_survey_looks_again_at_damage(self) -> None:
        """
        A model that could not be read once is listed after it can, and the list comes from memory again.
        """
        self.save("m")
        self.save("n")
        self.open()
        self.archive.faults["load_model"] = CorruptModel("m", "it cannot be read: Input/output error")
        self.assertEqual(self.done(self.registry.survey()), ())
        self.assertIsNone(self.registry.model_ids())
        del self.archive.faults["load_model"]
        self.assertEqual(self.done(self.registry.survey()), ("m", "n"))
        self.assertEqual(self.registry.model_ids(), ("m", "n"))

    def test_what_is_saved_while_the_survey_reads_counts(self) -> None:
        """
        The survey does not restore metadata that it read before a change.
        """
        self.save(a="1")
        self.open()
        survey = self.registry.survey()
        self.disk.pump()
        save = self.registry.save_model(ModelInfo("m", {"a": "2"}))
        self.disk.pump()
        self.done(save)
        self.assertEqual(self.done(survey), ("m",))
        self.assertEqual(self.done(self.registry.load_model_infos(["m"])), [ModelInfo("m", {"a": "2"})])

    def test_what_was_saved_while_it_was_read_is_not_undone(self) -> None:
        """
        A read that began before a save does not restore the old metadata, even if the new is no longer in memory.
        """
        self.save(a="1")
        self.open()
        self.done(self.registry.load_snapshot("m"))
        self.registry._state.model_infos.discard("m")
        reading = self.registry.load_model_infos(["m"])
        self.disk.pump()
        saving = self.registry.save_model(ModelInfo("m", {"a": "2"}))
        self.disk.pump()
        self.reactor.pump_last()
        self.successResultOf(saving)
        self.registry._state.model_infos.discard("m")
        self.assertEqual(self.done(reading), [ModelInfo("m", {"a": "2"})])
        self.assertEqual(self.registry.model_info("m"), ModelInfo("m", {"a": "2"}))

    def test_commits_and_deletions_are_published(self) -> None:
        """
        Every change that a subscriber needs is published once it can be seen.
        """
        notes = Notes()
        self.save()
        self.registry.subscribe(notes.changed, VersionCommitted, ModelDeleted)
        self.create()
        self.create(archived=True)
        self.done(self.registry.delete_model("m"))
        self.assertEqual(notes.changes, ["m", "m", "m"])


class RestartTests(FaultyRegistryCase):
    """
    Archived versions outlive the process, and no number is used twice.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.save()

    def test_archived_versions_are_there_transient_ones_are_not(self) -> None:
        """
        After a restart, the archived versions exist.
        """
        infos = [self.create(archived=archived) for archived in (True, False, True, False)]
        self.stop_and_start()
        self.assertEqual(self.numbers(), [1, 3])
        self.assertEqual(self.done(self.registry.load_version_infos(self.snapshot(), [3])), [infos[2]])

    def test_clean_stop_leaves_no_gap(self) -> None:
        """
        After a clean stop, numbers continue without a gap.
        """
        for archived in (True, False, False):
            self.create(archived=archived)
        self.stop_and_start()
        self.assertEqual(self.create().version_number, 4)

    def test_crash_leaves_a_gap_and_reuses_nothing(self) -> None:
        """
        After a crash, numbers continue after all that may have been given out.
        """
        given = [self.create().version_number for _ in range(3)]
        self.crash()
        self.assertEqual(self.create().version_number, NUMBERS_PER_BLOCK + 1)
        self.assertEqual(given, [1, 2, 3])

    def test_one_reservation_serves_many_versions(self) -> None:
        """
        Transient versions write nothing to the archive but one reservation in a hundred.
        """
        for _ in range(3 * NUMBERS_PER_BLOCK):
            self.create()
        self.assertEqual(self.archive.calls.count("set_high_water_mark"), 4)

    def test_slow_disk_delays_no_commit_while_numbers_are_left(self) -> None:
        """
        Numbers are reserved while others are left, so that a commit does not wait for the disk.
        """
        self.create()
        uploads = [self.upload() for _ in range(NUMBERS_PER_BLOCK)]
        commits = [upload.commit() for upload in uploads]
        self.assertEqual([commit.called for commit in commits], [True] * (NUMBERS_PER_BLOCK - 1) + [False])
        self.pump()
        self.assertEqual(self.successResultOf(commits[-1]).version_number, NUMBERS_PER_BLOCK + 1)

    def test_read_only_archive_stops_transient_versions_only_when_reserved_numbers_run_out(self) -> None:
        """
        On a medium that takes no writes, commits go on as long as reserved numbers are left.
        """
        self.create()
        self.archive.faults["set_high_water_mark"] = StorageReadOnly("read-only")
        for _ in range(NUMBERS_PER_BLOCK - 1):
            self.create()
        self.fails(self.upload().commit(), StorageReadOnly)
        del self.archive.faults["set_high_water_mark"]
        self.assertEqual(self.create().version_number, NUMBERS_PER_BLOCK + 1)

    def test_failed_commit_leaves_no_version_and_no_gap(self) -> None:
        """
        A commit that the archive refused uses no number.
        """
        self.fail_commit(StorageFull("no space"))
        self.assertEqual((self.numbers(), self.registry.usage().items), ([], 0))
        self.assertEqual(self.create(archived=True).version_number, 1)

    def test_uncertain_commit_uses_up_its_number(self) -> None:
        """
        A version that may exist after a restart is not visible, and no other version gets its number.
        """
        self.fail_commit(CommitUncertain("I/O error"))
        self.assertEqual(self.numbers(), [])
        self.assertEqual(self.create(archived=True).version_number, 2)

    def test_commit_that_fails_in_no_promised_way_uses_up_its_number(self) -> None:
        """
        After an error that the contract does not name, the version may exist after a restart.
        """
        self.fail_commit(OSError("I/O error"))
        self.assertEqual(self.create(archived=True).version_number, 2)

    def fail_commit(self, error: BaseException) -> None:
        """
        Commit a version on an archive that fails.
        """
        writer = FaultyWriter(error)
        self.archive.results["create_version"] = writer
        upload = self.upload(archived=True)
        del self.archive.results["create_version"]
        self.fails(upload.commit(), type(error))
        self.assertEqual(writer.aborted, 1)

    def test_damaged_latest_version(self) -> None:
        """
        A damaged latest version is reported as damaged; an older one does not take its place.
        """
        for _ in range(2):
            self.create(b"x" * 2000, archived=True)
        self.crash()
        self.archive.faults["load_version"] = CorruptVersion("m", 2, "garbage")
        self.assertEqual(self.snapshot().select(-1), 2)
        (result,) = self.done(self.registry.load_version_infos(self.snapshot(), [2]))
        self.assertIsInstance(result, CorruptVersion)
        self.assertIsNone(self.snapshot().latest)

    def test_temporarily_unreadable(self) -> None:
        """
        A read that fails returns no partial list and is not remembered: afterwards, numbers go on.
        """
        self.create(archived=True)
        for name in ("load_model", "version_numbers", "high_water_mark", "load_version"):
            self.crash()
            snapshot = self.snapshot()
            self.open()
            self.archive.faults[name] = StorageFailure("stale")
            if name == "load_version":
                self.fails(self.registry.load_version_infos(snapshot, [1]), StorageUnavailable)
            else:
                self.fails(self.registry.load_snapshot("m"), StorageUnavailable)
            if name == "load_model":
                self.fails(self.registry.survey(), StorageUnavailable)
                self.assertIsNone(self.registry.model_ids())
            del self.archive.faults[name]
            self.assertEqual(self.done(self.registry.survey()), ("m",))
            self.assertEqual(self.done(self.registry.load_snapshot("m")).numbers.at(0), 1)
        self.assertEqual(self.create(archived=True).version_number, 2)

    def test_infos_of_a_model_deleted_meanwhile(self) -> None:
        """
        A model that was deleted during a read is unknown, not damaged.
        """
        self.create(archived=True)
        self.crash()
        snapshot = self.snapshot()
        self.done(self.registry.delete_model("m"))
        self.fails(self.registry.load_version_infos(snapshot, [1]), UnknownModel)

    def test_close_waits_for_what_is_under_way(self) -> None:
        """
        The archive is closed after the last commit.
        """
        commit = self.upload(archived=True).commit()
        closed = self.registry.close()
        self.assertNoResult(closed)
        self.pump()
        self.assertEqual(self.successResultOf(commit).version_number, 1)
        self.successResultOf(closed)

    def test_numbers_are_released_at_once(self) -> None:
        """
        A clean stop releases the numbers of all models side by side, so that many models do not wait for the disk one
        after another.
        """
        model_ids = [f"m{index}" for index in range(10)]
        for model_id in model_ids:
            self.save(model_id)
            self.create(model_id=model_id)
        closed = self.registry.close()
        self.assertEqual(len(self.disk), len(model_ids))
        self.done(closed)
        self.assertEqual([self.medium.models[model_id].high_water_mark for model_id in model_ids], [1] * 10)
