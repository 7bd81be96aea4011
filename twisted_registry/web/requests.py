"""
Requests: their limits, and the headers of each reply.
"""

from collections.abc import Sequence
from functools import cached_property
from http import HTTPStatus
from io import BytesIO
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import INTERNAL_SERVER_ERROR
from twisted.web.server import NOT_DONE_YET, Request

from twisted_registry.observability.incidents import report_incident
from twisted_registry.protocol.call_metadata import REQUEST_ID_KEY, new_request_id, request_id_in
from twisted_registry.web.bodies import PIECE_BYTES, BodySender

_log = Logger()

MAX_BODY_BYTES = 2**20
"""The limit on the body of a request.  Twisted keeps all but short ones in temporary files."""

_TOO_LARGE = b"HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_TOO_MUCH_UNREAD = (
    b'{"code": "resource_exhausted", "message": "this address has not read other long replies; read them first"}\n'
)

_HEADERS = {
    b"server": b"twisted-registry",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}
"""The headers of each reply.  A page may replace them."""


class BoundedRequest(Request):
    """
    A request with a body of limited length, whose reply has the headers that every reply needs.
    """

    _received_bytes = 0
    _is_refused = False
    _is_sending = False
    _content_types: Sequence[bytes] = ()

    def __init__(self, channel: Any, *args: Any, **kwargs: Any) -> None:
        """

        Args:
            channel: where it arrived.
        """
        super().__init__(channel, *args, **kwargs)
        self.connection = channel.transport  # a Connection; the channel forgets it when it is lost

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """
        Make the place for the body.
        """
        try:
            super().gotLength(length)
        except OSError:  # there is no place for temporary files, such as in a container that is read-only
            self.content = BytesIO()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        """
        Take the whole request.
        """
        # Twisted would parse a form before anything is known about its sender.  No page takes one, and parsing a
        # megabyte of it holds up the reactor for seconds.
        self._content_types = self.requestHeaders.getRawHeaders(b"content-type", ())
        self.requestHeaders.removeHeader(b"content-type")
        super().requestReceived(command, path, version)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """
        Take a part of the body.  Close the connection if there is too much of it.
        """
        if self._is_refused:
            return
        self._received_bytes += len(data)
        if self._received_bytes > MAX_BODY_BYTES:
            self._is_refused = True
            assert self.transport is not None, "data comes on a connection"
            self.transport.write(_TOO_LARGE)
            self.transport.loseConnection()
            return
        super().handleContentChunk(data)

    def process(self) -> None:
        """
        Answer the request.
        """
        if self._content_types:
            self.requestHeaders.setRawHeaders(b"content-type", self._content_types)
        if not self._is_refused:
            if not self.connection.begin_request():
                self.channel.persistent = False
                self.setHeader(b"connection", b"close")
            self._set_answering(True)
            self.notifyFinish().addBoth(lambda _: self._set_answering(False))
            super().process()

    def _set_answering(self, is_answering: bool) -> None:
        connection: Any = self.connection
        connection.is_answering = is_answering

    def render(self, resrc: Any) -> None:
        """
        Answer the request with a resource.
        """
        # Not earlier, because Twisted sets the first of these itself.
        for name, value in _HEADERS.items():
            self.setHeader(name, value)
        if not self._registry_site.refuse(self):
            super().render(resrc)

    def processingFailed(self, reason: Failure) -> Any:  # noqa: N802
        """
        Answer a request that a bug has ended.  The caller gets only the incident's id.
        """
        text = report_incident(_log, reason, "a request to {path}", path=self.path)
        if self.is_open:
            self.reply(INTERNAL_SERVER_ERROR, text)
            self.finish()
        return reason

    @cached_property
    def request_id(self) -> str:
        """
        The id by which the logs name the calls of this request: the client's, or a new one.
        """
        sent = ((REQUEST_ID_KEY, value) for value in self.header_values(REQUEST_ID_KEY))
        return request_id_in(sent) or new_request_id()

    @property
    def client_certificate(self) -> bytes:
        """
        The client's certificate in PEM, which was verified; empty without one.
        """
        connection: Any = self.connection
        return bytes(connection.certificate)

    def header_values(self, name: str) -> Sequence[str]:
        """
        Return the values of a header, whatever their bytes are: Twisted itself fails if they are not UTF-8.
        """
        return [value.decode("latin-1") for value in self.requestHeaders.getRawHeaders(name.encode(), ())]

    def header(self, name: str) -> str | None:
        """
        Return the last value of a header; ``None`` if there is none.
        """
        return next(reversed(self.header_values(name)), None)

    def reply(self, code: int, text: str) -> None:
        """
        Write a reply of plain text, without finishing it.
        """
        self.setResponseCode(code)
        self.write_body("text/plain; charset=utf-8", f"{text}\n".encode())

    def write_body(self, content_type: str, body: bytes) -> None:
        """
        Write the whole body of a reply, unless the request was HEAD.
        """
        self.setHeader(b"content-type", content_type.encode())
        if len(body) > PIECE_BYTES and self.method != b"HEAD":
            body = self._reserved(body)
        self.setHeader(b"content-length", b"%d" % len(body))
        if self.method == b"HEAD":
            self.write(b"")
        elif len(body) <= PIECE_BYTES:
            self.write(body)
        else:
            self._is_sending = True
            BodySender(self, body, self._registry_site.reactor, super().finish).start()

    def _reserved(self, body: bytes) -> bytes:
        """
        Return a long body, or that of a refusal if the client has too much to read already.
        """
        address, unread = getattr(self.getClientAddress(), "host", ""), self._registry_site.unread
        if unread.reserve(address, len(body)):
            self.notifyFinish().addBoth(lambda _: unread.release(address, len(body)))
            return body
        self.setResponseCode(HTTPStatus.TOO_MANY_REQUESTS)
        self.setHeader(b"content-type", b"application/json")
        self.responseHeaders.removeHeader(b"content-encoding")
        return _TOO_MUCH_UNREAD

    def finish(self) -> None:
        """
        End the reply, if need be once all of it was sent.
        """
        if not self._is_sending:
            super().finish()

    @property
    def _registry_site(self) -> Any:
        return self.site

    @property
    def is_open(self) -> bool:
        """
        True while the client is there and the reply is not written.
        """
        return not (self._disconnected or self.finished or self._is_sending)


__all__ = ["MAX_BODY_BYTES", "NOT_DONE_YET", "BoundedRequest"]
