"""
The check of a daemon that is back, and of its archive, against the promises.
"""

import random
from collections.abc import Mapping
from pathlib import Path

import yaml
from attrs import field, frozen

from tests.robustness.oracles.acts import CreateVersion, Latest, ReadData, State, Version
from tests.robustness.oracles.promises import Life, Promises
from tests.robustness.wire.lifecycle_calls import with_names
from tests.robustness.wire.readings import make_data, read_model, sent_version, version_of
from tests.support.client import Client, data_hash
from tests.support.registry_v1 import RegistryV1
from twisted_registry.storage.filesystem.layout import DELETED_PREFIX, ModelFolder, marked_numbers, model_folder

_SAMPLE = 3


@frozen
class Aftermath:
    """
    The checks of models over the wire and on disk, while nobody else uses them.

    Attributes:
        whole: whether to read all versions, not only new ones and a few others.
    """

    promises: Promises
    client: Client
    archive: Path
    chance: random.Random
    whole: bool = False
    _read: dict[Life, set[int]] = field(factory=dict)

    def check(self) -> None:
        """
        Compare all models with the promises.
        """
        for life in self.promises.lives():
            self._check_model(life)
        there = sorted(life.model_id for life in self.promises.lives() if life.must_exist)
        listed = [info.model_id for info in self.client.models().model_infos]
        if listed != there:
            self.promises.wrong.append(f"models {listed} are listed, and {there} are there")

    def probe(self) -> None:
        """
        Create a version of each model: its number must be one that can follow.
        """
        for life in self.promises.lives():
            if life.must_exist:
                self._probe(life)

    def _probe(self, life: Life) -> None:
        token = f"probe.{self.chance.random()}"
        data, archived = make_data(token, 100), self.chance.random() < 0.5
        act = CreateVersion(sent_version(data, archived, {"by": token}))
        begun = self.promises.begin(life.model_id, act)
        created = version_of(self.client.create(life.model_id, data, archived=archived, user_data={"by": token}))
        self.promises.acknowledge(begun, created)
        if not any(act.fits(world.state, created) for world in begun.before):
            self.promises.complain(life.model_id, f"after number {begun.floor} comes {created.number}")

    def _check_model(self, life: Life) -> None:
        found = self._read_model(life)
        self.promises.compare(life.model_id, found)
        folder = model_folder(str(self.archive), life.model_id)
        if found.exists:
            if found.versions and not Latest().fits(found, version_of(self.client.latest(life.model_id))):
                self.promises.complain(life.model_id, "the latest is not the last that is listed")
            self._check_files(life, folder, found)
            self._read_data(life, folder, found)
        elif Path(folder.path).exists():
            self.promises.complain(life.model_id, "its folder is still there")

    def _read_model(self, life: Life) -> State:
        found = read_model(self.client, life.model_id)
        if not found.exists:
            return found
        annotated = {number for state in life.states for number, _ in state.annotations}
        numbers = [version.number for version in found.versions]
        sample = numbers if self.whole else self.chance.sample(numbers, min(_SAMPLE, len(numbers)))
        registry = RegistryV1(self.client.channel)
        return with_names(registry, life.model_id, found, frozenset({*annotated, *sample} & {*numbers}))

    def _read_data(self, life: Life, folder: ModelFolder, found: State) -> None:
        read = self._read.setdefault(life, set())
        old = [version for version in found.versions if version.number in read]
        chosen = old if self.whole else self.chance.sample(old, min(_SAMPLE, len(old)))
        for version in [*chosen, *(one for one in found.versions if one.number not in read)]:
            begun = self.promises.begin(life.model_id, ReadData(version.number))
            self.promises.acknowledge(begun, data_hash(self.client.data(life.model_id, version.number)))
            self._check_version_files(life, folder, version)
            read.add(version.number)

    def _check_files(self, life: Life, folder: ModelFolder, found: State) -> None:
        there = {path.name for path in Path(folder.path).glob("[!.]*")}
        deleted = marked_numbers([path.name for path in Path(folder.path).glob(".*")], DELETED_PREFIX)
        there -= {folder.version_data_name(number) for number in deleted}  # the background removes them soon
        paths = [f(one.number) for one in found.versions for f in (folder.version_yaml, folder.version_data)]
        expected = {Path(path).name for path in (*paths, folder.yaml)}
        if there != expected:
            files = sorted(there ^ expected)
            self.promises.complain(life.model_id, f"files {files} are there without versions, or missing")

    def _check_version_files(self, life: Life, folder: ModelFolder, version: Version) -> None:
        metadata, data = Path(folder.version_yaml(version.number)), Path(folder.version_data(version.number))
        reported: Mapping[str, str] = yaml.load(metadata.read_bytes(), Loader=yaml.CBaseLoader)
        expected = (str(version.number), str(version.size_bytes), version.sha256)
        found = (reported["version_number"], reported["data_size"], reported["data_hash"])
        if found != expected or data_hash(data.read_bytes()) != version.sha256:
            self.promises.complain(life.model_id, f"the files of version {version.number} say {found}, not {expected}")
