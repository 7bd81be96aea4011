"""
Tests of ``twisted_registry.v1.Registry``: the data of versions, read, created and copied.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import grpc

from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from tests.support.registry_v1 import RegistryV1
from twisted_registry.protocol.call_metadata import CHECKSUM_KEY

MIB = 2**20
DATA = bytes(range(256)) * 4096 * 3 + b"the end"
"""Three chunks of the usual size, and a bit."""


class TransferCase(EdgeTestCase):
    """
    A model, and a client of the new API.
    """

    model_id = "m"

    def setUp(self) -> None:
        """
        Create the model.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        self.v1.CreateModel(model={"model_id": self.model_id})

    def at(self, version: object) -> str:
        """
        Return a reference to a version of the test's model.
        """
        return f"{self.model_id}@{version}"

    def read(self, version: object = "latest", offset: int = 0, length: int = 0) -> tuple[Any, bytes]:
        """
        Read a version; return its header and the data.
        """
        first, *rest = self.v1.ReadVersion(reference=self.at(version), offset=offset, length=length)
        self.assertEqual(first.WhichOneof("content"), "header")
        return first.header, b"".join(message.chunk for message in rest)


class ReadTests(TransferCase, SharedEdgeTestCase):
    """
    Versions that are read.
    """

    def test_whole(self) -> None:
        """
        A version is read with all that is known of it, and its checksum at the end.
        """
        self.client.create(self.model_id, DATA, archived=True)
        self.v1.SetAlias(reference=self.at(1), alias="production")
        self.v1.UpdateVersion(reference=self.at(1), version={"metrics": {"return": 1.5}})
        stream = self.v1.ReadVersion(reference=self.at("production"))
        header, *chunks = stream
        self.assertEqual(b"".join(message.chunk for message in chunks), DATA)
        self.assertEqual(header.header.version, self.v1.GetVersion(reference=self.at(1)))
        self.assertEqual(dict(header.header.version.metrics), {"return": 1.5})
        self.assertEqual(
            (header.header.encoding, header.header.offset, header.header.length), ("identity", 0, len(DATA))
        )
        trailing = dict(stream.trailing_metadata())
        self.assertEqual(trailing[CHECKSUM_KEY].split(" ")[0], str(len(DATA)))

    def test_parts(self) -> None:
        """
        A part is read from any offset on, of archived and of transient versions.
        """
        for archived in (True, False):
            number = self.client.create(self.model_id, DATA, archived=archived).version_number
            for offset, length in ((0, 1), (MIB - 1, 2), (MIB, MIB), (5, 0), (len(DATA), 0), (len(DATA) - 3, 99)):
                header, data = self.read(number, offset, length)
                expected = DATA[offset:][: length or None]
                self.assertEqual(data, expected, (archived, offset, length))
                self.assertEqual((header.offset, header.length), (offset, len(expected)))

    def test_refused(self) -> None:
        """
        An offset behind the end is OUT_OF_RANGE; what does not exist is NOT_FOUND.
        """
        self.client.create(self.model_id, b"data")
        for reference, offset, code in (
            (self.at(1), 5, grpc.StatusCode.OUT_OF_RANGE),
            (self.at(1), 2**64 - 1, grpc.StatusCode.OUT_OF_RANGE),
            (self.at(2), 0, grpc.StatusCode.NOT_FOUND),
            (self.at("production"), 0, grpc.StatusCode.NOT_FOUND),
            (f"{self.model_id}-none", 0, grpc.StatusCode.NOT_FOUND),
            ("", 0, grpc.StatusCode.INVALID_ARGUMENT),
            (f"{self.model_id}@", 0, grpc.StatusCode.INVALID_ARGUMENT),
        ):
            self.assertEqual(self.v1.fails("ReadVersion", reference=reference, offset=offset), code, reference)

    def test_huge_length(self) -> None:
        """
        A length beyond the end means all that there is.
        """
        self.client.create(self.model_id, b"data")
        header, data = self.read(1, 1, 2**64 - 1)
        self.assertEqual((data, header.length), (b"ata", 3))

    def test_sent_to_both(self) -> None:
        """
        Both services send the same messages.
        """
        self.client.create(self.model_id, DATA)
        ours = [message.chunk for message in self.v1.ReadVersion(reference=self.at(1))][1:]
        self.assertEqual(ours, list(self.client.chunks(self.model_id, 1)))


