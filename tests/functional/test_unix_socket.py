"""
Tests of a daemon that serves a Unix socket.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from twisted.trial.unittest import SkipTest

from tests.functional.test_start_failures import FOREGROUND, StartFailureTestCase
from tests.support.cli import TWISTED_REGISTRY
from tests.support.daemon import Daemon, run_command, run_twistd, wait_until
from tests.support.users import call_as
from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.client import BlockingClient, Client
from twisted_registry.client.errors import NotPermitted, Unreachable

USER, GROUP, OTHER_USER = 54321, 54322, 54323
CLIENTS = 300

_POLICY = f"""
[[grants]]
to = "unix:{USER}"
role = "reader"
models = "public/*"

[[grants]]
to = ["unix-group:{GROUP}", "token:ci"]
role = "publisher"
models = "team-a/*"
"""


class UnixSocketTestCase(StartFailureTestCase):
    """
    A directory for a socket, with a short path, which other users may open.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.folder = Path(folder)
        self.folder.chmod(0o755)
        self.path = self.folder / "r.sock"
        self.address = f"unix:{self.path}"

    def start(self, *flags: str) -> Daemon:
        """
        Start a daemon.
        """
        daemon = Daemon(self.directory, ("--socket", str(self.path), *flags))
        self.addCleanup(daemon.kill)
        return daemon.start()

    def start_with_policy(self, *flags: str) -> Daemon:
        """
        Start a daemon that knows its callers, and whose socket is open to all.
        """
        (self.directory / "policy.toml").write_text(_POLICY)
        return self.start("--policy-file", "policy.toml", "--socket-mode", "0666", *flags)

    def client(self, **options: Any) -> BlockingClient:
        """
        Connect a client to the socket.
        """
        client = BlockingClient(self.address, retry_seconds=0, **options)
        self.addCleanup(client.close)
        return client


class UsersTests(UnixSocketTestCase):
    """
    Users of the machine are known, and may do what the policy grants to them.
    """

    def test_user(self) -> None:
        """
        A user may do what the policy grants to its number.
        """
        self.start_with_policy()
        self.assertEqual(call_as(USER, self.address, "list(client.models())"), "[]")
        self.assertIn(f"unix:{USER} lacks", call_as(USER, self.address, "client.ensure_model('public/x')"))

    def test_group(self) -> None:
        """
        A user may do what the policy grants to one of its groups, the primary one or another.
        """
        self.start_with_policy()
        publish = "client.ensure_model('team-a/x') and client.publish('team-a/x', b'weights').version_number"
        self.assertEqual(call_as(OTHER_USER, self.address, publish, groups=[1, GROUP]), "1")
        self.assertEqual(call_as(OTHER_USER, self.address, publish, gid=GROUP), "2")

    def test_others(self) -> None:
        """
        Users without grants may do nothing, not even the one who runs the daemon.
        """
        self.start_with_policy()
        text = call_as(OTHER_USER, self.address, "client.model('public/x')", groups=[GROUP + 5])
        self.assertIn(f"unix:{OTHER_USER} has no permission at all", text)
        self.assertRaises(NotPermitted, self.client().model, "public/x")

    def test_token(self) -> None:
        """
        A token counts at the socket too, for a user without grants; one with other grants is refused.
        """
        token = Token.make()
        with editing_tokens(self.directory / "tokens") as records:
            records.append(TokenRecord(token.id, "ci", token.sha256, "reader", ("public/*",), int(time.time()), None))
        self.start_with_policy("--tokens-file", "tokens")
        publish = "client.ensure_model('team-a/x') and client.publish('team-a/x', b'').version_number"
        self.assertEqual(call_as(OTHER_USER, self.address, publish, token=token.text), "1")
        text = call_as(USER, self.address, publish, token=token.text)
        self.assertIn(f"the credentials stand for token:ci and unix:{USER}", text)

    def test_without_access_control(self) -> None:
        """
        Without access control, a user who may open the socket may do anything.
        """
        self.start("--socket-mode", "0660", "--socket-group", str(GROUP))
        code = "client.ensure_model('x').model_id, client.delete_model('x')"
        self.assertEqual("('x', None)", call_as(OTHER_USER, self.address, code, groups=[GROUP]))

    def test_access_log(self) -> None:
        """
        The access log names the user and the process.
        """
        daemon = self.start("--log-level", "debug")
        self.client().ensure_model("x")
        daemon.wait_for(rf"from unix:uid={os.getuid()}:pid={os.getpid()},connection=1: OK")


