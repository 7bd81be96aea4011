"""
The interceptor that ends failed calls: the only place where an error becomes a status.
"""

import asyncio
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_registry.domain import errors
from twisted_registry.protocol import error_details as details
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Handler, Method

_log = Logger()

_TEXT_MAX_BYTES = 1024

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
"""The status of each error.  Errors that a server never reports are not in it."""


def _truncated(text: str) -> str:
    encoded = text.encode("utf-8", "replace")
    return encoded[:_TEXT_MAX_BYTES].decode("utf-8", "ignore")


def status_of(error: BaseException, call: CallContext | None = None) -> tuple[grpc.StatusCode, str]:
    """
    Return the code and the text for an error.  An unexpected error is a bug: it is logged under an incident's id, and
    the caller gets that id only.
    """
    for kind in type(error).__mro__:  # a storage provider may raise subclasses
        if kind in CODES:
            return CODES[kind], _truncated(str(error))
    incident = uuid4().hex[:12]
    _log.failure(
        "incident {incident} in request {request_id}",
        Failure(error),
        incident=incident,
        request_id="unknown" if call is None else call.request_id,
    )
    return grpc.StatusCode.INTERNAL, f"a bug in the registry; its log describes it as incident {incident}"


def details_of(error: BaseException, code: grpc.StatusCode, text: str) -> tuple[details.Metadatum, ...]:
    """
    Return the trailing metadata that identify an error; none for an unexpected one.
    """
    number: int = code.value[0]
    return details.to_metadata(error, number, text) if isinstance(error, errors.RegistryError) else ()


def end_failed_calls(method: Method, handler: Handler) -> Handler:
    """
    Wrap a handler so that its calls end with a status, whatever it raises.
    """

    async def handle(request: Any, call: CallContext) -> Any:
        try:
            return await handler(request, call)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except grpc.aio.InternalError:
            # The client left while a message was sent to it, and gRPC has not cancelled the call yet.
            raise asyncio.CancelledError from None
        except Exception as error:
            code, text = status_of(error, call)
            trailing = details_of(error, code, text)
        await call.abort(code, text, trailing)

    return handle