class CreateTests(TransferCase, SharedEdgeTestCase):
    """
    Creations of versions.
    """

    def create(self, data: bytes = DATA, **header: Any) -> Any:
        """
        Create a version of the test's model.
        """
        return self.v1.create(data, model_id=self.model_id, **header)

    def test_version(self) -> None:
        """
        A version is created with all that belongs to it, and both APIs read it.
        """
        for number, archived in enumerate((True, False), 1):
            sha256 = hashlib.sha256(DATA).digest()
            aliases = ["production", "canary"] if archived else []
            version = self.create(
                archived=archived,
                sha256=sha256,
                metadata={"step": "7"},
                labels={"env": "walker"},
                metrics={"return": 2.5},
                aliases=aliases,
                alias_reason="best",
            )
            self.assertEqual((version.number, version.archived, version.sha256), (number, archived, sha256))
            self.assertEqual((dict(version.labels), dict(version.metrics)), ({"env": "walker"}, {"return": 2.5}))
            self.assertEqual(list(version.aliases), sorted(aliases))
            self.assertEqual(version, self.v1.GetVersion(reference=self.at(number)))
            self.assertEqual(self.read(number)[1], DATA)
            self.assertEqual(self.client.data(self.model_id, number), DATA)
        moves = self.v1.ListAliasEvents(model_id=self.model_id).events
        self.assertEqual((moves[0].alias, moves[0].to_number, moves[0].reason), ("canary", 1, "best"))

    def test_alias_moves_in_the_commit(self) -> None:
        """
        A second creation moves the alias of the first.
        """
        self.create(b"one", archived=True, aliases=["production"])
        self.create(b"two", archived=True, aliases=["production"])
        self.assertEqual(self.v1.GetVersion(reference=self.at("production")).number, 2)
        moves = self.v1.ListAliasEvents(model_id=self.model_id).events
        self.assertEqual([(move.from_number, move.to_number) for move in moves], [(1, 2), (0, 1)])

    def test_key(self) -> None:
        """
        The same key again returns the version that it made, for both APIs.
        """
        sha256 = hashlib.sha256(b"data").digest()
        first = self.create(b"data", archived=True, idempotency_key=self.model_id, sha256=sha256, labels={"a": "b"})
        again = self.create(b"data", archived=True, idempotency_key=self.model_id, sha256=sha256)
        self.assertEqual(again, first)
        upload = self.v1.begin(
            model_id=self.model_id, size_bytes=4, archived=True, sha256=sha256, idempotency_key=self.model_id
        )
        self.assertEqual(upload.call.result(TIMEOUT_SECONDS).number, first.number)  # without the data
        status = self.v1.GetUpload(model_id=self.model_id, idempotency_key=self.model_id)
        self.assertEqual((status.version, status.received_bytes), (first, 0))

    def test_key_of_an_evicted_version(self) -> None:
        """
        The key of a transient version that was evicted still names the version that it made.
        """
        first = self.create(b"data", idempotency_key=self.model_id)
        for _ in range(101):
            self.create(b"more")
        self.assertEqual(self.v1.fails("GetVersion", reference=self.at(first.number)), grpc.StatusCode.NOT_FOUND)
        status = self.v1.GetUpload(model_id=self.model_id, idempotency_key=self.model_id)
        self.assertEqual((status.version.number, status.version.sha256), (first.number, first.sha256))

    def test_refused_headers(self) -> None:
        """
        A header that is not allowed is refused, and leaves nothing.
        """
        invalid, key = grpc.StatusCode.INVALID_ARGUMENT, {"idempotency_key": self.model_id}
        for code, fields in (
            (invalid, {"aliases": ["production"]}),
            (invalid, {"aliases": ["latest"], "archived": True}),
            (invalid, {"aliases": ["a", "a"], "archived": True}),
            (invalid, {"aliases": ["a"], "archived": True, "alias_reason": "x" * 1025}),
            (invalid, {"metrics": {"return": float("nan")}}),
            (invalid, {"labels": {"": "b"}}),
            (invalid, {"metadata": {"a": "x" * 2**18}}),
            (invalid, {"sha256": b"short"}),
            (invalid, {"sha256": bytes(32)}),
            (invalid, {"offset": 1}),
            (invalid, {"offset": 5, **key}),
            (invalid, {"idempotency_key": "a\nb"}),
            (invalid, {"idempotency_key": "x" * 129}),
            (invalid, {"size_bytes": 3}),
            (invalid, {"size_bytes": 5}),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, {"size_bytes": 2**64 - 1}),
            (grpc.StatusCode.FAILED_PRECONDITION, {"offset": 1, **key}),
            (grpc.StatusCode.NOT_FOUND, {"model_id": f"{self.model_id}-none"}),
        ):
            upload = self.v1.begin(**{"model_id": self.model_id, "size_bytes": 4, **fields})
            upload.feed(b"data")
            self.assertEqual(upload.code(), code, fields)
        self.assertEqual(self.v1.GetModel(model_id=self.model_id).version_count, 0)

    def test_hostile_messages(self) -> None:
        """
        A stream that is not a header and chunks is refused; unusual encodings of a chunk are not.
        """
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        for messages in (
            [b"\x12\x04data", b"\x0a\x00"],
            [b"\xff\xff"],
            [b"\x0a\x80"],
            [b"\x12\x7f"],
            [bytes(2 * MIB)],
        ):
            upload = self.v1.begin(model_id=self.model_id, size_bytes=4)
            for message in messages:
                upload.send(message)
            self.assertEqual(upload.code(), invalid, messages[0][:9])
        upload = self.v1.begin(model_id=self.model_id, size_bytes=4)
        upload.send(b"\x12\x81\x00d")  # a length that is longer than it has to be
        upload.send(b"\x12\x01x\x12\x02at")  # the last of several counts
        upload.send(b"\x12\x00")
        upload.send(b"\x98\x06\x01\x12\x01a")  # with a field that is not known
        self.assertEqual(self.read(upload.finish().number)[1], b"data")

    def test_huge_message(self) -> None:
        """
        A message of nearly 64 MiB is taken; a longer one is refused by gRPC.
        """
        data = bytes(60 * MIB)
        self.assertEqual(self.create(data, archived=True, piece_bytes=60 * MIB).size_bytes, len(data))
        upload = self.v1.begin(model_id=self.model_id, size_bytes=65 * MIB, archived=True)
        upload.feed(bytes(65 * MIB), 65 * MIB)
        self.assertEqual(upload.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)


