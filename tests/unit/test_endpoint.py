"""
Tests for ``twisted_registry.rpc.endpoint``.
"""

import errno
import os
import socket
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.config.network import NetworkSettings
from twisted_registry.domain.errors import CannotStart
from twisted_registry.rpc.endpoint import addresses_of


class AddressesTests(SynchronousTestCase):
    """
    ``addresses_of`` returns the addresses to listen on.
    """

    def setUp(self) -> None:
        """
        Resolve each name to two addresses, and collect what is logged.
        """
        self.patch(socket, "getaddrinfo", self.resolve)
        self.failing: dict[str, int] = {}
        self.lines: list[str] = []
        observe: Any = self.observe
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def observe(self, event: Any) -> None:
        """
        Record a line of the log.
        """
        self.lines.append(event["log_format"].format(**event))

    def resolve(self, host: str, port: int, **_: Any) -> list[Any]:
        """
        Resolve a host as the system would, which may return an address twice.
        """
        v4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [v6] if host == "::1" else [v6, v4, v4]

    def try_to_bind(self, family: int, address: Any) -> None:
        """
        Bind an address as the system would, which refuses some.
        """
        if number := self.failing.get(address[0]):
            raise OSError(number, os.strerror(number))

    def addresses(self, interface: str = "localhost") -> list[str]:
        """
        Resolve an interface.
        """
        return [*addresses_of(NetworkSettings(interface=interface), self.try_to_bind)]

    def test_all(self) -> None:
        """
        Each address is used, once.
        """
        self.assertEqual(self.addresses(), ["::1", "127.0.0.1"])
        self.assertEqual(self.lines, [])

    def test_address_of_another_machine(self) -> None:
        """
        An address that this machine does not have is skipped, and logged.
        """
        for number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            self.lines.clear()
            self.failing = {"::1": number}
            self.assertEqual(self.addresses(), ["127.0.0.1"])
            (line,) = self.lines
            for part in ("::1", "localhost", os.strerror(number)):
                self.assertIn(part, line)

    def test_only_addresses_of_other_machines(self) -> None:
        """
        The error names each address with its reason.
        """
        self.failing = {"::1": errno.EAFNOSUPPORT, "127.0.0.1": errno.EADDRNOTAVAIL}
        refusal = str(self.assertRaises(CannotStart, self.addresses))
        for part in ("localhost:9000 (::1): Address family", "(127.0.0.1): Cannot assign"):
            self.assertIn(part, refusal)

    def test_address_in_use(self) -> None:
        """
        An address that another process uses is not skipped: clients would reach that process.
        """
        self.failing = {"127.0.0.1": errno.EADDRINUSE}
        self.assertIn("(127.0.0.1): Address already in use", str(self.assertRaises(CannotStart, self.addresses)))

    def test_an_address(self) -> None:
        """
        The error names an address that was given as one only once.
        """
        self.failing = {"::1": errno.EADDRNOTAVAIL}
        refusal = str(self.assertRaises(CannotStart, self.addresses, "::1"))
        self.assertEqual(refusal, "cannot listen on [::1]:9000: Cannot assign requested address")
