"""
A daemon, its clients, and which archive it is.
"""

import json
import logging
import math
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import TIMEOUT_SECONDS, run_twistd
from tests.support.edge import EdgeTestCase
from tests.support.registry_case import RegistryTestCase
from twisted_registry.client import BlockingClient, BlockingTracker, Version
from twisted_registry.domain import errors
from twisted_registry.domain.models import VersionInfo


@contextmanager
def warnings_of_clients() -> Iterator[list[str]]:
    """
    Collect the warnings of clients in the log.
    """
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("twisted_registry.client")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


class StartTests(RegistryTestCase):
    """
    Starts with and without an archive.
    """

    flags: ClassVar = ["--archive-must-exist"]

    def prepare(self) -> None:
        """
        Make the archive.
        """
        self.daemon = self.make_daemon("--no-archive-must-exist")
        self.daemon.flags = [flag for flag in self.daemon.flags if flag != "--archive-must-exist"]
        self.addCleanup(self.daemon.kill)
        self.daemon.start()
        self.first_client = self.connect()
        self.first_client.save_model("walker")
        self.first = self.first_client.statuses("archive_id")["archive_id"]
        self.first_log = self.daemon.log
        self.daemon.stop()

    def test_new_archive(self) -> None:
        """
        The log warns of an archive that is new, with its path; of another it says how many models it holds.
        """
        self.assertIn(f"new archive: {self.archive} ", self.first_log)
        self.assertNotIn("new archive", self.daemon.log)
        self.assertIn(f"models in the archive {self.archive}: 1", self.daemon.log)

    def test_status(self) -> None:
        """
        The status contains the id, by its name and among all; it is the same after a restart.
        """
        self.assertEqual(str(UUID(self.first)), self.first)
        for names in (("archive_id",), ("*",)):
            self.assertEqual(self.client.statuses(*names)["archive_id"], self.first)
        self.assertEqual(self.client.statuses("archive"), {"archive": "usable"})


class MustExistTests(SynchronousTestCase):
    """
    ``--archive-must-exist``.
    """

    def test_refused(self) -> None:
        """
        If there is no archive, the start fails with one line, by the flag or the variable, and creates nothing.
        """
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        missing, empty = directory / "missing", directory / "empty"
        empty.mkdir()
        variable = {"COGMENT_MODEL_REGISTRY_ARCHIVE_MUST_EXIST": "1"}
        for flags, environment in ((["--archive-must-exist"], {}), ([], variable)):
            for archive in (missing, empty):
                arguments = ["--nodaemon", "--pidfile=", "model-registry", "--port", "0", "--archive-dir", str(archive)]
                ended = run_twistd(directory, *arguments, *flags, environment=environment)
                self.assertEqual((ended.returncode, ended.stderr.count("\n")), (1, 1), ended.stderr)
                self.assertIn("there is no archive", ended.stderr)
        self.assertEqual((missing.exists(), list(empty.iterdir())), (False, []))


