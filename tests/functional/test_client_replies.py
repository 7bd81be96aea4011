"""
Servers whose answers do not fit what they were asked, or never end.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import grpc
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase
from xxhash import xxh3_128

from tests.support.client import data_hash
from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.fake_server import Answer, FakeServer, in_turn
from twisted_registry.client import BlockingClient, VersionInfo, errors
from twisted_registry.client._transfer import download
from twisted_registry.protocol.call_metadata import checksum_metadata
from twisted_registry.protocol.messages import api, common

DATA = b"right"
PAGE = 200


def info(number: int = 3, **facts: Any) -> Any:
    """
    Make a version's info as it is sent.
    """
    right = {"model_id": "walker", "archived": True, "data_hash": data_hash(DATA), "data_size": len(DATA)}
    return api.ModelVersionInfo(**{**right, "version_number": number, **facts})


def always(message: Any) -> Answer:
    """
    Make an answer that is always the same.
    """
    return lambda request, context: message


def infos(*messages: Any, handle: str = "") -> Answer:
    """
    Make an answer with versions' infos.
    """
    return always(api.RetrieveVersionInfosReply(version_infos=messages, next_version_handle=handle))


def models(*ids: str, handle: str = "") -> Answer:
    """
    Make an answer with models.
    """
    messages = [api.ModelInfo(model_id=model_id) for model_id in ids]
    return always(api.RetrieveModelsReply(model_infos=messages, next_model_handle=handle))


def chunks(pieces: Iterable[bytes], pause_seconds: float = 0.0, metadata: Any = ()) -> Answer:
    """
    Make an answer with data.
    """

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        context.set_trailing_metadata(metadata)
        for piece in pieces:
            if not context.is_active():
                return
            yield api.RetrieveVersionDataReplyChunk(data_chunk=piece)
            time.sleep(pause_seconds)

    return answer


def read_on(items: Iterator[object]) -> None:
    """
    Read a list further than it can be long.
    """
    list(islice(items, 3 * PAGE))


WRONG_INFOS = {
    "another model": info(model_id="runner"),
    "no model": info(model_id=""),
    "number 0": info(0),
    "a number too large": info(2**31),
    "no hash": info(data_hash=""),
    "an invalid hash": info(data_hash="x" * 44),
    "a hash of another length": info(data_hash=data_hash(DATA)[4:]),
    "a size that cannot be": info(data_size=2**64 - 1),
}


class FakeServerTestCase(SynchronousTestCase):
    """
    A server that says what a test likes.
    """

    def connect(self, idle_seconds: float = 60.0, compression: Any = None, **answers: Answer) -> BlockingClient:
        """
        Start a server, and return a client of it.
        """
        server = FakeServer(None, compression, **answers)
        self.addCleanup(server.stop)
        client = BlockingClient(server.address, retry_seconds=0, idle_seconds=idle_seconds)
        self.addCleanup(client.close)
        return client

    def assert_bad(self, act: Callable[[], object], *texts: str) -> None:
        """
        Check that an answer is refused, and what the error says.
        """
        with self.assertRaises(errors.BadReply) as caught:
            act()
        for text in texts:
            self.assertIn(text, str(caught.exception))


class InfoTests(FakeServerTestCase):
    """
    Infos.
    """

    def test_another_version(self) -> None:
        """
        A version that was not asked for is not taken for the one that was, and both are named.
        """
        client = self.connect(RetrieveVersionInfos=infos(info(7)))
        self.assert_bad(lambda: client.version("walker", 3), "version 3 of model 'walker'", "version 7")
        self.assertEqual(client.version("walker", 7).version_number, 7)

    def test_what_cannot_be(self) -> None:
        """
        An info that no version has is refused, alone and in a list.
        """
        for message in WRONG_INFOS.values():
            client = self.connect(RetrieveVersionInfos=infos(message))
            self.assert_bad(lambda client=client: client.latest("walker"))  # type: ignore[misc]
            self.assert_bad(lambda client=client: list(client.versions("walker")))  # type: ignore[misc]

    def test_none_and_several(self) -> None:
        """
        If one thing was requested, none and several are refused.
        """
        for messages in ((), (info(), info())):
            client = self.connect(RetrieveVersionInfos=infos(*messages))
            self.assert_bad(lambda client=client: client.version("walker", 3), str(len(messages)))  # type: ignore[misc]
        for ids in ((), ("walker", "walker")):
            client = self.connect(RetrieveModels=models(*ids))
            self.assert_bad(lambda client=client: client.model("walker"), str(len(ids)))  # type: ignore[misc]

    def test_another_model(self) -> None:
        """
        A model that was not asked for, or that has no id, is refused.
        """
        client = self.connect(RetrieveModels=models("runner"))
        self.assert_bad(lambda: client.model("walker"), "'walker'", "'runner'")
        client = self.connect(RetrieveModels=models(""))
        self.assert_bad(lambda: list(client.models()))

    def test_ids_of_other_registries(self) -> None:
        """
        Ids that this registry would refuse, and others take, do not hide a list.
        """
        client = self.connect(RetrieveModels=models("a\n", "a" * 201))
        self.assertEqual([model.model_id for model in client.models()], ["a\n", "a" * 201])

    def test_created(self) -> None:
        """
        The info of a created version is compared with the request.
        """

        def create(message: Any) -> Answer:
            def answer(request: Iterator[Any], context: Any) -> Any:
                list(request)
                return api.CreateVersionReply(version_info=message)

            return answer

        for message in (*WRONG_INFOS.values(), info(archived=False)):
            client = self.connect(CreateVersion=create(message))
            self.assert_bad(lambda client=client: client.store("walker", DATA))  # type: ignore[misc]
        for message in (info(data_size=6), info(data_hash=data_hash(b"other"))):
            client = self.connect(CreateVersion=create(message))
            self.assertRaises(errors.CorruptTransfer, client.store, "walker", DATA)

    def test_large_replies(self) -> None:
        """
        A reply that is far larger than what was asked for is refused before it is parsed.
        """
        many = b"\x12\x00" * 100_000
        long, longer = (b"\x12\x80\x80\x80" + bytes([n]) + bytes(n * 2 * 1024 * 1024) for n in (4, 40))
        for raw in (many, long, longer):
            client = self.connect(RetrieveVersionInfos=always(raw))
            self.assert_bad(lambda client=client: client.latest("walker"), "reply")  # type: ignore[misc]
        client = self.connect(RetrieveVersionInfos=always(many), RetrieveModels=always(b"\x0a\x00" * 100_000))
        self.assert_bad(lambda: list(client.versions("walker")), "more than the 200 entries")
        self.assert_bad(lambda: list(client.models()), "more than the 200 entries")

    def test_compressed_replies(self) -> None:
        """
        A compressed reply is refused: it may unpack to any size.
        """
        answer = always(bytes(1024 * 1024))
        client = self.connect(
            compression=grpc.Compression.Gzip, RetrieveVersionInfos=answer, RetrieveVersionData=chunks([DATA])
        )
        for ask in (lambda: client.latest("walker"), lambda: client.retrieve("walker", 3)):
            self.assert_bad(ask, "compressed")


class ListTests(FakeServerTestCase):
    """
    Pages.
    """

    def test_versions_that_never_end(self) -> None:
        """
        A list of versions that does not go forward ends with an error.
        """
        page = [info(number) for number in range(1, PAGE + 1)]
        for handle in ("1", "200", "", "x", "-1", str(10**30)):
            client = self.connect(RetrieveVersionInfos=infos(*page, handle=handle))
            self.assert_bad(lambda client=client: read_on(client.versions("walker")), "model 'walker'")  # type: ignore[misc]
        client = self.connect(RetrieveVersionInfos=infos(*page, handle="201"))
        self.assert_bad(lambda: read_on(client.versions("walker")), "1 after 200")

    def test_models_that_never_end(self) -> None:
        """
        So does a list of models.
        """
        page = [f"model-{number:03}" for number in range(PAGE)]
        for handle in ("0", "", "x"):
            client = self.connect(RetrieveModels=models(*page, handle=handle))
            self.assert_bad(lambda client=client: read_on(client.models()), "next page")  # type: ignore[misc]
        client = self.connect(RetrieveModels=models(*page, handle="200"))
        self.assert_bad(lambda: read_on(client.models()), "repeat the same models")

    def test_out_of_order(self) -> None:
        """
        A page whose entries do not rise, that begins before what was asked for, or that is too long, is refused.
        """
        for messages in ([info(2), info(1)], [info(1), info(1)], [info(number) for number in range(1, PAGE + 2)]):
            client = self.connect(RetrieveVersionInfos=infos(*messages))
            self.assert_bad(lambda client=client: list(client.versions("walker")))  # type: ignore[misc]
        client = self.connect(RetrieveVersionInfos=infos(info(3)))
        self.assert_bad(lambda: list(client.versions("walker", 4)), "3 after 3")
        for ids in (("b", "a"), ("a", "a")):
            client = self.connect(RetrieveModels=models(*ids))
            self.assert_bad(lambda client=client: list(client.models()))  # type: ignore[misc]

    def test_models_made_meanwhile(self) -> None:
        """
        Models that were made between two pages push others onto the next page, which are listed once.
        """
        pages = [[f"model-{number:03}" for number in range(PAGE)], ["model-198", "model-199", "model-200"]]
        client = self.connect(RetrieveModels=in_turn(models(*pages[0], handle="200"), models(*pages[1], handle="203")))
        self.assertEqual([model.model_id for model in client.models()], [*pages[0], "model-200"])


class TrackerTests(FakeServerTestCase):
    """
    The messages of a subscription.
    """

    def follow(self, *messages: Any) -> Any:
        """
        Return a tracker that receives these infos.
        """

        def updates(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            yield from (api.VersionUpdateReply(version_info=message) for message in messages)
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait()

        client = self.connect(VersionUpdate=updates, RetrieveVersionInfos=infos(info(1)))
        tracker = client.track("walker")
        self.addCleanup(tracker.close)
        return tracker

    def test_wrong_infos(self) -> None:
        """
        An info that no version of the model can have ends a tracker with an error.
        """
        for message in WRONG_INFOS.values():
            self.assert_bad(lambda message=message: list(self.follow(message)))  # type: ignore[misc]

    def test_numbers_that_fall(self) -> None:
        """
        So does a number that is not above the one before, unless it is the same version once more.
        """
        self.assert_bad(lambda: list(self.follow(info(3), info(3), info(2))), "version 2")
        self.assert_bad(lambda: list(self.follow(info(3), info(3, data_size=6))), "version 3")


class DataTests(FakeServerTestCase):
    """
    Data.
    """

    def retrievals(self, client: BlockingClient, version: int | VersionInfo) -> list[Callable[[], object]]:
        """
        Return the ways to retrieve a version.
        """
        path = Path(self.mktemp())
        return [
            lambda: client.retrieve("walker", version),
            lambda: client.retrieve_file("walker", path, version),
            lambda: list(client.retrieve_chunks("walker", version)),
        ]

    def test_more_than_its_size(self) -> None:
        """
        Data without an end is refused, also of a version that was named by its number.
        """
        self.patch(download, "_MOST_UNDECLARED_BYTES", 100)
        endless = chunks(repeat(bytes(60), 100_000))
        client = self.connect(RetrieveVersionInfos=infos(info()), RetrieveVersionData=endless)
        for version in (3, -1):
            for retrieve in self.retrievals(client, version):
                with self.assertRaises(errors.CorruptTransfer) as caught:
                    retrieve()
                self.assertIn("more than its 5 bytes arrived", str(caught.exception))

    def test_size_that_is_not_true(self) -> None:
        """
        A version is not given the memory that the server says it needs before its data comes.
        """
        client = self.connect(RetrieveVersionInfos=infos(info(data_size=2**50)), RetrieveVersionData=chunks([DATA]))
        into_memory, _, in_chunks = self.retrievals(client, -1)
        for retrieve in (into_memory, in_chunks):
            self.assertRaises(errors.CorruptTransfer, retrieve)

    def test_next_to_nothing(self) -> None:
        """
        Chunks without data, or with a byte now and then, do not count as something that comes.
        """
        for answer in (chunks(repeat(b"", 300_000)), chunks(repeat(b"x", 200), pause_seconds=0.02)):
            client = self.connect(0.5, RetrieveVersionInfos=infos(info(data_size=10**9)), RetrieveVersionData=answer)
            for version in (3, -1):
                with self.assertRaises(errors.DeadlineExceeded) as caught:
                    client.retrieve("walker", version)
                self.assertIn("arrived within", str(caught.exception))

    def test_last_piece_is_held_back(self) -> None:
        """
        The last piece that has bytes is held back until the hash has matched, whatever comes behind it.
        """
        answer = chunks([b"wr", b"ong", b"", b""])
        client = self.connect(RetrieveVersionInfos=infos(info()), RetrieveVersionData=answer)
        received: list[bytes] = []
        with self.assertRaises(errors.CorruptTransfer):
            received.extend(map(bytes, client.retrieve_chunks("walker", 3)))
        self.assertEqual(received, [b"wr"])

    def test_small_pieces(self) -> None:
        """
        Data that comes in pieces of all sizes is put together in its order.
        """
        pieces = [b"a", b"", b"b" * 5000, b"c", b"d" * 10, b"e" * 70_000, b"f"]
        data = b"".join(pieces)
        claimed = info(data_size=len(data), data_hash=data_hash(data))
        client = self.connect(RetrieveVersionInfos=infos(claimed), RetrieveVersionData=chunks(pieces))
        for version in (3, -1, client.latest("walker")):
            self.assertEqual(client.retrieve("walker", version), data)

    def test_hash_from_the_caller(self) -> None:
        """
        Bytes that do not have the SHA-256 that the caller knows are refused, whatever the server says of them: in
        words, by its digest, or not at all.
        """
        wrong = b"wrong"
        digest = xxh3_128(wrong).hexdigest()
        for metadata in (
            checksum_metadata(len(wrong), data_hash(DATA), digest),
            checksum_metadata(5, data_hash(DATA), ""),
            (),
        ):
            client = self.connect(
                RetrieveVersionInfos=infos(info()), RetrieveVersionData=chunks([wrong], metadata=metadata)
            )
            known = VersionInfo("walker", 3, 1, True, data_hash(DATA), len(DATA))
            for retrieve in self.retrievals(client, known):
                self.assertRaises(errors.CorruptTransfer, retrieve)

    def test_right_bytes_with_a_wrong_digest(self) -> None:
        """
        If the caller has given the hash, the server's hash of the bytes is not needed.
        """
        client = self.connect(
            RetrieveVersionData=chunks([DATA], metadata=checksum_metadata(len(DATA), data_hash(DATA), "0" * 32))
        )
        known = VersionInfo("walker", 3, 1, True, data_hash(DATA), len(DATA))
        self.assertEqual(client.retrieve("walker", known), DATA)
        self.assertRaises(errors.CorruptTransfer, client.retrieve, "walker", 3)
        self.assertRaises(errors.CorruptTransfer, client.retrieve, "walker", evolve(known, size_bytes=4))


class SilentServerTests(FakeServerTestCase):
    """
    Servers that take an upload, and say nothing.
    """

    def create(self, *found: Any, takes: bool) -> BlockingClient:
        """
        Return a client of a server that never answers.

        Args:
            found: the infos of its versions.
            takes: whether it reads uploads.
        """
        over = threading.Event()

        def silent(request: Iterator[bytes], context: Any) -> Any:
            if takes:
                list(request)
            over.wait()
            return api.CreateVersionReply()

        status = always(common.StatusReply(statuses={"uptime_seconds": "1000000"}))
        client = self.connect(1.0, CreateVersion=silent, RetrieveVersionInfos=infos(*found), Status=status)
        self.addCleanup(over.set)
        client.statuses()  # it is connected now
        return client

    def test_no_answer(self) -> None:
        """
        If no answer comes, the client checks whether the version exists, and otherwise says that the outcome is
        unknown.
        """
        missing = info(1, creation_timestamp=7)
        there = info(1, creation_timestamp=8)
        for created in (missing, there):
            client = self.create(created, takes=True)

            def store(client: BlockingClient = client) -> VersionInfo:
                return client.store("walker", DATA, created_ns=8, deadline_seconds=TIMEOUT_SECONDS)

            if created is there:
                self.assertEqual(store().created_ns, 8)
            else:
                with self.assertRaises(errors.CreationUncertain) as caught:
                    store()
                self.assertIn("did not answer", str(caught.exception))

    def test_nothing_is_taken(self) -> None:
        """
        If the server reads nothing of the upload, the call fails, and nothing was created.
        """
        client = self.create(takes=False)
        with self.assertRaises(errors.Unavailable) as caught:
            client.publish("walker", bytes(30_000_000), deadline_seconds=TIMEOUT_SECONDS)
        self.assertIn("no version was created", str(caught.exception))


class SlowSourceTests(FakeServerTestCase):
    """
    Pieces that come slowly.
    """

    def test_pieces_are_sent_as_they_come(self) -> None:
        """
        Each piece is sent before the next one is asked for; of the last, all but one byte before the end is known.
        """
        received = threading.Condition()
        size_bytes = 0

        def create(request: Iterator[bytes], context: Any) -> Any:
            nonlocal size_bytes
            next(request)
            for raw in request:
                with received:
                    size_bytes += len(api.CreateVersionRequestChunk.FromString(raw).body.data_chunk)
                    received.notify_all()
            return api.CreateVersionReply(version_info=info(archived=False))

        def wait_for(expected: int) -> bool:
            with received:
                return received.wait_for(lambda: size_bytes >= expected, TIMEOUT_SECONDS)

        reached = []

        def pieces() -> Iterator[bytes]:
            yield DATA[:2]
            reached.append(wait_for(2))
            yield DATA[2:]
            reached.append(wait_for(len(DATA) - 1))
            with received:
                reached.append(size_bytes < len(DATA))

        client = self.connect(CreateVersion=create)
        client.publish("walker", pieces(), size_bytes=len(DATA))
        self.assertEqual(reached, [True, True, True])
        self.assertEqual(size_bytes, len(DATA))
