"""
The interceptor that writes the access log.
"""

import asyncio
import time
from typing import Any

import grpc
from twisted.logger import Logger

from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Handler, Method

_log = Logger()


def log_calls(method: Method, handler: Handler) -> Handler:
    """
    Wrap a handler so that each of its calls is logged when it ends, at level debug.
    """

    async def handle(request: Any, call: CallContext) -> Any:
        began = time.monotonic()
        cancelled = False
        try:
            return await handler(request, call)
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            _log.debug(
                "{method} from {peer}: {code} after {duration_ms:.1f} ms, request {request_id}",
                method=method.path,
                peer=call.peer,
                code=(grpc.StatusCode.CANCELLED if cancelled else call.code).name,
                duration_ms=(time.monotonic() - began) * 1000,
                request_id=call.request_id,
            )

    return handle
