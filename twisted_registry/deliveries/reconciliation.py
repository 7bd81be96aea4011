"""
Reconciliation: at the start, what the archive has and the journal has not seen becomes messages.

The daemon may have been killed between a commit and the record of its event, and an archive may have been changed
without deliveries.
"""

from collections.abc import Callable, Iterator, Sequence

from twisted.logger import Logger

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.lifecycle import IAliasJournal, IAnnotationStore
from twisted_registry.deliveries.destinations import Destination
from twisted_registry.deliveries.journal import Journal
from twisted_registry.deliveries.messages import Happened
from twisted_registry.deliveries.seen_models import SeenModel
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import CorruptModel, CorruptVersion, StorageFailure, UnknownModel
from twisted_registry.domain.events import (
    AliasChanged,
    Event,
    ModelDeleted,
    ModelSaved,
    VersionCommitted,
    VersionDeleted,
)
from twisted_registry.domain.models import ModelInfo, VersionInfo, VersionKey

_log = Logger()

_INCARNATION = 0
_BATCH = 100


class Reconciliation:
    """
    The comparison of an archive with a journal.  Blocks.
    """

    def __init__(self, archive: IArchive, journal: Journal, now_ns: Callable[[], int]) -> None:
        """

        Args:
            archive: the archive, which nobody changes meanwhile.
            journal: the journal, open.
            now_ns: returns the time in nanoseconds since the Unix epoch.
        """
        self._archive = archive
        self._journal = journal
        self._now_ns = now_ns

    def adopt(self, archive_id: str) -> None:
        """
        Note the archive as it is, without messages.

        Raises:
            StorageFailure: it cannot be read.
        """
        self._journal.adopt(archive_id, self._models)

    def _models(self) -> Iterator[tuple[str, SeenModel]]:
        for model_id in self._archive.model_ids():
            numbers = self._archive.version_numbers(model_id)
            # These tell whether another model gets this id.  To read all of them would take long.
            created = {number: self._created_ns(model_id, number) for number in {*numbers[:1], *numbers[-1:]}}
            yield model_id, SeenModel(self._last_move(model_id), {number: created.get(number) for number in numbers})

    def run(self, destinations: Sequence[Destination]) -> int:
        """
        Record what is missing.

        Args:
            destinations: who gets it.

        Returns:
            the number of events.

        Raises:
            JournalUnusable: the journal cannot be written.
            StorageFailure: the models of the archive cannot be listed.
        """
        model_ids = set(self._archive.model_ids())
        count = 0
        for model_id in [*sorted(set(self._journal.model_ids()) - model_ids), *sorted(model_ids)]:
            try:
                events = self._missing(model_id) if model_id in model_ids else [self._deleted(model_id)]
            except (StorageFailure, UnknownModel) as error:
                _log.warn(
                    "events of the model {id} may be delivered after the next start: {error}", id=model_id, error=error
                )
                continue
            for start in range(0, len(events), _BATCH):
                self._journal.record(events[start : start + _BATCH], destinations, self._now_ns())
            if model_id in model_ids and events:
                # Moves that are damaged are missing between others.
                self._journal.raise_moves(model_id, self._last_move(model_id))
            count += len(events)
        return count

    def _now(self, event: Event) -> Happened:
        return Happened(event, self._now_ns())

    def _deleted(self, model_id: str) -> Happened:
        return self._now(ModelDeleted(model_id, _INCARNATION))

    def _missing(self, model_id: str) -> list[Happened]:
        seen = self._journal.model(model_id)
        numbers = self._archive.version_numbers(model_id)
        last_move = self._last_move(model_id)
        found: list[Happened] = []
        if seen is not None and (seen.moves > last_move or self._is_another(model_id, seen, numbers)):
            found.append(self._deleted(model_id))
            seen = None
        if seen is None:
            found.append(self._now(ModelSaved(self._info(model_id), _INCARNATION, is_new=True)))
            seen = SeenModel(0, {})
        new = [number for number in numbers if number not in seen.versions]
        gone = sorted(seen.versions.keys() - set(numbers))
        found.extend(self._created(model_id, new))
        if last_move > seen.moves:
            found.extend(self._moved(model_id, seen.moves))
        found.extend(self._now(VersionDeleted(_key(model_id, number), 0, is_latest=False)) for number in gone)
        return found

    def _is_another(self, model_id: str, seen: SeenModel, numbers: Sequence[int]) -> bool:
        """
        Return whether a model was deleted, and another one with its id created.
        """
        for number in reversed(numbers):
            created_ns = seen.versions.get(number)
            if created_ns is not None:
                return self._created_ns(model_id, number) not in (None, created_ns)
        return False

    def _created_ns(self, model_id: str, number: int) -> int | None:
        try:
            return self._archive.load_version(model_id, number).created_ns
        except CorruptVersion:
            return None

    def _info(self, model_id: str) -> ModelInfo:
        try:
            return self._archive.load_model(model_id)
        except CorruptModel:
            return ModelInfo(model_id)

    def _created(self, model_id: str, numbers: Sequence[int]) -> Iterator[Happened]:
        for number in numbers:
            try:
                info = self._archive.load_version(model_id, number)
            except CorruptVersion as error:
                _log.warn("the event of its creation is not delivered: {error}", error=error)
                continue
            yield self._committed(info)

    def _committed(self, info: VersionInfo) -> Happened:
        key = _key(info.model_id, info.version_number)
        return Happened(VersionCommitted(key, info, self._annotations(info)), info.created_ns)

    def _annotations(self, info: VersionInfo) -> Annotations:
        if not IAnnotationStore.providedBy(self._archive):
            return NO_ANNOTATIONS
        (found,) = self._archive.load_annotations(info.model_id, [info.version_number])
        return found if isinstance(found, Annotations) else NO_ANNOTATIONS

    def _last_move(self, model_id: str) -> int:
        return self._archive.load_aliases(model_id).sequence if IAliasJournal.providedBy(self._archive) else 0

    def _moved(self, model_id: str, seen: int) -> Iterator[Happened]:
        assert IAliasJournal.providedBy(self._archive), "it has moves"
        for move in self._archive.alias_moves(model_id):
            if move.sequence > seen:
                yield Happened(AliasChanged(model_id, _INCARNATION, move), move.moved_ns)


def _key(model_id: str, number: int) -> VersionKey:
    return VersionKey(model_id, _INCARNATION, number)
