"""
The contents of an archive, compared with the promises.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.robustness.oracles.acts import ABSENT, Items, Move, State, Version, items
from tests.robustness.oracles.promises import Promises
from tests.robustness.wire.lifecycle_calls import annotations_of, labels_and_metrics
from tests.support.archive_files import leftover_marks
from tests.support.client import data_hash
from twisted_registry.domain.aliases import AliasMove, AliasState
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.idempotency import key_sha256, version_facts
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.retention import RetentionPolicy
from twisted_registry.storage.filesystem.archive import FilesystemArchive


def version_of(info: VersionInfo) -> Version:
    """
    Return a version as the archive describes it.
    """
    facts = info.sha256, info.size_bytes, info.archived, items(info.metadata)
    return Version(info.version_number, *facts, info.created_ns)


def load_model(archive: FilesystemArchive, model_id: str) -> State:
    """
    Read all of a model, bytes too; its last number is the one after which the archive goes on.

    Raises:
        RegistryError: something in it is damaged.
        AssertionError: its parts contradict each other.
    """
    if model_id not in archive.model_ids():
        return ABSENT
    metadata = archive.load_model(model_id).metadata
    numbers = archive.version_numbers(model_id)
    versions = tuple(version_of(archive.load_version(model_id, number)) for number in numbers)
    for version in versions:
        reader = archive.open_version(model_id, version.number)
        try:
            data = reader.read(version.size_bytes + 1)
        finally:
            reader.close()
        found = len(data), data_hash(data)
        assert found == (version.size_bytes, version.sha256), f"version {version.number}: wrong bytes"
    last = max([archive.high_water_mark(model_id), *numbers])
    annotations = _load_annotations(archive, model_id, numbers)
    aliases, moves = archive.load_aliases(model_id), archive.alias_moves(model_id)
    assert aliases == AliasState.after(moves), f"{aliases} is not where {moves} end"
    return State(
        True,
        items(metadata),
        versions,
        last=last,
        annotations=annotations,
        aliases=tuple(sorted(aliases.numbers.items())),
        moves=tuple(map(move_of, moves)),
        kept_last=_kept_last(archive, model_id),
    )


def _kept_last(archive: FilesystemArchive, model_id: str) -> int:
    policy = archive.load_retention(model_id)
    kept = 0 if policy is None else policy.keep_last
    assert policy == stored_retention(kept), f"nobody has set {policy}"
    return kept


def stored_retention(kept_last: int) -> RetentionPolicy | None:
    """
    Return the model's retention policy as the archive stores it.
    """
    return RetentionPolicy(keep_last=kept_last) if kept_last else None


def _load_annotations(archive: FilesystemArchive, model_id: str, numbers: list[int]) -> tuple[tuple[int, Items], ...]:
    found = []
    for number, annotations in zip(numbers, archive.load_annotations(model_id, numbers), strict=True):
        if not isinstance(annotations, Annotations):
            raise annotations
        found.append((number, annotations_of(annotations.labels, annotations.metrics)))
    return tuple(pair for pair in found if pair[1])


def stored_annotations(annotations: Items) -> Annotations:
    """
    Return the model's annotations as the archive stores them.
    """
    return Annotations(*labels_and_metrics(annotations))


def move_of(move: AliasMove) -> Move:
    """
    Return a move as the archive describes it.
    """
    return Move(move.sequence, move.alias, move.from_number, move.to_number, move.reason)


def stored_move(move: Move) -> AliasMove:
    """
    Return the model's move as the archive stores it.
    """
    return AliasMove(move.alias, move.from_number, move.to_number, move.sequence, "", move.reason, move.sequence)


def key_sha256_of(sha256: str) -> str:
    """
    Return the SHA-256 of the idempotency key with which a version is created.

    Args:
        sha256: that of its data.
    """
    return key_sha256(sha256)


def _missing_keys(archive: FilesystemArchive, model_id: str) -> Iterator[str]:
    stored = {(key.version_number, key.key_sha256, key.facts) for key in archive.stored_keys(model_id)}
    for number in archive.version_numbers(model_id):
        info = archive.load_version(model_id, number)
        if (number, key_sha256_of(info.sha256), version_facts(info)) not in stored:
            yield f"version {number} has lost its idempotency key"


def check_archive(archive: FilesystemArchive, promises: Promises, *, is_keyed: bool = False) -> None:
    """
    Compare an opened archive with the promises; no process used it since it was opened.

    Args:
        is_keyed: whether every version was created with an idempotency key.
    """
    promises.restart()
    there = archive.model_ids()
    for model_id in sorted({*there, *(life.model_id for life in promises.lives())}):
        try:
            promises.compare(model_id, load_model(archive, model_id))
            for line in _missing_keys(archive, model_id) if is_keyed and model_id in there else ():
                promises.complain(model_id, line)
        except (RegistryError, AssertionError) as error:
            promises.complain(model_id, str(error))


def check_leftovers(archive: FilesystemArchive, root: Path) -> list[str]:
    """
    Return the leftovers in an opened archive, all of whose models were read, after deferred removals.
    """
    while archive.removal_seconds() is not None:
        archive.remove_some()
    left = [path for name in ("tmp", "trash") for path in (root / ".0" / name).iterdir()]
    left += [path for pattern in ("*/.new-*", "*/.deleted") for path in root.glob(pattern)]
    left += [root / path for path in leftover_marks(root)]
    left += [path for path in root.glob("[!.]*/*.data") if not path.with_suffix(".yaml").exists()]
    return [f"{path.relative_to(root)} was left behind" for path in left]
