"""
Tests for how much clients may do at once: their connections, and their calls.
"""

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Any

from grpc import StatusCode
from grpc_health.v1 import health_pb2

from benchmarks.client import frames
from tests.support.client import DEADLINE_SECONDS
from tests.support.edge import EdgeTestCase
from tests.support.registry_case import RegistryTestCase
from twisted_registry.client import Client
from twisted_registry.protocol.messages import SERVICE_NAME, api

ALONE = {"grpc.use_local_subchannel_pool": 1}
"""A connection that nobody shares."""

MAX_CONCURRENT_STREAMS = 3
CANCEL = 8
REFUSED = (7, 11)
"""REFUSED_STREAM, and ENHANCE_YOUR_CALM for clients that do not know the limit yet."""
PATH = f"/{SERVICE_NAME}/RetrieveVersionInfos"


class RawConnection:
    """
    A connection whose frames are made by hand.
    """

    def __init__(self, port: int, *, no_window: bool = False) -> None:
        """

        Args:
            no_window: whether to let the server send nothing of a reply.
        """
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        self.socket.sendall(frames.greeting())
        if no_window:
            closed = struct.pack(">HI", frames.Setting.INITIAL_WINDOW_SIZE, 0)
            self.socket.sendall(frames.frame(frames.Kind.SETTINGS, 0, 0, closed))

    def ask(self, count: int, request: bytes) -> None:
        """
        Make calls, and take no reply.
        """
        message = b"\0" + struct.pack(">I", len(request)) + request
        for stream in range(1, 2 * count, 2):
            headers = frames.request_headers(PATH)
            self.socket.sendall(frames.frame(frames.Kind.HEADERS, frames.END_HEADERS, stream, headers))
            self.socket.sendall(frames.frame(frames.Kind.DATA, frames.END_STREAM, stream, message))

    def open(self, count: int, *, reset: bool = False, path: str = PATH) -> None:
        """
        Begin calls that send nothing; reset each at once, or leave them open.
        """
        headers = frames.request_headers(path)
        for stream in range(1, 2 * count, 2):
            self.socket.sendall(frames.frame(frames.Kind.HEADERS, frames.END_HEADERS, stream, headers))
            if reset:
                self.socket.sendall(frames.frame(frames.Kind.RST_STREAM, 0, stream, struct.pack(">I", CANCEL)))

    def received(self) -> Iterator[tuple[int, int, bytes]]:
        """
        Read frames: the kind, the stream and the payload of each.
        """
        with self.socket.makefile("rb") as stream:
            while header := stream.read(frames.HEADER_BYTES):
                length, kind, flags, number = frames.parsed_header(header)
                if kind == frames.Kind.SETTINGS and not flags & frames.ACK:
                    self.socket.sendall(frames.frame(frames.Kind.SETTINGS, frames.ACK, 0, b""))
                yield kind, number, stream.read(length)


class CallsPerConnectionTests(EdgeTestCase):
    """
    Calls on one connection.
    """

    flags = ("--max-calls-per-connection", "5")

    def connect_raw(self) -> RawConnection:
        """
        Connect without gRPC.
        """
        raw = RawConnection(self.daemon.port)
        self.addCleanup(raw.socket.close)
        return raw

    def test_the_limit_is_announced(self) -> None:
        """
        The limit is announced in HTTP/2's settings, so that clients keep to it.
        """
        for kind, _, payload in self.connect_raw().received():
            if kind == frames.Kind.SETTINGS and payload:
                self.assertEqual(dict(frames.parsed_settings(payload))[MAX_CONCURRENT_STREAMS], 5)
                return
        self.fail("the server has disconnected")

    def test_more_are_refused(self) -> None:
        """
        Of a client that opens more all the same those beyond are refused, and others are served.
        """
        raw = self.connect_raw()
        raw.open(12)
        refused: set[int] = set()
        for kind, stream, payload in raw.received():
            if kind == frames.Kind.RST_STREAM and int.from_bytes(payload, "big") in REFUSED:
                refused.add(stream)
                if len(refused) == 7:
                    break
        self.assertEqual(len(refused), 7)
        self.client.save_model("m")
        self.wait_until_true(lambda: self.client.statuses("calls") == {"calls": "6"}, "five calls are open, and this")

    def test_opened_and_reset(self) -> None:
        """
        Calls that are reset as soon as they are opened leave nothing, and others are served.
        """
        for path in (PATH, "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"):
            self.connect_raw().open(50, reset=True, path=path)
            self.client.save_model("m")
            self.wait_until_true(lambda: self.client.statuses("calls") == {"calls": "1"}, "there is no call but this")

    def test_more_wait(self) -> None:
        """
        A client of gRPC keeps to the limit: a call beyond it is made once another has ended.
        """
        self.client.save_model("m")
        created = self.client.create("m", b"")
        other = self.connect(**ALONE)
        other.models()  # it is connected: calls that wait for a connection are not made in their order
        subscriptions = [other.updates("m") for _ in range(6)]
        for subscription in subscriptions[:5]:
            self.assertEqual(next(subscription).version_info, created)
        subscriptions[0].cancel()
        self.assertEqual(next(subscriptions[5]).version_info, created)


