"""
Tests of a daemon with TLS and access control.
"""

import signal
import ssl
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
import trustme
from attrs import evolve

from tests.functional.test_start_failures import StartFailureTestCase
from tests.support.cli import TWISTED_REGISTRY
from tests.support.daemon import Daemon, run_command, wait_until
from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.client import BlockingClient, Tls, TokenFile
from twisted_registry.client.errors import NotAuthenticated, NotPermitted, RegistryError

TLS_FLAGS = ("--tls-certificate", "cert.pem", "--tls-key", "key.pem")


class AccessTestCase(StartFailureTestCase):
    """
    A directory with a certificate, and a file of tokens.

    Attributes:
        hosts: the hosts that the certificate is for.
    """

    hosts: tuple[str, ...] = ("localhost", "127.0.0.1")

    def setUp(self) -> None:
        """
        Write them.
        """
        super().setUp()
        self.ca = trustme.CA()
        self.write_certificate()
        self.token = self.add_token("ann", "admin", "*")

    def write_certificate(self) -> bytes:
        """
        Write a new certificate of the authority, and return it.
        """
        leaf = self.ca.issue_cert(*self.hosts)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        for name, content in (("cert.pem", chain), ("key.pem", leaf.private_key_pem.bytes())):
            new_file = self.directory / f"{name}.new"
            new_file.write_bytes(content)
            new_file.replace(self.directory / name)
        self.ca.cert_pem.write_to_path(str(self.directory / "ca.pem"))
        return chain

    @property
    def tokens(self) -> Path:
        """
        The file of tokens.
        """
        return self.directory / "tokens"

    def add_token(self, name: str, role: str, *models: str) -> str:
        """
        Add a token to the file, and return it.
        """
        token = Token.make()
        with editing_tokens(self.tokens) as records:
            records.append(TokenRecord(token.id, name, token.sha256, role, models, int(time.time()), None))
        return token.text

    def start(self, *flags: str) -> Daemon:
        """
        Start a daemon in the directory.
        """
        daemon = Daemon(self.directory, flags)
        self.addCleanup(daemon.kill)
        return daemon.start()

    def client(
        self,
        daemon: Daemon,
        token: str | TokenFile | None,
        retry_seconds: float = 0.0,
        host: str = "localhost",
        **tls: Any,
    ) -> BlockingClient:
        """
        Return a client with TLS.
        """
        trusted = Tls(root_certificates=self.ca.cert_pem.bytes(), **tls)
        client = BlockingClient(f"{host}:{daemon.port}", tls=trusted, token=token, retry_seconds=retry_seconds)
        self.addCleanup(client.close)
        return client


