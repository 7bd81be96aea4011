"""
Tests for ``twisted_registry.rpc.unix_relay`` and ``twisted_registry.rpc.relayed_connection``.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import Aborted, FakeContext
from tests.support.logs import LoggedLines
from tests.unit.test_unix_socket import SocketFolderTestCase
from twisted_registry.domain.access import Action, UnixUser
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.call_tracker import host_of
from twisted_registry.rpc.methods import Method
from twisted_registry.rpc.sockets import address_of
from twisted_registry.rpc.unix_relay import UnixPeer, UnixRelay, peer_of

BIG_BYTES = 5_000_000
TIMEOUT_SECONDS = 60.0


async def wait_for(condition: Callable[[], object]) -> None:
    """
    Wait until something is so.
    """
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


class RelayTestCase(SocketFolderTestCase):
    """
    A relay, with a plain listening socket in the place of gRPC.
    """

    limit = 100

    def setUp(self) -> None:
        """
        Make the relay.
        """
        super().setUp()
        self.behind = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.behind.close)
        self.behind.bind(str(self.folder / "behind"))
        self.behind.listen(100)
        self.behind.setblocking(False)
        self.failures: list[OSError] = []
        self.end_errors: list[Exception] = []
        self.uid = os.getuid()
        self.busy: list[str] = []
        self.relay = UnixRelay(self.listen().socket, self.connect_behind, self.limit, self.peer_of, self.make_end)

    def peer_of(self, connection: socket.socket) -> UnixPeer:
        """
        Return who connected, as if this process were run by the user whose number is ``uid``.
        """
        peer = peer_of(connection)
        return evolve(peer, user=evolve(peer.user, uid=self.uid))

    def make_end(self) -> socket.socket:
        """
        Make an end of a connection, unless that is to fail.
        """
        if self.end_errors:
            raise self.end_errors.pop(0)
        return socket.socket(socket.AF_UNIX)

    def connect_behind(self, end: socket.socket) -> None:
        """
        Connect to the socket behind the relay, unless the next attempt is to fail.
        """
        if self.failures:
            raise self.failures.pop(0)
        end.connect(str(self.folder / "behind"))

    def run_relay(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """
        Run a test while the relay serves.
        """

        async def run() -> None:
            serving = asyncio.get_running_loop().create_task(self.relay.serve(lambda: self.busy))
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await scenario()
            finally:
                serving.cancel()
                self.relay.close()

        asyncio.run(run())

    async def pair(self) -> tuple[socket.socket, socket.socket, str]:
        """
        Connect a client, and return its end, that behind the relay, and the name of the relay there.
        """
        client = self.connect()
        client.setblocking(False)
        server, name = await asyncio.get_running_loop().sock_accept(self.behind)
        self.addCleanup(server.close)
        assert isinstance(name, bytes), "the name is abstract"
        return client, server, f"unix-abstract:{name[1:].decode()}"

    async def called(self, peer: str) -> CallContext:
        """
        Make a call from a peer, and return it as its handler gets it.
        """

        async def handle(request: Any, call: CallContext) -> Any:
            return call

        method = Method("GetModel", handle, Action.READ)
        wrapped: Any = self.relay.intercept(method, handle)
        call: CallContext = await wrapped(None, CallContext(method, FakeContext(peer)))
        return call


class RelayedDataTests(RelayTestCase):
    """
    Data passes the relay in both directions.
    """

    def test_both_directions(self) -> None:
        """
        A large amount of data arrives unchanged, although it fits into no buffer.
        """
        data = os.urandom(BIG_BYTES)

        async def send_and_receive(source: socket.socket, sink: socket.socket) -> None:
            loop, received = asyncio.get_running_loop(), bytearray()
            sending = loop.create_task(loop.sock_sendall(source, data))
            while len(received) < len(data):
                received += await loop.sock_recv(sink, 100_000)
            await sending
            self.assertEqual(received, data)

        async def scenario() -> None:
            client, server, _ = await self.pair()
            await asyncio.gather(send_and_receive(client, server), send_and_receive(server, client))

        self.run_relay(scenario)

    def test_backpressure(self) -> None:
        """
        If one end does not read, the other can send no more than the buffers hold.
        """

        async def scenario() -> None:
            client, server, _ = await self.pair()
            sent = 0
            chunk = bytes(100_000)
            for _ in range(1000):
                try:
                    sent += server.send(chunk)
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            self.assertLess(sent, BIG_BYTES)
            received = 0
            while received < sent:
                received += len(await asyncio.get_running_loop().sock_recv(client, 2**20))
            self.assertEqual(received, sent)

        self.run_relay(scenario)

    def test_half_close(self) -> None:
        """
        The end of one direction is passed on, and the other direction continues.
        """

        async def scenario() -> None:
            loop = asyncio.get_running_loop()
            client, server, _ = await self.pair()
            client.sendall(b"request")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(await loop.sock_recv(server, 100), b"request")
            self.assertEqual(await loop.sock_recv(server, 100), b"")
            server.sendall(b"reply")
            self.assertEqual(await loop.sock_recv(client, 100), b"reply")
            server.close()
            self.assertEqual(await loop.sock_recv(client, 100), b"")
            await wait_for(lambda: not self.relay.accepted())

        self.run_relay(scenario)

    def test_client_dies(self) -> None:
        """
        If the client goes away with data on its way to it, the connection behind the relay ends too.
        """

        async def scenario() -> None:
            client, server, _ = await self.pair()
            with self.assertRaises(BlockingIOError):
                for _ in range(1000):
                    server.send(bytes(100_000))
            client.close()
            await wait_for(lambda: not self.relay.accepted())
            with self.assertRaises(OSError):
                for _ in range(1000):
                    server.send(bytes(100_000))

        self.run_relay(scenario)

    def test_no_descriptor_is_left(self) -> None:
        """
        Connections that have ended leave no descriptor open.
        """

        async def scenario() -> None:
            before = len(os.listdir("/dev/fd"))
            for _ in range(50):
                client, server, _ = await self.pair()
                client.close()
                self.assertEqual(await asyncio.get_running_loop().sock_recv(server, 1), b"")
                server.close()
            await wait_for(lambda: not self.relay.accepted())
            self.assertLess(len(os.listdir("/dev/fd")) - before, 20)

        self.run_relay(scenario)


class RelayedConnectionsTests(RelayTestCase):
    """
    The relay knows its connections.
    """

    limit = 3

    def test_counted(self) -> None:
        """
        Connections are listed by user and number, with what their clients have sent.
        """

        async def scenario() -> None:
            client, server, name = await self.pair()
            await self.pair()
            client.sendall(b"12345")
            await asyncio.get_running_loop().sock_recv(server, 100)
            call = await self.called(name)
            accepted = self.relay.accepted()
            self.assertEqual(sorted(accepted.values()), [0, 5])
            self.assertEqual(accepted[address_of(call.peer) or ("", 0)], 5)
            self.assertEqual(host_of(call.peer), f"unix:uid={os.getuid()}")

        self.run_relay(scenario)

    def test_limit(self) -> None:
        """
        Connections beyond the limit are closed, which is logged; when others have ended, there is room again.
        """
        lines = LoggedLines(self)

        async def scenario() -> None:
            loop = asyncio.get_running_loop()
            (client, server, _), *_ = [await self.pair() for _ in range(self.limit)]
            refused = self.connect()
            refused.setblocking(False)
            self.assertEqual(await loop.sock_recv(refused, 1), b"")
            self.assertIn("3 connections are open at the Unix socket", "".join(lines.of("twisted_registry.rpc")))
            client.close()
            server.close()
            await wait_for(lambda: len(self.relay.accepted()) < self.limit)
            await self.pair()

        self.run_relay(scenario)

    def test_limit_of_users(self) -> None:
        """
        At the limit, a user with fewer connections takes one of the user who has most: one without calls, if there is
        one, and the newest of these.  A user cannot take more than that leaves to the other.
        """

        async def is_closed(client: socket.socket) -> bool:
            return await asyncio.get_running_loop().sock_recv(client, 1) == b""

        async def scenario() -> None:
            self.uid = 1000
            first, second, third = [await self.pair() for _ in range(self.limit)]
            self.busy.append((await self.called(third[2])).peer)
            self.uid = 1001
            other = await self.pair()
            self.assertTrue(await is_closed(second[0]))
            refused = self.connect()
            refused.setblocking(False)
            self.assertTrue(await is_closed(refused))
            for client, server, _ in (first, third, other):
                client.sendall(b"x")
                self.assertEqual(await asyncio.get_running_loop().sock_recv(server, 1), b"x")

        self.run_relay(scenario)

    def test_failures(self) -> None:
        """
        Whatever goes wrong with one connection, the next one is relayed.
        """
        errors: list[Exception] = [OSError(errno.EMFILE, "Too many open files"), ValueError("a bug")]

        async def scenario() -> None:
            for error in errors:
                self.end_errors.append(error)
                lost = self.connect()
                lost.setblocking(False)
                self.assertEqual(await asyncio.get_running_loop().sock_recv(lost, 1), b"")
            await self.pair()

        lines = LoggedLines(self)
        self.run_relay(scenario)
        self.assertIn("Too many open files", "".join(lines.of("twisted_registry.rpc")))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_shut_down(self) -> None:
        """
        A connection is shut down by its address, and by the peer of its calls; others continue.
        """

        async def scenario() -> None:
            loop = asyncio.get_running_loop()
            (first, _, first_name), (second, _, second_name), (third, behind, _) = [await self.pair() for _ in range(3)]
            first_peer, second_peer = (await self.called(first_name)).peer, (await self.called(second_name)).peer
            address = address_of(first_peer) or ("", 0)
            self.assertEqual(self.relay.shut_down([address, ("unix:uid=0", 999)]), {address})
            self.assertEqual(self.relay.disconnect([second_peer, "ipv4:127.0.0.1:1", "unix:unknown"]), {second_peer})
            for client in (first, second):
                self.assertEqual(await loop.sock_recv(client, 1), b"")
            await wait_for(lambda: len(self.relay.accepted()) == 1)
            third.sendall(b"x")
            self.assertEqual(await loop.sock_recv(behind, 1), b"x")

        self.run_relay(scenario)

    def test_busy_server(self) -> None:
        """
        If gRPC has a full queue, the relay tries again; if it is gone, the client is disconnected.
        """
        lines = LoggedLines(self)

        async def scenario() -> None:
            self.failures += [BlockingIOError(), BlockingIOError()]
            client, server, _ = await self.pair()
            client.sendall(b"x")
            self.assertEqual(await asyncio.get_running_loop().sock_recv(server, 1), b"x")
            self.failures.append(ConnectionRefusedError(111, "Connection refused"))
            lost = self.connect()
            lost.setblocking(False)
            self.assertEqual(await asyncio.get_running_loop().sock_recv(lost, 1), b"")
            self.assertIn("Connection refused", "".join(lines.of("twisted_registry.rpc")))
            await self.pair()

        self.run_relay(scenario)

    def test_drain(self) -> None:
        """
        A relay that stops waits for the last connection, and not for ever.
        """

        async def scenario() -> None:
            client, server, _ = await self.pair()
            await self.relay.drain(0.0)
            self.assertEqual(len(self.relay.accepted()), 1)
            draining = asyncio.ensure_future(self.relay.drain(TIMEOUT_SECONDS))
            server.sendall(b"the last reply")
            server.close()
            client.shutdown(socket.SHUT_WR)
            await draining
            self.assertEqual(await asyncio.get_running_loop().sock_recv(client, 100), b"the last reply")
            self.assertEqual(self.relay.accepted(), {})

        self.run_relay(scenario)


class RelayedPeersTests(RelayTestCase):
    """
    The relay says who makes a call.
    """

    def test_peer(self) -> None:
        """
        A call has the user and the groups of the process that connected, and a peer that names it.
        """

        async def scenario() -> None:
            _, _, name = await self.pair()
            call = await self.called(name)
            self.assertEqual(call.peer, f"unix:uid={os.getuid()}:pid={os.getpid()},connection=1")
            assert call.unix_user is not None
            self.assertEqual(call.unix_user.uid, os.getuid())
            self.assertEqual(set(call.unix_user.gids), {os.getgid(), *os.getgroups()})

        self.run_relay(scenario)

    def test_other_peers(self) -> None:
        """
        Calls that came by a port are left as they are.
        """

        async def scenario() -> None:
            call = await self.called("ipv4:127.0.0.1:5000")
            self.assertEqual((call.peer, call.unix_user), ("ipv4:127.0.0.1:5000", None))

        self.run_relay(scenario)

    def test_forged_peers(self) -> None:
        """
        A peer that is not a live connection of the relay is refused, whatever it is called.
        """

        async def scenario() -> None:
            client, server, name = await self.pair()
            real = (await self.called(name)).peer
            client.close()
            server.close()
            await wait_for(lambda: not self.relay.accepted())
            for forged in ("unix:", "unix-abstract:", name, real, "unix:uid=0:pid=1,connection=1", f"{name}x"):
                error = await self.refused(forged)
                self.assertEqual(error, grpc.StatusCode.PERMISSION_DENIED)

        self.run_relay(scenario)

    async def refused(self, peer: str) -> grpc.StatusCode:
        """
        Make a call that is aborted, and return its code.
        """
        context = FakeContext(peer)

        async def handle(request: Any, call: CallContext) -> Any:
            raise AssertionError("it is not called")

        method = Method("GetModel", handle, Action.READ)
        wrapped: Any = self.relay.intercept(method, handle)
        with self.assertRaises(Aborted):
            await wrapped(None, CallContext(method, context))
        return context.aborts[0][0]

    def test_names_are_random(self) -> None:
        """
        The name of the next connection cannot be taken beforehand: names differ from their first digits on.
        """

        async def scenario() -> None:
            names = [(await self.pair())[2] for _ in range(20)]
            self.assertGreater(len({name[: len("unix-abstract:registry-") + 4] for name in names}), 10)
            self.assertGreaterEqual(len(names[0].rpartition("-")[2]), 32)

        self.run_relay(scenario)


class PeerOfTests(SynchronousTestCase):
    """
    ``peer_of`` asks the kernel.
    """

    def test_this_process(self) -> None:
        """
        The peer is this process.
        """
        ends = socket.socketpair()
        for end in ends:
            self.addCleanup(end.close)
        groups = tuple(dict.fromkeys((os.getgid(), *os.getgroups())))
        self.assertEqual(peer_of(ends[0]), UnixPeer(UnixUser(os.getuid(), groups), os.getpid()))

    def test_internet_socket(self) -> None:
        """
        A socket without a process behind it has no peer to trust.
        """
        with socket.socket() as end:
            self.assertRaises(OSError, peer_of, end)
