"""
Errors that the registry raises.  Those of the storage are defined in ``twisted_registry.domain.storage_errors``,
those of transfers in ``twisted_registry.domain.transfer_errors``, those of aliases in
``twisted_registry.domain.alias_errors``, and those of access control in ``twisted_registry.domain.access_errors``.

Each error carries its facts as attributes, and its text says what the caller can do.
``twisted_registry.protocol.error_map`` maps errors to gRPC status codes.  A client raises the same classes; the errors
that only a client can meet are in ``twisted_registry.client.errors``.
"""

from attrs import define

from twisted_registry.domain.access_errors import AuditUnavailable, NotAuthenticated, NotPermitted, QuotaExceeded
from twisted_registry.domain.alias_errors import AliasedVersion, AliasMoved, TooManyAliases, UnknownAlias
from twisted_registry.domain.error_base import RegistryError, shown
from twisted_registry.domain.storage_errors import (
    REWRITE_MODEL,
    ArchiveChanged,
    ArchiveMoved,
    ArchiveTaken,
    CommitUncertain,
    CorruptAliases,
    CorruptAnnotations,
    CorruptModel,
    CorruptRetention,
    CorruptVersion,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    TooManyOpenFiles,
)
from twisted_registry.domain.transfer_errors import OutOfRange, UploadTakenOver, WrongOffset

__all__ = [
    "REWRITE_MODEL",
    "AliasMoved",
    "AliasedVersion",
    "ArchiveChanged",
    "ArchiveMoved",
    "ArchiveTaken",
    "AuditUnavailable",
    "CannotStart",
    "CommitUncertain",
    "CorruptAliases",
    "CorruptAnnotations",
    "CorruptModel",
    "CorruptRetention",
    "CorruptVersion",
    "CursorExpired",
    "EtagChanged",
    "HashMismatch",
    "InvalidFilter",
    "InvalidModelId",
    "InvalidRequest",
    "ModelExists",
    "ModelReplaced",
    "NotAuthenticated",
    "NotPermitted",
    "NumberTaken",
    "NumbersExhausted",
    "OutOfRange",
    "Overloaded",
    "QuotaExceeded",
    "RegistryError",
    "SignInsThrottled",
    "SizeMismatch",
    "Stalled",
    "StorageFailure",
    "StorageFull",
    "StorageReadOnly",
    "StorageUnavailable",
    "TooLarge",
    "TooManyAliases",
    "TooManyOpenFiles",
    "Unavailable",
    "UnknownAlias",
    "UnknownModel",
    "UnknownVersion",
    "Unreadable",
    "UnsupportedByArchive",
    "UploadTakenOver",
    "WrongOffset",
    "index_loading",
    "shown",
]


# The request is at fault.