class AnotherArchiveTests(EdgeTestCase):
    """
    The daemon is started with another folder by mistake, and then with the right one.
    """

    keeps_port = True

    def setUp(self) -> None:
        """
        Follow a model.
        """
        super().setUp()
        self.registry = BlockingClient(self.daemon.address, retry_seconds=TIMEOUT_SECONDS)
        self.addCleanup(self.registry.close)
        self.registry.save_model("walker")
        self.registry.store("walker", b"1")
        self.tracker: BlockingTracker[Version] = self.registry.track("walker", data=True)
        self.addCleanup(self.tracker.close)
        self.assertEqual(next(self.tracker).data, b"1")
        self.pool = ThreadPoolExecutor(1)
        self.addCleanup(self.pool.shutdown, wait=False)
        self.lines: list[str] = []
        log = logging.getLogger("twisted_registry.client")
        handler = logging.Handler()
        handler.setLevel(logging.INFO)
        handler.emit = lambda record: self.lines.append(f"{record.levelname} {record.getMessage()}")  # type: ignore[method-assign]
        log.addHandler(handler)
        self.addCleanup(log.removeHandler, handler)
        self.tries: list[str] = []
        tries = logging.getLogger("twisted_registry.client.tries")
        self.addCleanup(tries.setLevel, tries.level)
        tries.setLevel(logging.DEBUG)
        each = logging.Handler()
        each.emit = lambda record: self.tries.append(record.getMessage())  # type: ignore[method-assign]
        tries.addHandler(each)
        self.addCleanup(tries.removeHandler, each)

    def start_with(self, archive: Path) -> None:
        """
        Start the daemon again, with a folder.
        """
        self.daemon.stop()
        self.archive = archive
        self.daemon = self.start_daemon()

    def test_the_error_says_so(self) -> None:
        """
        Calls of a client that has worked with the right archive are refused with both ids, before anything is done; a
        tracker waits and says so once, and goes on when the right archive is back.
        """
        right, wrong = self.archive, self.directory / "wrong"
        asked: Future[Version] = self.pool.submit(next, self.tracker)
        self.start_with(wrong)
        ids = self.registry.statuses("archive_id")
        for act in (
            lambda: self.registry.save_model("walker"),
            lambda: self.registry.store("walker", b"2"),
            lambda: self.registry.publish("walker", b"2"),
            lambda: self.registry.retrieve("walker", 1),
            lambda: self.registry.latest("walker"),
            lambda: list(self.registry.models()),
            lambda: self.registry.delete_model("walker"),
        ):
            error = self.assertRaises(errors.ArchiveChanged, act)
            self.assertEqual(error.served, ids["archive_id"])
        self.assertEqual(list((self.archive).glob("w*")), [])
        self.wait_until_true(lambda: any("another one" in line for line in self.lines), "the tracker says why it waits")
        self.assertFalse(asked.done())
        self.start_with(right)
        newer = BlockingClient(self.daemon.address)
        self.addCleanup(newer.close)
        newer.store("walker", b"2")
        self.assertEqual(asked.result(TIMEOUT_SECONDS).data, b"2")
        self.assertEqual(self.registry.latest("walker").version_number, 2)
        why, back = self.lines
        self.assertTrue(why.startswith("WARNING ") and "another one" in why, why)
        self.assertIn("is back (model 'walker')", back)

    def test_waited_for(self) -> None:
        """
        A client that waits for as long as it takes waits for the right archive: with data and without.
        """
        right = self.archive
        waiting_client = BlockingClient(self.daemon.address, retry_seconds=math.inf)
        self.addCleanup(waiting_client.close)
        for model_id in ("runner", "jumper"):
            waiting_client.save_model(model_id)
            waiting_client.store(model_id, b"1")
        self.start_with(self.directory / "wrong")
        pool = ThreadPoolExecutor(2)
        self.addCleanup(pool.shutdown, wait=False)
        data, info = pool.submit(waiting_client.retrieve, "runner", 1), pool.submit(waiting_client.version, "jumper", 1)
        for model_id in ("runner", "jumper"):
            # The warning, which they share, names only the first.
            self.wait_until_true(lambda name=model_id: any(name in line for line in self.tries), "both wait")  # type: ignore[misc]
        self.start_with(right)
        self.assertEqual(data.result(TIMEOUT_SECONDS), b"1")
        self.assertEqual(info.result(TIMEOUT_SECONDS).version_number, 1)

    def test_clients_of_other_makes_are_not_concerned(self) -> None:
        """
        A client that says nothing of an archive is served what is there.
        """
        self.start_with(self.directory / "wrong")
        self.client.save_model("other")
        self.assertEqual([info.model_id for info in self.connect().models().model_infos], ["other"])


