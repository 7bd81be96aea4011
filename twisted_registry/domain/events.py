"""
Events: what has happened in the registry.

They are published in the reactor's thread, those of one model in the order in which they happened.  By then the
snapshot that the registry publishes shows them.
"""

from typing import Literal

from attrs import frozen

from twisted_registry.domain.errors import ArchiveMoved, StorageFailure, StorageFull, StorageReadOnly
from twisted_registry.domain.models import ModelInfo, VersionInfo, VersionKey

StorageError = ArchiveMoved | StorageFull | StorageReadOnly | StorageFailure


@frozen
class VersionCommitted:
    """
    A version exists from now on, durably if it is archived.

    Attributes:
        key: the version's name in this process.
    """

    key: VersionKey
    info: VersionInfo

    @property
    def model_id(self) -> str:
        """
        The id of the version's model.
        """
        return self.key.model_id


@frozen
class VersionEvicted:
    """
    A transient version was dropped, because the transient store's budget was exceeded.

    Attributes:
        key: the version's name in this process.
        size_bytes: the length of its data.
        is_latest: whether it was its model's latest version.
        exceeded: the part of the budget that was exceeded.
    """

    key: VersionKey
    size_bytes: int
    is_latest: bool
    exceeded: Literal["bytes", "items"]

    @property
    def model_id(self) -> str:
        """
        The id of the version's model.
        """
        return self.key.model_id


@frozen
class VersionDeleted:
    """
    A version was deleted, while its model stays.

    Attributes:
        key: the version's name in this process.
    """

    key: VersionKey

    @property
    def model_id(self) -> str:
        """
        The id of the version's model.
        """
        return self.key.model_id


@frozen
class ModelSaved:
    """
    A model was created, or its metadata replaced.

    Attributes:
        incarnation: tells the model from earlier ones with the same id.
        is_new: whether the model was created.
    """

    info: ModelInfo
    incarnation: int
    is_new: bool

    @property
    def model_id(self) -> str:
        """
        The model's id.
        """
        return self.info.model_id


@frozen
class ModelDeleted:
    """
    A model was deleted with all its versions.

    Attributes:
        incarnation: tells the model from others with the same id.
        is_lost: whether its folder had disappeared from the archive, instead of a client having deleted the model.
    """

    model_id: str
    incarnation: int
    is_lost: bool = False


@frozen
class StorageFailed:
    """
    The archive could not make a change, because its medium failed, is full or accepts no writes.

    Attributes:
        operation: the change that was asked for.
    """

    operation: Literal["create version", "save model", "delete model"]
    model_id: str
    error: StorageError


Event = VersionCommitted | VersionEvicted | VersionDeleted | ModelSaved | ModelDeleted | StorageFailed
