"""
Tests of models that other programs remove from the archive, and of versions that they put there.
"""

import shutil
from pathlib import Path

from twisted.logger import LogLevel, capturedLogs, formatEvent

from tests.support.archive_files import write_version
from tests.support.registry import PumpedRegistryCase
from tests.support.threads import PumpedPool
from twisted_registry.contracts.archive import IArchive
from twisted_registry.domain.errors import ArchiveMoved, CorruptModel, UnknownModel
from twisted_registry.domain.models import Chunk, ModelInfo, VersionHeader
from twisted_registry.execution import PooledExecutor
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium


class StrangersCase(PumpedRegistryCase):
    """
    A registry over an archive in the test's own folder, with a model of two archived versions and a transient one.
    """

    def make_archive(self, medium: MemoryMedium) -> MemoryArchive:
        """
        Make the archive.
        """
        self.root = Path(self.mktemp()).absolute()
        archive: IArchive = FilesystemArchive(str(self.root))
        self.addCleanup(archive.close)
        return archive  # type: ignore[return-value]  # the case asks no more of it

    def setUp(self) -> None:
        """
        Create the versions.
        """
        super().setUp()
        self.save()
        self.infos = [self.create(archived=archived) for archived in (True, True, False)]
        self.events = self.enterContext(capturedLogs())

    def lines(self, level: LogLevel) -> list[str]:
        """
        Return the log's lines of a level.
        """
        return [formatEvent(event) or "" for event in self.events if event["log_level"] is level]

    def reopen(self) -> None:
        """
        Restart the registry.
        """
        self.done(self.registry.close())
        self.open()


class LostTests(StrangersCase):
    """
    A model's folder is removed while the registry runs.
    """

    def setUp(self) -> None:
        """
        Remove the model's folder.
        """
        super().setUp()
        self.uploads = [self.upload(archived=archived) for archived in (True, False)]
        self.aside = self.root.with_suffix(".aside")
        (self.root / "m").rename(self.aside)

    def assert_lost(self, error: CorruptModel) -> None:
        """
        Check that an error reports the lost model.
        """
        self.assertEqual((error.model_id, error.reason), ("m", "its folder is gone"))
        self.assertIn("create the model again with CreateOrUpdateModel, without versions", str(error))

    def assert_reported(self, *others: str) -> None:
        """
        Check that each call reports the lost model, and the log once.

        Args:
            others: the models that are whole.
        """
        self.assertIsNone(self.registry.snapshot("m"))
        self.assertIsNone(self.registry.model_info("m"))
        self.assertIsNone(self.registry.model_ids())
        self.assert_lost(self.fails(self.registry.load_snapshot("m"), CorruptModel))
        (found,) = self.done(self.registry.load_model_infos(["m"]))
        assert isinstance(found, CorruptModel)
        self.assert_lost(found)
        self.assertEqual(self.done(self.registry.survey()), others)
        self.assertEqual(len([line for line in self.lines(LogLevel.error) if "its folder is gone" in line]), 1)

    def test_seen_by_the_check(self) -> None:
        """
        The check of the archive finds the lost model even if no client asks for it; other models stay as they were.
        """
        self.save("n")
        self.done(self.registry.check_archive())
        self.assert_reported("n")
        self.assertEqual(self.numbers("n"), [])

    def test_checked_apart(self) -> None:
        """
        The check runs in its own executor, if there is one, and does not wait for the threads of a slow disk.
        """
        checking = PumpedPool()
        self.registry._checking_executor = PooledExecutor(self.reactor, checking)
        checked = self.registry.check_archive()
        while checking.pump() + self.reactor.pump():
            pass
        self.successResultOf(checked)
        self.assert_reported()

    def test_seen_by_a_reader(self) -> None:
        """
        Reading a version that is not in memory finds the lost model, and every call reports it from then on.
        """
        self.registry._state.version_infos.discard(self.snapshot().key(1))
        self.assert_lost(self.fails(self.registry.load_version_infos(self.snapshot(), [1]), CorruptModel))
        self.assert_reported()

    def test_seen_by_a_writer(self) -> None:
        """
        Committing a version reports the lost model, and so does beginning one.
        """
        header = VersionHeader("m", True, 4)
        begun = self.registry.upload(header, self.snapshot())
        write = begun.write(Chunk(b"data"))
        self.pump()
        error = write.exception(timeout=0)
        assert isinstance(error, CorruptModel)
        self.assert_lost(error)
        for upload in self.uploads:
            self.assert_lost(self.fails(upload.commit(), CorruptModel))
        self.assert_reported()

    def test_seen_by_a_download(self) -> None:
        """
        Reading data from the archive reports the lost model.
        """
        self.registry._state.transients.store.remove([self.snapshot().key(1)])
        self.registry._state.evict([self.snapshot().key(1)])
        download = self.registry.download(self.snapshot(), self.infos[0])
        read = download.read()
        self.pump()
        error = read.exception(timeout=0)
        assert isinstance(error, CorruptModel)
        self.assert_lost(error)
        self.assert_reported()

    def test_created_again(self) -> None:
        """
        Created again, the model has no versions, another incarnation, and repeats no number, also after a restart.
        """
        before = self.snapshot()
        self.save(a="b")
        self.assertEqual(self.numbers(), [])
        self.assertNotEqual(self.snapshot().incarnation, before.incarnation)
        self.assertIn("created again; its numbers continue after 3", self.lines(LogLevel.warn)[-1])
        self.assertEqual(self.done(self.registry.load_model_infos(["m"])), [ModelInfo("m", {"a": "b"})])
        self.assertEqual(self.registry.usage().items, 0)
        self.assertEqual(self.create(archived=True).version_number, 4)
        self.reopen()
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual((self.numbers(), self.create().version_number), ([4], 5))

    def test_restored(self) -> None:
        """
        Restored, the model is served again, and numbers go on above those that were given out.
        """
        self.done(self.registry.check_archive())
        self.aside.rename(self.root / "m")
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.numbers(), [1, 2])
        self.assertEqual(self.read(self.infos[1]), b"data")
        self.assertGreater(self.create(archived=True).version_number, 3)
        self.assertEqual(self.done(self.registry.survey()), ("m",))

    def test_deleted(self) -> None:
        """
        The lost model can be deleted, and is unknown then.
        """
        self.done(self.registry.check_archive())
        self.done(self.registry.delete_model("m"))
        self.fails(self.registry.load_snapshot("m"), UnknownModel)

    def test_closed(self) -> None:
        """
        The registry can be closed.
        """
        self.done(self.registry.check_archive())
        self.done(self.registry.close())