class ClosedSocketTests(UnixSocketTestCase):
    """
    Clients that cannot connect learn why.
    """

    def test_mode(self) -> None:
        """
        By default only the user who runs the daemon may connect; a group may if it is named.
        """
        self.start()
        self.client().ensure_model("x")
        self.assertIn("the socket is for the user ", call_as(USER, self.address, "client.model('x')"))

    def test_group(self) -> None:
        """
        A user who is not in the group of the socket learns which group that is.
        """
        if os.geteuid() != 0:
            raise SkipTest("only root may give the socket to any group")
        self.start("--socket-group", str(GROUP))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o660)
        self.assertIn("'x'", call_as(USER, self.address, "client.ensure_model('x')", groups=[GROUP]))
        text = call_as(USER, self.address, "client.model('x')")
        self.assertIn(f"Unreachable: cannot reach the registry at {self.address}", text)
        self.assertIn(f"the socket is for the group {GROUP}, of which this process is not a member", text)

    def test_folder(self) -> None:
        """
        A directory that is closed to the user is reported as such.
        """
        self.folder.chmod(0o700)
        self.assertIn("its directory is closed to this user", call_as(USER, self.address, "client.model('x')"))

    def test_missing(self) -> None:
        """
        A missing socket, one without a daemon, and another kind of file are reported.
        """
        for make, said in (
            (lambda: None, "there is no such socket"),
            (self.path.touch, "the file is not a socket"),
            (self.leave_behind, "the daemon has ended"),
        ):
            make()
            self.assertIn(said, str(self.assertRaises(Unreachable, self.client().model, "x")))

    def leave_behind(self) -> None:
        """
        Leave the file of a socket to which nobody listens.
        """
        self.path.unlink()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))


