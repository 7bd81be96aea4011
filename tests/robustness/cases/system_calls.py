"""
A process is killed, from outside, at each call it makes to the system while it changes an archive; and calls fail.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.disk import one_act
from tests.robustness.disk.contents import check_archive, check_leftovers
from tests.robustness.disk.lossy_system import UnsyncedSystem
from tests.robustness.disk.scratch import memory_folder
from tests.robustness.oracles.acts import CreateVersion
from tests.robustness.oracles.promises import Promises
from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive

# With a question mark: not every processor's Linux has them all.
_CALLS = "openat close write fsync fdatasync ftruncate fstat newfstatat getdents64 flock lseek "
_CALLS += "?open ?rename ?renameat ?renameat2 ?linkat ?mkdir ?mkdirat ?unlink ?unlinkat ?rmdir ?stat ?lstat"
_FAILING = re.compile(r"openat|write|fsync|fdatasync|ftruncate|rename\w*")
_ERRORS = ("EIO", "ENOSPC", "EROFS", "EMFILE")


@frozen
class _Point:
    """
    The point at which an act is disturbed: the n-th call of a kind, and the disturbance.
    """

    act: str
    call: str
    position: int
    effect: str
    seed: int

    def __str__(self) -> str:
        return f"{self.act}, {self.effect} at {self.call} {self.position}, seed {self.seed}"


class _Acts:
    """
    Acts on an archive, each in a separate process under a tracer.
    """

    def __init__(self, process: "subprocess.Popen[str]", directory: Path) -> None:
        self._process = process
        self._trace = directory / "trace"
        self.root = directory / "archive"

    def do(self, act: str, seed: int, injection: str | None = None) -> int:
        """
        Do an act, and give its end.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{self.root} {act} {seed}\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        with self._traced(pid, injection):
            os.kill(pid, signal.SIGUSR1)
            return int(self._process.stdout.readline())

    @contextmanager
    def _traced(self, pid: int, injection: str | None) -> Iterator[None]:
        calls = ",".join(_CALLS.split())
        inject = ["-e", f"inject={injection}"] if injection else []
        command = [
            "strace",
            "-o",
            str(self._trace),
            "-p",
            str(pid),
            "-e",
            f"trace={calls}",
            "-e",
            "signal=none",
            *inject,
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            reported = tracer.stderr.readline()
            if "attached" not in reported:
                os.kill(pid, signal.SIGKILL)
                raise RuntimeError(f"strace: {reported}{tracer.stderr.read()}")
            yield
            tracer.stderr.read()

    def counted(self) -> Counter[str]:
        """
        Return how often the last act made each call.
        """
        return Counter(re.findall(r"^(\w+)\(", self._trace.read_text(), re.MULTILINE))


@contextmanager
def _acts(directory: Path) -> Iterator[_Acts]:
    with subprocess.Popen(
        [sys.executable, "-B", "-m", "tests.robustness.disk.one_act"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONHASHSEED": "0"},
    ) as process:
        yield _Acts(process, directory)


def _laid_out(acts: _Acts, act: str, seed: int) -> Promises:
    shutil.rmtree(acts.root, ignore_errors=True)
    archive = FilesystemArchive(str(acts.root), UnsyncedSystem())
    archive.open()
    promises = Promises()
    one_act.before(act, seed, archive, promises)
    archive.close()
    return promises


def _points(acts: _Acts, seed: int) -> Iterator[_Point]:
    for act in one_act.ACTS:
        _laid_out(acts, act, seed)
        if acts.do(act, seed) != 0:
            raise RuntimeError(f"{act} fails undisturbed")
        for call, times in sorted(acts.counted().items()):
            for position in range(1, times + 1):
                yield _Point(act, call, position, "signal=KILL", seed)
                if _FAILING.fullmatch(call):
                    yield from (_Point(act, call, position, f"error={error}", seed) for error in _ERRORS)


def _try(acts: _Acts, point: _Point) -> tuple[int, list[str]]:
    promises = _laid_out(acts, point.act, point.seed)
    act = one_act.described(point.act, point.seed)
    begun = promises.begin(one_act.MODEL_ID, act)
    end = acts.do(point.act, point.seed, f"{point.call}:{point.effect}:when={point.position}")
    if end == 0:
        promises.acknowledge(begun, act.version if isinstance(act, CreateVersion) else None)
    elif end in (one_act.UNCERTAIN, -signal.SIGKILL):
        promises.lose(begun)
    else:
        promises.refuse(begun)
    if end == 1:
        promises.wrong.append("an error that has nothing to do with the disk")
    _check(acts.root, promises)
    return end, [f"{point}: {line}" for line in promises.wrong]


def _check(root: Path, promises: Promises) -> None:
    archive = FilesystemArchive(str(root), UnsyncedSystem())
    archive.open()
    try:
        check_archive(archive, promises)
        promises.wrong += check_leftovers(archive, root)
        life = promises.life(one_act.MODEL_ID)
        if not life.must_exist:
            archive.save_model(ModelInfo(one_act.MODEL_ID))
        one_act.put(archive, max(state.last for state in life.states) + 1, 2)
    except RegistryError as error:
        promises.wrong.append(f"it does not go on: {error}")
    finally:
        archive.close()


def _spread(points: list[_Point], count: int) -> list[_Point]:
    return [points[at * len(points) // count] for at in range(count)] if count < len(points) else points


def run(trial: Trial) -> Outcome:
    """
    Go round all points as often as it takes.
    """
    wrong: list[str] = []
    figures: Counter[str] = Counter()
    done, seed = 0, trial.seed
    with memory_folder(trial.directory) as directory, _acts(directory) as acts:
        while not trial.is_over(done):
            points = list(_points(acts, seed))
            for point in _spread(points, trial.count - done):
                end, lines = _try(acts, point)
                wrong += lines
                done += 1
                figures["kills" if end == -signal.SIGKILL else "acknowledged" if end == 0 else "refused"] += 1
                trial.progress(done)
                if trial.is_interrupted():
                    break
            figures["points to disturb"], seed = len(points), seed + 1
    return Outcome(done, wrong, dict(figures))


def _hindrance() -> str | None:
    if shutil.which("strace") is None:
        return "there is no strace"
    return None if os.geteuid() == 0 else "not root, who may trace any process"


CASE = Case(
    name="killed-at-calls",
    counts="processes killed, or failed, at a system call",
    promise="Killed or failed at any of its calls to the system, an act is wholly done or not at all.",
    short=40,
    long=2_000,
    run=run,
    hindrance=_hindrance,
)
