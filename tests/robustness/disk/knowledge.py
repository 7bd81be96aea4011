"""
The expected contents of an archive, from what was acknowledged and what was only begun.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import define, evolve, field, frozen

from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.idempotency import key_sha256, version_facts
from twisted_registry.domain.models import VersionInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive


@frozen
class ModelState:
    """
    A model as it may be.

    Attributes:
        versions: those that must be there, by number.
        uncertain: those that may be there, by number.
        given_out: the highest number that anybody has seen.
        spent: the highest number that this process has used, if perhaps for nothing.
    """

    user_data: Mapping[str, str] = field(factory=dict)
    versions: Mapping[int, VersionInfo] = field(factory=dict)
    uncertain: Mapping[int, tuple[VersionInfo, ...]] = field(factory=dict)
    given_out: int = 0
    spent: int = 0

    @property
    def next_number(self) -> int:
        """
        The number that the next version gets.
        """
        return max(self.given_out, self.spent) + 1

    def with_version(self, info: VersionInfo) -> "ModelState":
        """
        A version was acknowledged.
        """
        number = info.version_number
        return evolve(self, versions={**self.versions, number: info}, given_out=max(self.given_out, number))

    def with_uncertain(self, info: VersionInfo) -> "ModelState":
        """
        A version was begun.
        """
        number = info.version_number
        return evolve(self, uncertain={**self.uncertain, number: (*self.uncertain.get(number, ()), info)})


@frozen
class Found:
    """
    A model as it is, whole.

    Attributes:
        last: the number after which the next one comes.
    """

    user_data: Mapping[str, str]
    versions: Mapping[int, VersionInfo]
    last: int

    def state(self) -> ModelState:
        """
        Return the state that must exist from now on: what was seen once stays.
        """
        return ModelState(self.user_data, self.versions, {}, self.last)


def hash_of(data: bytes) -> str:
    """
    Return the SHA-256 of data in the archive's form.
    """
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def key_sha256_of(info: VersionInfo) -> str:
    """
    Return the SHA-256 of the idempotency key with which a version is created.
    """
    return key_sha256(info.sha256)


def missing_keys(archive: FilesystemArchive, model_id: str, found: Found) -> Iterator[str]:
    """
    Describe the versions whose idempotency keys are not stored with them.
    """
    stored = {(key.version_number, key.key_sha256, key.facts) for key in archive.stored_keys(model_id)}
    for number, info in found.versions.items():
        if (number, key_sha256_of(info), version_facts(info)) not in stored:
            yield f"model {model_id!r}: version {number} has lost its idempotency key"


def load_found(archive: FilesystemArchive, model_id: str) -> Found:
    """
    Read all of a model, bytes too.

    Raises:
        RegistryError: something in it is damaged.
        AssertionError: the bytes of a version are not what its info says.
    """
    user_data = archive.load_model(model_id).metadata
    numbers = archive.version_numbers(model_id)
    versions = {number: archive.load_version(model_id, number) for number in numbers}
    for number, info in versions.items():
        reader = archive.open_version(model_id, number)
        try:
            data = reader.read(info.size_bytes + 1)
        finally:
            reader.close()
        assert (len(data), hash_of(data)) == (info.size_bytes, info.sha256), f"version {number}: wrong bytes"
    return Found(user_data, versions, max([archive.high_water_mark(model_id), *numbers]))


def differences(state: ModelState | None, found: Found | None) -> Iterator[str]:
    """
    Return how a model differs from all its allowed states.
    """
    if state is None or found is None:
        if state is not None:
            yield "the model is gone"
        elif found is not None:
            yield "the model is there"
        return
    if state.user_data != found.user_data:
        yield "other metadata"
    for number in state.versions.keys() - found.versions.keys():
        yield f"version {number} is lost"
    for number, info in found.versions.items():
        reported = state.versions.get(number)
        if info not in ([reported] if reported else state.uncertain.get(number, ())):
            yield f"version {number} is another than was acknowledged" if reported else f"version {number} from nowhere"
    if found.last < state.given_out:
        yield f"number {state.given_out} was given out, and numbers go on after {found.last}"


@define
class Knowledge:
    """
    The allowed contents of an archive: for each model, all states that it may have; ``None`` for a missing model.
    """

    models: dict[str, tuple[ModelState | None, ...]] = field(factory=dict)

    def states(self, model_id: str) -> tuple[ModelState | None, ...]:
        """
        Return the allowed states of a model.
        """
        return self.models.get(model_id, (None,))

    def is_so(self, model_id: str, state: ModelState | None) -> None:
        """
        Something was acknowledged: it is so.
        """
        self.models[model_id] = (state,)

    def may_be(self, model_id: str, state: ModelState | None) -> None:
        """
        Something was begun: it may be so.
        """
        self.models[model_id] = (*self.states(model_id), state)

    def spend(self, model_id: str, number: int) -> None:
        """
        A number was used, if perhaps for nothing.
        """
        self.models[model_id] = tuple(state and evolve(state, spent=number) for state in self.states(model_id))

    def compare(self, model_id: str, found: Found | None) -> list[str]:
        """
        Return what is wrong with a model; from now on it must stay as it was found.
        """
        reported = [list(differences(state, found)) for state in self.states(model_id)]
        self.is_so(model_id, found.state() if found is not None else None)
        return [f"model {model_id!r}: {line}" for line in min(reported, key=len)]


def check_archive(archive: FilesystemArchive, knowledge: Knowledge, *, is_keyed: bool = False) -> list[str]:
    """
    Return what is wrong with an opened archive.

    Args:
        is_keyed: whether every version was created with an idempotency key.
    """
    wrong = []
    there = archive.model_ids()
    for model_id in sorted({*there, *knowledge.models}):
        try:
            found = load_found(archive, model_id) if model_id in there else None
        except (RegistryError, AssertionError) as error:
            wrong.append(f"model {model_id!r}: {error}")
        else:
            wrong.extend(knowledge.compare(model_id, found))
            if is_keyed and found is not None:
                wrong.extend(missing_keys(archive, model_id, found))
    return wrong


def check_leftovers(root: Path) -> list[str]:
    """
    Return the leftovers in an opened archive, all of whose models were read.
    """
    private = [path for name in ("tmp", "trash") for path in (root / ".0" / name).iterdir()]
    private += root.glob("*/.new-*")
    single = [path for path in root.glob("[!.]*/*.data") if not path.with_suffix(".yaml").exists()]
    return [f"{path.relative_to(root)} was left behind" for path in private + single]
