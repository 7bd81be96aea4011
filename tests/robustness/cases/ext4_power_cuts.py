"""
The power fails under a real daemon on a real file system, whose disk is copied as it is at that moment.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from attrs import define, field
from twisted.internet.task import Clock

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.disk.contents import check_archive, check_leftovers
from tests.robustness.disk.ext4 import copy_as_after_a_cut, hindrance, make_image, mounted
from tests.robustness.disk.scratch import memory_folder
from tests.robustness.oracles.promises import Promises
from tests.robustness.wire.clients_at_work import Clients
from tests.support.client import Client
from tests.support.daemon import Daemon, wait_until
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.claim import ClaimTimes

_CUTS_TO_A_DISK = 10


def _times_that_pass_at_once() -> ClaimTimes:
    """
    Return the times of a claim that does not wait in earnest.

    The copy bears the mark of the daemon, which is not there to renew it.
    """
    clock = Clock()
    return ClaimTimes(seconds=clock.seconds, sleep=clock.advance)


@define
class _Disk:
    """
    A disk, from when it is new until it has become full of data.
    """

    directory: Path
    chance: random.Random
    wrong: list[str] = field(factory=list)
    figures: Counter[str] = field(factory=Counter)

    def cuts(self, count: int) -> Iterator[None]:
        """
        Cut the power a number of times.
        """
        image = self.directory / "image"
        make_image(image)
        with mounted(image) as place:
            daemon = Daemon(self.directory / "daemon", ["--archive-dir", str(place / "archive")])
            try:
                daemon.start()
                clients = Clients(daemon.address, self.chance.randrange(2**32))
                with clients.at_work():
                    for number in range(count):
                        # A moment like any other: nothing is waited for.
                        time.sleep(self.chance.uniform(0.02, 0.5))
                        with _suspended(daemon):
                            promises = clients.promises.copy()
                            copy_as_after_a_cut(image, self.directory / "copy")
                            # The disk does not fill while its copy is checked.
                            self._check(promises, with_daemon=number == 0)
                        yield
                self.wrong += clients.promises.wrong
                self.figures["acknowledged versions"] += clients.promises.acknowledged
            finally:
                daemon.kill()

    def _check(self, promises: Promises, *, with_daemon: bool) -> None:
        with mounted(self.directory / "copy") as place:
            root = place / "archive"
            archive = FilesystemArchive(str(root), times=_times_that_pass_at_once())
            archive.open()
            try:
                before = _archived_numbers(promises)
                check_archive(archive, promises)
                promises.wrong += check_leftovers(archive, root)
                self.figures["acknowledged versions looked at after a cut"] += len(before)
                found = _archived_numbers(promises) - before
                self.figures["versions found that were not acknowledged"] += len(found)
            finally:
                archive.close()
            self.wrong += promises.wrong
            if with_daemon:
                self.wrong += _goes_on(self.directory / "second", root, promises)


def _archived_numbers(promises: Promises) -> set[tuple[str, int]]:
    """
    Return the archived versions that certainly exist.
    """
    certain = [(life.model_id, life.states[0]) for life in promises.lives() if len(life.states) == 1]
    return {(model_id, one.number) for model_id, state in certain for one in state.versions if one.archived}


@contextmanager
def _suspended(daemon: Daemon) -> Iterator[None]:
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: _is_stopped(daemon.process.pid), "no thread of the daemon runs")
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def _is_stopped(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


def _goes_on(directory: Path, root: Path, promises: Promises) -> list[str]:
    last = max(state.last for state in promises.life("a").states)
    daemon = Daemon(directory, ["--archive-dir", str(root)])
    try:
        daemon.start()
        client = Client(daemon.address)
        number = client.create("a", b"more", archived=True).version_number
        client.close()
        status = daemon.stop()
    except grpc.RpcError as error:
        return [f"the second daemon fails: {error}"]
    finally:
        daemon.kill()
    wrong = [] if number > last else [f"number {number} was used twice"]
    return wrong if status == 0 else [*wrong, f"the second daemon ended with {status}"]


def run(trial: Trial) -> Outcome:
    """
    Cut the power under daemons, each on a separate disk.
    """
    wrong: list[str] = []
    figures: Counter[str] = Counter()
    done = 0
    while not trial.is_over(done):
        with memory_folder(trial.directory) as directory:
            disk = _Disk(directory, random.Random(f"{trial.seed} {done}"), wrong, figures)
            for _ in disk.cuts(min(_CUTS_TO_A_DISK, trial.count - done)):
                done += 1
                trial.progress(done)
    return Outcome(done, wrong, dict(figures))


CASE = Case(
    name="ext4-power-cuts",
    counts="power cuts under a daemon on ext4",
    promise="On a real file system what a daemon has acknowledged outlives a power cut, whole.",
    short=3,
    long=200,
    run=run,
    hindrance=hindrance,
)