class TokenTests(AccessTestCase):
    """
    A daemon with TLS and tokens.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.daemon = self.start(*TLS_FLAGS, "--tokens-file", "tokens")

    def test_permissions(self) -> None:
        """
        A token may do what its role permits, on its models; without one nothing is served.
        """
        admin = self.client(self.daemon, self.token)
        for model_id in ("team-a/x", "team-b/x"):
            admin.ensure_model(model_id)
        reader = self.client(self.daemon, self.added("bob", "reader", "team-a/*"))
        self.assertEqual([model.model_id for model in reader.models()], ["team-a/x"])
        self.assertRaises(NotPermitted, reader.publish, "team-a/x", b"")
        self.assertRaises(NotPermitted, reader.model, "team-b/x")
        self.assertRaises(NotAuthenticated, self.client(self.daemon, None).model, "team-a/x")

    def added(self, *given: str) -> str:
        """
        Add a token, and wait until the daemon knows it.
        """
        token = self.add_token(*given)
        self.wait_until_read()
        return token

    def wait_until_read(self) -> None:
        """
        Make the daemon read its files again, and wait for it.
        """
        lines = len(self.daemon.lines)
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any("was read again" in line for line in self.daemon.lines[lines:]), "the files are read")

    def test_revoked(self) -> None:
        """
        A token that is revoked is refused, and the update stream of its tracker ends.
        """
        token = self.added("bob", "publisher", "*")
        client = self.client(self.daemon, token)
        client.ensure_model("m")
        with editing_tokens(self.tokens) as records:
            records[:] = [record for record in records if record.name != "bob"]
        self.wait_until_read()
        self.assertRaises(NotAuthenticated, client.publish, "m", b"")

    def test_token_file(self) -> None:
        """
        A client whose token is in a file goes on when the token is replaced, and so does its tracker.
        """
        path = self.directory / "bob.token"
        path.write_text(self.added("bob", "publisher", "*") + "\n")
        client = self.client(self.daemon, TokenFile(path), retry_seconds=60.0)
        client.ensure_model("m")
        with client.track("m") as tracker:
            path.write_text(self.add_token("bob", "publisher", "*"))
            with editing_tokens(self.tokens) as records:
                records[:] = [record for record in records if record.name != "bob"] + records[-1:]
            self.wait_until_read()
            client.publish("m", b"1")
            self.assertEqual(next(tracker).version_number, 1)

    def test_damaged_file(self) -> None:
        """
        A token file that is damaged leaves the tokens in force, and is logged.
        """
        self.tokens.write_bytes(b"{")
        self.daemon.process.send_signal(signal.SIGHUP)
        self.daemon.wait_for("token file.*stays in force")
        self.client(self.daemon, self.token).ensure_model("m")

    def test_new_certificate(self) -> None:
        """
        A new certificate is used for new connections, and no call fails meanwhile.
        """
        stop, failures, calls = Event(), [], []

        def call() -> None:
            while not stop.is_set():
                with BlockingClient(
                    f"localhost:{self.daemon.port}",
                    tls=Tls(root_certificates=self.ca.cert_pem.bytes()),
                    token=self.token,
                    retry_seconds=0.0,
                ) as client:
                    try:
                        client.ensure_model("m")
                        calls.append(1)
                    except RegistryError as error:
                        failures.append(error)

        thread = Thread(target=call)
        thread.start()
        try:
            for _ in range(3):
                chain = self.write_certificate()
                self.wait_until_read()
                calls.clear()
                wait_until(lambda: len(calls) > 1 or failures, "calls go on")
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(served_certificate(self.daemon.port), chain.decode())

    def test_health_port(self) -> None:
        """
        A port for health checks needs neither TLS nor a token, and serves nothing else.
        """
        daemon = self.start(
            *TLS_FLAGS, "--tokens-file", "tokens", "--health-port", "0", "--archive-dir", "other", "--port", "0"
        )
        port = daemon.wait_for(r"health checks are answered at [^ ]*:(\d+)")[1]
        done = run_command(self.directory, TWISTED_REGISTRY, "health", "--server", f"127.0.0.1:{port}")
        self.assertEqual((done.returncode, done.stdout), (0, f"127.0.0.1:{port}: serving\n"))
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            call: Any = channel.unary_unary("/cogmentAPI.ModelRegistrySP/Version", bytes, bytes)
            error: Any = self.assertRaises(grpc.RpcError, call, b"", timeout=10)
            self.assertEqual(error.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_unencrypted(self) -> None:
        """
        A client without TLS is not served.
        """
        with grpc.insecure_channel(f"localhost:{self.daemon.port}") as channel:
            call: Any = channel.unary_unary("/cogmentAPI.ModelRegistrySP/Version", bytes, bytes)
            error: Any = self.assertRaises(grpc.RpcError, call, b"", timeout=10)
            self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)


def served_certificate(port: int) -> str:
    """
    Return the certificate, in PEM, of the server at a port of this machine.
    """
    return ssl.get_server_certificate(("localhost", port))


class ClientCertificateTests(AccessTestCase):
    """
    A daemon that knows callers by their certificates.
    """

    def setUp(self) -> None:
        """
        Write a policy.
        """
        super().setUp()
        (self.directory / "policy.toml").write_text(
            '[[grants]]\nto = "certificate:trainer.example"\nrole = "publisher"\nmodels = "*"\n'
        )

    def certificate(self, *names: str) -> dict[str, Any]:
        """
        Return a client certificate, as ``Tls`` takes it.
        """
        leaf = self.ca.issue_cert(*names)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return {"private_key": leaf.private_key_pem.bytes(), "certificate_chain": chain}

    def test_required(self) -> None:
        """
        Every client needs a certificate, and is known by its DNS name.
        """
        daemon = self.start(*TLS_FLAGS, "--tls-client-ca", "ca.pem", "--policy-file", "policy.toml")
        self.client(daemon, None, **self.certificate("trainer.example")).ensure_model("m")
        stranger = self.client(daemon, None, **self.certificate("stranger.example"))
        self.assertRaises(NotPermitted, stranger.model, "m")
        self.assertRaises(RegistryError, self.client(daemon, None).model, "m")

    def test_certificate_alone(self) -> None:
        """
        Without tokens and a policy, a client with a certificate may do anything, on all addresses of the name.
        """
        daemon = self.start(*TLS_FLAGS, "--tls-client-ca", "ca.pem", "--interface", "localhost")
        client = self.client(daemon, None, **self.certificate("anyone.example"))
        client.ensure_model("m")
        client.delete_model("m")

    def test_removed_authority(self) -> None:
        """
        Once an authority is removed, its certificates open no new connection; one from before goes on, as the guide
        says, and certificates of the other authority count as before.
        """
        removed = trustme.CA()
        both = self.ca.cert_pem.bytes() + removed.cert_pem.bytes()
        (self.directory / "clients.pem").write_bytes(both)
        daemon = self.start(*TLS_FLAGS, "--tls-client-ca", "clients.pem")
        stays, leaf = self.certificate("stays.example"), removed.issue_cert("leaves.example")
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        leaves: dict[str, Any] = {"private_key": leaf.private_key_pem.bytes(), "certificate_chain": chain}
        earlier = self.client(daemon, None, **leaves)
        earlier.ensure_model("m")
        (self.directory / "clients.new").write_bytes(self.ca.cert_pem.bytes())
        (self.directory / "clients.new").replace(self.directory / "clients.pem")
        lines = len(daemon.lines)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any("clients.pem was read again" in line for line in daemon.lines[lines:]), "it is read")
        self.assertRaises(RegistryError, self.client(daemon, None, **leaves).model, "m")
        self.client(daemon, None, **stays).model("m")
        earlier.model("m")

    def test_second_port(self) -> None:
        """
        With a port for client certificates, clients of the other one need none, but a token.
        """
        daemon = self.start(
            *TLS_FLAGS,
            "--tls-client-ca",
            "ca.pem",
            "--tls-client-port",
            "0",
            "--policy-file",
            "policy.toml",
            "--tokens-file",
            "tokens",
        )
        second = int(daemon.wait_for(r"listening on [^ ]*:(\d+) with client certificates")[1])
        self.client(daemon, self.token).ensure_model("m")
        other = evolve(daemon, port=second)
        self.client(other, None, **self.certificate("trainer.example")).publish("m", b"")
        self.assertRaises(RegistryError, self.client(other, self.token).model, "m")


class StartTests(AccessTestCase):
    """
    Starts that are refused.
    """

    def test_exposed(self) -> None:
        """
        A daemon that others could reach without TLS or without access control does not start.
        """
        for flags, said in (
            ((), "is not encrypted (pass --tls-certificate and --tls-key) and does not know its callers"),
            (("--tokens-file", "tokens"), "is not encrypted"),
            (TLS_FLAGS, "does not know its callers"),
        ):
            self.assert_cannot_start("--port", "0", "--interface", "0.0.0.0", *flags, said=said)

    def test_bad_files(self) -> None:
        """
        Each file that cannot be used prevents the start, with the reason.
        """
        (self.directory / "policy.toml").write_text("[role]\n")
        (self.directory / "open").write_text("")
        for flags, said in (
            (("--tokens-file", "missing"), "missing cannot be read: No such file"),
            (("--tokens-file", "open"), "chmod 600"),
            (("--policy-file", "policy.toml"), "did you mean 'roles'"),
            (("--tls-certificate", "cert.pem"), "go together"),
            (("--tls-certificate", "cert.pem", "--tls-key", "cert.pem"), "holds no key"),
            (("--tls-client-ca", "ca.pem"), "needs TLS"),
            ((*TLS_FLAGS, "--tls-client-ca", "ca.pem", "--tls-client-port", "0"), "could do nothing"),
        ):
            self.assert_cannot_start("--port", "0", *flags, said=said)
