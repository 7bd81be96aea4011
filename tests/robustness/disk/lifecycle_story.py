"""
The life of a model's versions through power cuts: promotions, deletions, annotations, aliases and retention.

Nothing fails but the power, and the process.  So after a cut the model is as before the last act, or as after it.
"""

import random
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from attrs import define, evolve, field, frozen

from tests.robustness.disk.contents import check_leftovers
from tests.robustness.disk.lossy_system import LossySystem, PowerCut, UnsyncedSystem
from tests.support.faulty_system import Killed
from twisted_registry.contracts.lifecycle import ILifecycleWriter
from twisted_registry.domain.aliases import AliasMove, AliasState
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.models import Chunk, ModelInfo
from twisted_registry.domain.retention import RetentionPolicy
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.testing.samples import data_of, version_info

_MOST_CALLS = 250


@frozen
class Life:
    """
    A state of the model.

    Attributes:
        versions: the data of each version, by number.
        annotations: those of the versions that have any.
        moves: all moves of its aliases.
        retention: its policy.
    """

    versions: Mapping[int, bytes] = field(factory=dict)
    annotations: Mapping[int, Annotations] = field(factory=dict)
    moves: tuple[AliasMove, ...] = ()
    retention: RetentionPolicy | None = None


def read(archive: FilesystemArchive) -> Life:
    """
    Read the model.

    Raises:
        RegistryError: something in it is damaged.
        AssertionError: its parts contradict each other.
    """
    numbers = archive.version_numbers("m")
    versions = {number: data_of(archive, "m", number) for number in numbers}
    for number, data in versions.items():
        assert archive.load_version("m", number) == version_info("m", number, data), f"version {number}: other bytes"
    moves, state = tuple(archive.alias_moves("m")), archive.load_aliases("m")
    assert state == AliasState.after(moves), f"{state} is not where {moves} end"
    assert set(state.numbers.values()) <= set(numbers), f"{state} names versions that do not exist"
    annotations = {
        number: found
        for number, found in zip(numbers, archive.load_annotations("m", numbers), strict=True)
        if found != NO_ANNOTATIONS
    }
    assert all(isinstance(found, Annotations) for found in annotations.values()), f"{annotations}"
    return Life(versions, annotations, moves, archive.load_retention("m"))  # type: ignore[arg-type]  # see above


def _short(life: Life) -> Life:
    return evolve(life, versions={number: data[:4] for number, data in life.versions.items()})


def _aliases(life: Life) -> dict[str, int]:
    return AliasState.after(life.moves).numbers


