"""
The contract of calls in process: how another edge makes the calls of the gRPC server, through the same chain.

A call that comes by HTTP is then authenticated, permitted, limited and audited by the same code as one by gRPC.
"""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

Metadatum = tuple[str, str | bytes]


@frozen
class LocalCall:
    """
    A call to make.

    Attributes:
        path: the full name of the method, such as ``/twisted_registry.v1.Registry/GetModel``.
        request: the message, serialized; or a function that returns it or raises ``InvalidRequest``, and may take long:
            it is called in another thread, once it is known that the caller may make calls.
        peer: who asks, in gRPC's form, such as ``ipv4:127.0.0.1:5000``.
        metadata: as gRPC carries them: keys in lower case.
        timeout_seconds: after this time the call ends with ``DEADLINE_EXCEEDED``; ``None`` for no limit.
        is_encrypted: whether nobody on the way could read it.  A token that others could read is refused, unless it
            comes from this machine.
        certificate: the client's certificate in PEM, which was verified; empty without one.
    """

    path: str
    request: bytes | Callable[[], bytes]
    peer: str
    metadata: Sequence[Metadatum] = ()
    timeout_seconds: float | None = None
    is_encrypted: bool = False
    certificate: bytes = b""


class CallFailed(Exception):
    """
    A call that ended with a status other than ``OK``.

    Attributes:
        code: the name of the status code, such as ``NOT_FOUND``.
        text: the text for the caller.
        trailing: the trailing metadata, which describe the error.
    """

    def __init__(self, code: str, text: str, trailing: Sequence[Metadatum] = ()) -> None:
        """

        Args:
            code: the name of the status code.
            text: the text for the caller.
            trailing: the trailing metadata.
        """
        super().__init__(f"{code}: {text}")
        self.code, self.text, self.trailing = code, text, trailing


class IReplyStream(Interface):
    """
    A call with any number of replies.
    """

    finished: "Deferred[Any]" = Attribute(
        "Fires with ``None`` in the reactor's thread when the call has ended, after its last message.  The "
        "error of a call is a ``CallFailed``.  Cancel it to end the call."
    )

    def pause() -> None:
        """
        Let the call wait before it sends its next message.
        """

    def resume() -> None:
        """
        Let the call send again.
        """


class ICalls(Interface):
    """
    The calls of the server.  Used in the reactor's thread.
    """

    def call(call: LocalCall) -> "Deferred[bytes]":
        """
        Make a call that has one reply.

        Args:
            call: the call.

        Returns:
            fires with the reply, serialized.  The error of a call is a ``CallFailed``.  Cancel it to end the call.
        """

    def stream(call: LocalCall, receive: Callable[[bytes], None]) -> IReplyStream:
        """
        Make a call that has any number of replies.

        Args:
            call: the call.
            receive: takes each reply, serialized, in the reactor's thread.

        Returns:
            The call under way.
        """
