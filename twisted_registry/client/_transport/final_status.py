"""
The status of a call whose request streams.

If a server ends such a call before all data is sent, gRPC for Python often reports INTERNAL, "Internal error from
Core": a failed write overwrites a status that has arrived, or that arrives soon after
(https://github.com/grpc/grpc/issues/36066).  Here the two are kept apart.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc
import grpc.aio
from attrs import frozen

T = TypeVar("T")

_FAILED_WRITE = (grpc.StatusCode.INTERNAL, "Internal error from Core")
NO_STATUS = "a write failed, and no status arrived"

_WAIT_SECONDS = 1.0
_PAUSE_SECONDS = 0.002


def _result(answer: Coroutine[Any, Any, T]) -> T:
    """
    Return the result of a coroutine that does not need to wait.
    """
    try:
        answer.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        answer.close()
    raise AssertionError("it waits")


@frozen
class _Status:
    code: grpc.StatusCode
    details: str
    trailing_metadata: Any

    @classmethod
    def of(cls, call: Any) -> "_Status":
        """
        Return the status of a call that is done.
        """
        return cls(_result(call.code()), _result(call.details()) or "", _result(call.trailing_metadata()) or ())

    @property
    def is_real(self) -> bool:
        """
        Return whether the status came from the server or from gRPC's connection, not from a failed write.
        """
        return (self.code, self.details) != _FAILED_WRITE

    def error(self) -> grpc.aio.AioRpcError:
        """
        Return the exception that gRPC raises for the status.
        """
        return grpc.aio.AioRpcError(self.code, grpc.aio.Metadata(), self.trailing_metadata, self.details, None)


class FinalStatus:
    """
    The recorded status of a call.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        self._first: _Status | None = None
        call.add_done_callback(self._record)

    async def error(self) -> grpc.aio.AioRpcError:
        """
        Return the exception for the status of a call that has failed, waiting for the status if it is late.
        """
        if self._first is not None and self._first.is_real:
            return self._first.error()
        waited_seconds = 0.0
        while waited_seconds < _WAIT_SECONDS:
            # The call is not done if only its half-close has failed.
            if self._call.done() and (status := _Status.of(self._call)).is_real:
                return status.error()
            await asyncio.sleep(_PAUSE_SECONDS)
            waited_seconds += _PAUSE_SECONDS
        return _Status(grpc.StatusCode.UNAVAILABLE, NO_STATUS, ()).error()

    def _record(self, call: Any) -> None:
        self._first = _Status.of(call)
