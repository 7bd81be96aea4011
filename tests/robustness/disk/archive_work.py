"""
A trainer's work on an archive: all operations, in any order, and their outcomes.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from attrs import define, evolve, field

from tests.robustness.disk.knowledge import Found, Knowledge, ModelState, hash_of, key_sha256_of, load_found
from twisted_registry.contracts.idempotency import IKeyedArchiveWriter
from twisted_registry.domain.errors import CommitUncertain, RegistryError, StorageFailure, StorageFull, StorageReadOnly
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive

MODEL_IDS = ("m", "walker", "9/odd id")
_REFUSED = (StorageFull, StorageReadOnly, StorageFailure)


@define
class Work:
    """
    Work on an archive, with a record of what is known about it at each moment, also if an act never ends.

    Attributes:
        undisturbed: a context in which nothing fails: for reads that are not part of the work.
        acknowledged: the number of acknowledged acts.
        refused: the number of acts that ended with an error.
        wrong: impossible acknowledgements and refusals.
    """

    archive: FilesystemArchive
    knowledge: Knowledge
    chance: random.Random
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext
    acknowledged: int = 0
    refused: int = 0
    wrong: list[str] = field(factory=list)

    def act(self) -> None:
        """
        Do one thing, chosen by chance.
        """
        model_id = self.chance.choice(MODEL_IDS)
        state = self.now(model_id)
        acts: list[Callable[[str, ModelState | None], None]] = [self.save]
        if state is not None:
            acts += [self.create] * 8 + [self.reserve, self.give_out, self.give_out, self.give_up, self.delete]
        self.chance.choice(acts)(model_id, state)

    def now(self, model_id: str) -> ModelState | None:
        """
        Return the state of a model. If it is uncertain, it is read from the archive, which continues.
        """
        states = self.knowledge.states(model_id)
        if len(states) == 1:
            return states[0]
        with self.undisturbed():
            found = self._found(model_id)
        for state in states:
            if _is_seen(state, found):
                return state
        self.wrong.append(f"model {model_id!r} is in no state that was asked for")
        return states[0]

    def _found(self, model_id: str) -> Found | None:
        return load_found(self.archive, model_id) if model_id in self.archive.model_ids() else None

    @contextmanager
    def _asked(self, model_id: str, state: ModelState | None) -> Iterator[None]:
        # Until it is over, it may be so or not; refused, it may have been so all the same.
        before = self.knowledge.states(model_id)
        self.knowledge.may_be(model_id, state)
        try:
            yield
        except _REFUSED as error:
            self.refused += 1
            if isinstance(error, StorageFull | StorageReadOnly):
                self.knowledge.models[model_id] = before
        except RegistryError as error:
            self.wrong.append(f"{type(error).__name__} for model {model_id!r}: {error}")
        else:
            self.acknowledged += 1
            self.knowledge.is_so(model_id, state)

    def save(self, model_id: str, state: ModelState | None) -> None:
        """
        Create a model, or replace its metadata.
        """
        info = ModelInfo(model_id, {"a": str(self.chance.random())})
        saved = evolve(state or ModelState(), user_data=info.metadata)
        with self._asked(model_id, saved):
            self.archive.save_model(info)

    def delete(self, model_id: str, state: ModelState | None) -> None:
        """
        Delete a model.
        """
        with self._asked(model_id, None):
            self.archive.delete_model(model_id)

    def reserve(self, model_id: str, state: ModelState | None) -> None:
        """
        Reserve numbers.
        """
        assert state is not None
        with self._asked(model_id, state):
            self.archive.set_high_water_mark(model_id, state.next_number + self.chance.randint(0, 19))

    def give_out(self, model_id: str, state: ModelState | None) -> None:
        """
        Use a number below the high-water mark, as the registry does for transient versions; raise the mark if there is
        none.
        """
        assert state is not None
        number = state.next_number
        with self.undisturbed():
            reserved = self.archive.high_water_mark(model_id)
        if reserved < number or len(self.knowledge.states(model_id)) > 1:
            self.reserve(model_id, state)
        else:
            self.knowledge.is_so(model_id, evolve(state, given_out=number))

    def create(self, model_id: str, state: ModelState | None) -> None:
        """
        Create a version, in several chunks.
        """
        assert state is not None
        chunks = self._chunks()
        info = self._info(model_id, state.next_number, b"".join(chunks))
        before = self.knowledge.states(model_id)
        self.knowledge.models[model_id] = tuple(other and other.with_uncertain(info) for other in before)
        try:
            self._write(chunks, info)
        except CommitUncertain:
            self.refused += 1
            states = self.knowledge.states(model_id)
            self.knowledge.models[model_id] = tuple(
                other and evolve(other, spent=info.version_number) for other in states
            )
        except _REFUSED:
            self.refused += 1
            self.knowledge.models[model_id] = before
        else:
            self.acknowledged += 1
            self.knowledge.is_so(model_id, state.with_version(info))

    def give_up(self, model_id: str, state: ModelState | None) -> None:
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
        return VersionInfo(model_id, number, self.chance.getrandbits(60), True, hash_of(data), len(data), user_data)

    def _write(self, chunks: list[bytes], info: VersionInfo) -> None:
        writer = self.archive.create_version(info.model_id)
        for chunk in chunks:
            writer.write(Chunk(b"frame" + chunk, 5))
        writer.finish()
        IKeyedArchiveWriter(writer).set_key(key_sha256_of(info), 1)
        writer.commit(info)


def _is_seen(state: ModelState | None, found: Found | None) -> bool:
    if state is None or found is None:
        return state is None and found is None
    return state.user_data == found.user_data and state.versions.keys() <= found.versions.keys()
