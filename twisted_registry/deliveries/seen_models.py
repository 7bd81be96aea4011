"""
The models of an archive, and their versions, whose events the journal of deliveries has seen.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from attrs import frozen

from twisted_registry.domain.events import (
    AliasChanged,
    Event,
    ModelDeleted,
    ModelSaved,
    VersionArchived,
    VersionCommitted,
    VersionDeleted,
)

SEEN_SCHEMA = """
CREATE TABLE models (model_id TEXT PRIMARY KEY, epoch TEXT NOT NULL, moves INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE versions (
    model_id TEXT NOT NULL, number INTEGER NOT NULL, created TEXT, PRIMARY KEY (model_id, number)
) WITHOUT ROWID;
"""
"""The tables of the seen models."""


@frozen
class SeenModel:
    """
    The part of a model in the archive that was seen.

    Attributes:
        moves: the sequence of the last move of an alias.
        versions: for each archived version its time of creation in nanoseconds; ``None`` if it was not read.
    """

    moves: int
    versions: Mapping[int, int | None]


@frozen
class SeenModels:
    """
    The seen models, in the database of a journal, which begins and ends the transactions.
    """

    _database: sqlite3.Connection

    def put(self, model_id: str, seen: SeenModel) -> None:
        """
        Note what was seen of a model.
        """
        self._put_model(model_id, seen.moves)
        for number, created_ns in seen.versions.items():
            self._put_version(model_id, number, created_ns)

    def model_ids(self) -> Sequence[str]:
        """
        Return the ids of the models.
        """
        return [model_id for (model_id,) in self._database.execute("SELECT model_id FROM models")]

    def find(self, model_id: str) -> SeenModel | None:
        """
        Return what was seen of a model; ``None`` if it was not.
        """
        found = self._database.execute("SELECT moves FROM models WHERE model_id = ?", (model_id,)).fetchone()
        if found is None:
            return None
        rows = self._database.execute("SELECT number, created FROM versions WHERE model_id = ?", (model_id,))
        return SeenModel(found[0], {number: None if created is None else int(created) for number, created in rows})

    def raise_moves(self, model_id: str, moves: int) -> None:
        """
        Note that the moves of a model's aliases were seen.

        Args:
            moves: the sequence of the last one.
        """
        self._database.execute("UPDATE models SET moves = MAX(moves, ?) WHERE model_id = ?", (moves, model_id))

    def note(self, event: Event) -> UUID:
        """
        Note that an event was seen.

        Returns:
            an id of its model, which differs from that of a later model with the same name.
        """
        model_id = event.model_id
        if isinstance(event, ModelSaved) and event.is_new:
            self._drop_model(model_id)
        epoch = self._epoch(model_id)
        match event:
            case ModelDeleted():
                self._drop_model(model_id)
            case VersionCommitted(info=info) | VersionArchived(info=info) if info.archived:
                self._put_version(model_id, info.version_number, info.created_ns)
            case VersionDeleted(key=key):
                self._drop_version(model_id, key.version_number)
            case AliasChanged(move=move):
                # After a gap, the moves are found in the archive at the next start.
                self._database.execute(
                    "UPDATE models SET moves = ? WHERE model_id = ? AND moves = ?",
                    (move.sequence, model_id, move.sequence - 1),
                )
        return epoch

    def _put_model(self, model_id: str, moves: int = 0) -> UUID:
        epoch = uuid4()
        self._database.execute("INSERT OR REPLACE INTO models VALUES (?, ?, ?)", (model_id, epoch.hex, moves))
        return epoch

    def _put_version(self, model_id: str, number: int, created_ns: int | None) -> None:
        created = None if created_ns is None else str(created_ns)
        self._database.execute("INSERT OR REPLACE INTO versions VALUES (?, ?, ?)", (model_id, number, created))

    def _drop_version(self, model_id: str, number: int) -> None:
        self._database.execute("DELETE FROM versions WHERE model_id = ? AND number = ?", (model_id, number))

    def _drop_model(self, model_id: str) -> None:
        self._database.execute("DELETE FROM versions WHERE model_id = ?", (model_id,))
        self._database.execute("DELETE FROM models WHERE model_id = ?", (model_id,))

    def _epoch(self, model_id: str) -> UUID:
        found = self._database.execute("SELECT epoch FROM models WHERE model_id = ?", (model_id,)).fetchone()
        return self._put_model(model_id) if found is None else UUID(hex=found[0])


def leaves_traces(event: Event) -> bool:
    """
    Return whether the archive shows later that an event has happened.
    """
    match event:
        case VersionCommitted(info=info):
            return info.archived
        case VersionDeleted() | VersionArchived() | AliasChanged() | ModelSaved() | ModelDeleted():
            return True
    return False