class ResumeCase(TransferCase):
    """
    Uploads that are interrupted.
    """

    @property
    def key(self) -> str:
        """
        The idempotency key of the test.
        """
        return f"key of {self.model_id}"

    def begin(self, size: int, data: bytes = DATA, **header: Any) -> Any:
        """
        Begin an upload, and wait until some of its data has arrived.
        """
        fields = {"model_id": self.model_id, "archived": True, "idempotency_key": self.key, **header}
        upload = self.v1.begin(size_bytes=len(data), **fields)
        upload.feed(data[header.get("offset", 0) : size])
        self.wait(lambda: self.received(fields) >= size - 2**18, "the data arrives")
        return upload

    def received(self, fields: Any = None) -> int:
        """
        Return how much of an upload is kept.
        """
        fields = fields or {"model_id": self.model_id, "idempotency_key": self.key}
        status = self.v1.GetUpload(model_id=fields["model_id"], idempotency_key=fields["idempotency_key"])
        return int(status.received_bytes)

    def wait(self, condition: Callable[[], bool], fact: str) -> None:
        """
        Wait until a condition holds.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline, fact)
            time.sleep(0.005)

    def go_on(self, data: bytes = DATA, **header: Any) -> Any:
        """
        Send the rest of an upload.
        """
        fields = {"model_id": self.model_id, "archived": True, "idempotency_key": self.key, **header}
        fields.setdefault("offset", self.received(fields))
        return self.v1.create(data, **fields)


class ResumeTests(ResumeCase, SharedEdgeTestCase):
    """
    Uploads that go on.
    """

    def test_resume(self) -> None:
        """
        After a cancelled call, only the rest is sent, of an archived and of a transient version.
        """
        for number, archived in enumerate((True, False), 1):
            header: Any = {"archived": archived, "idempotency_key": f"{self.key} {archived}"}
            sha256 = hashlib.sha256(DATA).digest()
            self.begin(2 * MIB + 7, sha256=sha256, **header).cancel()
            fields = {"model_id": self.model_id, **header}
            self.assertIn(self.received(fields), (2 * MIB, 2 * MIB + 7))  # the last message may not have arrived
            version = self.go_on(sha256=sha256, labels={"a": "b"}, **header)
            self.assertEqual((version.number, version.sha256, version.archived), (number, sha256, archived))
            self.assertEqual(dict(version.labels), {"a": "b"})
            self.assertEqual(self.read(number)[1], DATA)
            self.assertEqual(self.received(fields), 0)

    def test_short_stream(self) -> None:
        """
        A stream that ends early is refused, and can go on.
        """
        upload = self.begin(MIB)
        self.assertEqual(upload.code(), grpc.StatusCode.INVALID_ARGUMENT)
        status = self.v1.GetUpload(model_id=self.model_id, idempotency_key=self.key)
        self.assertEqual(status.received_bytes, MIB)
        seconds = status.expire_time.seconds - time.time()
        self.assertTrue(3500 < seconds <= 3600, seconds)
        self.assertEqual(self.go_on().size_bytes, len(DATA))

    def test_taken_over(self) -> None:
        """
        A call takes over the upload of one that is still open, and that one is ABORTED; neither loses data.
        """
        older = self.begin(2 * MIB)
        offset = self.received()
        older.feed(DATA[2 * MIB :][:100])
        version = self.go_on(offset=offset - 5)
        self.assertEqual(older.call.code(), grpc.StatusCode.ABORTED)
        self.assertIn("taken over", older.call.details())
        older.end()
        self.assertEqual(self.read(version.number)[1], DATA)
        self.assertEqual(self.v1.GetModel(model_id=self.model_id).version_count, 1)

    def test_wrong_offset(self) -> None:
        """
        An upload goes on only where its data ends, or before; the offset that is refused loses nothing.
        """
        self.begin(MIB).cancel()
        self.wait(lambda: self.received() == MIB, "it is kept")
        upload = self.v1.begin(
            model_id=self.model_id, size_bytes=len(DATA), archived=True, idempotency_key=self.key, offset=MIB + 1
        )
        self.assertEqual(upload.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertIn(f"{MIB} bytes", upload.call.details())
        self.assertEqual(self.read(self.go_on().number)[1], DATA)

    def test_other_header(self) -> None:
        """
        An upload does not go on as another version, and nothing is lost by the attempt.
        """
        self.begin(MIB).cancel()
        self.wait(lambda: self.received() == MIB, "it is kept")
        for fields in (
            {"size_bytes": len(DATA) + 1},
            {"archived": False},
            {"sha256": bytes(32)},
            {"metadata": {"a": "b"}},
        ):
            header = {"model_id": self.model_id, "size_bytes": len(DATA), "archived": True, **fields}
            upload = self.v1.begin(idempotency_key=self.key, offset=MIB, **header)
            self.assertEqual(upload.code(), grpc.StatusCode.INVALID_ARGUMENT, fields)
        self.assertEqual(self.go_on().size_bytes, len(DATA))

    def test_begun_again(self) -> None:
        """
        At offset 0 an upload begins again, also as another version.
        """
        self.begin(2 * MIB).cancel()
        self.wait(lambda: self.received() == 2 * MIB, "it is kept")
        other = DATA[::-1] + b"x"
        version = self.go_on(other, offset=0)
        self.assertEqual(self.read(version.number)[1], other)

    def test_wrong_data(self) -> None:
        """
        Data without the declared SHA-256 is not kept.
        """
        sha256 = hashlib.sha256(DATA[::-1]).digest()
        self.begin(MIB, sha256=sha256).cancel()
        self.wait(lambda: self.received() == MIB, "it is kept")
        upload = self.v1.begin(
            model_id=self.model_id,
            size_bytes=len(DATA),
            archived=True,
            idempotency_key=self.key,
            offset=MIB,
            sha256=sha256,
        )
        upload.feed(DATA[MIB:])
        self.assertEqual(upload.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.received(), 0)

    def test_models(self) -> None:
        """
        The same key names another upload in another model, and none in one that was deleted.
        """
        other = f"{self.model_id}-other"
        self.v1.CreateModel(model={"model_id": other})
        self.begin(MIB).cancel()
        self.begin(2 * MIB, model_id=other).cancel()
        self.wait(lambda: self.received() == MIB, "it is kept")
        self.v1.DeleteModel(model_id=self.model_id)
        self.v1.CreateModel(model={"model_id": self.model_id})
        self.assertEqual(self.received(), 0)
        self.assertEqual(self.received({"model_id": other, "idempotency_key": self.key}), 2 * MIB)
        self.assertEqual(self.go_on(model_id=other).number, 1)
        upload = self.v1.begin(model_id=self.model_id, size_bytes=len(DATA), archived=True, idempotency_key=self.key)
        upload.feed(DATA)
        self.assertEqual(upload.code(), grpc.StatusCode.INVALID_ARGUMENT)  # the key has made a version of another

    def test_small(self) -> None:
        """
        A small upload is not kept.
        """
        upload = self.v1.begin(model_id=self.model_id, size_bytes=MIB - 1, archived=True, idempotency_key=self.key)
        upload.feed(bytes(1000))
        self.assertEqual(upload.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.received(), 0)


class RestartTests(ResumeCase):
    """
    Uploads that go on after a restart.
    """

    def test_restart(self) -> None:
        """
        An archived version goes on after a restart; a transient one does not.
        """
        self.begin(2 * MIB, archived=False, idempotency_key="transient").cancel()
        self.begin(2 * MIB).cancel()
        self.wait(lambda: self.received() == 2 * MIB, "it is kept")
        self.restart()
        self.v1 = RegistryV1(self.client.channel)
        self.assertEqual(self.received({"model_id": "m", "idempotency_key": "transient"}), 0)
        self.assertEqual(self.received(), 2 * MIB)
        version = self.go_on(sha256=b"")
        self.assertEqual((version.number, version.sha256), (1, hashlib.sha256(DATA).digest()))
        self.assertEqual(self.read(1)[1], DATA)
        self.assertEqual([path.name for path in (self.archive / "m").iterdir() if ".upload" in path.name], [])
        self.assertEqual(list((self.archive / ".0" / "uploads").iterdir()), [])


class CopyTests(TransferCase, SharedEdgeTestCase):
    """
    Copies of versions.
    """

    def setUp(self) -> None:
        """
        Create another model.
        """
        super().setUp()
        self.other = f"{self.model_id}-other"
        self.v1.CreateModel(model={"model_id": self.other})

    def test_copied(self) -> None:
        """
        Archived and transient versions are copied with all that belongs to them.
        """
        for archived in (True, False):
            source = self.v1.create(
                DATA,
                model_id=self.model_id,
                archived=archived,
                metadata={"a": "b"},
                labels={"c": "d"},
                metrics={"return": 1.0},
            )
            for transient in (True, False):
                copy = self.v1.CopyVersion(reference=self.at(source.number), model_id=self.other, transient=transient)
                self.assertEqual((copy.model_id, copy.archived), (self.other, not transient))
                for field in ("sha256", "size_bytes", "metadata", "labels", "metrics"):
                    self.assertEqual(getattr(copy, field), getattr(source, field), field)
                self.assertEqual(self.client.data(self.other, copy.number), DATA)

    def test_same_model(self) -> None:
        """
        A copy in the same model is a new version, which may get an alias.
        """
        self.client.create(self.model_id, b"one")
        copy = self.v1.CopyVersion(
            reference=self.model_id, model_id=self.model_id, aliases=["production"], alias_reason="copied"
        )
        self.assertEqual((copy.number, list(copy.aliases)), (2, ["production"]))

    def test_key(self) -> None:
        """
        The same key makes one copy.
        """
        self.client.create(self.model_id, b"one")
        request = {"reference": self.at(1), "model_id": self.other, "idempotency_key": self.model_id}
        first = self.v1.CopyVersion(**request)
        self.assertEqual(self.v1.CopyVersion(**request), first)

    def test_refused(self) -> None:
        """
        A version that does not exist cannot be copied, and a transient copy has no alias.
        """
        self.client.create(self.model_id, b"one")
        for code, reference, fields in (
            (grpc.StatusCode.NOT_FOUND, self.at(2), {}),
            (grpc.StatusCode.NOT_FOUND, self.at("production"), {}),
            (grpc.StatusCode.NOT_FOUND, self.at(1), {"model_id": "none"}),
            (grpc.StatusCode.INVALID_ARGUMENT, self.at(1), {"transient": True, "aliases": ["a"]}),
            (grpc.StatusCode.INVALID_ARGUMENT, "", {}),
        ):
            request = {"reference": reference, "model_id": self.other, **fields}
            self.assertEqual(self.v1.fails("CopyVersion", **request), code, request)
