"""
The data of versions by HTTP: ``GET /api/v1/data?reference=walker@production``, whole or a range of it.
"""

import base64
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from attrs import frozen
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from twisted_registry.contracts.calls import CallFailed
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.json_calls import METHODS
from twisted_registry.protocol.messages import v1
from twisted_registry.web.caller import call_by
from twisted_registry.web.edge import Edge
from twisted_registry.web.errors import failed_call, write_error
from twisted_registry.web.reply_streams import ReplyStream
from twisted_registry.web.requests import NOT_DONE_YET, BoundedRequest

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_FIND, _READ = METHODS["GetVersion"], METHODS["ReadVersion"]


@frozen
class Part:
    """
    The part of a version that a client wants.

    Attributes:
        offset: the first byte.
        length: how many bytes.
        is_all: whether the client wants all of it.
    """

    offset: int
    length: int
    is_all: bool = False


def part_of(header: str | None, size_bytes: int) -> Part | None:
    """
    Return the part that the header ``Range`` names; ``None`` if the version does not have it.  Several ranges, and what
    is not a range of bytes, mean all, as RFC 9110 permits.

    Args:
        size_bytes: the size of the version.
    """
    match = None if header is None else _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return Part(0, size_bytes, is_all=True)
    if match[1]:
        first = int(match[1])
        last = int(match[2]) if match[2] else max(first, size_bytes)
        if last < first:
            return Part(0, size_bytes, is_all=True)
    else:
        first, last = max(0, size_bytes - int(match[2])), size_bytes
    return Part(first, min(last + 1, size_bytes) - first) if first < size_bytes else None


class VersionDataPage(Resource):
    """
    The page with the data of a version.
    """

    isLeaf = True

    def __init__(self, edge: Edge) -> None:
        super().__init__()
        self._edge = edge

    def render(self, request: Any) -> Any:
        """
        Answer a request.
        """
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            request.reply(HTTPStatus.METHOD_NOT_ALLOWED, "use GET or HEAD")
            request.finish()
            return NOT_DONE_YET
        try:
            # The version first: a range, an ETag and an alias all mean one version, whatever happens meanwhile.
            wanted = v1.GetVersionRequest(reference=_reference(request))
        except InvalidRequest as error:
            write_error(request, CallFailed("INVALID_ARGUMENT", str(error)))
            return NOT_DONE_YET
        finding = self._edge.calls().call(call_by(request, _FIND.path, wanted.SerializeToString()))
        request.notifyFinish().addErrback(lambda _: finding.cancel())

        def fail(failure: Failure) -> None:
            failed = failed_call(failure)
            if request.is_open:
                write_error(request, failed)

        finding.addCallback(lambda reply: self._answer(request, v1.Version.FromString(reply))).addErrback(fail)
        return NOT_DONE_YET

    def _answer(self, request: BoundedRequest, version: Any) -> None:
        if not request.is_open:
            return
        headers = _headers(version)
        etag = headers["etag"]
        if _has(request.header("if-none-match"), etag):
            request.setResponseCode(HTTPStatus.NOT_MODIFIED)
            request.setHeader(b"etag", etag.encode())
            request.finish()
            return
        is_same = request.header("if-range") in (None, etag)
        part = part_of(request.header("range") if is_same else None, version.size_bytes)
        if part is None:
            request.setHeader(b"content-range", b"bytes */%d" % version.size_bytes)
            request.reply(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"the version has {version.size_bytes} bytes")
            request.finish()
            return
        headers["content-length"] = str(part.length)
        if not part.is_all:
            last = part.offset + part.length - 1
            headers["content-range"] = f"bytes {part.offset}-{last}/{version.size_bytes}"
        self._send(request, version, part, headers)

    def _send(self, request: BoundedRequest, version: Any, part: Part, headers: Mapping[str, str]) -> None:
        data = VersionData(request, self._edge.clock, headers, part)
        if request.method == b"HEAD":
            data.begun()
            request.setHeader(b"content-type", data.content_type)
            request.finish()
        elif self._edge.may_stream(request):
            reference = str(Reference(version.model_id, version.number))
            wanted = v1.ReadVersionRequest(reference=reference, offset=part.offset, length=part.length)
            data.start(self._edge.calls(), call_by(request, _READ.path, wanted.SerializeToString()))


class VersionData(ReplyStream):
    """
    Data on its way.  If it cannot be read to its end, the connection is lost: the client sees that bytes are missing.
    """

    def __init__(self, request: BoundedRequest, clock: Any, headers: Mapping[str, str], part: Part) -> None:
        """

        Args:
            clock: the clock.
            headers: the headers of the reply.
            part: what is sent.
        """
        super().__init__(request, clock)
        self._headers = headers
        self._part = part

    def begun(self) -> None:
        """See ``ReplyStream.begun``."""
        self._request.setResponseCode(HTTPStatus.OK if self._part.is_all else HTTPStatus.PARTIAL_CONTENT)
        for name, value in self._headers.items():
            self._request.setHeader(name.encode(), value.encode())

    def encode(self, reply: bytes) -> bytes:
        """See ``ReplyStream.encode``."""
        return bytes(v1.ReadVersionResponse.FromString(reply).chunk)


def _reference(request: BoundedRequest) -> str:
    values = request.args.get(b"reference", [])
    if len(values) != 1 or len(request.args) != 1:
        raise InvalidRequest("the query must have one reference, and nothing else: ?reference=walker@production")
    try:
        return str(values[0].decode())
    except UnicodeDecodeError:
        raise InvalidRequest("the query is not UTF-8; encode it so") from None


def _headers(version: Any) -> dict[str, str]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", version.model_id)
    return {
        "accept-ranges": "bytes",
        "content-disposition": f'attachment; filename="{name}-v{version.number}"',
        "etag": f'"{version.sha256.hex()}"',
        # Of the whole version, also if this is a part of it (RFC 9530).
        "repr-digest": f"sha-256=:{base64.b64encode(version.sha256).decode()}:",
        "x-version-number": str(version.number),
    }


def _has(header: str | None, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return etag in tags or tags == ["*"]
