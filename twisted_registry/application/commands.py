"""
Changes of models.
"""

from attrs import frozen

from twisted_registry.contracts.application import IRuntime
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.models import ModelInfo


@frozen
class Commands:
    """
    Changes of the registry that carry no data.
    """

    _registry: IRegistry
    _runtime: IRuntime

    async def save_model(self, info: ModelInfo) -> None:
        """
        Create a model, or replace its metadata.
        """
        await self._runtime.call(lambda: self._registry.save_model(info))

    async def delete_model(self, model_id: str) -> None:
        """
        Delete a model and all its versions.
        """
        await self._runtime.call(lambda: self._registry.delete_model(model_id))
