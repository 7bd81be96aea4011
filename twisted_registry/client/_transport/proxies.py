"""
Answers that a proxy gave in the registry's place: an HTTP status, in gRPC's words, or what Envoy makes of one.
"""

import re

import grpc

from twisted_registry.client import errors

_HTTP_STATUS = re.compile(r"Received http2 header with status: ([0-9]{3})")

_CONNECT_STATUS = re.compile(r"HTTP proxy returned response code ([0-9]{3})")
"""Of a proxy that the environment names, which was asked for a connection."""

_OLD_HTTP_STATUS = re.compile(r"http1.x server \(HTTP status ([0-9]{3})\)")

_ENVOYS_TOO_LARGE = re.compile(r"^(Payload|Request Entity|Content) Too Large", re.IGNORECASE)

_ENVOYS_UNAVAILABLE = re.compile(r"^(upstream |no healthy upstream)", re.IGNORECASE)

_LOST = re.compile(r"RST_STREAM with error code 0\b")
"""Whoever answers before all is sent ends the call without an error, after the answer; gRPC may lose the answer."""

_HEADERS_REFUSED = re.compile(r"GOAWAY received; Error code: (9|11); Debug Text: *\)")
"""What nginx (11, ENHANCE_YOUR_CALM) and Envoy (9, COMPRESSION_ERROR) end a connection with."""

_SMALL_TOKEN_BYTES = 4000
"""Nothing refuses headers of this size."""

TOO_MANY_REQUESTS = 429

_LARGER = "let it take larger requests, such as client_max_body_size 0 in nginx"

_REMEDIES = {
    401: "give the client a token or a certificate that it accepts",
    403: "let it pass this client on",
    404: "let it pass on /cogmentAPI.ModelRegistrySP/ and /grpc.health.v1.Health/",
    407: "it wants a name and a password of its own",
    408: "let it wait longer for data, such as client_body_timeout in nginx",
    413: _LARGER,
    414: "let it take larger headers, such as large_client_header_buffers in nginx",
    415: "let it pass gRPC on, such as grpc_pass in nginx",
    431: "let it take larger headers, such as large_client_header_buffers in nginx",
}

_CAUSES = {
    429: "takes no more calls of this client now",
    504: "got no answer in time: where it is short of time, give it more, such as grpc_read_timeout in nginx",
}


def error_of_proxy(code: grpc.StatusCode, text: str, address: str) -> errors.RegistryError | None:
    """
    Return the error for a status that a proxy gave; ``None`` for any other.

    Args:
        text: the status' text.
        address: of the registry, or of the proxy before it.
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
        return errors.ProxyUnavailable(f"the proxy before the registry at {address} has lost it ({text[:200]})", 503)
    return None


def error_of_long_token(error: errors.RegistryError, address: str, token_bytes: int) -> errors.RegistryError:
    """
    Return the error for a connection that was lost when a token was sent: proxies hang up on headers that they find too
    large, and do not say so.

    Args:
        error: as it would be without a token.
    """
    if type(error) is not errors.Unavailable or token_bytes <= _SMALL_TOKEN_BYTES:
        return error
    remedy = f"the token has {token_bytes} bytes: {_REMEDIES[431]}"
    if _HEADERS_REFUSED.search(error.reason):
        return errors.ProxyRefused(
            f"a proxy before the registry at {address} took no headers of this size; {remedy}", 431
        )
    if "Socket closed" in error.reason:
        return errors.Unavailable(f"{error.reason}; where a proxy hung up: {remedy}")
    return error


def has_lost_answer(error: BaseException) -> bool:
    """
    Return whether a call was ended by an answer of which gRPC has lost what it was.
    """
    return isinstance(error, errors.Unavailable) and _LOST.search(error.reason) is not None


def lost_answer(address: str) -> errors.ProxyRefused:
    """
    Return the error for an upload that is ended again and again before all is sent, of which nobody knows why.
    """
    return errors.ProxyRefused(
        f"the server at {address}, or a proxy before it, ended the upload before all was sent, and its answer was "
        f"lost; most often the upload is too large for a proxy (HTTP 413): {_LARGER}",
        0,
    )


def _answered(status: int, address: str) -> errors.RegistryError:
    if status == 401:
        return errors.NotAuthenticated(f"a proxy before the registry at {address} refused it, HTTP 401")
    if status == 403:
        return errors.NotPermitted(f"a proxy before the registry at {address} refused it, HTTP 403")
    if status == TOO_MANY_REQUESTS or _is_passing(status):
        cause = _CAUSES.get(status, "cannot reach it: see that the registry runs, and the log of the proxy")
        return errors.ProxyUnavailable(f"the proxy before the registry at {address} {cause} (HTTP {status})", status)
    remedy = _REMEDIES.get(status, "see its log; it is to pass gRPC on by HTTP/2")
    if 300 <= status < 400:
        remedy = "it redirects, which gRPC does not follow: give the client the address it redirects to"
    return errors.ProxyRefused(f"a proxy before the registry at {address} refused it (HTTP {status}): {remedy}", status)


def _speaks_old_http(status: int, address: str) -> errors.RegistryError:
    reason = f"who listens there speaks HTTP/1.1 alone (HTTP {status})"
    if _is_passing(status):
        return errors.Unreachable(reason, address)
    return errors.ProxyRefused(
        f"{address} is no registry: {reason}; a proxy is to take HTTP/2, such as by 'listen ... http2' in nginx",
        status,
    )


def _is_passing(status: int) -> bool:
    # 501, 505 and 511 say what the proxy will never do.
    return status >= 500 and status not in (501, 505, 511)


def _not_connected(status: int, address: str) -> errors.RegistryError:
    reason = f"the proxy that the environment names, such as in https_proxy, refused the connection (HTTP {status})"
    if status == TOO_MANY_REQUESTS or _is_passing(status):
        return errors.Unreachable(reason, address)
    return errors.ProxyRefused(
        f"cannot reach the registry at {address}: {reason}; let it connect there, or name the registry in no_proxy",
        status,
    )
