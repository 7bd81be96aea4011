"""
Archives, damaged at random: a verification finds exactly what was damaged.
"""

import hashlib
import os
import random
from base64 import b64encode
from pathlib import Path

from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.layout import folder_of
from twisted_registry.storage.filesystem.verify.archive import Scrub
from twisted_registry.storage.filesystem.verify.findings import Kind
from twisted_registry.storage.filesystem.verify.quarantine import Quarantine, locked

_IDS = ("walker", "m-v000001", "a/../b", "..", "\u00e9" * 100, "CON")
_Found = set[tuple[Kind, str | None, int | None]]


@define
class _Archive:
    """
    An archive, and what was done to it.

    Attributes:
        data: what each model's versions hold.
        damaged: what was damaged.
    """

    root: Path
    chance: random.Random
    data: dict[str, dict[int, bytes]] = field(factory=dict)
    damaged: _Found = field(factory=set)

    def fill(self) -> None:
        """
        Make models and versions.
        """
        archive = FilesystemArchive(str(self.root))
        archive.open()
        for model_id in self.chance.sample(_IDS, self.chance.randint(1, len(_IDS))):
            archive.save_model(ModelInfo(model_id, {"a": "b"}))
            archive.set_high_water_mark(model_id, 20)
            self.data[model_id] = {}
            for number in range(1, self.chance.randint(2, 8)):
                self._put(archive, model_id, number)
        archive.close()

    def _put(self, archive: FilesystemArchive, model_id: str, number: int) -> None:
        data = self.chance.randbytes(self.chance.choice((1, 10, 1000, 1_500_000)))
        writer = archive.create_version(model_id)
        writer.write(Chunk(data))
        writer.finish()
        digest = hashlib.sha256(data).digest()
        writer.commit(VersionInfo(model_id, number, 1, True, _base64(digest), len(data)))
        self.data[model_id][number] = data

    def damage(self) -> None:
        """
        Damage some of it.
        """
        for model_id, versions in self.data.items():
            for number in sorted(versions):
                if self.chance.random() < 0.3:
                    self._damage_version(model_id, number, max(versions))
            if self.chance.random() < 0.2:
                (_folder(self.root, model_id) / ".reserved").write_bytes(b"?")
                self.damaged.add((Kind.HIGH_WATER_MARK, model_id, None))

    def _damage_version(self, model_id: str, number: int, highest: int) -> None:
        ways = [_flip, _cut, _remove_data, _spoil_yaml]
        # Without its .yaml the highest version is nothing, and whatever was the one below it the highest.
        way = self.chance.choice([*ways, _remove_yaml] if number < highest else ways)
        folder = _folder(self.root, model_id)
        kind = way(folder / f"{folder.name}-v{number:06d}", self.chance)
        self.damaged.add((kind, model_id, number))


def _flip(path: Path, chance: random.Random) -> Kind:
    data = path.with_suffix(".data")
    content = bytearray(data.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    data.write_bytes(content)
    return Kind.DATA_HASH


def _cut(path: Path, chance: random.Random) -> Kind:
    data = path.with_suffix(".data")
    os.truncate(data, chance.randrange(data.stat().st_size))
    return Kind.DATA_SIZE


def _remove_data(path: Path, chance: random.Random) -> Kind:
    path.with_suffix(".data").unlink()
    return Kind.DATA_MISSING


def _spoil_yaml(path: Path, chance: random.Random) -> Kind:
    path.with_suffix(".yaml").write_bytes(chance.choice((b"", b"\0" * 200, b"a: [", b"data_size: 3\n")))
    return Kind.VERSION_YAML


def _remove_yaml(path: Path, chance: random.Random) -> Kind:
    path.with_suffix(".yaml").unlink()
    return Kind.ORPHAN


def _folder(root: Path, model_id: str) -> Path:
    return root / folder_of(model_id)


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


def _found(root: Path) -> _Found:
    with Scrub(str(root), jobs=2) as scrub:
        return {(found.kind, found.model_id, found.version_number) for found in scrub.findings()}


def _wrong(made: _Archive) -> list[str]:
    wrong = [f"not found, or found and sound: {thing}" for thing in _found(made.root) ^ made.damaged]
    with locked(str(made.root)), Scrub(str(made.root), jobs=2) as scrub:
        list(Quarantine(str(made.root)).move(list(scrub.findings())))
    wrong += [f"still there: {thing}" for thing in _found(made.root)]
    archive = FilesystemArchive(str(made.root))
    archive.open()
    for model_id, versions in made.data.items():
        gone = {number for _, damaged, number in made.damaged if damaged == model_id}
        wrong += _wrong_in(archive, model_id, {n: data for n, data in versions.items() if n not in gone}, max(versions))
    archive.close()
    return wrong


def _wrong_in(archive: FilesystemArchive, model_id: str, kept: dict[int, bytes], highest: int) -> list[str]:
    numbers = archive.version_numbers(model_id)
    if numbers != sorted(kept) or max([*numbers, archive.high_water_mark(model_id)]) < highest:
        return [f"{model_id!r} has {numbers} instead of {sorted(kept)}, or would use a number again"]
    return [f"{model_id!r} {n} is not intact" for n in numbers if _read(archive, model_id, n) != kept[n]]


def _read(archive: FilesystemArchive, model_id: str, number: int) -> bytes:
    reader = archive.open_version(model_id, number)
    try:
        return reader.read(2**21)
    finally:
        reader.close()


def _run(trial: Trial) -> Outcome:
    chance, wrong, damaged = random.Random(trial.seed), list[str](), 0
    for done in range(trial.count):
        made = _Archive(trial.directory / str(done), random.Random(chance.random()))
        made.fill()
        made.damage()
        wrong += [f"archive {done}: {line}" for line in _wrong(made)]
        damaged += len(made.damaged)
        trial.progress(done + 1)
    return Outcome(trial.count, wrong, {"things damaged": damaged})


CASE = Case(
    name="verified",
    counts="archives damaged and verified",
    promise="A verification finds all damage and nothing else; after a quarantine, the rest is sound.",
    short=10,
    long=300,
    run=_run,
)
