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

from twisted_registry.domain.errors import RegistryError
from twisted_registry.protocol import error_map
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Handler, Method

_log = Logger()

_TEXT_MAX_BYTES = 1024


def _truncated(text: str) -> str:
    encoded = text.encode("utf-8", "replace")
    return encoded[:_TEXT_MAX_BYTES].decode("utf-8", "ignore")


def status_of(error: BaseException, call: CallContext | None = None) -> tuple[grpc.StatusCode, str]:
    """
    Return the code and the text for an error.  An unexpected error is a bug: it is logged under an incident's id, and
    the caller gets that id only.
    """
    code = grpc.StatusCode[error_map.code_of(error)]
    if code is not grpc.StatusCode.INTERNAL:
        return code, _truncated(str(error))
    incident = uuid4().hex[:12]
    _log.failure(
        "incident {incident} in request {request_id}",
        Failure(error),
        incident=incident,
        request_id="unknown" if call is None else call.request_id,
    )
    return code, f"a bug in the registry; its log describes it as incident {incident}"


def details_of(error: BaseException, code: grpc.StatusCode, text: str) -> tuple[error_map.Metadatum, ...]:
    """
    Return the trailing metadata that describe an error; none for an unexpected one.
    """
    return error_map.to_metadata(error, code.name, text) if isinstance(error, RegistryError) else ()


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
