"""
Tests for the files of Unix sockets: ``twisted_registry.rpc.unix_socket`` and ``twisted_registry.rpc.private_socket``.
"""

import fcntl
import os
import socket
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from twisted_registry.config.network import UnixSettings
from twisted_registry.domain.errors import CannotStart
from twisted_registry.rpc.private_socket import PrivateSocket
from twisted_registry.rpc.unix_socket import UnixListener, check_folder


class SocketFolderTestCase(SynchronousTestCase):
    """
    A directory whose path is short enough for sockets.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "r.sock"

    def listen(self, mode: int = 0o600, group: str | None = None) -> UnixListener:
        """
        Listen until the test ends.
        """
        listener = UnixListener(self.path, mode, group)
        self.addCleanup(listener.close)
        return listener

    def refusal(self, group: str | None = None) -> str:
        """
        Try to listen, and return why that fails.
        """
        return str(self.assertRaises(CannotStart, UnixListener, self.path, 0o600, group))

    def connect(self) -> socket.socket:
        """
        Connect a client.
        """
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(str(self.path))
        return client

    def leave_behind(self) -> None:
        """
        Leave the file of a socket to which nobody listens.
        """
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))
            dead.listen()


class UnixListenerTests(SocketFolderTestCase):
    """
    ``UnixListener`` makes the socket that clients connect to.
    """

    def test_mode(self) -> None:
        """
        The file has the mode, whatever the umask.
        """
        self.addCleanup(os.umask, os.umask(0o077))
        self.listen(0o666)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o666)
        self.connect()

    def test_group(self) -> None:
        """
        The file has the group, by number or by name.
        """
        if os.geteuid():
            raise SkipTest("only root may give a file to any group")
        self.listen(0o660, "54321")
        self.assertEqual(self.path.stat().st_gid, 54321)

    def test_unknown_group(self) -> None:
        """
        A group that does not exist is named, and nothing is left behind.
        """
        self.assertIn("no group 'no-such-group'", self.refusal("no-such-group"))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_settings(self) -> None:
        """
        The mode is 0600, and 0660 with a group, unless it is given.
        """
        self.assertEqual(UnixSettings(path="x").file_mode, 0o600)
        self.assertEqual(UnixSettings(path="x", group="ml").file_mode, 0o660)
        self.assertEqual(UnixSettings(path="x", group="ml", mode="0666").file_mode, 0o666)
        listener = UnixListener.of(UnixSettings(path=str(self.path), mode="0640"))
        self.addCleanup(listener.close)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)

    def test_removed_at_the_end(self) -> None:
        """
        The file is removed when the socket is closed, and not if it is another's by then.
        """
        self.listen().close()
        self.assertFalse(self.path.exists())
        listener = self.listen()
        self.path.unlink()
        self.leave_behind()
        listener.close()
        self.assertTrue(self.path.exists())

    def test_left_behind(self) -> None:
        """
        The socket of a program that has ended is replaced.
        """
        self.leave_behind()
        self.listen()
        self.connect()

    def test_live(self) -> None:
        """
        A socket that somebody listens to is left alone, also if nobody accepts its connections.
        """
        other = socket.socket(socket.AF_UNIX)
        self.addCleanup(other.close)
        other.bind(str(self.path))
        other.listen(0)
        for _ in range(3):  # the first attempt fills the queue
            self.assertIn("another program listens", self.refusal())
        self.assertTrue(self.path.exists())

    def test_other_files(self) -> None:
        """
        A file that is not a socket is left alone, also a link to one.
        """
        self.path.write_text("precious")
        self.assertIn("is not a socket", self.refusal())
        self.assertEqual(self.path.read_text(), "precious")
        self.path.unlink()
        self.path.symlink_to("elsewhere")
        self.assertIn("is not a socket", self.refusal())
        self.assertTrue(self.path.is_symlink())

    def test_missing_folder(self) -> None:
        """
        A missing directory is named.
        """
        self.path = self.folder / "missing" / "r.sock"
        self.assertIn("there is no directory", self.refusal())

    def test_locked_folder(self) -> None:
        """
        Another user who keeps the directory locked stops neither the start nor the end for long.
        """
        pauses: list[float] = []
        listener = UnixListener(self.path, 0o600, pause=pauses.append)
        descriptor = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        listener.close()
        self.assertTrue(self.path.exists())  # the next start replaces it
        error = self.assertRaises(CannotStart, UnixListener, self.path, 0o600, None, pauses.append)
        self.assertIn("another program keeps the directory", str(error))
        self.assertLess(sum(pauses), 10.0)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        self.listen()

    def test_folder_of_others(self) -> None:
        """
        A directory in which every user can replace files is reported.
        """
        self.assertEqual(check_folder(self.path), "")
        self.folder.chmod(0o777)
        self.assertIn("can replace the socket", check_folder(self.path))
        self.folder.chmod(0o1777)
        self.assertEqual(check_folder(self.path), "")


class PrivateSocketTests(SocketFolderTestCase):
    """
    ``PrivateSocket`` is the address of gRPC behind the relay.
    """

    def setUp(self) -> None:
        """
        Listen at it, as gRPC does.
        """
        super().setUp()
        self.private = PrivateSocket(self.folder)
        self.addCleanup(self.private.close)
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.bind(self.private.target.removeprefix("unix:"))
        self.listener.listen()

    def test_folder(self) -> None:
        """
        At first the socket is in a directory that only this user can open.
        """
        (folder,) = self.folder.iterdir()
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)

    def test_sealed(self) -> None:
        """
        Sealed, it has no name, and can be reached all the same.
        """
        self.private.seal()
        self.assertEqual(list(self.folder.iterdir()), [])
        with socket.socket(socket.AF_UNIX) as client:
            self.private.connect(client)
            accepted, _ = self.listener.accept()
            self.addCleanup(accepted.close)
            client.sendall(b"hello")
            self.assertEqual(accepted.recv(5), b"hello")

    def test_closed(self) -> None:
        """
        Closed, it leaves nothing behind, whether it was sealed or not.
        """
        self.private.close()
        self.assertEqual(list(self.folder.iterdir()), [])
        self.private.close()

    def test_folder_cannot_be_made(self) -> None:
        """
        If the directory cannot be made, that is said.
        """
        error = self.assertRaises(CannotStart, PrivateSocket, self.folder / "missing")
        self.assertIn("cannot create a directory", str(error))
