"""
Documents of issuers, fetched over HTTPS.
"""

import socket
import ssl
import urllib.request
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from threading import Timer
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from attrs import frozen

from twisted_registry.access.issuers.issuer import check_url
from twisted_registry.domain.errors import shown

FETCH_SECONDS = 5.0
"""How long fetching a document may take, all together."""

DOCUMENT_MAX_BYTES = 512 * 1024


class CannotFetch(Exception):
    """
    A document cannot be fetched.  The text says why.
    """


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """
    Redirects that leave the scheme as it is.
    """

    max_redirections = 3

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            raise CannotFetch(f"it redirects to {shown(newurl)}, which has another scheme")
        try:
            check_url(newurl)
        except ValueError as error:
            raise CannotFetch(f"it redirects elsewhere: {error}") from None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Connections:
    """
    The connections of one request, which are closed when it has taken too long.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.context = context
        self._sockets: list[socket.socket] = []
        self.is_late = False

    def add(self, connection: HTTPConnection) -> None:
        if self.is_late:
            connection.close()
            raise TimeoutError
        # The connection itself forgets its socket when the answer begins.
        self._sockets.append(connection.sock)

    def close(self) -> None:
        """
        Close them, while another thread may read from them.
        """
        self.is_late = True
        for each in self._sockets:
            with suppress(OSError):  # it is no longer open
                each.shutdown(socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self._connections = connections

    def http_open(self, req: urllib.request.Request) -> Any:
        connections = self._connections

        class Connection(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                connections.add(self)

        return self.do_open(Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self._connections = connections

    def https_open(self, req: urllib.request.Request) -> Any:
        connections = self._connections

        class Connection(HTTPSConnection):
            def connect(self) -> None:
                super().connect()  # as a whole, the handshake has the timeout of a socket
                connections.add(self)

        return self.do_open(Connection, req, context=connections.context)


@frozen
class Fetcher:
    """
    Fetches documents.  Used in threads that may block.

    Attributes:
        fetch_seconds: how long a document may take, all together.
        max_bytes: the largest document.
    """

    fetch_seconds: float = FETCH_SECONDS
    max_bytes: int = DOCUMENT_MAX_BYTES

    def fetch(self, url: str, ca_file: str = "", token: str = "") -> bytes:
        """
        Fetch a document.

        Args:
            url: its URL.
            ca_file: the path of a file with the authorities of the server; empty for those of the system.
            token: a bearer token for the server; it is not sent to where that redirects.

        Raises:
            CannotFetch: it cannot be fetched.
        """
        try:
            check_url(url)
            context = ssl.create_default_context(cafile=ca_file or None) if url.startswith("https:") else None
        except (ValueError, OSError) as error:  # also SSLError
            raise CannotFetch(_reason(error)) from None
        request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "twisted-registry"})
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        connections = _Connections(context)
        timer = Timer(self.fetch_seconds, connections.close)
        timer.daemon = True
        timer.start()
        try:
            return self._read(connections, request)
        except (OSError, HTTPException, ValueError) as error:
            if connections.is_late:
                raise CannotFetch(f"it took longer than {self.fetch_seconds:g} s") from None
            raise CannotFetch(_reason(error)) from None
        finally:
            timer.cancel()

    def _read(self, connections: _Connections, request: urllib.request.Request) -> bytes:
        with _opener(connections).open(request, timeout=self.fetch_seconds) as response:
            content: bytes = response.read(self.max_bytes + 1)
            is_whole = not response.length
        if connections.is_late:
            raise TimeoutError
        if len(content) > self.max_bytes:
            raise CannotFetch(f"it is larger than {self.max_bytes} bytes")
        if not is_whole:
            raise CannotFetch("the connection was lost")
        return content


def _opener(connections: _Connections) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    is_plain = connections.context is None
    for handler in (
        # What is not encrypted comes from this machine, never through a proxy.
        urllib.request.ProxyHandler({} if is_plain else None),
        _Http(connections) if is_plain else _Https(connections),
        _SameScheme(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        error.close()
        elsewhere = ", and redirects to where this is not followed" if error.code in range(300, 400) else ""
        return f"the server answered with status {error.code}{elsewhere}"
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return "the server did not answer in time"
    return (isinstance(reason, OSError) and reason.strerror) or str(reason)
