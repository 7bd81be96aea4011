"""
Events: what has happened in the registry.

They are published in the reactor's thread, those of one model in the order in which they happened.  By then the
snapshot that the registry publishes shows them.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import frozen

from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import ArchiveMoved, StorageFailure, StorageFull, StorageReadOnly
from twisted_registry.domain.models import ModelInfo, VersionInfo, VersionKey

Operation = Literal[
    "create version",
    "archive version",
    "annotate version",
    "delete version",
    "move alias",
    "save model",
    "delete model",
]
"""A change of the archive."""

Rank = Literal["latest", "recent", "superseded"]
"""The rank of a transient version among those of its model."""

StorageError = ArchiveMoved | StorageFull | StorageReadOnly | StorageFailure


@frozen
class _VersionEvent:
    """
    An event that concerns one version.

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
class VersionCommitted(_VersionEvent):
    """
    A version exists from now on, durably if it is archived.

    Attributes:
        annotations: its labels and metrics.
    """

    info: VersionInfo
    annotations: Annotations = NO_ANNOTATIONS


@frozen
class VersionArchived(_VersionEvent):
    """
    A transient version was moved to the archive, durably.

    Attributes:
        annotations: its labels and metrics.
    """

    info: VersionInfo
    annotations: Annotations = NO_ANNOTATIONS


@frozen
class VersionAnnotated(_VersionEvent):
    """
    The labels or metrics of a version were changed, durably if it is archived.

    Attributes:
        annotations: its labels and metrics from now on.
    """

    info: VersionInfo
    annotations: Annotations


@frozen
class VersionEvicted(_VersionEvent):
    """
    A transient version was dropped, because the transient store's budget or a quota was exceeded.

    Attributes:
        size_bytes: the length of its data.
        rank: how much it was worth: its model's latest version, one of the newest, or neither.
        exceeded: the part of the budget that was exceeded, or ``quota``.
    """

    size_bytes: int
    rank: Rank
    exceeded: Literal["bytes", "items", "quota"]

    @property
    def is_latest(self) -> bool:
        """
        True if it was its model's latest version.
        """
        return self.rank == "latest"


@frozen
class VersionDeleted(_VersionEvent):
    """
    A version was deleted, while its model stays.

    Attributes:
        size_bytes: the length of its data; 0 if it is not known.
        is_latest: whether it was its model's latest version.
    """

    size_bytes: int
    is_latest: bool


@frozen
class AliasChanged:
    """
    An alias names another version, or was deleted, durably.

    Attributes:
        incarnation: tells the model from others with the same id.
    """

    model_id: str
    incarnation: int
    move: AliasMove


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

    operation: Operation
    model_id: str
    error: StorageError


Event = (
    VersionCommitted
    | VersionArchived
    | VersionAnnotated
    | VersionEvicted
    | VersionDeleted
    | AliasChanged
    | ModelSaved
    | ModelDeleted
    | StorageFailed
)

_KINDS: Mapping[type[Event], str] = {
    VersionCommitted: "version_created",
    VersionArchived: "version_archived",
    VersionAnnotated: "version_updated",
    VersionDeleted: "version_deleted",
    VersionEvicted: "version_evicted",
    AliasChanged: "alias_moved",
    ModelSaved: "model_created",
    ModelDeleted: "model_deleted",
}
_MODEL_UPDATED = "model_updated"

WATCHED: Sequence[type[Event]] = tuple(_KINDS)
"""The events that clients can watch."""

KINDS: Sequence[str] = (*_KINDS.values(), _MODEL_UPDATED)
"""The names of the kinds of events."""


def kind_of(event: Event) -> str:
    """
    Return the name of an event's kind.
    """
    if isinstance(event, ModelSaved) and not event.is_new:
        return _MODEL_UPDATED
    return _KINDS[type(event)]
