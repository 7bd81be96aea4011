"""
Tests for ``twisted_registry.rpc.sockets``.
"""

import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.rpc.sockets import disconnect

TIMES = 100


class DisconnectTests(SynchronousTestCase):
    """
    ``disconnect`` shuts a connection down.
    """

    def connect(self, host: str, family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
        """
        Make a connection, and return its ends: the server's, then the client's.
        """
        with socket.create_server((host, 0), family=family) as server:
            client = socket.create_connection(server.getsockname()[:2])
            self.addCleanup(client.close)
            accepted, _ = server.accept()
        self.addCleanup(accepted.close)
        return accepted, client

    def test_shuts_down(self) -> None:
        """
        The client's connection ends; others continue.
        """
        (_, client), (other, other_client) = (self.connect("127.0.0.1", socket.AF_INET) for _ in range(2))
        peer = f"ipv4:127.0.0.1:{client.getsockname()[1]}"
        self.assertEqual(disconnect([peer, "ipv4:127.0.0.1:1"]), {peer})
        self.assertEqual(client.recv(1), b"")
        other.sendall(b"a")
        self.assertEqual(other_client.recv(1), b"a")

    def test_leaves_no_descriptor(self) -> None:
        """
        No descriptor stays open.
        """
        # Other threads of this process may open some meanwhile.
        before = len(os.listdir("/dev/fd"))
        for _ in range(TIMES):
            disconnect(["ipv4:127.0.0.1:1"])
        self.assertLess(len(os.listdir("/dev/fd")) - before, TIMES)

    def test_unknown_peers(self) -> None:
        """
        Peers that are gone, peers without an address and sockets without an address are ignored.
        """
        for end in socket.socketpair():
            self.addCleanup(end.close)
        self.assertEqual(disconnect(["ipv4:127.0.0.1:1", "ipv6:%5B::1%5D:1", "unix:/a", ""]), set())

    def test_mapped_address(self) -> None:
        """
        An IPv4 client of a server for both families is found.
        """
        with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
            client = socket.create_connection(("127.0.0.1", server.getsockname()[1]))
            self.addCleanup(client.close)
            accepted, _ = server.accept()
        self.addCleanup(accepted.close)
        peer = f"ipv4:127.0.0.1:{client.getsockname()[1]}"
        self.assertEqual(disconnect([peer, "ipv4:127.0.0.1:1"]), {peer})
        self.assertEqual(client.recv(1), b"")
