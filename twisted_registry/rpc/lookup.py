"""
Reading the registry from gRPC's thread: from memory where it can be, across threads only where it must.
"""

from collections.abc import Sequence

from attrs import frozen

from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.errors import CorruptModel, CorruptVersion, UnknownModel
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.rpc.bridge import Bridge


@frozen
class Lookup:
    """
    Finds models and versions.
    """

    registry: IRegistry
    bridge: Bridge

    async def snapshot(self, model_id: str) -> ModelSnapshot:
        """
        Give a model's versions.

        Raises:
            UnknownModel: there is none.
            CorruptModel: its metadata is damaged.
            StorageFailure: the archive cannot be read.
        """
        snapshot = self.registry.snapshot(model_id)
        if snapshot is None:
            snapshot = await self.fresh_snapshot(model_id)
        return snapshot

    async def fresh_snapshot(self, model_id: str) -> ModelSnapshot:
        """
        Give a model's versions as they are once every commit under way is done.
        """
        return await self.bridge.call(lambda: self.registry.load_snapshot(model_id))

    async def version(self, snapshot: ModelSnapshot, number: int) -> VersionInfo:
        """
        Give a version's info.

        Raises:
            CorruptVersion: it is damaged.
        """
        info = self.registry.version_info(snapshot, number)
        if info is not None:
            return info
        (result,) = await self.versions(snapshot, [number])
        if isinstance(result, CorruptVersion):
            raise result
        return result

    async def versions(self, snapshot: ModelSnapshot, numbers: Sequence[int]) -> list[VersionInfo | CorruptVersion]:
        """
        Give the infos of versions, or how they are damaged, in the order of the numbers.
        """
        found: dict[int, VersionInfo | CorruptVersion] = {}
        for number in numbers:
            info = self.registry.version_info(snapshot, number)
            if info is not None:
                found[number] = info
        missing = [number for number in dict.fromkeys(numbers) if number not in found]
        if missing:
            loaded = await self.bridge.call(lambda: self.registry.load_version_infos(snapshot, missing))
            found.update(zip(missing, loaded, strict=True))
        return [found[number] for number in numbers]

    async def models(self, model_ids: Sequence[str]) -> list[ModelInfo | CorruptModel | UnknownModel]:
        """
        Give the infos of models, or how they are damaged, or that they are gone, in the order of the ids.
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
            loaded = await self.bridge.call(lambda: self.registry.load_model_infos(missing))
            found.update(zip(missing, loaded, strict=True))
        return [found[model_id] for model_id in model_ids]

    async def model_ids(self) -> tuple[str, ...]:
        """
        Give the ids of all models that are whole, ordered.
        """
        listed = self.registry.model_ids()
        if listed is None:
            listed = await self.bridge.call(self.registry.survey)
        return listed