class UnmountedTests(StrangersCase):
    """
    A model's folder that is a mount is unmounted while the registry runs, which leaves an empty folder.
    """

    def test_nothing_is_acknowledged(self) -> None:
        """
        No version is acknowledged into the other folder, and once the first is back, numbers go on above all others.
        """
        before, aside = self.root / "m", self.root.with_suffix(".aside")
        before.rename(aside)
        before.mkdir()
        error = self.fails(self.upload(archived=True).commit(), CorruptModel)
        self.assertEqual(error.reason, "its folder is gone")
        self.assertEqual(list(before.iterdir()), [])
        before.rmdir()
        aside.rename(before)
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.numbers(), [1, 2])
        self.assertGreater(self.create(archived=True).version_number, 3)


class DeletedTests(StrangersCase):
    """
    A model that a client deleted is not lost.
    """

    def test_deleted_here(self) -> None:
        """
        The check does not report it, nor a model that is created or deleted during the check.
        """
        self.save("n")
        check = self.registry.check_archive()
        self.done(self.registry.delete_model("m"))
        self.done(check)
        self.done(self.registry.check_archive())
        self.assertEqual(self.lines(LogLevel.error), [])


class MovedTests(StrangersCase):
    """
    The archive's folder is no longer where it was.
    """

    def test_nothing_is_acknowledged(self) -> None:
        """
        Nothing durable is acknowledged, no model counts as lost, and reads that can succeed do.  All goes on when
        the folder is back.
        """
        away = self.root.with_suffix(".away")
        upload = self.upload(archived=True)
        self.root.rename(away)
        self.root.mkdir()
        self.fails(upload.commit(), ArchiveMoved)
        for act in (
            self.registry.check_archive,
            lambda: self.registry.save_model(ModelInfo("m", {"a": "b"})),
            lambda: self.registry.save_model(ModelInfo("n")),
            lambda: self.registry.delete_model("m"),
        ):
            self.fails(act(), ArchiveMoved)
        self.assertEqual(list(self.root.iterdir()), [])
        self.assertEqual(self.read(self.infos[0]), b"data")
        self.assertEqual((len(self.lines(LogLevel.warn)), self.lines(LogLevel.error)), (1, []))
        shutil.rmtree(self.root)
        away.rename(self.root)
        self.assertEqual(self.create(archived=True).version_number, 4)
        self.assertEqual(len([line for line in self.lines(LogLevel.info) if "is back" in line]), 1)


class BroughtTests(StrangersCase):
    """
    Files are put into a model's folder while the registry runs.
    """

    def test_numbers_go_on_above(self) -> None:
        """
        The next version gets a higher number and touches none of them; they are served, and the log has a line.
        """
        paths = [write_version(self.root / "m", number, b"restored %d" % number) for number in (4, 5)]
        self.assertEqual(self.create(b"new", archived=True).version_number, 6)
        self.assertEqual([path.read_bytes() for path in paths], [b"restored 4", b"restored 5"])
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5, 6])
        found = self.done(self.registry.load_version_infos(self.snapshot(), [4, 5, 6]))
        self.assertEqual([self.read(info) for info in found], [b"restored 4", b"restored 5", b"new"])  # type: ignore[arg-type]
        (line,) = self.lines(LogLevel.warn)
        self.assertIn("has put 2 versions into", line)

    def test_half_restored(self) -> None:
        """
        A file without its other half stays as it is: data without its .yaml, and a .yaml without its data.
        """
        for number, gone, expected in ((4, ".yaml", 5), (6, ".data", 7)):
            path = write_version(self.root / "m", number, b"restored")
            other = path.with_suffix(gone)
            content = other.read_bytes()
            other.unlink()
            self.assertEqual(self.create(b"new", archived=True).version_number, expected)
            other.write_bytes(content)
        self.reopen()
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.numbers(), [1, 2, 4, 5, 6, 7])
        found = self.done(self.registry.load_version_infos(self.snapshot(), [4, 6]))
        self.assertEqual([self.read(info) for info in found], [b"restored"] * 2)  # type: ignore[arg-type]