class RestoredTests(EdgeTestCase):
    """
    The archive goes back to an earlier state while clients remember the later one.
    """

    keeps_port = True

    def restore(self) -> None:
        """
        Store versions, two of which are lost as a backup is restored.
        """
        self.registry = BlockingClient(self.daemon.address, retry_seconds=TIMEOUT_SECONDS)
        self.addCleanup(self.registry.close)
        self.registry.save_model("walker")
        self.store(b"1")
        self.registry.set_alias("walker@1", "production")
        self.daemon.stop()
        backup = self.directory / "backup"
        shutil.copytree(self.archive, backup)
        self.daemon = self.start_daemon()
        self.assertEqual([self.store(b"2").version_number, self.store(b"3").version_number], [2, 3])
        self.restored_from = backup

    def store(self, data: bytes) -> VersionInfo:
        """
        Store a version.
        """
        return self.registry.store("walker", data)

    def go_back(self) -> None:
        """
        Put the backup in the archive's place.
        """
        self.daemon.stop()
        shutil.rmtree(self.archive)
        shutil.copytree(self.restored_from, self.archive)
        self.daemon = self.start_daemon()

    def test_creator(self) -> None:
        """
        A creator that has seen higher numbers gets a higher one, and the log reports it once.
        """
        self.restore()
        self.go_back()
        self.assertEqual([self.store(b"4").version_number, self.store(b"5").version_number], [4, 5])
        self.assertEqual(self.daemon.log.count("archive raise-numbers"), 1)

    def test_tracker(self) -> None:
        """
        If a tracker has seen them, every creator gets a higher number.
        """
        self.restore()
        with self.registry.track("walker") as tracker:
            next(tracker)
            self.go_back()
            self.wait_until_logged("archive raise-numbers")
            other = BlockingClient(self.daemon.address)
            self.addCleanup(other.close)
            self.assertEqual(other.publish("walker", b"4").version_number, 4)
            self.assertEqual(next(tracker).version_number, 4)

    def test_creator_with_labels(self) -> None:
        """
        A creator of the new API gets a higher number, too.
        """
        self.restore()
        self.go_back()
        info = self.registry.store("walker", b"4", labels={"k": "v"})
        self.assertEqual(info.version_number, 4)
        self.assertEqual(self.daemon.log.count("archive raise-numbers"), 1)

    def test_alias_tracker(self) -> None:
        """
        A tracker of an alias reports the number that it has seen, and follows the alias to where the backup has it,
        with a warning, and from there on.
        """
        self.restore()
        with warnings_of_clients() as lines, self.registry.track("walker@production") as tracker:
            self.assertEqual(next(tracker).version_number, 1)
            for number in (2, 3):
                self.registry.set_alias(f"walker@{number}", "production")
                self.assertEqual(next(tracker).version_number, number)
            self.go_back()
            self.assertEqual(next(tracker).version_number, 1)
            self.wait_until_logged("archive raise-numbers")
            other = BlockingClient(self.daemon.address)
            self.addCleanup(other.close)
            self.assertEqual(other.store("walker", b"4").version_number, 4)
            other.set_alias("walker@4", "production")
            self.assertEqual(next(tracker).version_number, 4)
        self.assertEqual(len(lines), 1)
        self.assertIn("went back to an earlier state: walker@production names version 1 now, after version 3", lines[0])

    def test_alias_moved_before_the_tracker_is_back(self) -> None:
        """
        A tracker of an alias that has moved on since the restore follows it, although its moves count from less.
        """
        self.restore()
        with self.registry.track("walker@production") as tracker:
            next(tracker)
            for number in (2, 3):
                self.registry.set_alias(f"walker@{number}", "production")
                self.assertEqual(next(tracker).version_number, number)
            self.daemon.stop()
            shutil.rmtree(self.archive)
            shutil.copytree(self.restored_from, self.archive)
            elsewhere = self.make_daemon("--port", "0")
            self.addCleanup(elsewhere.kill)
            elsewhere.start()
            with BlockingClient(elsewhere.address) as other:
                other.save_model("walker")
                number = other.store("walker", b"other").version_number
                other.set_alias(f"walker@{number}", "production")
            elsewhere.stop()
            self.daemon = self.start_daemon()
            self.assertEqual(next(tracker).version_number, number)


class OwnerTests(RegistryTestCase):
    """
    Daemons that want the archive of another.
    """

    def test_killed(self) -> None:
        """
        After a kill the next start waits for nothing, and after a stop neither.
        """
        for _ in range(2):
            self.crash()
            self.restart()
            self.assertNotIn("watching it", self.daemon.log)

    def test_taken(self) -> None:
        """
        A daemon whose archive was taken by another stops serving, names it in a critical line, and exits as failed.
        """
        claim = self.archive / ".0" / "claim"
        mark = json.loads(claim.read_text())
        mark["owner"] = "0" * 32
        mark["process"].update(host="elsewhere", pid=7)
        with claim.open("r+") as file:
            file.write(json.dumps(mark).ljust(511) + "\n")
        self.assertEqual(self.daemon.process.wait(TIMEOUT_SECONDS), 1)
        self.wait_until_logged("stores nothing more")
        (line,) = [line for line in self.daemon.log.splitlines() if "stores nothing more" in line]
        for part in ("#critical", "'elsewhere'", "process 7"):
            self.assertIn(part, line)
        self.assertEqual(json.loads(claim.read_text())["owner"], "0" * 32)


class PlaceTests(RegistryTestCase):
    """
    The archive's directory goes away, and comes back.
    """

    def is_serving(self) -> bool:
        """
        Ask the health service.
        """
        with BlockingClient(self.daemon.address) as client:
            return client.is_serving()

    def test_health(self) -> None:
        """
        While the directory is not at its path, the daemon is not serving, and says why in the log and in its status.
        """
        away = self.archive.with_suffix(".away")
        self.assertTrue(self.is_serving())
        self.archive.rename(away)
        self.wait_until_true(lambda: not self.is_serving(), "it is not serving")
        self.assertIn("there is no directory at its path", self.client.statuses("archive")["archive"])
        self.wait_until_logged("health checks return NOT_SERVING")
        away.rename(self.archive)
        self.wait_until_true(self.is_serving, "it is serving again")
        self.assertEqual(self.client.statuses("archive")["archive"], "usable")
