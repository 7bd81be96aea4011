"""
Queries of models and versions: from memory if possible, through the reactor's thread only if necessary.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from attrs import frozen

from twisted_registry.contracts.application import IRuntime
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.errors import CorruptModel, RegistryError, UnknownModel, Unreadable
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot


@frozen
class Queries:
    """
    Queries of a registry.
    """

    registry: IRegistry
    runtime: IRuntime

    async def snapshot(self, model_id: str) -> ModelSnapshot:
        """
        Return a model's versions.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: its metadata is damaged.
            StorageFailure: the archive cannot be read.
        """
        snapshot = self.registry.snapshot(model_id)
        if snapshot is None:
            snapshot = await self.fresh_snapshot(model_id)
        return snapshot

    async def fresh_snapshot(self, model_id: str) -> ModelSnapshot:
        """
        Return a model's versions once every commit under way is done.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: its metadata is damaged.
            StorageFailure: the archive cannot be read.
        """
        return await self.runtime.call(lambda: self.registry.load_snapshot(model_id))

    async def settle(self, model_id: str) -> None:
        """
        Wait until every commit and deletion under way in a model is done, before a version is said to be gone that
        others may still see.
        """
        with suppress(RegistryError):
            await self.fresh_snapshot(model_id)

    async def version(self, snapshot: ModelSnapshot, number: int) -> VersionInfo:
        """
        Return a version's info.

        Raises:
            CorruptVersion: the version is damaged.
        """
        info = self.registry.version_info(snapshot, number)
        if info is not None:
            return info
        (result,) = await self.versions(snapshot, [number])
        if isinstance(result, Unreadable):
            raise result
        return result

    async def versions(self, snapshot: ModelSnapshot, numbers: Sequence[int]) -> list[VersionInfo | Unreadable]:
        """
        Return the infos of versions in the order of their numbers, and for each damaged one its error.
        """
        version_info = self.registry.version_info
        known = [version_info(snapshot, number) for number in numbers]
        if all(known):
            return cast(list[VersionInfo | Unreadable], known)
        found: dict[int, VersionInfo | Unreadable] = {
            number: info for number, info in zip(numbers, known, strict=True) if info is not None
        }
        missing = [number for number in dict.fromkeys(numbers) if number not in found]
        loaded = await self.runtime.call(lambda: self.registry.load_version_infos(snapshot, missing))
        found.update(zip(missing, loaded, strict=True))
        return [found[number] for number in numbers]

    def check_known(self, model_id: str) -> None:
        """
        Check that a model exists.

        Raises:
            UnknownModel: there is no such model.
        """
        self.registry.model_info(model_id)

    async def models(self, model_ids: Sequence[str]) -> list[ModelInfo | CorruptModel | UnknownModel]:
        """
        Return the infos of models in the order of their ids, and for each that is damaged or deleted its error.
        """
        found: dict[str, ModelInfo | CorruptModel | UnknownModel] = {}
        for model_id in model_ids:
            try:
                info = self.registry.model_info(model_id)
            except UnknownModel as error:
                found[model_id] = error
            else:
                if info is not None:
                    found[model_id] = info
        missing = [model_id for model_id in dict.fromkeys(model_ids) if model_id not in found]
        if missing:
            loaded = await self.runtime.call(lambda: self.registry.load_model_infos(missing))
            found.update(zip(missing, loaded, strict=True))
        return [found[model_id] for model_id in model_ids]

    async def model_ids(self) -> tuple[str, ...]:
        """
        Return the ids of all undamaged models, sorted.
        """
        listed = self.registry.model_ids()
        if listed is None:
            listed = await self.runtime.call(self.registry.survey)
        return listed

    async def note_seen(self, snapshot: ModelSnapshot, seen: int) -> None:
        """
        Raise a model's next number above the highest that a client has seen, if the archive went back to an earlier
        state: only clients know the later numbers then.

        Args:
            seen: the highest number that the client has seen; 0 if it does not say.
        """
        if seen and self.registry.went_back(snapshot.model_id, seen):
            await self.runtime.call(lambda: self.registry.note_seen(snapshot, seen))

    async def note_seen_of(self, model_id: str, seen: int) -> None:
        """
        Do the same for a model that need not exist, or that cannot be read now.
        """
        if seen and model_id:
            with suppress(RegistryError):
                await self.note_seen(await self.snapshot(model_id), seen)
