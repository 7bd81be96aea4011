"""
Retrievals that go on where they were interrupted.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import grpc

from tests.support.client import data_hash
from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.edge import EdgeTestCase
from tests.support.fake_server import FakeServer
from tests.support.relay import Relay
from twisted_registry.client import BlockingClient, errors
from twisted_registry.protocol.messages import api, v1

DATA = os.urandom(40_000_000)
MOST_AGAIN_BYTES = 8 * 1024 * 1024
"""How much may be sent again after an interruption."""

_PROGRAM = """
import sys
from twisted_registry.client import BlockingClient
received = 0
def progress(size_bytes):
    global received
    received += size_bytes
    if received >= int(sys.argv[3]):
        print(received, flush=True)
        sys.stdin.read()
with BlockingClient(sys.argv[1]) as registry:
    registry.retrieve_file("walker", sys.argv[2], 1, progress=progress)
"""


class ResumptionCase(EdgeTestCase):
    """
    An archived version, and a client that reaches the registry through a relay.
    """

    flags: ClassVar = ["--sent-model-version-data-chunk-size", "1000000"]

    def setUp(self) -> None:
        """
        Archive the version.
        """
        super().setUp()
        self.client.save_model("walker")
        self.client.create("walker", DATA, archived=True)
        self.relay = Relay(self.daemon.port)
        self.addCleanup(self.relay.close)
        self.registry = self.connect_client()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "model"
        self.part = self.folder / f"model.{hashlib.sha256(DATA).hexdigest()[:16]}.part"
        self.reported: list[int] = []

    def connect_client(self, **options: Any) -> BlockingClient:
        """
        Make a client.
        """
        client = BlockingClient(self.relay.address, **options)
        self.addCleanup(client.close)
        return client

    def retrieve(self, most_bytes: int, version: int = 1) -> None:
        """
        Retrieve the version to the file, and check that not more than this was sent, and what progress was reported.
        """
        before, self.reported = self.relay.answered_bytes, []
        self.registry.retrieve_file("walker", self.path, version, progress=self.reported.append)
        self.assertLess(self.relay.answered_bytes - before, most_bytes)
        self.assertEqual(sum(self.reported), self.path.stat().st_size)

    def assert_complete(self) -> None:
        """
        Check that the file is complete, and that nothing is beside it.
        """
        self.assertEqual(self.path.read_bytes(), DATA)
        self.assertEqual(os.listdir(self.folder), ["model"])


class LostConnectionTests(ResumptionCase):
    """
    Connections that are lost near the end.
    """

    def cut(self, size_bytes: int) -> None:
        """
        Break the connection once, after nine tenths.
        """
        before = sum(self.reported)
        self.reported.append(size_bytes)
        if before < len(DATA) * 9 // 10 <= before + size_bytes:
            self.relay.cut()

    def test_rest_alone_is_sent(self) -> None:
        """
        After a lost connection, the rest alone is sent, in each way to retrieve a version.
        """

        def chunks() -> bytes:
            return b"".join(self.registry.retrieve_chunks("walker", 1, progress=self.cut))

        def file() -> bytes:
            self.registry.retrieve_file("walker", self.path, 1, progress=self.cut)
            return self.path.read_bytes()

        for retrieve in (chunks, file, lambda: self.registry.retrieve("walker", 1, progress=self.cut)):
            self.reported, before = [], self.relay.answered_bytes
            self.assertEqual(retrieve(), DATA)
            self.assertLess(self.relay.answered_bytes - before, len(DATA) + MOST_AGAIN_BYTES)
            self.assertEqual(sum(self.reported), len(DATA))

    def test_other_server(self) -> None:
        """
        A server without ``twisted_registry.v1`` sends all of the data again.
        """
        half = len(DATA) // 2

        def send(request: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
            self.reported.append(0)
            for start in range(0, len(DATA), 1_000_000):
                yield api.RetrieveVersionDataReplyChunk(data_chunk=DATA[start : start + 1_000_000])
                if len(self.reported) == 1 and start >= half:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "lost")

        client = self.other_server(RetrieveVersionData=send)
        self.assertEqual(client.retrieve("walker", 1), DATA)
        self.assertEqual(len(self.reported), 2)

    def test_wrong_rest(self) -> None:
        """
        A rest of another version, or from another position on, is refused.
        """
        half = len(DATA) // 2
        right: dict[str, Any] = {
            "version": self.version(),
            "encoding": "identity",
            "offset": half,
            "length": len(DATA) - half,
        }
        for wrong in (
            {"offset": half + 1},
            {"length": 1},
            {"encoding": "delta"},
            {"version": self.version(number=2)},
            {"version": self.version(size_bytes=3)},
        ):
            header = v1.ReadVersionResponse(header=v1.ReadVersionHeader(**right | wrong))
            client = self.other_server(
                RetrieveVersionData=self.half_of_data, v1_ReadVersion=lambda request, context, sent=header: iter([sent])
            )
            self.assertRaises(errors.BadReply, client.retrieve, "walker", 1)

    def test_changed_rest(self) -> None:
        """
        A rest with other data is refused by the hash of all of the data.
        """
        half = len(DATA) // 2
        header = v1.ReadVersionHeader(version=self.version(), encoding="identity", offset=half, length=len(DATA) - half)

        def rest(request: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
            yield v1.ReadVersionResponse(header=header)
            yield v1.ReadVersionResponse(chunk=bytes(len(DATA) - half))

        client = self.other_server(RetrieveVersionData=self.half_of_data, v1_ReadVersion=rest)
        self.assertRaises(errors.CorruptTransfer, client.retrieve, "walker", 1)
        self.assertRaises(errors.CorruptTransfer, client.retrieve_file, "walker", self.path, 1)
        self.assertEqual(os.listdir(self.folder), [])

    def half_of_data(self, request: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
        """
        Answer RetrieveVersionData, and lose the connection halfway.
        """
        yield api.RetrieveVersionDataReplyChunk(data_chunk=DATA[: len(DATA) // 2])
        context.abort(grpc.StatusCode.UNAVAILABLE, "lost")

    def version(self, **facts: Any) -> Any:
        """
        Make the version as it is sent.
        """
        right: dict[str, Any] = {
            "model_id": "walker",
            "number": 1,
            "sha256": hashlib.sha256(DATA).digest(),
            "size_bytes": len(DATA),
        }
        return v1.Version(**right | facts)

    def other_server(self, **answers: Callable[..., Any]) -> BlockingClient:
        """
        Start a server that has the info of the version, and return a client of it.
        """
        info = api.ModelVersionInfo(
            model_id="walker", version_number=1, archived=True, data_hash=data_hash(DATA), data_size=len(DATA)
        )
        reply = api.RetrieveVersionInfosReply(version_infos=[info])
        server = FakeServer(None, None, RetrieveVersionInfos=lambda request, context: reply, **answers)
        self.addCleanup(server.stop)
        client = BlockingClient(server.address)
        self.addCleanup(client.close)
        return client


class SlowReaderTests(ResumptionCase):
    """
    A retrieval that is interrupted while the server is ahead of it, with chunks of 4 MiB.
    """

    flags: ClassVar[list[str]] = []

    def has_stopped(self) -> bool:
        """
        Return whether the server has sent nothing for a while.
        """
        before = self.relay.answered_bytes
        time.sleep(0.2)
        return self.relay.answered_bytes == before

    def test_little_is_sent_ahead(self) -> None:
        """
        At most 8 MiB are sent again: what was sent and is not in the part.
        """
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, self.relay.address, self.path, "12000000"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        process.stdout.readline()
        self.wait_until_true(self.has_stopped, "no more is sent")
        process.kill()
        process.wait(TIMEOUT_SECONDS)
        self.retrieve(len(DATA) + MOST_AGAIN_BYTES - self.relay.answered_bytes)
        self.assert_complete()


class PartFileTests(ResumptionCase):
    """
    Retrievals to a file that an earlier retrieval has begun.
    """

    def interrupt(self, kept_bytes: int = 36_000_000) -> None:
        """
        Kill a process that retrieves the version, when it has most of it.
        """
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, self.relay.address, self.path, str(kept_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.wait(TIMEOUT_SECONDS)
        self.assertEqual(os.listdir(self.folder), [self.part.name])

    def test_killed_process(self) -> None:
        """
        After nine tenths and a kill, the rest alone is sent to the next process.
        """
        self.interrupt()
        self.retrieve(len(DATA) // 10 + MOST_AGAIN_BYTES)
        self.assert_complete()

    def test_restarted_server(self) -> None:
        """
        So it is if the server was started again meanwhile.
        """
        self.interrupt()
        self.relay.port = 0
        self.restart()
        self.relay.port = self.daemon.port
        self.retrieve(len(DATA) // 10 + MOST_AGAIN_BYTES)
        self.assert_complete()

    def test_server_that_stays_away(self) -> None:
        """
        If the server stays away, the part is kept for the next call.
        """
        impatient = self.connect_client(retry_seconds=0)

        def lose(size_bytes: int) -> None:
            self.reported.append(size_bytes)
            if sum(self.reported) > len(DATA) // 2:
                self.relay.cut()

        self.assertRaises(errors.Unavailable, impatient.retrieve_file, "walker", self.path, 1, progress=lose)
        self.assertEqual(os.listdir(self.folder), [self.part.name])
        self.retrieve(len(DATA) // 2 + MOST_AGAIN_BYTES)
        self.assert_complete()

    def test_damaged_part(self) -> None:
        """
        A part that was damaged, such as by a power failure, is received again.
        """
        self.part.write_bytes(DATA[:20_000_000] + bytes(5_000_000))
        self.retrieve(2 * len(DATA))
        self.assert_complete()
        self.assertEqual(min(self.reported), -len(DATA))

    def test_part_that_is_complete(self) -> None:
        """
        A part that is complete, or too long, is used as far as it can be.
        """
        for more in (b"", b"more"):
            self.part.write_bytes(DATA + more)
            self.retrieve(MOST_AGAIN_BYTES)
            self.assert_complete()

    def test_version_that_is_gone(self) -> None:
        """
        The part is removed if the version no longer exists.
        """
        self.part.write_bytes(DATA[:20_000_000])
        info = self.registry.version("walker", 1)
        self.registry.delete_version(info)
        self.assertRaises(errors.UnknownVersion, self.registry.retrieve_file, "walker", self.path, info)
        self.assertEqual(os.listdir(self.folder), [])

    def test_part_of_another_version(self) -> None:
        """
        The part of another version of the same file is removed; other files, and parts of other files, are not.
        """
        others = {"model.0123.part", "other.0123456789abcdef.part", "model.0123456789abcdef.part.x"}
        for name in {"model.0123456789abcdef.part", *others}:
            (self.folder / name).touch()
        self.retrieve(2 * len(DATA))
        self.assertEqual(set(os.listdir(self.folder)), {"model", *others})

    def test_small_version(self) -> None:
        """
        A small version has no part, and removes those of larger ones.
        """
        self.client.create("walker", b"small")
        self.interrupt()
        self.retrieve(1_000_000, 2)
        self.assertEqual(os.listdir(self.folder), ["model"])

    def test_part_that_another_process_writes(self) -> None:
        """
        A part that is locked is left alone.
        """
        with self.part.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.retrieve(2 * len(DATA))
        self.assertEqual(self.path.read_bytes(), DATA)
        self.assertEqual((self.part.exists(), self.part.stat().st_size), (True, 0))

    def test_part_that_cannot_be_trusted(self) -> None:
        """
        A part that is a link, or has two names, is not written to.
        """
        target = self.folder / "target"
        for link in (self.part.symlink_to, self.part.hardlink_to):
            target.write_bytes(b"theirs")
            link(target)
            self.retrieve(2 * len(DATA))
            self.assertEqual((self.path.read_bytes(), target.read_bytes()), (DATA, b"theirs"))
            self.part.unlink()

    def test_mode(self) -> None:
        """
        The file has the mode of the one that it replaces, which the part is no more open than.
        """
        self.part.write_bytes(DATA[:20_000_000])
        self.part.chmod(0o644)
        self.path.write_bytes(b"before")
        self.path.chmod(0o640)
        modes = set()

        def look(size_bytes: int) -> None:
            modes.add(self.part.stat().st_mode & 0o777)

        self.registry.retrieve_file("walker", self.path, 1, progress=look)
        self.assertEqual((modes, self.path.stat().st_mode & 0o777), ({0o600}, 0o640))
