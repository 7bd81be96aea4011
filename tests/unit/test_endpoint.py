"""
Tests for ``twisted_registry.rpc.endpoint``.
"""

import errno
import os
import socket
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import CannotStart
from twisted_registry.rpc.endpoint import Endpoint, addresses_of


class AddressesTests(SynchronousTestCase):
    """
    Which of a name's addresses are listened on.
    """

    def setUp(self) -> None:
        """
        Have each name stand for two addresses, and note what is logged.
        """
        self.patch(socket, "getaddrinfo", self.resolve)
        self.failing: dict[str, int] = {}
        self.lines: list[str] = []
        observe: Any = self.observe
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def observe(self, event: Any) -> None:
        """
        Note what is logged.
        """
        self.lines.append(event["log_format"].format(**event))

    def resolve(self, host: str, port: int, **_: Any) -> list[Any]:
        """
        Stand in for the system's resolver, which may give an address twice.
        """
        v4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [v6] if host == "::1" else [v6, v4, v4]

    def try_to_bind(self, family: int, address: Any) -> None:
        """
        Stand in for the system, which refuses some addresses.
        """
        if number := self.failing.get(address[0]):
            raise OSError(number, os.strerror(number))

    def addresses(self, interface: str = "localhost") -> list[str]:
        """
        Resolve an interface.
        """
        return [*addresses_of(Endpoint(interface, 9000, 1, False), self.try_to_bind)]

    def test_all(self) -> None:
        """
        All are listened on, each once.
        """
        self.assertEqual(self.addresses(), ["::1", "127.0.0.1"])
        self.assertEqual(self.lines, [])

    def test_one_that_this_machine_does_not_have(self) -> None:
        """
        It is skipped, and the log says so.
        """
        for number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            self.lines.clear()
            self.failing = {"::1": number}
            self.assertEqual(self.addresses(), ["127.0.0.1"])
            (line,) = self.lines
            for part in ("::1", "localhost", os.strerror(number)):
                self.assertIn(part, line)

    def test_none_that_this_machine_has(self) -> None:
        """
        The refusal names each address, and why.
        """
        self.failing = {"::1": errno.EAFNOSUPPORT, "127.0.0.1": errno.EADDRNOTAVAIL}
        refusal = str(self.assertRaises(CannotStart, self.addresses))
        for part in ("localhost:9000 (::1): Address family", "(127.0.0.1): Cannot assign"):
            self.assertIn(part, refusal)

    def test_one_that_is_taken(self) -> None:
        """
        An address that another process has is not skipped: clients would reach that one.
        """
        self.failing = {"127.0.0.1": errno.EADDRINUSE}
        self.assertIn("(127.0.0.1): Address already in use", str(self.assertRaises(CannotStart, self.addresses)))

    def test_an_address(self) -> None:
        """
        Of an address the refusal says it once.
        """
        self.failing = {"::1": errno.EADDRNOTAVAIL}
        refusal = str(self.assertRaises(CannotStart, self.addresses, "::1"))
        self.assertEqual(refusal, "cannot listen on [::1]:9000: Cannot assign requested address")
