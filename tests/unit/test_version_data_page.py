"""
Tests of the data of versions by HTTP, with calls that the test answers.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import PartialDownloadError, ResponseFailed, readBody

from tests.unit.test_json_api import JsonApiCase
from twisted_registry.contracts.calls import CallFailed, LocalCall
from twisted_registry.protocol.messages import v1
from twisted_registry.web.version_data import Part, part_of

SHA256 = bytes(range(32))
ETAG = f'"{SHA256.hex()}"'
VERSION = v1.Version(model_id="team/@x", number=3, size_bytes=10, sha256=SHA256)


def request_of(call: LocalCall) -> bytes:
    """
    Return the request of a call.
    """
    assert isinstance(call.request, bytes), "it is short"
    return call.request


class RangeTests(SynchronousTestCase):
    """
    The header ``Range``.
    """

    def test_parts(self) -> None:
        """
        One range of bytes is a part, cut at the end; others, and what is not a range, mean all.
        """
        for header, part in (
            ("bytes=0-0", Part(0, 1)),
            ("bytes=2-4", Part(2, 3)),
            ("bytes=2-", Part(2, 8)),
            ("bytes=2-99", Part(2, 8)),
            ("bytes=-3", Part(7, 3)),
            ("bytes=-99", Part(0, 10)),
            (" bytes=9-9 ", Part(9, 1)),
            ("bytes=10-", None),
            ("bytes=-0", None),
            (f"bytes={10**17}-", None),
        ):
            self.assertEqual(part_of(header, 10), part, header)
        for all_of in (None, "", "bytes=-", "bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=x-1", f"bytes={10**18}-"):
            self.assertEqual(part_of(all_of, 10), Part(0, 10, is_all=True), all_of)

    def test_empty(self) -> None:
        """
        An empty version has no parts.
        """
        self.assertEqual(part_of(None, 0), Part(0, 0, is_all=True))
        self.assertIsNone(part_of("bytes=0-", 0))


class DataTests(JsonApiCase):
    """
    A version of ten bytes.
    """

    async def answer(self, *messages: bytes, finish: Any = None, **headers: str) -> tuple[Any, bytes]:
        """
        Ask for the data, answer the calls, and return the response with its body.
        """
        self.calls.replies.append(VERSION.SerializeToString())
        begun = self.calls.next_stream()
        asked = {name.replace("_", "-"): [value] for name, value in headers.items()}
        answering = Deferred.fromCoroutine(self.begin("GET", "data?reference=team/%2540x@best", None, asked))
        stream = await begun
        header = v1.ReadVersionHeader(version=VERSION, encoding="identity")
        stream.receive(v1.ReadVersionResponse(header=header).SerializeToString())
        for message in messages:
            stream.receive(v1.ReadVersionResponse(chunk=message).SerializeToString())
        if finish is None:
            stream.finished.callback(None)
        else:
            stream.finished.errback(finish)
        response = await answering
        return response, await readBody(response)

    def header_of(self, response: Any, name: str) -> str:
        """
        Return a header of a response; empty if it has none.
        """
        return ",".join(response.headers.getRawHeaders(name, []))

    async def test_whole(self) -> None:
        """
        The data are sent as they are, with their hash; they are read by number, whatever the alias means meanwhile.
        """
        response, body = await self.answer(b"01234", b"56789")
        self.assertEqual((response.code, body, response.length), (200, b"0123456789", 10))
        self.assertEqual(self.header_of(response, "etag"), ETAG)
        self.assertEqual(self.header_of(response, "content-type"), "application/octet-stream")
        self.assertEqual(self.header_of(response, "content-disposition"), 'attachment; filename="team-x-v3"')
        self.assertRegex(self.header_of(response, "repr-digest"), "^sha-256=:[A-Za-z0-9+/=]{44}:$")
        found, read = self.calls.made
        self.assertEqual(v1.GetVersionRequest.FromString(request_of(found)).reference, "team/%40x@best")
        self.assertEqual(
            v1.ReadVersionRequest.FromString(request_of(read)),
            v1.ReadVersionRequest(reference="team/%40x@3", length=10),
        )

    async def test_part(self) -> None:
        """
        A range is read alone, unless it is of another version.
        """
        response, body = await self.answer(b"234", Range="bytes=2-4", If_Range=ETAG)
        self.assertEqual((response.code, body, response.length), (206, b"234", 3))
        self.assertEqual(self.header_of(response, "content-range"), "bytes 2-4/10")
        wanted = v1.ReadVersionRequest.FromString(request_of(self.calls.made[1]))
        self.assertEqual((wanted.offset, wanted.length), (2, 3))
        response, body = await self.answer(b"0123456789", Range="bytes=2-4", If_Range='"other"')
        self.assertEqual((response.code, body), (200, b"0123456789"))

    async def test_without_data(self) -> None:
        """
        HEAD, a client that has the version, and a range behind its end read nothing.
        """
        for verb, headers, status in (
            ("HEAD", {}, 200),
            ("GET", {"If-None-Match": [f'"x", W/{ETAG}']}, 304),
            ("GET", {"Range": ["bytes=10-"]}, 416),
        ):
            self.calls.replies.append(VERSION.SerializeToString())
            response = await self.begin(verb, "data?reference=m", None, headers)
            self.assertEqual(response.code, status)
            if verb == "HEAD":
                self.assertEqual(self.header_of(response, "etag"), ETAG)
            if status == 416:
                self.assertEqual(self.header_of(response, "content-range"), "bytes */10")
        self.assertEqual(self.calls.streams, [])

    async def test_refused(self) -> None:
        """
        Errors before the data have their status, and requests that are not valid make no call.
        """
        for query in ("", "reference=m&reference=n", "reference=m&offset=1", "reference=%FF"):
            response, answer = await self.ask("GET", f"data?{query}")
            self.assertEqual((response.code, answer["code"]), (400, "invalid_argument"), query)
        self.assertEqual(self.calls.made, [])
        response, _ = await self.ask("POST", "data?reference=m", b"")
        self.assertEqual(response.code, 405)
        self.calls.replies.append(CallFailed("NOT_FOUND", "no"))
        response, answer = await self.ask("GET", "data?reference=m")
        self.assertEqual((response.code, answer["code"]), (404, "not_found"))
        self.calls.replies.append(VERSION.SerializeToString())
        begun = self.calls.next_stream()
        answering = Deferred.fromCoroutine(self.ask("GET", "data?reference=m"))
        (await begun).finished.errback(CallFailed("RESOURCE_EXHAUSTED", "quota"))
        response, answer = await answering
        self.assertEqual((response.code, answer["code"]), (429, "resource_exhausted"))
        self.assertEqual(self.header_of(response, "etag"), "")

    async def test_damage(self) -> None:
        """
        If the data end with an error, the client sees that bytes are missing.
        """
        with self.assertRaises((PartialDownloadError, ResponseFailed, ConnectionLost)):
            await self.answer(b"01234", finish=CallFailed("DATA_LOSS", "damaged"))
