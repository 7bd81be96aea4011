"""
Methods of the client that are about models.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from twisted_registry.client.methods.base import MethodsBase
from twisted_registry.domain.models import ModelInfo
from twisted_registry.domain.records import ModelRecord

if TYPE_CHECKING:
    from twisted_registry.client._iterators import Items


class ModelMethods(MethodsBase):
    """
    The methods of a client that are about models.
    """

    async def save_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> ModelInfo:
        """
        Create a model, or replace all metadata of an existing one.  ``ensure_model`` and ``update_model`` keep what
        others have written.

        Args:
            model_id: 1 to 200 bytes of UTF-8 without control characters.
            metadata: the metadata, at most 256 KiB; ``None`` for none.

        Returns:
            The model as it is now.

        Raises:
            InvalidModelId: the id is not allowed.
            InvalidRequest: the metadata is too large, or not text.
        """
        return await self._session.models.save(model_id, metadata)

    async def ensure_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> ModelInfo:
        """
        Create a model if it does not exist.  An existing model keeps all its metadata, and gets those pairs whose keys
        it does not have, so a trainer can call this each time it starts.  Nothing is written if no pair is missing.

        On a server without ``twisted_registry.v1``, this reads, merges and writes, like ``update_model``.

        Args:
            model_id: 1 to 200 bytes of UTF-8 without control characters.
            metadata: the metadata, at most 256 KiB; ``None`` for none.

        Returns:
            The model as it is now.

        Raises:
            InvalidModelId: the id is not allowed.
            InvalidRequest: the metadata is too large, or not text.
            CorruptModel: the model's metadata is damaged; ``save_model`` replaces it.
        """
        return await self._session.models.ensure(model_id, metadata)

    async def update_model(
        self,
        model_id: str,
        metadata: Mapping[str, str] | None = None,
        *,
        remove: Iterable[str] = (),
        etag: str = "",
    ) -> ModelInfo:
        """
        Set some pairs of a model's metadata, and remove some, in one step.  All other pairs stay.

        A server without ``twisted_registry.v1`` can only replace all metadata at once.  There, this reads, merges and
        writes.  Changes by one client follow one another.  If several clients change a model at the same time, each
        checks a tenth of a second later whether another one has overwritten its change, and repeats it if so.

        Args:
            model_id: the model.
            metadata: the pairs to set, at most 256 KiB; ``None`` for none.
            remove: the keys to remove; missing ones are ignored.
            etag: the etag of the record on which the change is based, from ``model_record``: if the metadata has
                changed since, nothing is changed.  Empty for an unconditional change.

        Returns:
            The model as it is now.

        Raises:
            UnknownModel: there is no such model.
            EtagChanged: the model's etag is another.  After a lost answer: and it does not have the change.
            InvalidRequest: the metadata is too large, or not text.
            CorruptModel: the model's metadata is damaged; ``save_model`` replaces it.
            Unsupported: an etag was given, and the server has no etags.
        """
        return await self._session.models.update(model_id, metadata, remove, etag)

    async def delete_model(self, model_id: str) -> None:
        """
        Delete a model with all its versions, including archived ones.

        If the connection is lost before the answer, this fails with ``Unavailable`` and is not retried, because the
        model may have been created again meanwhile.

        Args:
            model_id: the model.

        Raises:
            UnknownModel: there is no such model.
            Unavailable: the connection was lost; the model may be deleted or not.
        """
        await self._session.models.delete(model_id)

    async def model(self, model_id: str) -> ModelInfo:
        """
        Return the info of a model.

        Args:
            model_id: the model.

        Returns:
            The model's id and metadata.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: the model's metadata is damaged.
        """
        return await self._session.queries.model(model_id)

    async def model_record(self, model_id: str) -> ModelRecord:
        """
        Return a model with its aliases, the number of its versions, and its etag.

        Args:
            model_id: the model.

        Returns:
            The model's record.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: the model's metadata is damaged.
            Unsupported: the server does not have this call.
        """
        return await self._session.model_records.get(model_id)

    def models(self) -> "Items[ModelInfo]":
        """
        List all models, ordered by id.  The list is fetched in pages during the iteration, which raises the errors.

        Returns:
            An iterator over the models' infos.
        """
        from twisted_registry.client._iterators import Items

        return Items(self._session.queries.models())

    def search_models(self, filter: str = "", order_by: str = "", *, skip: int = 0) -> "Items[ModelRecord]":
        """
        List the models that match a filter, in an order.  The list is fetched in pages during the iteration.
        ``docs/reference/filters.md`` describes filters and orders.

        Args:
            filter: such as ``metadata.owner = ada``; empty for all models.
            order_by: such as ``version_count desc``; empty for by id.
            skip: how many models to leave out first.

        Returns:
            An iterator over the models' records.

        Raises:
            InvalidFilter: the filter or the order has a mistake.  This and the other errors are raised during the
                iteration.
            Unsupported: the server does not have this call.
        """
        from twisted_registry.client._iterators import Items

        return Items(self._session.model_records.search(filter, order_by, skip))

    async def count_models(self, filter: str = "") -> int:
        """
        Return how many models match a filter, of those that the caller may read.

        Args:
            filter: such as ``metadata.owner = ada``; empty for all models.

        Returns:
            The number of models.

        Raises:
            InvalidFilter: the filter has a mistake.
            Unsupported: the server does not have this call, or cannot count.
        """
        return await self._session.model_records.count(filter)
