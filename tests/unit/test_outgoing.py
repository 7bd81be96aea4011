"""
Facts about what is on its way to readers, and about hanging up.
"""

import asyncio
import os
import socket
from collections.abc import Collection

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import FakeContext, call_on
from twisted_registry.application.replies import account_for
from twisted_registry.config.limits import Limits
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.outgoing import COUNTED_BYTES, Outgoing
from twisted_registry.rpc.sockets import disconnect

MIB = 2**20
TIMES = 100


class SlowReader(FakeContext):
    """
    A call whose client takes messages when it is told to.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.taken = asyncio.Event()

    async def write(self, message: bytes) -> None:
        """
        Send a message.
        """
        await self.taken.wait()

    def end(self) -> None:
        """
        Be over.
        """
        super().end()
        self.taken.set()


class OutgoingTests(SynchronousTestCase):
    """
    ``Outgoing`` shares out what may be on its way.
    """

    def setUp(self) -> None:
        """
        Make room for 7 MiB of large versions, and nobody to hang up on yet.
        """
        self.now_seconds = 0.0
        self.disconnected: list[str] = []
        self.connected: dict[str, FakeContext] = {}
        self.outgoing = Outgoing(Limits(0, 0, 0.0, 0.0, 8 * MIB, 0.1, 0.0), self.disconnect, lambda: self.now_seconds)

    def disconnect(self, peers: Collection[str]) -> set[str]:
        """
        Note upon whom was hung up, and end the calls.
        """
        self.disconnected += sorted(peers)
        for peer in peers:
            self.connected[peer].end()
        return set(peers)

    def call(self, name: str) -> CallContext:
        """
        Make a call.
        """
        self.connected[name] = FakeContext(name)
        return call_on(self.connected[name])

    async def reply(self, name: str, size_bytes: int) -> bytes:
        """
        Send a reply.
        """
        return await account_for(self.outgoing.receiver(self.call(name)), bytes(size_bytes))

    def test_given_back_when_over(self) -> None:
        """
        A reader waits until another's call is over, and nobody is hung up on who moves.
        """

        async def test() -> None:
            first = self.call("first")
            await self.outgoing.share(first, 5 * MIB)
            second = asyncio.create_task(self.outgoing.share(self.call("second"), 5 * MIB))
            await asyncio.sleep(0.1)
            self.assertFalse(second.done())
            self.connected["first"].end()
            await second

        asyncio.run(test())
        self.assertEqual(self.disconnected, [])

    def test_disconnected_on_for_another(self) -> None:
        """
        The readers who have read nothing for the longest time lose their connections, as many as others need.
        """

        async def test() -> None:
            shares = [await self.outgoing.share(self.call(name), 2 * MIB) for name in ("a", "b", "c")]
            for share in (*shares[1:], shares[0]):
                share.start_idle_timer()
                self.now_seconds += 1.0
            await self.outgoing.share(self.call("d"), 3 * MIB)

        asyncio.run(test())
        self.assertEqual(self.disconnected, ["b"])

    def test_replies_are_counted(self) -> None:
        """
        A reply of a kilobyte and more takes a share until its call is over; a shorter one goes out whatever there is.
        """

        async def test() -> None:
            replies = [self.call(str(number)) for number in range(16)]
            for call in replies:
                await account_for(self.outgoing.receiver(call), bytes(64 * 1024))
            waiting = asyncio.create_task(self.reply("b", COUNTED_BYTES))
            self.assertEqual(await self.reply("c", COUNTED_BYTES - 1), bytes(1023))
            self.assertFalse(waiting.done())
            self.connected["0"].end()
            self.assertEqual(await waiting, bytes(COUNTED_BYTES))

        asyncio.run(test())

    def test_updates_are_counted(self) -> None:
        """
        An update takes a share until gRPC has taken it.  Who takes none is hung up on for another.
        """

        async def test() -> None:
            stalled = [SlowReader(str(number)) for number in range(4)]
            self.connected.update((call.peer(), call) for call in stalled)
            writing = []
            for call in stalled:
                writing.append(asyncio.create_task(self.outgoing.write(call_on(call), bytes(256 * 1024))))
                await asyncio.sleep(0)
                self.now_seconds += 0.01
            short, long = SlowReader("short"), SlowReader("long")
            long.taken.set()
            waiting = asyncio.create_task(self.outgoing.write(call_on(long), bytes(256 * 1024)))
            short.taken.set()
            await self.outgoing.write(call_on(short), bytes(1023))
            self.now_seconds = 1.0
            await waiting
            for call in stalled:
                call.end()
            await asyncio.gather(*writing)

        asyncio.run(test())
        self.assertEqual(self.disconnected, ["0"])

    def test_left_alone_while_it_waits(self) -> None:
        """
        Who waits for the server, whose disk is slow perhaps, is not to blame.
        """

        async def test() -> None:
            first = await self.outgoing.share(self.call("a"), 6 * MIB)
            self.now_seconds = 60.0
            waiting = asyncio.create_task(self.outgoing.share(self.call("b"), 6 * MIB))
            await asyncio.sleep(0.1)
            self.assertFalse(waiting.done())
            first.start_idle_timer()
            self.now_seconds = 120.0
            await waiting

        asyncio.run(test())
        self.assertEqual(self.disconnected, ["a"])

    def test_left_alone_where_nobody_waits(self) -> None:
        """
        Who reads nothing is left alone as long as nobody wants his share.
        """

        async def test() -> None:
            (await self.outgoing.share(self.call("a"), 6 * MIB)).start_idle_timer()
            self.now_seconds = 1.0
            await asyncio.sleep(0.1)

        asyncio.run(test())
        self.assertEqual(self.disconnected, [])


class HangUpTests(SynchronousTestCase):
    """
    ``disconnect`` shuts a connection down.
    """

    def connect(self, host: str, family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
        """
        Make a connection, and give its two ends: the server's, then the client's.
        """
        with socket.create_server((host, 0), family=family) as server:
            client = socket.create_connection(server.getsockname()[:2])
            self.addCleanup(client.close)
            accepted, _ = server.accept()
        self.addCleanup(accepted.close)
        return accepted, client

    def test_shuts_down(self) -> None:
        """
        The client finds its connection at its end; others go on.
        """
        (_, client), (other, other_client) = (self.connect("127.0.0.1", socket.AF_INET) for _ in range(2))
        peer = f"ipv4:127.0.0.1:{client.getsockname()[1]}"
        self.assertEqual(disconnect([peer, "ipv4:127.0.0.1:1"]), {peer})
        self.assertEqual(client.recv(1), b"")
        other.sendall(b"a")
        self.assertEqual(other_client.recv(1), b"a")

    def test_leaves_no_descriptor(self) -> None:
        """
        Looking through what is open opens nothing for good.
        """
        # What else runs in this process may open one or another meanwhile.
        before = len(os.listdir("/dev/fd"))
        for _ in range(TIMES):
            disconnect(["ipv4:127.0.0.1:1"])
        self.assertLess(len(os.listdir("/dev/fd")) - before, TIMES)

    def test_nobody_there(self) -> None:
        """
        A peer that is no more, and one that is no address, is nothing to fail for; nor is a socket without addresses.
        """
        for end in socket.socketpair():
            self.addCleanup(end.close)
        self.assertEqual(disconnect(["ipv4:127.0.0.1:1", "ipv6:%5B::1%5D:1", "unix:/a", ""]), set())

    def test_mapped_address(self) -> None:
        """
        An IPv4 client of a server that listens for both is found.
        """
        with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
            client = socket.create_connection(("127.0.0.1", server.getsockname()[1]))
            self.addCleanup(client.close)
            accepted, _ = server.accept()
        self.addCleanup(accepted.close)
        peer = f"ipv4:127.0.0.1:{client.getsockname()[1]}"
        self.assertEqual(disconnect([peer, "ipv4:127.0.0.1:1"]), {peer})
        self.assertEqual(client.recv(1), b"")
