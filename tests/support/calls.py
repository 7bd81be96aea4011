"""
Stand-ins for gRPC's side of a call.
"""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from attrs import define, field

from twisted_registry.domain.access import Action
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Method


class Aborted(grpc.aio.AbortError):
    """
    The error that gRPC raises when a handler aborts its call.
    """


@define(eq=False)
class FakeContext:
    """
    gRPC's side of a call that lasts until the test ends it.

    Attributes:
        name: the peer.
        metadata: what the client sent.
        messages: what ``read`` returns, one after the other; anything but bytes stands for the end.
        written: the messages that the handler sent.
        trailing: the trailing metadata that the handler set.
        aborts: the codes and texts with which the call was aborted.
        remaining_seconds: the time until the client's deadline; ``None`` if it set none.
    """

    name: str = "ipv4:10.0.0.1:5000"
    metadata: Sequence[tuple[str, str | bytes]] = ()
    messages: list[Any] = field(factory=list)
    written: list[Any] = field(factory=list)
    trailing: Any = ()
    aborts: list[tuple[grpc.StatusCode, str]] = field(factory=list)
    callbacks: list[Callable[[Any], None]] = field(factory=list)
    remaining_seconds: float | None = None

    def peer(self) -> str:
        """
        Return the client's connection.
        """
        return self.name

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """
        Return the metadata that the client sent.
        """
        return self.metadata

    def time_remaining(self) -> float | None:
        """
        Return the time until the client's deadline.
        """
        return self.remaining_seconds

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """
        Record a function to call when the call is over.
        """
        self.callbacks.append(callback)

    def set_trailing_metadata(self, metadata: Any) -> None:
        """
        Record the trailing metadata.
        """
        self.trailing = metadata

    async def read(self) -> Any:
        """
        Return the next message.
        """
        return self.messages.pop(0)

    async def write(self, message: Any) -> None:
        """
        Record a message.
        """
        self.written.append(message)

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any) -> None:
        """
        Record how the call was aborted.
        """
        self.aborts.append((code, details))
        self.trailing = trailing_metadata
        raise Aborted

    def end(self) -> None:
        """
        End the call.
        """
        for callback in self.callbacks:
            callback(self)


async def _no_reply(request: Any, call: CallContext) -> None:
    """
    Serve a call with nothing.
    """


METHOD = Method("Test", _no_reply, Action.NONE, path="/tests.Tests/Test")


def call_on(context: Any, method: Method = METHOD) -> CallContext:
    """
    Return the context of a call.

    Args:
        context: gRPC's side of it.
    """
    return CallContext(method, context)


def code_of(call: Any) -> grpc.StatusCode:
    """
    Return the code of a call that a client has begun; OK once it has sent a message.

    Args:
        call: the grpc call object, which gives the messages.
    """
    try:
        next(call)
    except StopIteration:
        pass
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    call.cancel()
    return grpc.StatusCode.OK
