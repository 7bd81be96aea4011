"""
The labels and metrics of versions.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from attrs import frozen
from twisted.logger import Logger

from twisted_registry.domain.aliases import aliases_of
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations, AnnotationUpdate
from twisted_registry.domain.errors import CorruptAnnotations, UnknownVersion, Unreadable
from twisted_registry.domain.events import VersionAnnotated
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.loading import Loader, pieces
from twisted_registry.registry.models import Model
from twisted_registry.registry.state import State

_log = Logger(namespace="twisted_registry.registry")


@frozen(eq=False)
class VersionAnnotations:
    """
    The labels and metrics of all versions: those of transient versions in memory, and those of archived ones on the
    archive.
    """

    _state: State
    _loader: Loader

    # Reading

    async def records(self, snapshot: ModelSnapshot, numbers: Sequence[int]) -> list[VersionRecord | Unreadable]:
        """
        See ``IVersionChanges.load_version_records``.
        """
        results: list[VersionRecord | Unreadable] = []
        for piece in pieces(numbers):
            infos = await self._infos(snapshot, piece)
            readable = [info.version_number for info in infos if isinstance(info, VersionInfo)]
            found = await self._annotations(snapshot, readable)
            for number, info in zip(piece, infos, strict=True):
                annotations = found.get(number)
                if not isinstance(info, VersionInfo):
                    results.append(info)
                elif annotations is None:
                    results.append(UnknownVersion(snapshot.model_id, number))
                else:
                    results.append(self._record(snapshot, info, annotations))
        return results

    def _record(self, snapshot: ModelSnapshot, info: VersionInfo, annotations: Annotations) -> VersionRecord:
        return VersionRecord(info, annotations, aliases_of(snapshot.aliases, info.version_number))

    async def _infos(self, snapshot: ModelSnapshot, numbers: Sequence[int]) -> list[VersionInfo | Unreadable]:
        known = {number: self._state.version_info(snapshot, number) for number in numbers}
        missing = [number for number, info in known.items() if info is None]
        loaded = await self._loader.version_infos(snapshot, missing) if missing else []
        found = dict(zip(missing, loaded, strict=True))
        return [known[number] or found[number] for number in numbers]

    async def _annotations(self, snapshot: ModelSnapshot, numbers: Sequence[int]) -> Mapping[int, Annotations]:
        # Without those of versions that were deleted meanwhile.
        known = {number: self._state.annotations(snapshot, number) for number in numbers}
        found = {number: annotations for number, annotations in known.items() if annotations is not None}
        missing = [number for number in known if number not in found]
        if missing:
            loaded = await self._load(snapshot, missing)
            await self._state.settle(snapshot.model_id)
            present = self._state.model(snapshot).loaded.numbers
            found |= {number: one for number, one in zip(missing, loaded, strict=True) if number in present}
        return found

    async def _load(self, snapshot: ModelSnapshot, numbers: Sequence[int]) -> list[Annotations]:
        await self._state.settle(snapshot.model_id)
        model = self._state.model(snapshot)
        revision = model.annotations_revision
        found = await self._load_from_archive(model, numbers)
        is_current = model.annotations_revision == revision  # else one of them may be older than what others have seen
        results = []
        for number, annotations in zip(numbers, found, strict=True):
            if isinstance(annotations, CorruptAnnotations):
                self._state.note_corrupt_annotations(snapshot.key(number), annotations)
                results.append(NO_ANNOTATIONS)
                continue
            if is_current:
                self._state.add_annotations(snapshot.key(number), annotations)
            results.append(annotations)
        return results

    async def _load_from_archive(
        self, model: Model, numbers: Sequence[int]
    ) -> Sequence[Annotations | CorruptAnnotations]:
        return await self._state.executor.defer(partial(self._state.archive.load_annotations, model.model_id, numbers))

    # Changing

    async def update(self, snapshot: ModelSnapshot, number: int, update: AnnotationUpdate) -> VersionRecord:
        """
        See ``IVersionChanges.annotate_version``.
        """
        try:
            async with self._state.coordination.exclusive(snapshot.model_id):
                return await self._update_owned(self._state.model(snapshot), number, update)
        except BaseException as error:
            self._state.publish_failure("annotate version", snapshot.model_id, error)
            raise

    async def _update_owned(self, model: Model, number: int, update: AnnotationUpdate) -> VersionRecord:
        if number not in model.loaded.numbers:
            raise UnknownVersion(model.model_id, number)
        (info,) = await self._infos(model.loaded, [number])
        if isinstance(info, Unreadable):
            raise info
        annotations = update.apply(await self._present(model, number, update))
        if info.archived:
            await self._save(model, number, annotations)
        model.annotate(info, annotations)
        self._state.coordination.publish(VersionAnnotated(model.loaded.key(number), info, annotations))
        return self._record(model.loaded, info, annotations)

    async def _present(self, model: Model, number: int, update: AnnotationUpdate) -> Annotations:
        known = self._state.annotations(model.loaded, number)
        if known is not None:
            return known
        (found,) = await self._load_from_archive(model, [number])
        if isinstance(found, Annotations):
            return found
        if update.replaces_all:
            return NO_ANNOTATIONS
        raise found

    async def _save(self, model: Model, number: int, annotations: Annotations) -> None:
        self._state.check_lifecycle()
        async with self._state.coordination.writing(model.model_id):
            # Counted before and after: what is read meanwhile may be either.
            model.annotations_revision += 1
            try:
                await self._state.executor.defer(
                    partial(self._state.archive.save_annotations, model.model_id, number, annotations)
                )
            except BaseException:
                self._state.archived_annotations.discard(model.loaded.key(number))
                raise
            finally:
                model.annotations_revision += 1
        self._state.add_annotations(model.loaded.key(number), annotations)