class SocketFileTests(UnixSocketTestCase):
    """
    The file of the socket, from the start to the stop.
    """

    def test_beside_a_port(self) -> None:
        """
        The socket and the port serve the same registry; the socket is removed at the stop.
        """
        daemon = self.start()
        self.client().ensure_model("x")
        with BlockingClient(daemon.address) as other:
            self.assertEqual([model.model_id for model in other.models()], ["x"])
        self.assertEqual([path.name for path in self.folder.iterdir()], ["r.sock"])
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_after_a_crash(self) -> None:
        """
        The socket of a daemon that was killed is replaced; the socket of one that runs is not.
        """
        self.start().kill()
        self.assertTrue(self.path.exists())
        self.start()
        self.client().ensure_model("x")
        other = self.directory / "other"
        other.mkdir()
        ended = run_twistd(other, *FOREGROUND, "model-registry", "--port", "0", "--socket", str(self.path))
        self.assertIn("another program listens on", ended.stderr)
        self.client().model("x")

    def test_alone(self) -> None:
        """
        A daemon may serve the socket alone; the health check finds it.
        """
        daemon = Daemon(self.directory, ("--socket", self.address, "--socket-only"))
        self.addCleanup(daemon.kill)
        daemon.launch()
        daemon.wait_for(re.escape(f"listening on {self.address}"))
        self.client().ensure_model("x")
        inodes = {os.readlink(path) for path in Path(f"/proc/{daemon.process.pid}/fd").iterdir()}
        tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
        listening = [line.split() for table in tables for line in table.splitlines()]
        self.assertFalse([row for row in listening if row[3] == "0A" and f"socket:[{row[9]}]" in inodes])
        environment = {"COGMENT_MODEL_REGISTRY_SOCKET": str(self.path), "COGMENT_MODEL_REGISTRY_SOCKET_ONLY": "on"}
        ended = run_command(self.directory, TWISTED_REGISTRY, "health", environment=environment)
        self.assertEqual((ended.returncode, ended.stdout), (0, f"{self.address}: serving\n"))

    def test_refused_settings(self) -> None:
        """
        Settings that do not fit together, and paths that cannot be used, prevent the start.
        """
        path, missing = str(self.path), str(self.folder / "missing" / "r.sock")
        for flags, said in (
            (("--socket-only",), "--socket-only needs a socket"),
            (("--socket-mode", "0600"), "are for a socket"),
            (("--socket", "s" * 108), "at most 107 bytes"),
            (("--socket", missing), "there is no directory"),
            (("--socket", path, "--socket-group", "no-such-group"), "there is no group"),
            (("--socket", path, "--socket-only", "--http-port", "0"), "--http-port would let every user"),
        ):
            self.assert_cannot_start("--port", "0", *flags, said=said)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_port_is_taken(self) -> None:
        """
        A start that fails after the socket was made leaves nothing behind.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            self.assert_cannot_start("--port", port, "--socket", str(self.path), said="cannot listen on 127.0.0.1")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_owner_of_the_policy(self) -> None:
        """
        A policy that belongs to another user is refused: that user could change it.
        """
        if os.geteuid() != 0:
            raise SkipTest("only root can give a file to another user")
        policy = self.directory / "policy.toml"
        policy.write_text(_POLICY)
        os.chown(policy, USER, -1)
        said = f"belongs to another user (number {USER})"
        self.assert_cannot_start("--port", "0", "--policy-file", "policy.toml", said=said)


class RelayedCallsTests(UnixSocketTestCase):
    """
    Calls pass the relay as they pass a port.
    """

    def test_large_version(self) -> None:
        """
        A large version arrives whole, both ways, although a proxy is named in the environment.
        """
        self.start()
        data = os.urandom(40_000_000)
        self.patch(os, "environ", {**os.environ, "http_proxy": "http://127.0.0.1:1", "grpc_proxy": "127.0.0.1:1"})
        client = self.client()
        client.ensure_model("x")
        client.publish("x", data)
        self.assertEqual(client.retrieve("x"), data)

    def test_asyncio(self) -> None:
        """
        The asyncio client follows a model through the socket.
        """
        self.start()

        async def follow() -> int:
            async with Client(self.address) as client:
                await client.ensure_model("x")
                async with client.track("x") as tracker:
                    await client.publish("x", b"")
                    info = await anext(aiter(tracker))
                    return info.version_number

        self.assertEqual(asyncio.run(follow()), 1)

    def test_many_clients(self) -> None:
        """
        Three hundred clients at once are served, each on a separate connection.
        """
        self.start()

        async def call() -> list[bytes]:
            options = [("grpc.use_local_subchannel_pool", 1)]
            channels: list[Any] = [grpc.aio.insecure_channel(self.address, options=options) for _ in range(CLIENTS)]
            calls = [each.unary_unary("/cogmentAPI.ModelRegistrySP/Version")(b"", timeout=60) for each in channels]
            replies = list(await asyncio.gather(*calls))
            self.assertEqual(int(self.client().statuses("connections")["connections"]), CLIENTS + 1)
            for channel in channels:
                await channel.close()
            return replies

        replies = asyncio.run(call())
        self.assertEqual((len(replies), len(set(replies))), (CLIENTS, 1))

    def test_stop(self) -> None:
        """
        A download that runs when the daemon stops is finished.
        """
        daemon = self.start()
        data = os.urandom(40_000_000)
        client = self.client()
        client.ensure_model("x")
        client.publish("x", data)
        pieces = client.retrieve_chunks("x")
        received = bytearray(next(pieces))
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("stopping")
        for piece in pieces:
            received += piece
        self.assertEqual(received, data)
        self.assertEqual(daemon.wait(), 0)


class SpoofingTests(UnixSocketTestCase):
    """
    The relay cannot be passed, and its connections cannot be imitated.
    """

    def descriptors(self, daemon: Daemon) -> list[Path]:
        """
        Return the descriptors by which the daemon itself reaches gRPC's socket.
        """
        folder = Path(f"/proc/{daemon.process.pid}/fd")
        found = []
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # it is closed meanwhile
                if "/grpc" in os.readlink(path):
                    found.append(path)
        return found

    def test_private_socket(self) -> None:
        """
        Another user cannot open gRPC's socket.  Root can, as it can do anything, and is refused all the same.
        """
        daemon = self.start_with_policy()
        (private,) = self.descriptors(daemon)
        self.assertIn("Unreachable", call_as(USER, f"unix:{private}", "client.model('public/x')"))
        with BlockingClient(f"unix:{private}", retry_seconds=0) as client:
            error = self.assertRaises(NotPermitted, client.model, "public/x")
        self.assertIn("connect to the socket of --socket", str(error))

    def test_without_access_control(self) -> None:
        """
        Without access control, gRPC's own socket is refused too.
        """
        (private,) = self.descriptors(self.start())
        with BlockingClient(f"unix:{private}", retry_seconds=0) as client:
            self.assertRaises(NotPermitted, client.model, "public/x")

    def test_names_of_connections(self) -> None:
        """
        The name of a relayed connection, which every user can see, cannot be taken while it lives, and means nothing
        afterwards.
        """
        daemon = self.start_with_policy()
        (private,) = self.descriptors(daemon)
        with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_UNIX) as other:
            client.connect(str(self.path))
            (name,) = wait_until(lambda: self.names(daemon), "the connection is relayed")
            self.assertRaises(OSError, other.bind, f"\0{name}")
        wait_until(lambda: not self.names(daemon), "the connection has ended")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(f"\0{name}")
            other.connect(str(private))
            self.assertEqual(asyncio.run(self.status_through(other)), grpc.StatusCode.PERMISSION_DENIED)

    def names(self, daemon: Daemon) -> list[str]:
        """
        Return the abstract names of the relay's connections, as the system shows them to every user.
        """
        sockets = set()
        for path in Path(f"/proc/{daemon.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it is closed meanwhile
                sockets.add(os.readlink(path))
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        return [row[7][1:] for row in rows if f"socket:[{row[6]}]" in sockets and row[-1].startswith("@registry-")]

    async def status_through(self, connected: socket.socket) -> grpc.StatusCode:
        """
        Make a call through a connected socket, and return its status.
        """
        front = self.folder / "front"
        connected.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=connected)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(2**16):
                sink.write(data)

        async def serve(client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(pump(client_reader, writer), pump(reader, client_writer))

        channel: Any = grpc.aio.insecure_channel(f"unix:{front}")
        async with await asyncio.start_unix_server(serve, front), channel:
            try:
                await channel.unary_unary("/cogmentAPI.ModelRegistrySP/Version")(b"", timeout=60)
            except grpc.aio.AioRpcError as error:
                return error.code()
            finally:
                writer.close()
        return grpc.StatusCode.OK
