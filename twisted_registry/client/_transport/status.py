"""
Errors for the statuses of failed calls.
"""

import re
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio

from twisted_registry.client import errors
from twisted_registry.client._transport.proxies import error_of_proxy
from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.client._transport.unix_sockets import socket_problem
from twisted_registry.protocol import error_map
from twisted_registry.protocol.call_metadata import request_id_in

_NOT_CONNECTED = re.compile(
    r"failed to connect|name resolution|errors resolving|DNS|no such file or directory", re.IGNORECASE
)
"""gRPC's texts if nothing was sent; those of servers and of lost connections are different."""

_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED|Hostname Verification Check failed|not in peer certificate")
"""The error texts of gRPC and OpenSSL for a server certificate that is refused."""

_HINTS = {
    "Failed parsing HTTP/2": "; it does not speak HTTP/2: is it another program, or does it expect TLS?",
    "Socket closed$": "; it disconnected: does it expect TLS, or a client certificate?",
}
"""Hints about failed connections, by a pattern of gRPC's text."""

_TLS_FAILURES = {
    "WRONG_VERSION_NUMBER": (
        "it does not speak TLS; connect without TLS (leave out tls; in a shell --tls, --tls-ca and their variables), "
        "or to another port"
    ),
    "Failed to create security handshaker": (
        "the client's certificates cannot be used; check that all are complete, that those of authorities "
        "(root_certificates, --tls-ca) are certificates, and that the private key is that of the client certificate"
    ),
}
"""The causes of failed handshakes, by a part of gRPC's text."""

TRUST = "trust the authority that signed it (root_certificates, --tls-ca)"
EXPECT_NAME = "connect to a name that it contains, or expect that name (server_name)"
RENEW = "renew it on the server, or check the clock of this machine"

_OTHER_NAME = "it is for another name"
_STRANGER = re.compile("issuer certificate|self.signed")
_OTHER_TIME = re.compile("expired|not yet valid")

_STATUS_NAME = re.compile("^[A-Z_]+: ")

_RESET = re.compile(r"RST_STREAM|GOAWAY", re.IGNORECASE)
"""gRPC's texts if a proxy has reset a call; the code, often INTERNAL, is not the registry's."""

_UNREADABLE = re.compile("CLIENT: Received message larger than max|Decompressed message larger|Compression algorithm")
"""gRPC's texts for a reply that it refuses, under a code that would otherwise blame the server."""

_REASONED: dict[grpc.StatusCode, Any] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.TooLarge,
    grpc.StatusCode.FAILED_PRECONDITION: errors.StorageReadOnly,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.UNAUTHENTICATED: errors.NotAuthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.NotPermitted,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unsupported,
    grpc.StatusCode.INTERNAL: errors.IncidentReported,
}
"""Errors whose only attribute is the text of the status."""


def error_of(failed: grpc.aio.AioRpcError, address: str, model_id: str, selector: int | None) -> errors.RegistryError:
    """
    Return the error that a failed call stands for.

    Other implementations of the server send no error details: then the error follows from the code and the request.

    Args:
        failed: gRPC's exception.
        address: the address of the server.
        model_id: the model that the call is about.
        selector: the version that the call is about; ``None`` if it is about the model.
    """
    metadata: Any = failed.trailing_metadata()  # its stubs have another type
    error = error_map.from_metadata(metadata or ()) or _error_of_status(failed, address, model_id, selector)
    request_id = request_id_in(metadata)
    if request_id:
        error.request_id = request_id
        error.add_note(f"The registry's logs name the call as request {request_id}.")
    return error


def _error_of_status(
    failed: grpc.aio.AioRpcError, address: str, model_id: str, selector: int | None
) -> errors.RegistryError:
    code, text = failed.code(), failed.details() or ""
    if _UNREADABLE.search(text):
        return bad_reply(f"its reply is too large or compressed ({_short(text)})", model_id, selector)
    if (of_proxy := error_of_proxy(code, text, address)) is not None:
        return of_proxy
    if code in _REASONED and not _RESET.search(text):
        reasoned: errors.RegistryError = _REASONED[code](text or code.name)
        return reasoned
    return _about_subject(code, text, model_id, selector) or _about_connection(code, text, address)


def was_disconnected(reason: str) -> bool:
    """
    Return whether the reason of ``Unreachable`` is that the server disconnected.
    """
    return "Socket closed" in reason


def has_other_name(reason: str) -> bool:
    """
    Return whether the reason of ``CertificateRefused`` is that the certificate is for another name.
    """
    return _OTHER_NAME in reason


def _about_subject(
    code: grpc.StatusCode, text: str, model_id: str, selector: int | None
) -> errors.RegistryError | None:
    if code is grpc.StatusCode.NOT_FOUND and not model_id:
        return errors.Unsupported(text or code.name)
    if code is grpc.StatusCode.NOT_FOUND:
        return errors.UnknownModel(model_id) if selector is None else errors.UnknownVersion(model_id, selector)
    if code is grpc.StatusCode.DATA_LOSS:
        if selector is None:
            return errors.CorruptModel(model_id, text)
        return errors.CorruptVersion(model_id, selector, text)
    return errors.ModelReplaced(model_id) if code is grpc.StatusCode.ABORTED else None


def _about_connection(code: grpc.StatusCode, text: str, address: str) -> errors.RegistryError:
    # UNAVAILABLE, and the various codes and texts with which gRPC reports a lost connection.
    if _CERTIFICATE.search(text):
        return _certificate_refused(_certificate_reason(text), address)
    if _NOT_CONNECTED.search(text):
        failure = next((failure for part, failure in _TLS_FAILURES.items() if part in text), "")
        if failure:
            return errors.TlsFailed(failure, address)
        hint = next((hint for pattern, hint in _HINTS.items() if re.search(pattern, text)), "")
        return errors.Unreachable(socket_problem(address) or _short(text) + hint, address)
    return errors.Unavailable(f"the connection to the registry at {address} was lost ({_short(text) or code.name})")


def _certificate_refused(reason: str, address: str) -> errors.CertificateRefused:
    remedy = f"{TRUST}, and {EXPECT_NAME}"
    if has_other_name(reason):
        remedy = EXPECT_NAME
    elif _STRANGER.search(reason):
        remedy = TRUST
    elif _OTHER_TIME.search(reason):
        remedy = RENEW
    return errors.CertificateRefused(reason, address, remedy)


def _certificate_reason(text: str) -> str:
    """
    Extract the problem with a certificate, and its host, from gRPC's text.
    """
    where = re.search(r"last error: (?:[A-Z_]+: )?(\S+): ", text)
    what = re.search(r"CERTIFICATE_VERIFY_FAILED: ([^:]+)", text)
    name = "" if "CERTIFICATE_VERIFY_FAILED" in text else _OTHER_NAME
    reason = what[1] if what else name or "it could not be verified"
    return f"{unquote(where[1])}: {reason}" if where else reason


def _short(text: str) -> str:
    """
    Return the last part of gRPC's text: the cause, at the host that was tried last.
    """
    _, _, text = text.rpartition("(Pending writes failed due to stream closure ")
    before, _, cause = text.rpartition("; last error: ")
    cause = unquote(_STATUS_NAME.sub("", cause, count=1))[:200]
    return f"the last address tried was {cause}" if before else cause
