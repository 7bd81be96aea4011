"""
A trainer's work on an archive: all operations, in any order, and their outcomes.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from attrs import define, field

from tests.robustness.disk.contents import key_sha256_of, load_model, version_of
from tests.robustness.oracles.acts import (
    Act,
    CreateVersion,
    DeleteModel,
    DeleteVersion,
    ReserveNumbers,
    Restart,
    SaveModel,
    State,
    Version,
    items,
)
from tests.robustness.oracles.promises import Promises, differences
from tests.support.client import data_hash
from twisted_registry.contracts.idempotency import IKeyedArchiveWriter
from twisted_registry.domain.errors import CommitUncertain, RegistryError, StorageFailure, StorageFull, StorageReadOnly
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive

MODEL_IDS = ("m", "walker", "9/odd id")
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

    def act(self) -> None:
        """
        Do one thing, chosen by chance.
        """
        model_id = self.chance.choice(MODEL_IDS)
        state = self.now(model_id)
        acts: list[Callable[[str, State], None]] = [self.save]
        if state.exists:
            acts += [self.create] * 8 + [self.reserve, self.give_out, self.give_out, self.give_up, self.delete]
            acts += [self.delete_version] * 2 + [self.remove_some]
        self.chance.choice(acts)(model_id, state)

    def now(self, model_id: str) -> State:
        """
        Return the state of a model. If it is uncertain, it is read from the archive, which continues.
        """
        states = self.promises.life(model_id).states
        if len(states) == 1:
            return states[0]
        with self.undisturbed():
            found = load_model(self.archive, model_id)
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
        numbers = [version.number for version in state.versions if version.archived]
        if numbers:
            number = self.chance.choice(numbers)
            with self._asked(model_id, DeleteVersion(number), state):
                if self.chance.random() < 0.5:
                    self.archive.delete_version(model_id, number)
                else:
                    self.archive.delete_versions(model_id, [number])

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
            version = Version(number, data_hash(b""), metadata=(("n", str(self.chance.random())),))
            self.promises.acknowledge(self.promises.begin(model_id, CreateVersion(version), state), version)

    def create(self, model_id: str, state: State) -> None:
        """
        Create a version, in several chunks.
        """
        chunks = self._chunks()
        info = self._info(model_id, self.next_number(model_id, state), b"".join(chunks))
        begun = self.promises.begin(model_id, CreateVersion(version_of(info)), state)
        try:
            self._write(chunks, info)
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

    def _write(self, chunks: list[bytes], info: VersionInfo) -> None:
        writer = self.archive.create_version(info.model_id)
        for chunk in chunks:
            writer.write(Chunk(b"frame" + chunk, 5))
        writer.finish()
        IKeyedArchiveWriter(writer).set_key(key_sha256_of(info.sha256), 1)
        writer.commit(info)
