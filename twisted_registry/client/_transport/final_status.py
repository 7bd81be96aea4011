"""
How a call ended whose request streams.

Where a server ends such a call before all is sent, gRPC for Python often says INTERNAL, "Internal error from Core": a
write that fails overwrites the status that has come already, or that comes a moment later
(https://github.com/grpc/grpc/issues/36066).  Here they are kept apart.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc
import grpc.aio
from attrs import frozen

T = TypeVar("T")

_OVERWRITTEN = (grpc.StatusCode.INTERNAL, "Internal error from Core")
NO_STATUS = "a write failed, and no status came"

_WAIT_SECONDS = 1.0
_PAUSE_SECONDS = 0.002


def _at_once(answer: Coroutine[Any, Any, T]) -> T:
    """
    Give what a coroutine returns that has nothing to wait for.
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
        Give the status of a call that has one.
        """
        return cls(_at_once(call.code()), _at_once(call.details()) or "", _at_once(call.trailing_metadata()) or ())

    @property
    def is_real(self) -> bool:
        """
        Whether it came from the server, or from gRPC itself, but not from a write.
        """
        return (self.code, self.details) != _OVERWRITTEN

    def error(self) -> grpc.aio.AioRpcError:
        """
        Give it as gRPC raises it.
        """
        return grpc.aio.AioRpcError(self.code, grpc.aio.Metadata(), self.trailing_metadata, self.details, None)


class FinalStatus:
    """
    Listens to how a call ends.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        self._first: _Status | None = None
        call.add_done_callback(self._note)

    async def error(self) -> grpc.aio.AioRpcError:
        """
        Give the status of a call that has failed.
        """
        if self._first is not None and self._first.is_real:
            return self._first.error()
        waited_seconds = 0.0
        while waited_seconds < _WAIT_SECONDS:
            # It may go on where it was not a write that failed, but its end.
            if self._call.done() and (status := _Status.of(self._call)).is_real:
                return status.error()
            await asyncio.sleep(_PAUSE_SECONDS)
            waited_seconds += _PAUSE_SECONDS
        return _Status(grpc.StatusCode.UNAVAILABLE, NO_STATUS, ()).error()

    def _note(self, call: Any) -> None:
        self._first = _Status.of(call)
