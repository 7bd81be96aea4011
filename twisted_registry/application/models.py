"""
Single models: created, found, updated and deleted, with an etag for compare-and-set.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.application.validation import checked_metadata
from twisted_registry.domain.errors import EtagChanged, InvalidRequest, ModelExists, UnknownModel, shown
from twisted_registry.domain.masks import decode_key
from twisted_registry.domain.models import ModelInfo, check_model_id
from twisted_registry.domain.records import ModelRecord
from twisted_registry.domain.snapshot import ModelSnapshot

_METADATA = "metadata"
_KEY_PREFIX = "metadata."


def etag_of(metadata: Mapping[str, str]) -> str:
    """
    Return a text that differs whenever a model's metadata does.
    """
    content = json.dumps(sorted(metadata.items()))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@frozen
class ModelUpdate:
    """
    A change of a model's metadata.

    Attributes:
        metadata: the new values.
        mask: ``metadata`` replaces all of it.  ``metadata.KEY`` sets a key, or removes it if ``metadata`` lacks it.
            Empty: the keys of ``metadata`` are set, and the others stay.
        etag: the model's etag must be this one; empty for any.
    """

    model_id: str
    metadata: Mapping[str, str]
    mask: Sequence[str] = ()
    etag: str = ""

    def check(self) -> None:
        """
        Check the mask.

        Raises:
            InvalidRequest: it names something else than metadata.
        """
        for path in self.mask:
            if path != _METADATA and not path.startswith(_KEY_PREFIX):
                raise InvalidRequest(f"the update_mask names {shown(path)}; only 'metadata' and 'metadata.KEY' change")

    def apply(self, info: ModelInfo) -> ModelInfo:
        """
        Return a model after the change.

        Raises:
            EtagChanged: the model's etag is another.
            InvalidRequest: the metadata would be too large.
        """
        if self.etag and self.etag != etag_of(info.metadata):
            raise EtagChanged(info.model_id, etag_of(info.metadata))
        return ModelInfo(info.model_id, checked_metadata(self._merged(info.metadata)))

    def _merged(self, present: Mapping[str, str]) -> Mapping[str, str]:
        if not self.mask:
            return {**present, **self.metadata}
        if _METADATA in self.mask:
            return self.metadata
        merged = dict(present)
        for key in (decode_key(path.removeprefix(_KEY_PREFIX)) for path in self.mask):
            if key in self.metadata:
                merged[key] = self.metadata[key]
            else:
                merged.pop(key, None)
        return merged


def model_record(info: ModelInfo, snapshot: ModelSnapshot) -> ModelRecord:
    """
    Return a model with what is known of its versions.
    """
    numbers = snapshot.numbers
    return ModelRecord(
        info.model_id,
        info.metadata,
        numbers.last or 0,
        len(numbers),
        len(numbers) - numbers.transient_count,
        {alias: move.to_number for alias, move in snapshot.aliases.items()},
    )


@frozen
class Models:
    """
    The models of a registry.
    """

    _queries: Queries

    async def get(self, model_id: str) -> ModelRecord:
        """
        Return a model.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: its metadata is damaged.
        """
        snapshot = await self._queries.snapshot(model_id)
        (info,) = await self._queries.models([model_id])
        if not isinstance(info, ModelInfo):
            raise info
        return model_record(info, snapshot)

    async def create(self, info: ModelInfo, *, allow_existing: bool) -> ModelRecord:
        """
        Create a model.

        Args:
            allow_existing: return the existing model, unchanged, instead of raising an error.

        Raises:
            InvalidModelId: the id is not allowed.
            ModelExists: there is such a model.
        """
        check_model_id(info.model_id)

        def edit(present: ModelInfo | None) -> ModelInfo:
            if present is not None and not allow_existing:
                raise ModelExists(info.model_id)
            return present or info

        return await self._edit(info.model_id, edit)

    async def update(self, update: ModelUpdate, *, allow_missing: bool) -> ModelRecord:
        """
        Change a model's metadata.

        Args:
            allow_missing: create the model if there is none, and the update has no etag.

        Raises:
            InvalidRequest: the mask is not allowed, or the metadata would be too large.
            UnknownModel: there is no such model.
            EtagChanged: the model's etag is another.
        """
        update.check()
        check_model_id(update.model_id)

        def edit(present: ModelInfo | None) -> ModelInfo:
            # An etag is that of a model which the caller has read: if there is none now, somebody has deleted it.
            if present is None and (update.etag or not allow_missing):
                raise UnknownModel(update.model_id)
            return update.apply(present or ModelInfo(update.model_id))

        return await self._edit(update.model_id, edit)

    async def _edit(self, model_id: str, edit: Callable[[ModelInfo | None], ModelInfo]) -> ModelRecord:
        info = await self._queries.runtime.call(lambda: self._queries.registry.edit_model(model_id, edit))
        return model_record(info, await self._queries.snapshot(model_id))

    async def delete(self, model_id: str, etag: str) -> None:
        """
        Delete a model with all its versions.

        Args:
            etag: the model's etag must be this one; empty for any.

        Raises:
            UnknownModel: there is no such model.
            EtagChanged: the model's etag is another.
        """

        def check(info: ModelInfo) -> None:
            if etag != etag_of(info.metadata):
                raise EtagChanged(model_id, etag_of(info.metadata))

        registry = self._queries.registry
        await self._queries.runtime.call(lambda: registry.delete_model(model_id, check if etag else None))
