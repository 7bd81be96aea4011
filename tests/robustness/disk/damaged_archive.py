"""
Archives in which something was harmed after it was written.
"""

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import define

from tests.robustness.disk.lossy_system import UnsyncedSystem
from tests.support.client import data_hash
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.layout import folder_of

CHUNK_BYTES = 1000
_SIZES = (0, 1, 30, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7)
_PARTS = ("data", "version", "model", "reserved")
_SHARES = (35, 35, 15, 15)
_RESERVED_AHEAD = (9, 97, 899)


@define
class Harmed:
    """
    A model, and the one thing that was done to it.

    Attributes:
        folder: where it is.
        versions: its versions and their data, by number.
        given_out: numbers up to here may have been given out.
        part: what was harmed: ``"data"``, ``"version"`` (its .yaml), ``"model"`` (its .yaml) or ``"reserved"``.
        number: the version harmed, if one was.
        way: how.
        done: where, exactly.
    """

    model_id: str
    folder: Path
    user_data: Mapping[str, str]
    versions: Mapping[int, tuple[VersionInfo, bytes]]
    given_out: int
    part: str = ""
    number: int = 0
    way: str = ""
    done: str = ""

    @property
    def path(self) -> Path:
        """
        The file that is harmed.
        """
        name = self.folder.name
        return (
            self.folder
            / {
                "data": f"{name}-v{self.number:06d}.data",
                "version": f"{name}-v{self.number:06d}.yaml",
                "model": f"{name}.yaml",
                "reserved": ".reserved",
            }[self.part]
        )

    @property
    def floor(self) -> int:
        """
        Return the number that every later one must exceed. If the file of the high-water mark is gone, the rest
        decides.
        """
        gone = {self.number} if (self.part, self.way) == ("version", "removed") else set()
        highest = max(self.versions.keys() - gone, default=0)
        if (self.part, self.way) == ("reserved", "removed"):
            return highest
        return self.given_out if self.given_out > max(self.versions) else highest

    def __str__(self) -> str:
        return f"model {self.model_id!r}, its {self.part} {self.number or ''} {self.way} ({self.done})"


def lay_out(root: Path, chance: random.Random, count: int) -> list[Harmed]:
    """
    Write an archive, whole.
    """
    archive = FilesystemArchive(str(root), UnsyncedSystem())
    archive.open()
    models = [_write(archive, root, chance, _model_id(number)) for number in range(count)]
    archive.close()
    return models


def _model_id(number: int) -> str:
    # Some have folders of other names than their own, and some names that their .yaml alone knows.
    return f"m{number}" if number % 5 else f"{number}/é" if number % 2 else "☃" * 60 + str(number)


def _write(archive: FilesystemArchive, root: Path, chance: random.Random, model_id: str) -> Harmed:
    user_data = _user_data(chance)
    archive.save_model(ModelInfo(model_id, user_data))
    versions = {number: _version(chance, model_id, number) for number in range(1, chance.randint(2, 5))}
    for info, data in versions.values():
        writer = archive.create_version(model_id)
        writer.write(Chunk(data))
        writer.finish()
        writer.commit(info)
    given_out = max(versions)
    if chance.random() < 0.5:
        given_out += chance.choice(_RESERVED_AHEAD)
        archive.set_high_water_mark(model_id, given_out)
    return Harmed(model_id, root / folder_of(model_id), user_data, versions, given_out)


def _version(chance: random.Random, model_id: str, number: int) -> tuple[VersionInfo, bytes]:
    data = chance.randbytes(chance.choice(_SIZES))
    created_ns = chance.getrandbits(60)
    return VersionInfo(model_id, number, created_ns, True, data_hash(data), len(data), _user_data(chance)), data


def _user_data(chance: random.Random) -> dict[str, str]:
    return {key: str(chance.random()) for key in chance.sample(("a", "=", "é", "long key" * 30), chance.randint(0, 3))}


# --- Harm ------------------------------------------------------------------------------------------------------------


def choose(model: Harmed, chance: random.Random) -> None:
    """
    Return what to damage in a model, and how.
    """
    (model.part,) = chance.choices(_PARTS, _SHARES)
    if model.part == "reserved" and not model.path.exists():
        model.part = "version"
    model.number = chance.choice([*model.versions]) if model.part in ("data", "version") else 0
    model.way = "flipped" if chance.random() < 0.6 else chance.choice([*_WAYS])
    if model.way in ("flipped", "cut", "emptied") and model.path.stat().st_size == 0:
        model.way = "extended"


def harm(model: Harmed, chance: random.Random) -> None:
    """
    Do it.
    """
    model.done = _WAYS[model.way](model.path, chance)


def _flip(path: Path, chance: random.Random) -> str:
    content = bytearray(path.read_bytes())
    place, bit = chance.randrange(len(content)), chance.randrange(8)
    content[place] ^= 1 << bit
    path.write_bytes(content)
    return f"bit {bit} of byte {place}"


def _cut(path: Path, chance: random.Random) -> str:
    size = chance.randrange(path.stat().st_size)
    os.truncate(path, size)
    return f"to {size} bytes"


def _extend(path: Path, chance: random.Random) -> str:
    more = chance.choice((b"\0", b"\n", b"x", b"0", b"1\n", chance.randbytes(20)))
    with path.open("ab") as file:
        file.write(more)
    return f"by {more.hex()}"


def _empty(path: Path, chance: random.Random) -> str:
    os.truncate(path, 0)
    return ""


def _remove(path: Path, chance: random.Random) -> str:
    path.unlink()
    return ""


def _replace(make: Callable[[Path], None]) -> Callable[[Path, random.Random], str]:
    def replace(path: Path, chance: random.Random) -> str:
        path.unlink()
        make(path)
        return ""

    return replace


_WAYS: Mapping[str, Callable[[Path, random.Random], str]] = {
    "flipped": _flip,
    "cut": _cut,
    "extended": _extend,
    "emptied": _empty,
    "removed": _remove,
    "made a folder": _replace(lambda path: path.mkdir()),
    "made a pipe": _replace(os.mkfifo),
    "made a link to itself": _replace(lambda path: path.symlink_to(path.name)),
}


# --- What others leave about -----------------------------------------------------------------------------------------


def sprinkle(root: Path, models: list[Harmed], chance: random.Random) -> None:
    """
    Leave foreign files and folders in an archive.
    """
    for name in ("lost+found", ".git", "empty", "with space", "%zz"):
        (root / name).mkdir()
        (root / name / "file.yaml").write_text("model_id: x\n")
    (root / "loop").symlink_to("loop")
    (root / "self").symlink_to(".")
    (root / "m0.yaml").write_text("model_id: m0\n")
    os.mkfifo(root / "pipe")
    for model in chance.sample(models, len(models) // 2):
        _sprinkle_folder(model.folder)


def _sprinkle_folder(folder: Path) -> None:
    name = folder.name
    yaml = (folder / f"{name}-v000001.yaml").read_bytes()
    for foreign in (f"{name}.yaml~", f"{name}-v000001.yaml~", f".{name}-v000044.yaml", f"{name}-v2147483648.yaml"):
        (folder / foreign).write_bytes(yaml)
    (folder / f"{name}-v4000000000.yaml").write_bytes(yaml)
    (folder / "x").mkdir()
    (folder / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(folder / "pipe.data")
    # What the file itself says of its number is for people to read.
    first = folder / f"{name}-v000001.yaml"
    first.write_bytes(yaml.replace(b"version_number: 1\n", b"version_number: 4000000000\n"))
