"""
The life of an archive through several power cuts.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, field

from tests.robustness.case import Outcome, Trial
from tests.robustness.disk.archive_work import MODEL_IDS, Work
from tests.robustness.disk.contents import check_archive, check_leftovers
from tests.robustness.disk.lossy_system import LossySystem, PowerCut, UnsyncedSystem
from tests.robustness.disk.scratch import memory_folder
from tests.robustness.oracles.counts import counts_of
from tests.robustness.oracles.promises import Promises
from tests.support.faulty_system import Disturbance, Killed
from twisted_registry.domain.errors import RegistryError
from twisted_registry.storage.filesystem.archive import FilesystemArchive

_MOST_CALLS = 400


@define
class Story:
    """
    One archive, through several cuts.

    Attributes:
        directory: for what is left after each of them.
        disturbance: what comes between calls, besides.
        skipped_syncs: see ``LossySystem``.
        skipped_after: see ``LossySystem``.
        cuts: how many there were.
        kills: how many times the process alone was killed.
    """

    chance: random.Random
    directory: Path
    disturbance: Disturbance | None = None
    skipped_syncs: str | None = None
    skipped_after: str = ".*"
    cuts: int = 0
    kills: int = 0
    acknowledged: int = 0
    refused: int = 0
    promises: Promises = field(factory=Promises)

    def tell(self) -> None:
        """
        Live it to its end.
        """
        self._root.mkdir(parents=True)
        for _ in range(self.chance.randint(1, 3)):
            self._live()
            # Sometimes nobody looks in between: the next cut may come while the traces of this one are cleared away.
            if self.chance.random() < 0.6:
                self._look()
        self._look()
        self._go_on()
        shutil.rmtree(self.directory)

    @property
    def _root(self) -> Path:
        return self.directory / str(self.cuts)

    def _live(self) -> None:
        # Some file systems can give a new name only by way of an empty file that holds it.
        system = LossySystem(str(self._root), has_rename_noreplace=self.chance.random() < 0.7)
        system.skipped_syncs, system.skipped_after = self.skipped_syncs, self.skipped_after
        try:
            while self.chance.random() < 0.3:
                self._until_killed(system)
            self._until(system, PowerCut("the power fails"))
        except PowerCut:
            pass
        self.cuts += 1
        system.cut(self.chance, str(self._root))

    def _until_killed(self, system: LossySystem) -> None:
        with suppress(Killed):
            self._until(system, Killed("killed"))
        self.kills += 1
        system.restart_process()

    def _until(self, system: LossySystem, end: BaseException) -> None:
        system.end_after(self.chance.choice((20, 100, _MOST_CALLS)) * self.chance.randint(0, 100) // 100, end)
        archive = FilesystemArchive(str(self._root), system)
        archive.open()
        check_archive(archive, self.promises, is_keyed=True)
        work = Work(archive, self.promises, self.chance, lambda: self._undisturbed(system))
        try:
            system.disturbance = self.disturbance
            for _ in range(_MOST_CALLS):  # each act makes a call at least, most make many
                work.act()
        finally:
            system.disturbance = None
            self.acknowledged += work.acknowledged
            self.refused += work.refused
        raise end

    @contextmanager
    def _undisturbed(self, system: LossySystem) -> Iterator[None]:
        disturbance, system.disturbance = system.disturbance, None
        try:
            yield
        finally:
            system.disturbance = disturbance

    def _look(self) -> None:
        archive = FilesystemArchive(str(self._root), UnsyncedSystem())
        archive.open()
        check_archive(archive, self.promises, is_keyed=True)
        self.promises.wrong += check_leftovers(archive, self._root)
        archive.close()

    def _go_on(self) -> None:
        archive = FilesystemArchive(str(self._root), UnsyncedSystem())
        archive.open()
        work = Work(archive, self.promises, self.chance)
        try:
            for model_id in MODEL_IDS:
                work.save(model_id, work.now(model_id))
                work.create(model_id, work.now(model_id))
        except RegistryError as error:
            self.promises.wrong.append(f"it does not go on: {error}")
        check_archive(archive, self.promises, is_keyed=True)
        self.promises.wrong += check_leftovers(archive, self._root)
        archive.close()


def run_stories(trial: Trial, disturbance: Callable[[random.Random], Disturbance | None]) -> Outcome:
    """
    Cut the power again and again.

    Args:
        disturbance: gives what else comes between, for one archive.
    """
    done = kills = acknowledged = refused = number = 0
    wrong: list[str] = []
    acts: Counter[str] = Counter()
    with memory_folder(trial.directory) as directory:
        while not trial.is_over(done):
            number += 1
            chance = random.Random(f"{trial.seed} {number}")
            story = Story(chance, directory / str(number), disturbance(chance))
            story.tell()
            done, kills = done + story.cuts, kills + story.kills
            acknowledged, refused = acknowledged + story.acknowledged, refused + story.refused
            acts += story.promises.acts
            wrong += [f"story {number}: {line}" for line in story.promises.wrong]
            trial.progress(done)
    figures = {"acknowledged acts": acknowledged, "kills in between": kills, "archives": number}
    figures |= counts_of(acts)
    return Outcome(done, wrong, figures | ({"refused acts": refused} if refused else {}))
