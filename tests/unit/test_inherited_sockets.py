"""
Tests of the sockets that the service manager passes to the daemon.
"""

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from twisted_registry.config.load import Settings, load
from twisted_registry.config.network import NetworkSettings, UnixSettings
from twisted_registry.config.setting import Machine
from twisted_registry.config.web import WebSettings
from twisted_registry.daemon.inherited_sockets import InheritedSockets, adopt, inherited_sockets
from twisted_registry.domain.errors import CannotStart

PROCESS_ID = 7


class PassedSocketsCase(SynchronousTestCase):
    """
    A service manager that passes sockets.
    """

    def setUp(self) -> None:
        """
        Make a directory for sockets.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "registry.sock"
        self.settings = load({}, {}, Machine(memory_bytes=2**30, descriptors=1000)).settings
        self.environment = {"LISTEN_PID": str(PROCESS_ID), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "HOME": "/"}

    def unix(self, *, listening: bool = True) -> int:
        """
        Make a Unix socket, and return its descriptor.
        """
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(self.path))
        if listening:
            made.listen()
        return made.detach()

    def tcp(self, host: str = "127.0.0.1") -> tuple[int, int]:
        """
        Listen on a free port, and return the descriptor and the port.
        """
        made = socket.create_server((host, 0))
        port: int = made.getsockname()[1]
        return made.detach(), port

    def settings_with(
        self, unix: UnixSettings | None = None, web: WebSettings | None = None, network: NetworkSettings | None = None
    ) -> Settings:
        """
        Return settings.
        """
        settings = self.settings
        return evolve(
            settings, unix=unix or settings.unix, web=web or settings.web, network=network or settings.network
        )

    def take(self, settings: Settings, descriptor: int) -> InheritedSockets:
        """
        Take the sockets, until the test ends.
        """
        taken = inherited_sockets(settings, self.environment, PROCESS_ID, descriptor)
        for each in (taken.unix, taken.http):
            if each is not None:
                self.addCleanup(each.close)
        return taken

    def refusal(self, settings: Settings, descriptor: int) -> str:
        """
        Try to take a socket, and return why that fails.
        """
        return str(self.assertRaises(CannotStart, self.take, settings, descriptor))


class InheritedSocketsTests(PassedSocketsCase):
    """
    ``inherited_sockets`` takes each socket for the setting that names its address.
    """

    def test_unix(self) -> None:
        """
        A Unix socket is that of ``--socket``, also if its path is written in another way.
        """
        descriptor = self.unix()
        path = self.path.parent / ".." / self.path.parent.name / self.path.name
        taken = self.take(self.settings_with(UnixSettings(path=str(path))), descriptor)
        self.assertIsNone(taken.http)
        assert taken.unix is not None
        self.assertEqual(taken.unix.fileno(), descriptor)
        self.assertFalse(taken.unix.getblocking())

    def test_http(self) -> None:
        """
        A TCP socket is that of ``--http-port``.
        """
        descriptor, port = self.tcp()
        taken = self.take(self.settings_with(web=WebSettings(port=port)), descriptor)
        self.assertIsNone(taken.unix)
        assert taken.http is not None
        self.assertEqual(taken.http.getsockname(), ("127.0.0.1", port))

    def test_children(self) -> None:
        """
        Children of the daemon learn nothing of the sockets, and do not inherit them.
        """
        descriptor, port = self.tcp()
        os.set_inheritable(descriptor, True)
        self.take(self.settings_with(web=WebSettings(port=port)), descriptor)
        self.assertEqual(self.environment, {"HOME": "/"})
        self.assertFalse(os.get_inheritable(descriptor))

    def test_for_another_process(self) -> None:
        """
        Sockets that are meant for another process are left alone.
        """
        self.environment["LISTEN_PID"] = str(PROCESS_ID + 1)
        self.assertEqual(self.take(self.settings, 0), InheritedSockets(None, None))
        self.environment = {}
        self.assertEqual(self.take(self.settings, 0), InheritedSockets(None, None))


class RefusalTests(PassedSocketsCase):
    """
    A socket that cannot be used prevents the start, because connections would wait there forever.
    """

    def test_unknown_path(self) -> None:
        """
        The path of a Unix socket must be that of ``--socket``.
        """
        text = self.refusal(self.settings, self.unix())
        self.assertIn(f"'{self.path}', which no setting names; pass --socket", text)

    def test_unknown_port(self) -> None:
        """
        The address and the port must be those of HTTP: an open address must not be served because the port is right.
        """
        descriptor, port = self.tcp("0.0.0.0")
        text = self.refusal(self.settings_with(web=WebSettings(port=port)), descriptor)
        self.assertIn(f"0.0.0.0:{port}, which no setting names", text)
        self.assertIn("--http-interface", text)

    def test_port_of_grpc(self) -> None:
        """
        gRPC cannot take over a socket.
        """
        descriptor, port = self.tcp()
        text = self.refusal(self.settings_with(network=NetworkSettings(port=port)), descriptor)
        self.assertIn("gRPC accepts no open socket for --port; leave it out", text)

    def test_not_listening(self) -> None:
        """
        A socket must listen.
        """
        text = self.refusal(self.settings_with(UnixSettings(path=str(self.path))), self.unix(listening=False))
        self.assertIn("accepts no connections", text)
        self.assertIn("Accept=no", text)

    def test_not_a_socket(self) -> None:
        """
        A descriptor that is not a socket is named.
        """
        descriptor = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        self.assertIn(f"as descriptor {descriptor}, but it is not a socket", self.refusal(self.settings, descriptor))

    def test_mode(self) -> None:
        """
        The mode of a socket that the service manager made is not the daemon's to set.
        """
        settings = self.settings_with(UnixSettings(path=str(self.path), mode="0666"))
        self.assertIn("set SocketMode=", self.refusal(settings, self.unix()))


class AdoptTests(TestCase):
    """
    ``adopt`` serves an inherited socket.
    """

    async def test_connection(self) -> None:
        """
        A connection that was made before is served; the socket itself stays open where it came from.
        """
        from twisted.internet import reactor

        adopting: Any = reactor
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            client.connect(listener.getsockname())
            connected: Deferred[None] = Deferred()

            class Connected(Protocol):
                def connectionMade(self) -> None:
                    assert self.transport is not None
                    self.transport.loseConnection()
                    connected.callback(None)

            port: IListeningPort = adopt(adopting, listener.dup(), Factory.forProtocol(Connected))
            await connected
            await maybeDeferred(port.stopListening)
            with socket.socket() as another:
                another.connect(listener.getsockname())
