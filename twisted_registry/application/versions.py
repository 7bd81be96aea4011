"""
Single versions: found by reference, promoted, deleted, annotated and copied.
"""

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.domain.annotations import AnnotationUpdate
from twisted_registry.domain.creation import CreationDetails
from twisted_registry.domain.errors import RegistryError, Unreadable
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference
from twisted_registry.domain.snapshot import ModelSnapshot


@frozen
class Versions:
    """
    The versions of a registry, by reference.
    """

    _queries: Queries

    async def resolve(self, reference: Reference) -> tuple[ModelSnapshot, int]:
        """
        Find the version that a reference names now; the latest if it names a model.

        Returns:
            its model, and its number.

        Raises:
            UnknownModel: there is no such model.
            UnknownAlias: the model has no such alias.
            UnknownVersion: there is no such version.
        """
        snapshot = await self._queries.snapshot(reference.model_id)
        return snapshot, snapshot.resolve(reference)

    async def get(self, reference: Reference) -> VersionRecord:
        """
        Return a version with its labels, metrics and aliases.

        Raises:
            UnknownModel: there is no such model.
            UnknownAlias: the model has no such alias.
            UnknownVersion: there is no such version.
            CorruptVersion: the version is damaged.
        """
        return await self.record(*await self.resolve(reference))

    async def record(self, snapshot: ModelSnapshot, number: int) -> VersionRecord:
        """
        Return a version of a snapshot with its labels, metrics and aliases.

        Raises:
            CorruptVersion: the version is damaged.
        """
        registry = self._queries.registry
        known = registry.version_record(snapshot, number)
        if known is not None:
            return known
        (result,) = await self._queries.runtime.call(lambda: registry.load_version_records(snapshot, [number]))
        if isinstance(result, Unreadable):
            raise result
        return result

    async def created(self, info: VersionInfo, details: CreationDetails) -> VersionRecord:
        """
        Return a version that a creation has made or found.

        Args:
            details: what the creation has set, if the version has been deleted or evicted since.
        """
        try:
            return await self.record(await self._queries.snapshot(info.model_id), info.version_number)
        except RegistryError:
            return VersionRecord(info, details.annotations, tuple(sorted(details.aliases)))

    async def archive(self, reference: Reference) -> VersionRecord:
        """
        Move a transient version to the archive; see ``IVersionChanges.archive_version``.
        """
        snapshot, number = await self.resolve(reference)
        registry = self._queries.registry
        await self._queries.runtime.call(lambda: registry.archive_version(snapshot, number))
        return await self._changed(snapshot, number)

    async def _changed(self, snapshot: ModelSnapshot, number: int) -> VersionRecord:
        return await self.record(await self._queries.snapshot(snapshot.model_id), number)

    async def delete(self, reference: Reference) -> int:
        """
        Delete a version; see ``IVersionChanges.delete_version``.

        Returns:
            its number.
        """
        snapshot, number = await self.resolve(reference)
        registry = self._queries.registry
        await self._queries.runtime.call(lambda: registry.delete_version(snapshot, number))
        return number

    async def annotate(self, reference: Reference, update: AnnotationUpdate) -> VersionRecord:
        """
        Change the labels and metrics of a version; see ``IVersionChanges.annotate_version``.
        """
        snapshot, number = await self.resolve(reference)
        registry = self._queries.registry
        return await self._queries.runtime.call(lambda: registry.annotate_version(snapshot, number, update))
