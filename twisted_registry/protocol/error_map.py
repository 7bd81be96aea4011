"""
The map between the registry's errors and what crosses the wire, both ways.

An error becomes a status code, a text, and trailing metadata: an ``ErrorInfo`` with the error's name and facts.  From
these a client makes the same error again.  An exceeded quota also has a ``QuotaFailure``; if waiting helps, there is a
``RetryInfo``.

The key and the message are those of gRPC's richer error model (https://grpc.io/docs/guides/error/#richer-error-model),
which clients in other languages can read as well.  A client that does not know it sees the code and the text.
"""

import re
from collections.abc import Iterable
from typing import Any

from attrs import fields
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from twisted_registry.domain import errors

KEY = "grpc-status-details-bin"
DOMAIN = "twisted-registry"

_FACT_MAX_CHARACTERS = 256
"""gRPC takes 8 KiB of metadata in all, and a fact may hold what a client sent."""

Metadatum = tuple[str, str | bytes]

CODES: dict[type, str] = {
    errors.InvalidRequest: "INVALID_ARGUMENT",
    errors.InvalidModelId: "INVALID_ARGUMENT",
    errors.InvalidFilter: "INVALID_ARGUMENT",
    errors.SizeMismatch: "INVALID_ARGUMENT",
    errors.HashMismatch: "INVALID_ARGUMENT",
    errors.NotAuthenticated: "UNAUTHENTICATED",
    errors.NotPermitted: "PERMISSION_DENIED",
    errors.AuditUnavailable: "UNAVAILABLE",
    errors.UnknownModel: "NOT_FOUND",
    errors.UnknownVersion: "NOT_FOUND",
    errors.UnknownAlias: "NOT_FOUND",
    errors.AliasMoved: "ABORTED",
    errors.AliasedVersion: "FAILED_PRECONDITION",
    errors.TooManyAliases: "FAILED_PRECONDITION",
    errors.ModelExists: "ALREADY_EXISTS",
    errors.EtagChanged: "ABORTED",
    errors.CursorExpired: "OUT_OF_RANGE",
    errors.UnsupportedByArchive: "UNIMPLEMENTED",
    errors.ModelReplaced: "ABORTED",
    errors.TooLarge: "RESOURCE_EXHAUSTED",
    errors.Overloaded: "RESOURCE_EXHAUSTED",
    errors.QuotaExceeded: "RESOURCE_EXHAUSTED",
    errors.Stalled: "DEADLINE_EXCEEDED",
    errors.OutOfRange: "OUT_OF_RANGE",
    errors.WrongOffset: "FAILED_PRECONDITION",
    errors.UploadTakenOver: "ABORTED",
    errors.NumberTaken: "ABORTED",
    errors.NumbersExhausted: "RESOURCE_EXHAUSTED",
    errors.StorageFull: "RESOURCE_EXHAUSTED",
    errors.StorageReadOnly: "FAILED_PRECONDITION",
    errors.ArchiveMoved: "FAILED_PRECONDITION",
    errors.ArchiveChanged: "FAILED_PRECONDITION",
    errors.StorageFailure: "UNAVAILABLE",
    errors.StorageUnavailable: "UNAVAILABLE",
    errors.TooManyOpenFiles: "UNAVAILABLE",
    errors.CommitUncertain: "UNAVAILABLE",
    errors.Unavailable: "UNAVAILABLE",
    errors.SignInsThrottled: "UNAVAILABLE",
    errors.CorruptModel: "DATA_LOSS",
    errors.CorruptVersion: "DATA_LOSS",
    errors.CorruptAnnotations: "DATA_LOSS",
    errors.CorruptAliases: "DATA_LOSS",
    errors.CorruptRetention: "DATA_LOSS",
}
"""The name of each error's status code.  Errors that a server never reports are not in it."""


def _reason(error_type: type) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error_type.__name__).upper()