@define
class LifecycleStory:
    """
    One archive, through several cuts.

    Attributes:
        chance: the source of all random choices.
        directory: holds what is left after each cut.
        skipped_syncs: see ``LossySystem``.
        wrong: a line for each violation.
        cuts: how many cuts there were.
        acknowledged: how many acts were acknowledged.
    """

    chance: random.Random
    directory: Path
    skipped_syncs: str | None = None
    wrong: list[str] = field(factory=list)
    cuts: int = 0
    acknowledged: int = 0
    _possible: list[Life] = field(factory=lambda: [Life()])
    _used: int = 0
    _transient: list[int] = field(factory=list)

    @property
    def _root(self) -> Path:
        return self.directory / str(self.cuts)

    def tell(self) -> None:
        """
        Live it to its end.
        """
        self._root.mkdir(parents=True)
        archive = FilesystemArchive(str(self._root), UnsyncedSystem())
        archive.open()
        archive.save_model(ModelInfo("m"))
        archive.close()
        for _ in range(self.chance.randint(1, 4)):
            self._live()
            if self.chance.random() < 0.6:
                self._look()
        self._look()
        shutil.rmtree(self.directory)

    def _live(self) -> None:
        system = LossySystem(str(self._root), has_rename_noreplace=self.chance.random() < 0.7)
        system.skipped_syncs = self.skipped_syncs
        with suppress(PowerCut):
            while self.chance.random() < 0.3:
                with suppress(Killed):
                    self._until(system, Killed())
                system.restart_process()
            self._until(system, PowerCut())
        self.cuts += 1
        system.cut(self.chance, str(self._root))

    def _until(self, system: LossySystem, end: BaseException) -> None:
        system.end_after(self.chance.randint(0, _MOST_CALLS), end)
        archive = FilesystemArchive(str(self._root), system)
        archive.open()
        self._transient.clear()
        self._compare(archive)
        while True:
            self._act(archive)

    def _look(self) -> None:
        archive = FilesystemArchive(str(self._root), UnsyncedSystem())
        archive.open()
        self._compare(archive)
        self.wrong += check_leftovers(archive, self._root)
        archive.close()

    def _compare(self, archive: FilesystemArchive) -> None:
        try:
            found = read(archive)
            last = max([archive.high_water_mark("m"), *found.versions])
        except (RegistryError, AssertionError) as error:
            self.wrong.append(str(error))
            return
        if found not in self._possible:
            self.wrong.append(f"{_short(found)} is not one of {list(map(_short, self._possible))}")
        if last < self._used:
            self.wrong.append(f"number {self._used} was used, and numbers go on after {last}")
        self._possible = [found]

    def _done(self, after: Life, act: Callable[[], object]) -> None:
        self._possible.append(after)
        act()
        self._possible = [after]
        self.acknowledged += 1

    def _act(self, archive: FilesystemArchive) -> None:
        acts = [self._create] * 4 + [self._use_numbers, self._promote, self._promote, self._delete, self._delete]
        acts += [self._annotate, self._move, self._move, self._set_retention]
        self.chance.choice(acts)(archive, self._possible[-1])
        if self.chance.random() < 0.2:
            archive.remove_some()

    def _create(self, archive: FilesystemArchive, life: Life) -> None:
        number = max([archive.high_water_mark("m"), self._used, *life.versions]) + 1
        self._commit(archive, life, number, lambda writer: writer.commit)

    def _promote(self, archive: FilesystemArchive, life: Life) -> None:
        if self._transient:
            self._commit(archive, life, self._transient.pop(), lambda writer: writer.commit_between)

    def _commit(
        self,
        archive: FilesystemArchive,
        life: Life,
        number: int,
        commit: Callable[[ILifecycleWriter], Callable[..., object]],
    ) -> None:
        data = self.chance.randbytes(self.chance.choice((0, 5, 3000)))
        writer: ILifecycleWriter = ILifecycleWriter(archive.create_version("m"))
        writer.write(Chunk(data))
        writer.finish()
        after = evolve(life, versions={**life.versions, number: data})
        if self.chance.random() < 0.5:
            annotations, move = self._some_annotations(), self._some_move(life, number)
            writer.set_annotations(annotations)
            writer.set_alias_moves([move])
            after = evolve(after, annotations={**life.annotations, number: annotations}, moves=(*life.moves, move))
        self._done(after, lambda: commit(writer)(version_info("m", number, data)))
        self._used = max(self._used, number)

    def _use_numbers(self, archive: FilesystemArchive, life: Life) -> None:
        first = max([archive.high_water_mark("m"), self._used, *life.versions]) + 1
        archive.set_high_water_mark("m", first + 2)
        self._used = first + 2
        self._transient += [first, first + 1, first + 2]

    def _delete(self, archive: FilesystemArchive, life: Life) -> None:
        numbers = sorted(set(life.versions).difference(_aliases(life).values()))
        if numbers:
            number = self.chance.choice(numbers)
            versions, annotations = dict(life.versions), dict(life.annotations)
            del versions[number]
            annotations.pop(number, None)
            after = evolve(life, versions=versions, annotations=annotations)
            self._done(after, lambda: archive.delete_version("m", number))

    def _annotate(self, archive: FilesystemArchive, life: Life) -> None:
        if life.versions:
            number, annotations = self.chance.choice(sorted(life.versions)), self._some_annotations()
            after = evolve(life, annotations={**life.annotations, number: annotations})
            self._done(after, lambda: archive.save_annotations("m", number, annotations))

    def _move(self, archive: FilesystemArchive, life: Life) -> None:
        if life.versions:
            first = self._some_move(life, self.chance.choice([0, *life.versions]))
            moves = [first, self._some_move(evolve(life, moves=(*life.moves, first)), max(life.versions))]
            del moves[self.chance.randint(1, 2) :]
            after = evolve(life, moves=(*life.moves, *moves))
            self._done(after, lambda: archive.append_alias_moves("m", moves))

    def _set_retention(self, archive: FilesystemArchive, life: Life) -> None:
        policy = self.chance.choice((None, RetentionPolicy(keep_last=self.chance.randint(1, 10**9))))
        self._done(evolve(life, retention=policy), lambda: archive.save_retention("m", policy))

    def _some_annotations(self) -> Annotations:
        return Annotations({"n": str(self.chance.random())}, {"return": self.chance.random()})

    def _some_move(self, life: Life, number: int) -> AliasMove:
        alias, sequence = self.chance.choice(("prod", "best")), len(life.moves) + 1
        reason = "x" * self.chance.choice((0, 30, 1000))
        return AliasMove(alias, _aliases(life).get(alias, 0), number, sequence, "", reason, sequence)
