"""
A trainer's work on an archive: all operations, in any order, and their outcomes.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from attrs import define, field

from tests.robustness.disk.contents import (
    key_sha256_of,
    load_model,
    stored_annotations,
    stored_move,
    stored_retention,
    version_of,
)
from tests.robustness.oracles.acts import (
    Act,
    Annotate,
    CommitVersion,
    CreateVersion,
    DeleteModel,
    DeleteVersion,
    Items,
    Move,
    MoveAlias,
    MoveAliases,
    PromoteVersion,
    ReserveNumbers,
    Restart,
    SaveModel,
    SetRetention,
    State,
    items,
)
from tests.robustness.oracles.promises import Promises, differences
from tests.robustness.wire.lifecycle_calls import some_annotations
from tests.support.client import data_hash
from twisted_registry.contracts.idempotency import IKeyedArchiveWriter
from twisted_registry.contracts.lifecycle import ILifecycleWriter
from twisted_registry.domain.errors import (
    CommitUncertain,
    NumberTaken,
    RegistryError,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
)
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive

MODEL_IDS = ("m", "walker", "9/odd id")
_ALIASES = ("production", "best")
_REFUSED = (StorageFull, StorageReadOnly, StorageFailure)


@define
class Work:
    """
    Work on an archive, with a record of what was promised at each moment, also if an act never ends.

    Attributes:
        undisturbed: a context in which nothing fails: for reads that are not part of the work.
        acknowledged: the number of acknowledged acts.
        refused: the number of acts that ended with an error.
    """

    archive: FilesystemArchive
    promises: Promises
    chance: random.Random
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext
    acknowledged: int = 0
    refused: int = 0
    _spent: dict[str, int] = field(factory=dict)
    """The highest number of each model that this process has used, if perhaps for nothing."""
    _chunks_of: dict[str, list[bytes]] = field(factory=dict)
    """The data of transient versions, by SHA-256."""

    def act(self) -> None:
        """
        Do one thing, chosen by chance.
        """
        model_id = self.chance.choice(MODEL_IDS)
        state = self.now(model_id)
        acts: list[Callable[[str, State], None]] = [self.save]
        if state.exists:
            acts += [self.create] * 8 + [self.reserve, self.give_out, self.give_out, self.give_up, self.delete]
            acts += [self.promote] * 3 + [self.delete_version] * 2 + [self.remove_some] * 3
            acts += [self.move_aliases] * 3 + [self.annotate] * 2 + [self.set_retention]
        self.chance.choice(acts)(model_id, state)

    def now(self, model_id: str) -> State:
        """
        Return the state of a model. If it is uncertain, it is read from the archive, which continues.
        """
        states = self.promises.life(model_id).states
        if len(states) == 1:
            return states[0]
        try:
            with self.undisturbed():
                found = load_model(self.archive, model_id)
        except (RegistryError, AssertionError) as error:
            self.promises.complain(model_id, str(error))
            return states[0]
        for state in states:
            if not list(differences(Restart().apply(state, None), found)):
                return state
        self.promises.complain(model_id, "it is in no state that was asked for")
        return states[0]

    def next_number(self, model_id: str, state: State) -> int:
        """
        Return the number that the next version gets.
        """
        return max(state.last, self._spent.get(model_id, 0)) + 1

    @contextmanager
    def _asked(self, model_id: str, act: Act, state: State) -> Iterator[None]:
        # Until it is over, it may be so or not; refused, it may have been so all the same.
        begun = self.promises.begin(model_id, act, state)
        try:
            yield
        except (StorageFull, StorageReadOnly):
            self.refused += 1
            self.promises.refuse(begun)
        except StorageFailure:
            self.refused += 1
            self.promises.lose(begun)
        except RegistryError as error:
            self.promises.complain(model_id, f"{type(error).__name__}: {error}")
            self.promises.lose(begun)
        else:
            self.acknowledged += 1
            self.promises.acknowledge(begun)

    def save(self, model_id: str, state: State) -> None:
        """
        Create a model, or replace its metadata.
        """
        if not state.exists:
            self._spent.pop(model_id, None)
        info = ModelInfo(model_id, {"a": str(self.chance.random())})
        with self._asked(model_id, SaveModel(items(info.metadata)), state):
            self.archive.save_model(info)

    def delete(self, model_id: str, state: State) -> None:
        """
        Delete a model.
        """
        with self._asked(model_id, DeleteModel(), state):
            self.archive.delete_model(model_id)

    def delete_version(self, model_id: str, state: State) -> None:
        """
        Delete a version, if there is one.
        """
        numbers = [number for number in _archived(state) if not state.aliases_of(number)]
        if numbers:
            number = self.chance.choice(numbers)
            with self._asked(model_id, DeleteVersion(number), state):
                if self.chance.random() < 0.5:
                    self.archive.delete_version(model_id, number)
                else:
                    self.archive.delete_versions(model_id, [number])

    def annotate(self, model_id: str, state: State) -> None:
        """
        Replace the labels and metrics of a version, if there is one.
        """
        numbers = _archived(state)
        if numbers:
            number, annotations = self.chance.choice(numbers), self._some_annotations()
            with self._asked(model_id, Annotate(number, annotations), state):
                self.archive.save_annotations(model_id, number, stored_annotations(annotations))

    def _some_annotations(self) -> Items:
        return some_annotations(str(self.chance.random()), self.chance.random())

    def move_aliases(self, model_id: str, state: State) -> None:
        """
        Move an alias to a version, if there is one, or delete it; sometimes several times at once.
        """
        moves, after = [], state
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            alias, number = self.chance.choice(_ALIASES), self.chance.choice([0, *_archived(state)])
            if number != after.alias_number(alias):
                moves.append(after.next_move(alias, number, self._some_reason()))
                after = after.moved(moves[-1])
        if moves:
            is_one, first = len(moves) == 1, moves[0]
            act = MoveAlias(first.alias, first.to_number, first.reason) if is_one else MoveAliases(tuple(moves))
            with self._asked(model_id, act, state):
                self.archive.append_alias_moves(model_id, list(map(stored_move, moves)))

    def set_retention(self, model_id: str, state: State) -> None:
        """
        Replace the retention policy of a model, or remove it.
        """
        kept_last = self.chance.choice((0, self.chance.randint(1, 10**9)))
        with self._asked(model_id, SetRetention(kept_last), state):
            self.archive.save_retention(model_id, stored_retention(kept_last))

    def _some_reason(self) -> str:
        return f"{self.chance.random()} ".ljust(self.chance.choice((0, 0, 1000)), "x")

    def promote(self, model_id: str, state: State) -> None:
        """
        Archive a transient version, if there is one; sometimes with annotations and aliases.
        """
        versions = [version for version in state.versions if not version.archived]
        if not versions:
            return
        version = self.chance.choice(versions)
        facts = model_id, version.number, version.created_ns, True, version.sha256, version.size_bytes
        info = VersionInfo(*facts, dict(version.metadata))
        act = PromoteVersion(version.number)
        if self.chance.random() < 0.4:
            act = PromoteVersion(version.number, self._some_annotations(), self._some_moves(state, version.number))
        begun = self.promises.begin(model_id, act, state)
        try:
            self._write(self._chunks_of[version.sha256], info, _commit_between, act)
        except NumberTaken:
            # An earlier attempt whose end was uncertain has succeeded.
            self.promises.lose(begun)
        except CommitUncertain:
            self.refused += 1
            self.promises.lose(begun)
        except _REFUSED:
            self.refused += 1
            self.promises.refuse(begun)
        else:
            self.acknowledged += 1
            self.promises.acknowledge(begun)

    def remove_some(self, model_id: str, state: State) -> None:
        """
        Remove some files that deletions left.
        """
        try:
            self.archive.remove_some()
        except _REFUSED:
            self.refused += 1

    def reserve(self, model_id: str, state: State) -> None:
        """
        Reserve numbers.
        """
        mark = self.next_number(model_id, state) + self.chance.randint(0, 19)
        with self._asked(model_id, ReserveNumbers(mark), state):
            self.archive.set_high_water_mark(model_id, mark)

    def give_out(self, model_id: str, state: State) -> None:
        """
        Use a number below the high-water mark, as the registry does for transient versions; raise the mark if there is
        none.
        """
        number = self.next_number(model_id, state)
        with self.undisturbed():
            reserved = self.archive.high_water_mark(model_id)
        if reserved < number or len(self.promises.life(model_id).states) > 1:
            self.reserve(model_id, state)
        else:
            chunks = self._chunks()
            info = self._info(model_id, number, b"".join(chunks))
            version = version_of(info)._replace(archived=False)
            self._chunks_of[version.sha256] = chunks
            self.promises.acknowledge(self.promises.begin(model_id, CreateVersion(version), state), version)

    def create(self, model_id: str, state: State) -> None:
        """
        Create a version, in several chunks.
        """
        chunks = self._chunks()
        info = self._info(model_id, self.next_number(model_id, state), b"".join(chunks))
        act: CreateVersion = CreateVersion(version_of(info))
        if self.chance.random() < 0.4:
            act = CommitVersion(act.version, self._some_annotations(), self._some_moves(state, info.version_number))
        begun = self.promises.begin(model_id, act, state)
        try:
            self._write(chunks, info, _commit, act)
        except CommitUncertain:
            self.refused += 1
            self.promises.lose(begun)
            self._spent[model_id] = info.version_number
        except _REFUSED:
            self.refused += 1
            self.promises.refuse(begun)
        else:
            self.acknowledged += 1
            self.promises.acknowledge(begun, version_of(info))

    def _some_moves(self, state: State, number: int) -> tuple[Move, ...]:
        moves = []
        for alias in self.chance.sample(_ALIASES, self.chance.randint(0, len(_ALIASES))):
            moves.append(state.next_move(alias, number, self._some_reason()))
            state = state.moved(moves[-1])
        return tuple(moves)

    def give_up(self, model_id: str, state: State) -> None:
        """
        Begin a version, and give it up.
        """
        writer = self.archive.create_version(model_id)
        try:
            for chunk in self._chunks():
                writer.write(Chunk(chunk))
        except _REFUSED:
            self.refused += 1
        writer.abort()

    def _chunks(self) -> list[bytes]:
        return [self.chance.randbytes(self.chance.choice((0, 1, 100, 3000))) for _ in range(self.chance.randint(0, 4))]

    def _info(self, model_id: str, number: int, data: bytes) -> VersionInfo:
        user_data = {"n": str(self.chance.random())}
        return VersionInfo(model_id, number, self.chance.getrandbits(60), True, data_hash(data), len(data), user_data)

    def _write(
        self,
        chunks: list[bytes],
        info: VersionInfo,
        commit: Callable[[ILifecycleWriter, VersionInfo], None],
        act: Act | None = None,
    ) -> None:
        writer = self.archive.create_version(info.model_id)
        for chunk in chunks:
            writer.write(Chunk(b"frame" + chunk, 5))
        writer.finish()
        IKeyedArchiveWriter(writer).set_key(key_sha256_of(info.sha256), 1)
        lifecycle = ILifecycleWriter(writer)
        if isinstance(act, CommitVersion | PromoteVersion):
            lifecycle.set_annotations(stored_annotations(act.annotations))
            lifecycle.set_alias_moves(list(map(stored_move, act.moves)))
        try:
            commit(lifecycle, info)
        except NumberTaken:
            writer.abort()
            raise


def _commit(writer: ILifecycleWriter, info: VersionInfo) -> None:
    writer.commit(info)


def _commit_between(writer: ILifecycleWriter, info: VersionInfo) -> None:
    writer.commit_between(info)


def _archived(state: State) -> list[int]:
    return [version.number for version in state.versions if version.archived]