class CallsPerClientTests(EdgeTestCase):
    """
    Calls from one address, and calls of all.
    """

    flags = ("--max-calls-per-client", "3")

    def test_more_are_refused(self) -> None:
        """
        They are refused with what to do, on whatever connection; health checks are answered.
        """
        self.client.save_model("m")
        self.client.create("m", b"")
        others = [self.connect(**ALONE) for _ in range(3)]
        subscriptions = [other.updates("m") for other in others]
        for subscription in subscriptions:
            next(subscription)
        self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, self.client.models, "--max-calls-per-client")
        self.assertEqual(self.client.health(), health_pb2.HealthCheckResponse.SERVING)
        subscriptions[0].cancel()
        self.wait_until_true(self.is_served, "another call is let in")

    def is_served(self) -> bool:
        """
        Return whether a call is admitted.
        """
        call: Any = self.client.begin("RetrieveModels", b"")
        return call.code() is StatusCode.OK


class ConnectionsTests(RegistryTestCase):
    """
    Connections.
    """

    flags = ("--max-connections", "20")

    def open_silent(self, count: int) -> list[socket.socket]:
        """
        Connect, and send nothing.
        """
        silent = [socket.create_connection(("127.0.0.1", self.daemon.port), DEADLINE_SECONDS) for _ in range(count)]
        for connection in silent:
            self.addCleanup(connection.close)
        return silent

    def is_closed(self, connection: socket.socket) -> bool:
        """
        Wait until the server has greeted or closed a connection, and return whether it is closed.
        """
        try:
            return connection.recv(1) == b""
        except ConnectionError:
            return True

    def test_no_more_than_allowed(self) -> None:
        """
        Connections beyond the limit are closed at once; silent ones are closed first, and the log says so.
        """
        subscriber = self.connect(**ALONE)
        subscriber.save_model("m")
        subscriber.create("m", b"")
        subscription = subscriber.updates("m")
        next(subscription)
        silent = self.open_silent(60)
        self.assertTrue(any([*map(self.is_closed, silent)]))
        self.assertLessEqual(int(self.client.statuses("connections")["connections"]), 20)
        self.wait_until_logged("--max-connections is 20")
        newest = subscriber.create("m", b"more")
        self.assertEqual(next(subscription).version_info, newest)


class UntakenRepliesTests(EdgeTestCase):
    """
    Replies that a client does not take, each of them short.
    """

    flags = ("--downloads-max-bytes", str(8 * 2**20), "--download-idle-seconds", "0.2")

    def test_they_count(self) -> None:
        """
        They are among the bytes on their way: who takes none loses the connection where others want theirs.
        """
        self.client.save_model("m", notes="x" * 3000)
        self.client.create("m", b"", user_data={"notes": "x" * 3000})
        raw = RawConnection(self.daemon.port, no_window=True)
        self.addCleanup(raw.socket.close)
        raw.ask(400, api.RetrieveVersionInfosRequest(model_id="m", version_numbers=[-1] * 15).SerializeToString())
        # On a slow machine the connection may be gone again already: its own replies wait for one another.
        self.wait_until_true(
            lambda: int(self.client.statuses("calls")["calls"]) > 20 or "disconnected" in self.daemon.log,
            "replies wait to be taken",
        )
        for _ in range(3):
            self.assertEqual(len(self.client.infos("m", *[-1] * 15).version_infos), 15)
        self.wait_until_logged("disconnected ipv4:127.0.0.1")


class ManyTrackersTests(EdgeTestCase):
    """
    More trackers of one client than there may be calls on a connection.
    """

    flags = ("--max-calls-per-connection", "60")

    def test_all_are_notified(self) -> None:
        """
        Each tracker receives published versions, also after others have ended, and other calls are answered.
        """

        async def follow() -> list[int]:
            async with Client(self.daemon.address, deadline_seconds=DEADLINE_SECONDS) as client:
                await client.save_model("walker")
                ended = [client.track("walker") for _ in range(130)]
                await asyncio.gather(*(tracker.start() for tracker in ended))
                await asyncio.gather(*(tracker.aclose() for tracker in ended))
                trackers = [client.track("walker") for _ in range(130)]
                await asyncio.gather(*(tracker.start() for tracker in trackers))
                await client.publish("walker", b"weights")
                versions = await asyncio.gather(*(anext(tracker) for tracker in trackers))
                connections = (await client.statuses("connections"))["connections"]
                self.assertLessEqual(int(connections), 6)  # those whose trackers have ended are used again
                return [info.version_number for info in versions]

        reported = asyncio.run(asyncio.wait_for(follow(), DEADLINE_SECONDS))
        self.assertEqual(reported, [1] * 130)
