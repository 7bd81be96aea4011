"""
From a call's status to the error that the server raised.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio

from twisted_registry.client import errors
from twisted_registry.client._transport.proxies import error_of_proxy
from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.protocol import error_map

_NOT_CONNECTED = re.compile(
    r"failed to connect|name resolution|errors resolving|DNS|no such file or directory", re.IGNORECASE
)
"""gRPC's own words where nothing was sent: a status from a server, or of a connection that was lost, has others."""

_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED|Hostname Verification Check failed|not in peer certificate")
"""gRPC's words, or OpenSSL's, where the certificate of a server is not accepted."""

_HINTS = {
    "WRONG_VERSION_NUMBER": "; it speaks no TLS: connect without, or to another port",
    "Failed parsing HTTP/2": "; it speaks no HTTP/2: is it another program, or does it want TLS?",
    "Socket closed$": "; it hung up: does it want TLS, or a certificate of the client?",
}
"""What else can be said of how connecting failed."""

_STATUS_NAME = re.compile("^[A-Z_]+: ")

_RESET = re.compile(r"RST_STREAM|GOAWAY", re.IGNORECASE)
"""gRPC's words where a proxy has broken off a call; the code, often INTERNAL, is none of the registry's."""

_UNREADABLE = re.compile("CLIENT: Received message larger than max|Decompressed message larger|Compression algorithm")
"""gRPC's own words about a reply that it does not take, under a code that would be the server's fault otherwise."""

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
"""Errors that hold the status' text, and nothing else."""


def error_of(failed: grpc.aio.AioRpcError, address: str, model_id: str, selector: int | None) -> errors.RegistryError:
    """
    Give the error that a failed call stands for.

    Servers of other makes send no details: there the code alone tells, and what was asked for.

    Args:
        address: of the server.
        model_id: the model that was asked for.
        selector: the version that was asked for; ``None`` for a call about the model.
    """
    metadata: Any = failed.trailing_metadata()  # its stubs know it by another name than it has
    told = error_map.from_metadata(metadata or ())
    if told is not None:
        return told
    code, text = failed.code(), failed.details() or ""
    if _UNREADABLE.search(text):
        return bad_reply(f"its reply is too large or compressed ({_short(text)})", model_id, selector)
    if (of_proxy := error_of_proxy(code, text, address)) is not None:
        return of_proxy
    if code in _REASONED and not _RESET.search(text):
        reasoned: errors.RegistryError = _REASONED[code](text or code.name)
        return reasoned
    return _about_subject(code, text, model_id, selector) or _about_connection(code, text, address)


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
    # UNAVAILABLE; and what gRPC itself says, in whatever words and under whatever code, when a connection is lost.
    if _CERTIFICATE.search(text):
        return errors.CertificateRefused(_certificate_reason(text), address)
    if _NOT_CONNECTED.search(text):
        hint = next((hint for pattern, hint in _HINTS.items() if re.search(pattern, text)), "")
        return errors.Unreachable(_short(text) + hint, address)
    return errors.Unavailable(f"the connection to the registry at {address} was lost ({_short(text) or code.name})")


def _certificate_reason(text: str) -> str:
    """
    Return what is wrong with a certificate, and at which address, in as few words as gRPC allows.
    """
    where = re.search(r"last error: (?:[A-Z_]+: )?(\S+): ", text)
    what = re.search(r"CERTIFICATE_VERIFY_FAILED: ([^:]+)", text)
    name = "" if "CERTIFICATE_VERIFY_FAILED" in text else "it is for another name"
    reason = what[1] if what else name or "it could not be verified"
    return f"{unquote(where[1])}: {reason}" if where else reason


def _short(text: str) -> str:
    """
    Give what matters of gRPC's words: they end with the cause, of one address where it has tried several.
    """
    _, _, text = text.rpartition("(Pending writes failed due to stream closure ")
    before, _, cause = text.rpartition("; last error: ")
    cause = unquote(_STATUS_NAME.sub("", cause, count=1))[:200]
    return f"the last address tried was {cause}" if before else cause


@contextmanager
def translated(address: str, model_id: str = "", selector: int | None = None) -> Iterator[None]:
    """
    Make errors of the taxonomy out of those of gRPC.

    Raises:
        errors.RegistryError: the call made inside failed.
    """
    try:
        yield
    except grpc.aio.AioRpcError as failed:
        raise error_of(failed, address, model_id, selector) from None
