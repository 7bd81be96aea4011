"""
Types of the client's parameters and results.
"""

import os
from collections.abc import AsyncIterable, Callable, Iterable
from typing import IO, TYPE_CHECKING

from attrs import field, frozen

from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import ModelRecord, VersionRecord
from twisted_registry.domain.references import Reference
from twisted_registry.domain.retention import RetentionPolicy

Buffer = bytes | bytearray | memoryview

if TYPE_CHECKING:
    import typing_extensions

    AnyBuffer = typing_extensions.Buffer  # collections.abc has it from Python 3.12 on
else:
    AnyBuffer = Buffer

Data = AnyBuffer | os.PathLike[str] | IO[bytes] | Iterable[AnyBuffer] | AsyncIterable[AnyBuffer]
"""
Data that can be published: an object that holds bytes in memory, such as ``bytes`` or a NumPy array; the path of a
file, as a ``Path``; a file opened for reading bytes, from its current position on; or an iterable of pieces of any
size.
"""

AnyReference = str | Reference | VersionInfo | VersionRecord
"""
The name of a version: a reference, such as ``walker@production``, ``walker@latest``, ``walker@3`` or ``walker@-1``; or
the info or record of a version.  ``walker`` alone means its latest version.
"""

Progress = Callable[[int], None]
"""A function that is called with the number of bytes transferred since its last call."""


def no_progress(size_bytes: int) -> None:
    """
    Ignore progress.
    """


@frozen
class Version:
    """
    A version with its data.

    Attributes:
        info: the version's info.
        data: the version's bytes.
    """

    info: VersionInfo
    data: bytes = field(repr=False)


@frozen
class UploadState:
    """
    The state of a creation with an idempotency key on the server.

    Attributes:
        version: the version, if it exists; otherwise ``None``.
        received_bytes: how many bytes of its data are kept; 0 if none are, or if the version exists.
        expires_ns: when they are dropped if nothing more arrives, in nanoseconds since the Unix epoch; ``None`` if none
            are kept.
    """

    version: VersionRecord | None = None
    received_bytes: int = 0
    expires_ns: int | None = None


@frozen
class RemovedVersion:
    """
    A version that was deleted or evicted.

    Attributes:
        number: the version's number.
        size_bytes: the size of its data, in bytes.
        was_latest: whether it was the model's latest version.
    """

    number: int
    size_bytes: int
    was_latest: bool


@frozen
class Event:
    """
    Something that happened in the registry.

    Attributes:
        kind: ``started``, ``version_created``, ``version_archived``, ``version_updated``, ``version_deleted``,
            ``version_evicted``, ``alias_moved``, ``model_created``, ``model_updated`` or ``model_deleted``.
        cursor: continues the events after this one.
        happened_ns: time in nanoseconds since the Unix epoch, by the server's clock.
        model_id: the model; empty for ``started``.
        version: the version that was created, archived or updated, without its aliases; otherwise ``None``.
        removed: the version that was deleted or evicted; otherwise ``None``.
        move: the move of an alias; otherwise ``None``.
        model: the model that was created or updated, with its id and metadata only; otherwise ``None``.
        is_lost: whether a deleted model was lost by the archive, instead of deleted by a client.
    """

    kind: str
    cursor: str
    happened_ns: int
    model_id: str = ""
    version: VersionRecord | None = None
    removed: RemovedVersion | None = None
    move: AliasMove | None = None
    model: ModelRecord | None = None
    is_lost: bool = False


@frozen
class Retention:
    """
    A retention policy, and where it is set.

    Attributes:
        policy: the policy; ``None`` if there is none.
        model_id: the model that has the policy; ``None`` if it is set for a prefix.
        prefix: the beginning of the ids of the models that have the policy; ``None`` if it is set for a model.
    """

    policy: RetentionPolicy | None
    model_id: str | None = None
    prefix: str | None = None


@frozen
class PrunedModel:
    """
    The versions of a model that were pruned.

    Attributes:
        model_id: the model's id.
        numbers: the numbers of the versions, ascending.
        size_bytes: the size of their data, in bytes.
    """

    model_id: str
    numbers: tuple[int, ...]
    size_bytes: int


@frozen
class SkippedModel:
    """
    A model that was left out, or not pruned to the end.

    Attributes:
        model_id: the model's id.
        reason: why, such as ``UNKNOWN_MODEL`` for a model that was deleted meanwhile, or ``CORRUPT_RETENTION``.
        message: the same for people.
    """

    model_id: str
    reason: str
    message: str


@frozen
class Pruned:
    """
    The versions that were pruned.

    Attributes:
        models: by model.
        version_count: how many versions they are.
        size_bytes: the size of their data, in bytes.
        skipped: models of a prefix that were left out.
    """

    models: tuple[PrunedModel, ...]
    version_count: int
    size_bytes: int
    skipped: tuple[SkippedModel, ...] = ()


PruneProgress = Callable[[PrunedModel], object]
"""A function that is called with each part of what was pruned."""
