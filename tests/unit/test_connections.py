"""
Tests for what bounds clients: ``twisted_registry.rpc.connections`` and ``twisted_registry.daemon.descriptor_limit``.
"""

import asyncio
import itertools
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.config.limits import connections_within
from twisted_registry.daemon.descriptor_limit import usable_descriptors
from twisted_registry.rpc.connections import Connections
from twisted_registry.rpc.sockets import Address, accepted_on, open_descriptors


class ConnectionsTests(SynchronousTestCase):
    """
    ``Connections`` closes idle connections near the limit of 20.
    """

    def setUp(self) -> None:
        """
        Begin without connections.
        """
        self.accepted: dict[Address, int] = {}
        self.ports = itertools.count()
        self.busy: set[str] = set()
        self.closed: list[Address] = []
        self.now_seconds = 0.0
        self.lines: list[str] = []
        observe: Any = self.observe
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.connections = Connections(20, 20, lambda: self.busy, lambda: self.accepted, self.shut_down, self.now)
        self.addCleanup(self.connections.close)

    def observe(self, event: Any) -> None:
        """
        Record a line of the log.
        """
        self.lines.append(event["log_format"].format(**event))

    def now(self) -> float:
        """
        Return the time.
        """
        return self.now_seconds

    def shut_down(self, addresses: Collection[Address]) -> Collection[Address]:
        """
        Close connections.
        """
        self.closed += addresses
        for address in addresses:
            del self.accepted[address]
        return addresses

    def connect(self, host: str, count: int, sent_bytes: int = 33) -> None:
        """
        Connect clients from a host.
        """
        self.accepted.update({(host, next(self.ports)): sent_bytes for _ in range(count)})

    def check(self) -> None:
        """
        Check once.
        """
        asyncio.run(self.connections.check())

    def test_far_from_the_limit(self) -> None:
        """
        Idle connections far from the limit stay open.
        """
        self.connect("10.0.0.1", 18)
        for _ in range(3):
            self.check()
        self.assertEqual((self.closed, self.lines), ([], []))

    def test_idle_ones_are_closed(self) -> None:
        """
        Near the limit, idle connections are closed: of the host with the most, those that have sent least.
        """
        self.connect("10.0.0.2", 5)
        self.connect("10.0.0.1", 5, sent_bytes=5000)
        self.connect("10.0.0.1", 10)
        self.busy = {f"ipv4:10.0.0.1:{port}" for port in range(12, 20)}
        self.check()
        self.assertEqual(self.closed, [], "a new connection has had no time for a call")
        self.check()
        self.assertEqual(set(self.closed), {("10.0.0.1", 10), ("10.0.0.1", 11)})

    def test_busy_ones_stay(self) -> None:
        """
        Connections with calls stay open, however many there are.
        """
        self.connect("10.0.0.1", 20)
        self.busy = {f"ipv4:10.0.0.1:{port}" for port in range(20)}
        for _ in range(3):
            self.check()
        self.assertEqual(self.closed, [])

    def test_each_client(self) -> None:
        """
        A client beyond its limit loses connections: those without calls, then the newest.  This machine has no limit.
        """
        self.connections = Connections(50, 5, lambda: self.busy, lambda: self.accepted, self.shut_down, self.now)
        self.addCleanup(self.connections.close)
        self.connect("127.0.0.1", 10)
        self.connect("10.0.0.2", 5)
        self.connect("10.0.0.1", 4)
        self.busy = {f"ipv4:10.0.0.1:{port}" for port in (15, 16, 18)}
        self.check()
        self.assertEqual(self.closed, [])
        self.connect("10.0.0.1", 4)
        self.busy |= {f"ipv4:10.0.0.1:{port}" for port in (19, 20, 21)}
        self.check()
        closed = set(self.closed)
        self.assertEqual(len(closed), 3)
        self.assertLess({("10.0.0.1", 17), ("10.0.0.1", 22)}, closed)
        self.assertTrue(closed - {("10.0.0.1", 17), ("10.0.0.1", 22)} < {("10.0.0.1", port) for port in (19, 20, 21)})
        (line,) = self.lines
        for part in ("10.0.0.1 has 8 connections", "--max-connections-per-client is 5", "3 beyond it were closed"):
            self.assertIn(part, line)

    def test_each_network(self) -> None:
        """
        The addresses of one IPv6 network are one client.
        """
        self.connections = Connections(50, 5, lambda: self.busy, lambda: self.accepted, self.shut_down, self.now)
        self.addCleanup(self.connections.close)
        for number in range(8):
            self.connect(f"2001:db8::{number}", 1)
        self.check()
        self.assertEqual(len(self.accepted), 5)

    def test_a_line_a_minute(self) -> None:
        """
        The log names the number of connections, the busiest host and the setting, once a minute.
        """
        self.connect("10.0.0.2", 1)
        self.connect("10.0.0.1", 19)
        for _ in range(3):
            self.check()
            self.connect("10.0.0.1", 20 - len(self.accepted), sent_bytes=1)
        (line,) = self.lines
        for part in ("20 connections", "19 of them from 10.0.0.1", "--max-connections is 20", "refused"):
            self.assertIn(part, line)
        self.now_seconds = 61.0
        self.check()
        self.assertEqual(len(self.lines), 2)
        self.assertRegex(self.lines[1], "; [1-9] that carried no call were closed")

    def test_checks_only_near_the_limit(self) -> None:
        """
        With few descriptors, connections are not inspected.
        """
        looked = []

        async def watch(open_descriptors: int) -> None:
            counted = asyncio.Event()

            def count() -> int:
                counted.set()
                return open_descriptors

            def accepted() -> Mapping[Address, int]:
                looked.append(True)
                return {}

            connections = Connections(20, 20, lambda: self.busy, accepted, self.shut_down)
            self.addCleanup(connections.close)
            watching = asyncio.create_task(connections.watch(count, 0.0))
            for _ in range(3):
                counted.clear()
                await counted.wait()
            watching.cancel()

        asyncio.run(watch(18))
        self.assertEqual(looked, [])
        asyncio.run(watch(19))
        self.assertNotEqual(looked, [])

    def test_no_descriptors_left(self) -> None:
        """
        If hardly any descriptor is left, idle connections are closed however few there are, and the log says what to
        do, once a minute.
        """
        self.connect("10.0.0.1", 3)
        self.busy = {"ipv4:10.0.0.1:0"}

        async def watch() -> None:
            watching = asyncio.create_task(self.connections.watch(lambda: 85, 0.0, lambda: 100))
            while len(self.accepted) > 1:
                await asyncio.sleep(0)
            watching.cancel()

        asyncio.run(watch())
        self.assertEqual(list(self.accepted), [("10.0.0.1", 0)])
        (line,) = self.lines
        for part in ("85 file descriptors are open", "limit is 100", "LimitNOFILE", "--max-connections, which is 20"):
            self.assertIn(part, line)

    def test_accepted(self) -> None:
        """
        The clients of a port are found with what they have sent; connections made by this process are not.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            self.addCleanup(client.close)
            accepted, _ = server.accept()
            self.addCleanup(accepted.close)
            client.sendall(b"12345")
            self.assertEqual(accepted.recv(5), b"12345")
            received = 5 if sys.platform == "linux" else 0
            self.assertEqual(accepted_on([server.getsockname()[1]]), {client.getsockname(): received})
            self.assertEqual(accepted_on([client.getsockname()[1]]), {server.getsockname(): 0})


class DescriptorTests(SynchronousTestCase):
    """
    The limit on descriptors.
    """

    def test_connections_leave_a_reserve(self) -> None:
        """
        A quarter is reserved for files, at least 96; a few connections are always allowed.
        """
        for descriptors, connections in {64: 8, 256: 160, 1024: 768, 100_000: 75_000}.items():
            self.assertEqual(connections_within(descriptors), connections)

    def test_usable(self) -> None:
        """
        The hard limit determines how many are usable.
        """
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertGreaterEqual(usable_descriptors(), soft)

    def test_raised(self) -> None:
        """
        The soft limit is raised to the hard one.
        """
        code = (
            "import resource\n"
            "from twisted_registry.daemon.descriptor_limit import raise_descriptor_limit, usable_descriptors\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))\n"
            "print(usable_descriptors())\n"
            "raise_descriptor_limit()\n"
            "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        )
        printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        self.assertEqual(printed.splitlines(), ["200", "(200, 200)"])

    def test_open(self) -> None:
        """
        Open descriptors are counted.
        """
        opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
        try:
            self.assertGreaterEqual(open_descriptors(), 50)
        finally:
            for descriptor in opened:
                os.close(descriptor)
