"""
What an error tells beside its code and its text: which error it is, and its facts, as an ``ErrorInfo`` in the call's
trailing metadata.  A client makes the same error of it again.

The key and the message are those of gRPC's richer error model (https://grpc.io/docs/guides/error/#richer-error-model),
which clients in other languages read as well; a client that does not know it sees the code and the text as ever.
"""

import re
from collections.abc import Iterable
from typing import Any

from attrs import fields
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from twisted_registry.domain import errors

KEY = "grpc-status-details-bin"
DOMAIN = "twisted-registry"

_MOST_FACT_CHARACTERS = 256
"""gRPC takes 8 KiB of metadata in all; a fact may hold what a client sent."""

Metadatum = tuple[str, str | bytes]


def _reason(kind: type) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper()


KINDS: dict[str, type[errors.RegistryError]] = {
    _reason(kind): kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.RegistryError) and kind is not errors.RegistryError
}
"""The taxonomy, by the name each error has on the wire, such as UNKNOWN_MODEL."""


def to_metadata(error: errors.RegistryError, code: int, text: str) -> tuple[Metadatum, ...]:
    """
    Tell which error it was.

    Args:
        code: gRPC's number for the call's status.
        text: the status' text.

    Returns:
        trailing metadata of at most 4 KiB.
    """
    kind = next(kind for kind in type(error).__mro__ if kind in KINDS.values())  # a provider may have kinds of its own
    facts = {fact.name: str(getattr(error, fact.name))[:_MOST_FACT_CHARACTERS] for fact in fields(kind)}
    detail = AnyMessage()
    detail.Pack(ErrorInfo(reason=_reason(kind), domain=DOMAIN, metadata=facts))
    return ((KEY, Status(code=code, message=text, details=[detail]).SerializeToString()),)


def from_metadata(metadata: Iterable[Metadatum]) -> errors.RegistryError | None:
    """
    Make the error again that a server told of; ``None`` where it told of none, or of none that is known here.

    Args:
        metadata: the call's trailing metadata.
    """
    for key, value in metadata:
        if key == KEY and isinstance(value, bytes) and (error := _error(value)) is not None:
            return error
    return None


def _error(serialized: bytes) -> errors.RegistryError | None:
    try:
        details = Status.FromString(serialized).details
        for detail in details:
            info = ErrorInfo()
            if detail.Unpack(info) and info.domain == DOMAIN and (kind := KINDS.get(info.reason)) is not None:
                return _with_facts(kind, dict(info.metadata))
    except (DecodeError, ValueError, TypeError):
        pass  # of another make of server, or another version of this one: its code and text still tell enough
    return None


def _with_facts(kind: Any, told: dict[str, str]) -> errors.RegistryError:
    facts = {fact.name: fact.type(told[fact.name]) for fact in fields(kind) if fact.name in told}
    error: errors.RegistryError = kind(**facts)
    return error