@define
class InvalidRequest(RegistryError):
    """
    The request is invalid and can never succeed.

    Attributes:
        reason: what is wrong, and how to correct it.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class InvalidModelId(RegistryError):
    """
    The text is not allowed as a model id.

    Attributes:
        model_id: the text.
        reason: which rule it breaks.
    """

    model_id: str
    reason: str

    def __str__(self) -> str:
        return f"{shown(self.model_id)} cannot be a model's id: {self.reason}"


@define
class InvalidFilter(RegistryError):
    """
    A filter or an order cannot be understood.

    Attributes:
        parameter: ``filter`` or ``order_by``.
        column: where the text is wrong, in characters from 1.
        reason: what is wrong there, and what is expected.
    """

    parameter: str
    column: int
    reason: str

    def __str__(self) -> str:
        return f"{self.parameter}, column {self.column}: {self.reason}"


@define
class SizeMismatch(RegistryError):
    """
    The size of a version's data differs from the size that its header declares.

    Attributes:
        declared_bytes: the ``data_size`` of the header.
        received_bytes: how much data had arrived when the mismatch was certain.
    """

    declared_bytes: int
    received_bytes: int

    def __str__(self) -> str:
        return (
            f"the header declares a data_size of {self.declared_bytes} bytes, but {self.received_bytes} bytes were "
            "received; declare the size of the data that is sent"
        )


@define
class HashMismatch(RegistryError):
    """
    The SHA-256 of a version's data differs from the one that its header declares.

    Attributes:
        declared: the ``data_hash`` of the header.
        computed: the SHA-256 of the data received, in standard base64.
    """

    declared: str
    computed: str

    def __str__(self) -> str:
        return (
            f"the header declares the data_hash {shown(self.declared)}, but the data received has {self.computed} "
            "(SHA-256 in standard base64); send the data again, or leave data_hash empty"
        )


@define
class UnknownModel(RegistryError):
    """
    No model has this id.
    """

    model_id: str

    def __str__(self) -> str:
        return f"there is no model {shown(self.model_id)}; CreateOrUpdateModel creates it"


@define
class UnknownVersion(RegistryError):
    """
    The model has no such version.

    Attributes:
        model_id: the model's id.
        selector: a version number, or -n for the n-th to last version.
    """

    model_id: str
    selector: int

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} has no version {self.selector}; numbers start at 1 and -1 is the latest, "
            "and a version that is not archived may have been evicted"
        )


Unreadable = CorruptVersion | UnknownVersion
"""Why a version of a snapshot cannot be read: it is damaged, or was deleted meanwhile."""


@define
class ModelExists(RegistryError):
    """
    There is a model with this id already.
    """

    model_id: str

    def __str__(self) -> str:
        return f"there is a model {shown(self.model_id)} already; update it, or set allow_existing to get it"


@define
class EtagChanged(RegistryError):
    """
    The model has changed since the caller read it.

    Attributes:
        model_id: the model's id.
        present_etag: its etag now.
    """

    model_id: str
    present_etag: str

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} has changed, and its etag is {self.present_etag} now; read it again, then "
            "repeat the change with its new etag"
        )


@define
class CursorExpired(RegistryError):
    """
    Events after a cursor are no longer kept.

    Attributes:
        cursor: the cursor.
    """

    cursor: str

    def __str__(self) -> str:
        return (
            f"events after the cursor {shown(self.cursor)} are no longer kept; watch without a cursor, then list what "
            "may have changed"
        )


@define
class UnsupportedByArchive(RegistryError):
    """
    This registry cannot do what the request asks.

    Attributes:
        reason: what it lacks.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class ModelReplaced(RegistryError):
    """
    The model was deleted while a version was being created for it or while it was being followed.  A model with the
    same id may exist again.
    """

    model_id: str

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} was deleted meanwhile, and with it any version that was just created; "
            "create the model again, or start over with the one that has replaced it"
        )


# A limit is reached.


@define
class TooLarge(RegistryError):
    """
    The request exceeds a limit of this server.

    Attributes:
        reason: which limit, and how to stay below it.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class Overloaded(RegistryError):
    """
    The registry has no capacity for the request now.

    Attributes:
        reason: what is exhausted, and what to do.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class Stalled(RegistryError):
    """
    The client sent nothing for too long, although more data was expected.

    Attributes:
        idle_seconds: how long the server waited.
    """

    idle_seconds: float

    def __str__(self) -> str:
        return f"no data, or almost none, arrived for {self.idle_seconds:g} s although more was expected; send it again"


@define
class NumberTaken(RegistryError):
    """
    Files that were put into the archive from outside have the number that a new version was to get.

    Attributes:
        model_id: the model's id.
        version_number: the number.
        highest: the highest number that any file in the model's folder has.
    """

    model_id: str
    version_number: int
    highest: int

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} already has a version {self.version_number} that was put into the archive "
            "from outside; create the version again"
        )


@define
class NumbersExhausted(RegistryError):
    """
    The model has used every version number that the wire format can represent.
    """

    model_id: str

    def __str__(self) -> str:
        return f"model {shown(self.model_id)} has no version numbers left; continue with another model"


# The server cannot serve.


@define
class Unavailable(RegistryError):
    """
    The registry is starting or stopping, is still reading the versions that a search needs, or cannot determine now who
    calls.

    Attributes:
        reason: which of these, and what to do.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class SignInsThrottled(Unavailable):
    """
    Too many wrong credentials came from the caller's address, so its own were not checked.

    Attributes:
        retry_after_seconds: how long to wait before the next try, in seconds.
    """

    retry_after_seconds: float = 0.0


def index_loading(model_id: str, read_count: int, version_count: int) -> Unavailable:
    """
    Return the error of a search whose index is still being made.

    Args:
        model_id: the model's id.
        read_count: how many of its versions were read so far.
        version_count: how many it has.
    """
    return Unavailable(
        f"the index of {shown(model_id)} is being loaded ({read_count} of {version_count} versions); search again in a "
        "few seconds, or with a later deadline"
    )


@define
class CannotStart(RegistryError):
    """
    The registry cannot start with its configuration.

    Attributes:
        reason: one line for the operator.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason
