"""
From errors to gRPC statuses: one table, and the one place where a call that fails is ended.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_registry.domain import errors
from twisted_registry.protocol import error_details as details

_log = Logger()

_MOST_TEXT_BYTES = 1024

CODES: dict[type, grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidModelId: grpc.StatusCode.INVALID_ARGUMENT,
    errors.SizeMismatch: grpc.StatusCode.INVALID_ARGUMENT,
    errors.HashMismatch: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownModel: grpc.StatusCode.NOT_FOUND,
    errors.UnknownVersion: grpc.StatusCode.NOT_FOUND,
    errors.ModelReplaced: grpc.StatusCode.ABORTED,
    errors.TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Stalled: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.NumberTaken: grpc.StatusCode.ABORTED,
    errors.NumbersExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.StorageFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.StorageReadOnly: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ArchiveMoved: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ArchiveChanged: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StorageFailure: grpc.StatusCode.UNAVAILABLE,
    errors.StorageUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.TooManyOpenFiles: grpc.StatusCode.UNAVAILABLE,
    errors.CommitUncertain: grpc.StatusCode.UNAVAILABLE,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.CorruptModel: grpc.StatusCode.DATA_LOSS,
    errors.CorruptVersion: grpc.StatusCode.DATA_LOSS,
}
"""
Whose fault an error is.  Not in it are those that no call ends with: nobody is connected yet, or only a client knows.
"""

Handler = Callable[[Any, "grpc.aio.ServicerContext[Any, Any]"], Awaitable[bytes | None]]


def _cut(text: str) -> str:
    encoded = text.encode("utf-8", "replace")
    return encoded[:_MOST_TEXT_BYTES].decode("utf-8", "ignore")


def status_of(error: BaseException) -> tuple[grpc.StatusCode, str]:
    """
    Give the code and the text for an error.  What nobody foresaw is a bug: it is logged with an incident's id, and the
    caller is told the id alone.
    """
    for kind in type(error).__mro__:  # a provider may have kinds of its own
        if kind in CODES:
            return CODES[kind], _cut(str(error))
    incident = uuid4().hex[:12]
    _log.failure("incident {incident}", Failure(error), incident=incident)
    return grpc.StatusCode.INTERNAL, f"a bug in the registry; its log tells more of incident {incident}"


def details_of(error: BaseException, code: grpc.StatusCode, text: str) -> tuple[details.Metadatum, ...]:
    """
    Give the trailing metadata that tell which error it was; none for a bug.
    """
    number: int = code.value[0]
    return details.to_metadata(error, number, text) if isinstance(error, errors.RegistryError) else ()


Admit = Callable[[Any], Awaitable[None] | None]
"""Admits a call by its context, or raises; returns what the call has to wait for first, if anything."""


def _admit_all(context: Any) -> None:
    return None


def guarded(handler: Handler, call: Callable[[], AbstractContextManager[None]], admit: Admit = _admit_all) -> Handler:
    """
    Make a handler that ends its call with a status, whatever it raises.

    Args:
        call: the context of a call; raises if none may be served now.
        admit: asked before that.
    """

    async def guard(request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> bytes | None:
        try:
            if (waiting := admit(context)) is not None:
                await waiting
            with call():
                return await handler(request, context)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except grpc.aio.InternalError:
            # The client went while something was sent to it, and gRPC has not cancelled the call yet: nobody's fault.
            raise asyncio.CancelledError from None
        except Exception as error:
            code, text = status_of(error)
            told = details_of(error, code, text)
        await context.abort(code, text, told)
        raise AssertionError("unreachable: abort raises")

    return guard
