"""
Backups of an archive under writers, while the daemon or the backup is killed at any moment.
"""

import contextlib
import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections import Counter
from pathlib import Path

from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.wire.served import Served
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import RegistryError
from twisted_registry.storage.filesystem.backup.backups import Backups
from twisted_registry.storage.filesystem.layout import folder_of
from twisted_registry.storage.filesystem.verify.archive import Scrub
from twisted_registry.storage.filesystem.verify.findings import Kind

_WRITERS = 3
_MODEL_IDS = ("walker", "a/../b")
_SIZES_BYTES = (0, 100, 5000, 100_000, 100_000, 2_000_000)
_ROUNDS_AN_ARCHIVE = 20
_LONGEST_SECONDS = 0.3
"""How long after a backup has begun something may be killed."""


@define
class _Ledger:
    """
    The acts of the writers so far.

    Attributes:
        stored: the SHA-256 of each version that was acknowledged, by model and number.
        doomed: versions whose deletion has begun.
    """

    stored: dict[tuple[str, int], str] = field(factory=dict)
    doomed: set[tuple[str, int]] = field(factory=set)
    lock: threading.Lock = field(factory=threading.Lock)

    def standing(self) -> dict[tuple[str, int], str]:
        """
        Return the versions that were acknowledged, and that nobody deletes.
        """
        with self.lock:
            return {version: sha256 for version, sha256 in self.stored.items() if version not in self.doomed}


@define
class _Writer:
    """
    A writer, which runs until the daemon is gone or the round is over.
    """

    address: str
    ledger: _Ledger
    chance: random.Random
    is_over: threading.Event

    def write(self) -> None:
        """
        Run one operation after the other.
        """
        acts = [self._store] * 5 + [self._move] * 3 + [self._label, self._delete, self._delete]
        with BlockingClient(self.address, retry_seconds=0) as registry:
            while not self.is_over.is_set():
                # An alias may protect the version, another writer may have deleted it, or the daemon is gone.
                with contextlib.suppress(RegistryError):
                    self.chance.choice(acts)(registry, self.chance.choice(_MODEL_IDS))
                    continue
                self.is_over.wait(0.01)

    def _store(self, registry: BlockingClient, model_id: str) -> None:
        data = self.chance.randbytes(self.chance.choice(_SIZES_BYTES))
        number = registry.store(model_id, data).version_number
        with self.ledger.lock:
            self.ledger.stored[model_id, number] = b64encode(hashlib.sha256(data).digest()).decode()

    def _any(self, model_id: str) -> int | None:
        numbers = [number for model, number in self.ledger.standing() if model == model_id]
        return self.chance.choice(numbers[-5:]) if numbers else None

    def _move(self, registry: BlockingClient, model_id: str) -> None:
        number = self._any(model_id)
        if number is not None:
            registry.set_alias(f"{model_id}@{number}", self.chance.choice(("production", "canary")))

    def _label(self, registry: BlockingClient, model_id: str) -> None:
        number = self._any(model_id)
        if number is not None:
            registry.annotate(f"{model_id}@{number}", labels={"by": str(self.chance.random())})

    def _delete(self, registry: BlockingClient, model_id: str) -> None:
        number = self._any(model_id)
        if number is not None:
            with self.ledger.lock:
                self.ledger.doomed.add((model_id, number))
            registry.delete_version(f"{model_id}@{number}")


