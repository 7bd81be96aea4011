"""
Pushes and pulls of a large version, interrupted at 90 %: by Ctrl-C, or by a stop and a start of the registry.
"""

import hashlib
import random
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.wire.served import Served
from tests.support.cli import TWISTED_REGISTRY
from tests.support.daemon import clean_environment
from tests.support.relay import Relay

_MIB = 2**20
_MOST_AGAIN_BYTES = 8 * _MIB
_PIECE_BYTES = 16 * _MIB
_CALIBRATED_BYTES = 256 * _MIB
_END_SECONDS = 1800.0
_FLAGS = ("--grace-seconds", "0.1")
_POLL_SECONDS = 0.01

Interruption = Callable[["subprocess.Popen[bytes]"], None]


@define
class _Transfers:
    """
    A file, a registry, and a relay between it and the commands, which counts bytes.

    Attributes:
        path: where the file is pushed from, and pulled to.
        data_hash: the SHA-256 of its data in standard base64.
        again: how many bytes were carried twice, by what was interrupted.
        upstream_share: how many bytes are carried for each byte that is pushed, because of the frames around the data.
        downstream_share: the same for each byte that is pulled.
    """

    served: Served
    relay: Relay
    path: Path
    size_bytes: int
    data_hash: str
    again: dict[str, int] = field(factory=dict)
    upstream_share: float = 1.0
    downstream_share: float = 1.0
    wrong: list[str] = field(factory=list)

    def run(self) -> None:
        """
        Interrupt pushes and pulls, each in both ways.
        """
        self._calibrate()
        self._push("Ctrl-C", self._press)
        self.served.connect().delete_model("push, Ctrl-C")  # for its space
        self._push("restart", self._restart)
        self.path.unlink()
        for name, interrupt in (("Ctrl-C", self._press), ("restart", self._restart)):
            self._pull(name, interrupt)

    def _calibrate(self) -> None:
        size_bytes, model_id = min(self.size_bytes, _CALIBRATED_BYTES), "uninterrupted"
        path = self.path.with_name(model_id)
        path.write_bytes(bytes(size_bytes))
        self.served.connect().save_model(model_id)
        up, down = self.relay.carried_bytes, self.relay.answered_bytes
        self._finish("push", "--archive", model_id, str(path))
        self._finish("pull", model_id, str(path))
        self.upstream_share = (self.relay.carried_bytes - up) / size_bytes
        self.downstream_share = (self.relay.answered_bytes - down) / size_bytes

    def _push(self, name: str, interrupt: Interruption) -> None:
        model_id = f"push, {name}"
        self.served.connect().save_model(model_id)
        limit, before = self._limit_bytes(), self.relay.carried_bytes
        self.relay.swallow_after(limit)
        self._transfer(interrupt, lambda: self.relay.carried_bytes - before >= limit, "push", "--archive", model_id)
        self._note(f"push, {name}", (self.relay.carried_bytes - before) / self.upstream_share)
        self._check_only_version(model_id)

    def _check_only_version(self, model_id: str) -> None:
        infos = self.served.connect().infos(model_id).version_infos
        if [info.data_hash for info in infos] != [self.data_hash]:
            self.wrong.append(f"{model_id}: the versions are {infos}")

    def _pull(self, name: str, interrupt: Interruption) -> None:
        limit, before = self._limit_bytes(), self.relay.answered_bytes
        self.relay.starve_after(limit)
        written_bytes = round(limit / self.downstream_share) - _MOST_AGAIN_BYTES
        self._transfer(interrupt, lambda: self._part_bytes() >= written_bytes, "pull", "push, restart")
        self._note(f"pull, {name}", (self.relay.answered_bytes - before) / self.downstream_share)
        if _hash_of(self.path) != self.data_hash:
            self.wrong.append(f"after a pull and {name}, the file has other data")
        self.path.unlink()

    def _part_bytes(self) -> int:
        # Not what the relay has carried: much of that is on its way through the buffers of the system.
        return sum(part.stat().st_size for part in self.path.parent.glob("data.*.part"))

    def _limit_bytes(self) -> int:
        return self.size_bytes * 9 // 10

    def _transfer(self, interrupt: Interruption, is_near: Callable[[], bool], *words: str) -> None:
        with self._started(*words, str(self.path)) as process:
            while not is_near() and process.poll() is None:
                time.sleep(_POLL_SECONDS)
            self.relay.carry_new()
            interrupt(process)
            process.wait(_END_SECONDS)
        if process.returncode != 0:
            self._finish(*words, str(self.path))

    def _finish(self, *words: str) -> None:
        with self._started(*words) as process:
            _, reported = process.communicate(timeout=_END_SECONDS)
        if process.returncode != 0:
            self.wrong.append(f"{words[0]} ended with {process.returncode}: {reported.decode()}")

    @contextmanager
    def _started(self, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
        variables = {"TWISTED_REGISTRY_SERVER": self.relay.address, "XDG_CACHE_HOME": str(self.path.parent)}
        with subprocess.Popen(
            [TWISTED_REGISTRY, *words],
            env=clean_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def _press(self, process: "subprocess.Popen[bytes]") -> None:
        process.send_signal(signal.SIGINT)

    def _restart(self, process: "subprocess.Popen[bytes]") -> None:
        self.served.restart()

    def _note(self, name: str, sent_bytes: float) -> None:
        again = max(0, round(sent_bytes) - self.size_bytes)
        self.again[f"bytes sent again: {name}"] = again
        if again > _MOST_AGAIN_BYTES:
            self.wrong.append(f"{name}: {again:,} bytes were sent again")


def _write(path: Path, size_bytes: int, chance: random.Random) -> str:
    sha256, piece = hashlib.sha256(), chance.randbytes(_PIECE_BYTES)
    with path.open("wb") as file:
        for start in range(0, size_bytes, _PIECE_BYTES):
            # No two pieces are the same, so that data in the wrong place is noticed.
            data = start.to_bytes(8, "big") + piece[8 : min(_PIECE_BYTES, size_bytes - start)]
            sha256.update(data)
            file.write(data)
    return b64encode(sha256.digest()).decode()


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return b64encode(hashlib.file_digest(file, "sha256").digest()).decode()


def _run(trial: Trial) -> Outcome:
    size_bytes = trial.count * _MIB
    path = trial.directory / "data"
    data_hash = _write(path, size_bytes, random.Random(trial.seed))
    with Served(trial.directory, *_FLAGS).start() as served:
        relay = Relay(served.daemon.port)
        try:
            transfers = _Transfers(served, relay, path, size_bytes, data_hash)
            transfers.run()
        finally:
            relay.close()
    return Outcome(trial.count, [*transfers.wrong, *served.problems], transfers.again)


CASE = Case(
    name="transfers",
    counts="MiB, pushed and pulled twice",
    promise="A push or a pull that is interrupted at 90 % sends at most 8 MiB again.",
    short=64,
    long=10 * 1024,
    run=_run,
)
