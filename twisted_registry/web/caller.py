"""
The calls that HTTP requests make.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from twisted_registry.contracts.calls import CallFailed, ICalls, IReplyStream, LocalCall, Metadatum
from twisted_registry.protocol.call_metadata import REQUEST_ID_KEY
from twisted_registry.protocol.messages import SERVICE_NAME
from twisted_registry.web.requests import BoundedRequest

_FORWARDED = ("authorization", "traceparent", "tracestate")
"""The headers that become metadata of the call, beside the id of the request."""


def peer_of(request: BoundedRequest) -> str:
    """
    Return who sends a request, as gRPC would name it.
    """
    address = request.getClientAddress()
    host, port = getattr(address, "host", ""), getattr(address, "port", 0)
    return f"ipv6:[{host}]:{port}" if isinstance(address, IPv6Address) else f"ipv4:{host}:{port}"


def metadata_of(request: BoundedRequest) -> Sequence[Metadatum]:
    """
    Return the metadata of the call that a request makes.
    """
    # Values that are sent several times stay several: the call is refused then.
    forwarded = [(name, value) for name in _FORWARDED for value in request.header_values(name)]
    return [*forwarded, (REQUEST_ID_KEY, request.request_id)]


def call_by(
    request: BoundedRequest,
    path: str,
    message: bytes | Callable[[], bytes] = b"",
    timeout_seconds: float | None = None,
) -> LocalCall:
    """
    Return the call that a request makes, with the caller's credentials.  The reply gets the id by which the logs name
    the call.

    Args:
        path: the full name of the method.
        message: the request of the call, see ``LocalCall``.
        timeout_seconds: how long the call may take; ``None`` for no limit.
    """
    request.setHeader(REQUEST_ID_KEY.encode(), request.request_id.encode())
    is_encrypted = bool(request.isSecure())
    certificate = request.client_certificate if is_encrypted else b""
    return LocalCall(path, message, peer_of(request), metadata_of(request), timeout_seconds, is_encrypted, certificate)


def status_permission(calls: Callable[[], ICalls]) -> Callable[[BoundedRequest], "Deferred[bytes]"]:
    """
    Return a function that checks whether the author of a request may read the status of the server: by reading it.

    Args:
        calls: returns the way to make calls, once the server runs.
    """
    return lambda request: calls().call(call_by(request, f"/{SERVICE_NAME}/Status"))


@implementer(ICalls)
@frozen
class CertifiedCalls:
    """
    The calls of a server whose clients all need a certificate.
    """

    _calls: ICalls

    def call(self, call: LocalCall) -> "Deferred[bytes]":
        """See ``ICalls.call``."""
        return self._calls.call(call) if call.certificate else fail(_without_certificate())

    def stream(self, call: LocalCall, receive: Callable[[bytes], None]) -> IReplyStream:
        """See ``ICalls.stream``."""
        return self._calls.stream(call, receive) if call.certificate else _NoStream()


@implementer(IReplyStream)
class _NoStream:
    """
    A stream that was refused.
    """

    def __init__(self) -> None:
        self.finished: Deferred[object] = fail(_without_certificate())

    def pause(self) -> None:
        """See ``IReplyStream.pause``."""

    def resume(self) -> None:
        """See ``IReplyStream.resume``."""


def _without_certificate() -> CallFailed:
    text = "clients of this registry need a certificate of one of its authorities; connect with yours"
    return CallFailed("UNAUTHENTICATED", text)