@define
class _Story:
    """
    One archive, its writers and its backups.
    """

    directory: Path
    served: Served
    chance: random.Random
    counts: Counter[str] = field(factory=Counter)
    wrong: list[str] = field(factory=list)
    _ledger: _Ledger = field(factory=_Ledger)
    _seen: set[str] = field(factory=set)

    @property
    def backups(self) -> Path:
        """
        The folder of backups.
        """
        return self.directory / "backups"

    def begin(self) -> None:
        """
        Create the models.
        """
        self.backups.mkdir(parents=True)
        self.served.start()
        with BlockingClient(self.served.address) as registry:
            for model_id in _MODEL_IDS:
                registry.save_model(model_id)

    def run_round(self) -> None:
        """
        Make a backup under writers, and kill the daemon, the backup, or nothing.
        """
        is_over = threading.Event()
        seeds = [self.chance.random() for _ in range(_WRITERS)]
        writers = [_Writer(self.served.address, self._ledger, random.Random(seed), is_over) for seed in seeds]
        threads = [threading.Thread(target=writer.write) for writer in writers]
        for thread in threads:
            thread.start()
        try:
            self._wait_for_versions()
            before = self._ledger.standing()
            status = self._back_up(self.chance.choice(("daemon", "backup", "backup", "")))
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        self._check(before, status)
        self.served.crash()

    def _wait_for_versions(self) -> None:
        enough = len(self._ledger.stored) + self.chance.randint(1, 10)
        end = time.monotonic() + TIMEOUT_SECONDS
        while len(self._ledger.stored) < enough and time.monotonic() < end:
            time.sleep(0.002)

    def _back_up(self, victim: str) -> int:
        command = [sys.executable, "-m", "twisted_registry.cli", "archive", "backup", "--json", "--keep", "4"]
        words = [*command, str(self.served.archive), str(self.backups)]
        with subprocess.Popen(
            words, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as made:
            while not (self.backups / ".partial").exists() and made.poll() is None:
                time.sleep(0.001)
            time.sleep(self.chance.random() * _LONGEST_SECONDS)  # any moment
            if victim == "daemon":
                self.served.kill()
            elif victim == "backup":
                made.kill()
            _, printed = made.communicate(timeout=TIMEOUT_SECONDS)
        self.counts[f"kills of the {victim}" if victim else "rounds without a kill"] += 1
        if made.returncode not in (0, -9):
            self.wrong.append(f"a backup ended with {made.returncode}: {os.fsdecode(printed)}")
        return made.returncode

    def _check(self, before: dict[tuple[str, int], str], status: int) -> None:
        with Backups(str(self.backups)) as backups:
            new = [backup.name for backup in backups.complete() if backup.name not in self._seen]
        if status == 0 and len(new) != 1:
            self.wrong.append(f"a backup ended well, and {new} are new")
        for name in new:
            self._seen.add(name)
            self.counts["complete backups"] += 1
            self._check_backup(self.backups / name, before)

    def _check_backup(self, root: Path, before: dict[tuple[str, int], str]) -> None:
        with Scrub(str(root), jobs=2) as scrub:
            self.wrong += [f"{root.name}: {finding}" for finding in scrub.findings() if _is_wrong(finding.kind)]
        standing = self._ledger.standing()
        for (model_id, number), sha256 in before.items():
            if (model_id, number) in standing:
                self.counts["acknowledged versions looked for"] += 1
                folder = folder_of(model_id)
                yaml = root / folder / f"{folder}-v{number:06d}.yaml"
                if not yaml.exists() or sha256 not in yaml.read_text():
                    self.wrong.append(f"{root.name} lacks version {number} of {model_id!r}")


def _is_wrong(kind: Kind) -> bool:
    return kind.is_damage or kind in (Kind.ALIAS, Kind.UNFINISHED, Kind.LEFT_OVER, Kind.FOREIGN)


def run(trial: Trial) -> Outcome:
    """
    Make backups, and kill.
    """
    done, archives, counts, wrong = 0, 0, Counter[str](), list[str]()
    while not trial.is_over(done):
        directory = trial.directory / str(archives)
        with Served(directory) as served:
            story = _Story(directory, served, random.Random(f"{trial.seed} {archives}"), counts)
            story.begin()
            for _ in range(_ROUNDS_AN_ARCHIVE):
                story.run_round()
                done += 1
                trial.progress(done)
                if trial.is_over(done):
                    break
        archives += 1
        wrong += [f"archive {archives}: {line}" for line in (*story.wrong, *served.problems)]
    return Outcome(done, wrong, {**counts, "archives": archives})


CASE = Case(
    name="backups",
    counts="backups under writers, with kills",
    promise="Each complete backup is sound and has every version that was acknowledged before it began.",
    short=3,
    long=100,
    run=run,
)
