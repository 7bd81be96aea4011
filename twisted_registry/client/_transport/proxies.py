"""
Errors for the answers of proxies: HTTP statuses in gRPC's words, or Envoy's own texts.
"""

import re

import grpc

from twisted_registry.client import errors
from twisted_registry.client._transport.retries import TOO_MANY_REQUESTS

_HTTP_STATUS = re.compile(r"Received http2 header with status: ([0-9]{3})")

_CONNECT_STATUS = re.compile(r"HTTP proxy returned response code ([0-9]{3})")
"""The answer of a proxy that the environment names, to a request for a connection."""

_OLD_HTTP_STATUS = re.compile(r"http1.x server \(HTTP status ([0-9]{3})\)")

_ENVOYS_TOO_LARGE = re.compile(r"^(Payload|Request Entity|Content) Too Large", re.IGNORECASE)

_ENVOYS_UNAVAILABLE = re.compile(r"^(upstream |no healthy upstream)", re.IGNORECASE)

_LOST = re.compile(r"RST_STREAM with error code 0\b")
"""An answer before all data is sent ends the call without an error; gRPC may lose the answer itself."""

_HEADERS_REFUSED = re.compile(r"GOAWAY received; Error code: (9|11); Debug Text: *\)")
"""The codes with which nginx (11, ENHANCE_YOUR_CALM) and Envoy (9, COMPRESSION_ERROR) end a connection."""

_SMALL_TOKEN_BYTES = 4000
"""Every proxy accepts headers of this size."""

_LARGER = "let it accept larger requests, such as with client_max_body_size 0 in nginx"

_REMEDIES = {
    401: "give the client a token or a certificate that it accepts",
    403: "let this client through",
    404: "let it forward /cogmentAPI.ModelRegistrySP/ and /grpc.health.v1.Health/",
    407: "it wants a user name and a password",
    408: "let it wait longer for data, such as with client_body_timeout in nginx",
    413: _LARGER,
    414: "let it accept larger headers, such as with large_client_header_buffers in nginx",
    415: "let it forward gRPC, such as with grpc_pass in nginx",
    431: "let it accept larger headers, such as with large_client_header_buffers in nginx",
}

_CAUSES = {
    429: "accepts no more calls from this client for now",
    504: "got no answer in time: give it a longer timeout, such as grpc_read_timeout in nginx",
}


def error_of_proxy(code: grpc.StatusCode, text: str, address: str) -> errors.RegistryError | None:
    """
    Return the error for the status of a proxy; ``None`` for another status.

    Args:
        code: the status code.
        text: the text of the status.
        address: the address that the client uses.
    """
    if found := _CONNECT_STATUS.search(text):
        return _not_connected(int(found[1]), address)
    if found := _OLD_HTTP_STATUS.search(text):
        return _speaks_old_http(int(found[1]), address)
    if found := _HTTP_STATUS.search(text):
        return _answered(int(found[1]), address)
    if code is grpc.StatusCode.UNKNOWN and _ENVOYS_TOO_LARGE.search(text):
        return _answered(413, address)
    if code is grpc.StatusCode.UNAVAILABLE and _ENVOYS_UNAVAILABLE.search(text):
        return errors.ProxyUnavailable(
            f"the proxy in front of the registry at {address} lost its connection to it ({text[:200]})", 503
        )
    return None


def error_of_long_token(error: errors.RegistryError, address: str, token_bytes: int) -> errors.RegistryError:
    """
    Return the error for a connection that was lost when a token was sent: proxies disconnect without a word if headers
    are too large for them.

    Args:
        error: the error if the token is not the cause.
        address: the address that the client uses.
        token_bytes: the size of the token.
    """
    if type(error) is not errors.Unavailable or token_bytes <= _SMALL_TOKEN_BYTES:
        return error
    remedy = f"the token has {token_bytes} bytes: {_REMEDIES[431]}"
    if _HEADERS_REFUSED.search(error.reason):
        return errors.ProxyRefused(
            f"a proxy in front of the registry at {address} refused headers of this size; {remedy}", 431
        )
    if "Socket closed" in error.reason:
        return errors.Unavailable(f"{error.reason}; if a proxy disconnected: {remedy}")
    return error


def has_lost_answer(error: BaseException) -> bool:
    """
    Return whether a call was ended by an answer that gRPC lost.
    """
    return isinstance(error, errors.Unavailable) and _LOST.search(error.reason) is not None


def lost_answer(address: str) -> errors.ProxyRefused:
    """
    Return the error for an upload that was repeatedly ended before all data was sent, without a readable answer.
    """
    return errors.ProxyRefused(
        f"the server at {address}, or a proxy in front of it, ended the upload before all data was sent, and its "
        f"answer was lost; most often the upload is too large for a proxy (HTTP 413): {_LARGER}",
        0,
    )


def _answered(status: int, address: str) -> errors.RegistryError:
    if status == 401:
        return errors.NotAuthenticated(f"a proxy in front of the registry at {address} refused the call, HTTP 401")
    if status == 403:
        return errors.NotPermitted(f"a proxy in front of the registry at {address} refused the call, HTTP 403")
    if status == TOO_MANY_REQUESTS or _is_temporary(status):
        cause = _CAUSES.get(status, "cannot reach it: check that the registry is running, and read the proxy's log")
        return errors.ProxyUnavailable(
            f"the proxy in front of the registry at {address} {cause} (HTTP {status})", status
        )
    remedy = _REMEDIES.get(status, "read its log; it must forward gRPC over HTTP/2")
    if 300 <= status < 400:
        remedy = "it redirects, which gRPC does not follow: give the client the address it redirects to"
    return errors.ProxyRefused(
        f"a proxy in front of the registry at {address} refused the call (HTTP {status}): {remedy}", status
    )


def _speaks_old_http(status: int, address: str) -> errors.RegistryError:
    reason = f"the server there only speaks HTTP/1.1 (HTTP {status})"
    if _is_temporary(status):
        return errors.Unreachable(reason, address)
    return errors.ProxyRefused(
        f"{address} is not a registry: {reason}; a proxy must accept HTTP/2, such as with 'listen ... http2' in nginx",
        status,
    )


def _is_temporary(status: int) -> bool:
    # 501, 505 and 511 are permanent.
    return status >= 500 and status not in (501, 505, 511)


def _not_connected(status: int, address: str) -> errors.RegistryError:
    reason = f"the proxy that the environment names, such as in https_proxy, refused the connection (HTTP {status})"
    if status == TOO_MANY_REQUESTS or _is_temporary(status):
        return errors.Unreachable(reason, address)
    return errors.ProxyRefused(
        f"cannot reach the registry at {address}: {reason}; let it connect there, or list the registry in no_proxy",
        status,
    )