REASONS: dict[str, type[errors.RegistryError]] = {
    _reason(error_type): error_type
    for error_type in vars(errors).values()
    if isinstance(error_type, type)
    and issubclass(error_type, errors.RegistryError)
    and error_type is not errors.RegistryError
}
"""All errors by their names on the wire, such as UNKNOWN_MODEL."""


def code_of(error: BaseException) -> str:
    """
    Return the name of an error's status code: INTERNAL if it is unexpected.
    """
    for error_type in type(error).__mro__:  # a storage provider may raise subclasses
        if error_type in CODES:
            return CODES[error_type]
    return "INTERNAL"


def reason_of(error: errors.RegistryError) -> str:
    """
    Return the name of an error on the wire, such as UNKNOWN_MODEL.
    """
    return _reason(_type_of(error))


def reason_of_type(error_type: type[BaseException]) -> str:
    """
    Return the name of errors of a class on the wire; the name of the class if they are unexpected.
    """
    return next((_reason(each) for each in error_type.__mro__ if each in REASONS.values()), error_type.__name__)


def _type_of(error: errors.RegistryError) -> Any:
    return next(base for base in type(error).__mro__ if base in REASONS.values())


def to_metadata(error: errors.RegistryError, code: str, text: str) -> tuple[Metadatum, ...]:
    """
    Return the trailing metadata that describe an error, 4 KiB at most.

    Args:
        code: the name of the call's status code.
        text: the text of the call's status.
    """
    error_type = _type_of(error)
    facts = {fact.name: str(getattr(error, fact.name))[:_FACT_MAX_CHARACTERS] for fact in fields(error_type)}
    messages: list[Message] = [ErrorInfo(reason=_reason(error_type), domain=DOMAIN, metadata=facts)]
    if isinstance(error, errors.QuotaExceeded):
        messages.append(_quota_failure(error))
    if isinstance(error, errors.QuotaExceeded | errors.SignInsThrottled) and error.retry_after_seconds:
        messages.append(_retry_info(error.retry_after_seconds))
    details = [AnyMessage() for _ in messages]
    for detail, message in zip(details, messages, strict=True):
        detail.Pack(message)
    return ((KEY, Status(code=Code.Value(code), message=text, details=details).SerializeToString()),)


def _quota_failure(error: errors.QuotaExceeded) -> QuotaFailure:
    description = error.reason[:_FACT_MAX_CHARACTERS]
    return QuotaFailure(violations=[QuotaFailure.Violation(subject=error.quota, description=description)])


_RETRY_MAX_SECONDS = 366 * 24 * 3600.0
"""A longer wait says nothing more, and JSON can express only 10,000 years."""


def _retry_info(seconds: float) -> RetryInfo:
    retry = RetryInfo()
    retry.retry_delay.FromNanoseconds(int(min(seconds, _RETRY_MAX_SECONDS) * 10**9))
    return retry


def from_metadata(metadata: Iterable[Metadatum]) -> errors.RegistryError | None:
    """
    Return the error that trailing metadata describe; ``None`` if they describe none, or one that is not known here.
    """
    for key, value in metadata:
        if key == KEY and isinstance(value, bytes) and (error := _error(value)) is not None:
            return error
    return None


def _error(serialized: bytes) -> errors.RegistryError | None:
    try:
        for detail in Status.FromString(serialized).details:
            info = ErrorInfo()
            if detail.Unpack(info) and info.domain == DOMAIN and (error_type := REASONS.get(info.reason)) is not None:
                return _with_facts(error_type, dict(info.metadata))
    except (DecodeError, ValueError, TypeError):
        pass  # from another server, or another version of this one: the code and the text still say enough
    return None


def _with_facts(error_type: Any, sent: dict[str, str]) -> errors.RegistryError:
    facts = {fact.name: fact.type(sent[fact.name]) for fact in fields(error_type) if fact.name in sent}
    error: errors.RegistryError = error_type(**facts)
    return error
