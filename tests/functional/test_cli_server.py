"""
Tests for the options that select a server, and for the command ``status``.
"""

import json
from pathlib import Path

import grpc
import trustme
from twisted.trial.unittest import SynchronousTestCase

from tests.support.cli import invoke, run
from tests.support.daemon import Daemon, free_port
from tests.support.edge import SharedEdgeTestCase
from tests.support.fake_registry import FakeRegistry
from tests.support.holds import HeldArchiveTestCase
from twisted_registry import __version__
from twisted_registry.protocol.messages import api

MODELS = {"RetrieveModels": api.RetrieveModelsReply()}


class ServerTests(SharedEdgeTestCase):
    """
    A server without TLS.
    """

    def test_flag_and_variable(self) -> None:
        """
        The flag --server overrides the variable.
        """
        self.assertEqual(invoke(self.daemon.address, "ls").exit_code, 0)
        away = f"localhost:{free_port()}"
        self.assertEqual(invoke(away, "ls", "--server", self.daemon.address).exit_code, 0)
        self.assertEqual(invoke(self.daemon.address, "ls", "--server", away, "--retry-seconds", "0").exit_code, 3)

    def test_empty_variables(self) -> None:
        """
        An empty variable counts as unset.
        """
        done = invoke(
            "",
            "ls",
            "--server",
            self.daemon.address,
            TWISTED_REGISTRY_RETRY_SECONDS="",
            TWISTED_REGISTRY_TLS_CA="",
            TWISTED_REGISTRY_TOKEN="",
        )
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        self.assertIn("default: localhost:9000", invoke("", "ls", "--help").stdout)

    def test_retry_seconds(self) -> None:
        """
        The retry time may come from a variable, and must not be negative.
        """
        away = f"localhost:{free_port()}"
        done = invoke(away, "ls", TWISTED_REGISTRY_RETRY_SECONDS="0")
        self.assertEqual(done.exit_code, 3)
        self.assertRegex(done.stderr, r"^twisted-registry: cannot reach the registry at localhost:\d+ .*\n$")
        for seconds in ("-1", "long", "nan"):
            self.assertEqual(invoke(away, "ls", "--retry-seconds", seconds).exit_code, 2)

    def test_former_names(self) -> None:
        """
        The former flag and variable still work, no help shows them, and the present ones win.
        """
        away = f"localhost:{free_port()}"
        self.assertEqual(invoke(away, "ls", "--patience", "0").exit_code, 3)
        self.assertEqual(invoke(away, "ls", TWISTED_REGISTRY_PATIENCE="0").exit_code, 3)
        both = invoke(away, "ls", TWISTED_REGISTRY_PATIENCE="odd", TWISTED_REGISTRY_RETRY_SECONDS="0")
        self.assertEqual(both.exit_code, 3)
        self.assertNotIn("patience", invoke("", "ls", "--help").stdout.casefold())

    def test_odd_addresses(self) -> None:
        """
        An address without a port, or with an impossible one, is 2.
        """
        for address in (
            "localhost",
            "localhost:",
            ":9000",
            "localhost:0",
            "localhost:65536",
            "localhost:http",
            "unix:",
            "dns:///",
        ):
            self.assertEqual(invoke(self.daemon.address, "ls", "--server", address).exit_code, 2, address)

    def test_usage(self) -> None:
        """
        An unknown command or flag is 2; the help of a command has examples and its exit statuses.
        """
        self.assertEqual(run(self.daemon.address, "frobnicate").returncode, 2)
        self.assertEqual(run(self.daemon.address, "ls", "--frobnicate").returncode, 2)
        said = run(self.daemon.address, "--help").stdout
        self.assertIn(b"Exit status:", said)
        for name in (b"TWISTED_REGISTRY_TOKEN,", b"--token-file", b"TWISTED_REGISTRY_TOKEN_FILE"):
            self.assertIn(name, said)

    def test_serving(self) -> None:
        """
        status prints what the server is and holds, and ends with 0.
        """
        self.client.save_model("m")
        self.client.create("m", bytes(5000))
        done = invoke(self.daemon.address, "status")
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        facts = dict(line.split("\t") for line in done.stdout.splitlines())
        expected = {"state": "serving", "twisted-registry version": __version__, "bytes in memory": "5.0 kB"}
        expected["idempotency keys"] = "transient, archived"
        self.assertEqual({**facts, **expected}, facts)
        self.assertRegex(facts["uptime"], r"^\d+ (s|min)$")

    def test_status_as_json(self) -> None:
        """
        With --json the values are those of the server, numbers as numbers.
        """
        status = json.loads(invoke(self.daemon.address, "status", "--json").stdout)
        self.assertEqual((status["server"], status["serving"]), (self.daemon.address, True))
        self.assertEqual(status["versions"]["twisted-registry"], __version__)
        self.assertEqual(status["statuses"]["subscribers"], 0)
        self.assertIsInstance(status["statuses"]["overall_load"], float)

    def test_not_reachable(self) -> None:
        """
        status of an unreachable server is 3.
        """
        done = invoke(f"localhost:{free_port()}", "status", "--retry-seconds", "0")
        self.assertEqual((done.exit_code, done.stdout), (3, ""))


class StartingTests(HeldArchiveTestCase):
    """
    A server that starts slowly.
    """

    def start_daemon(self, *flags: str) -> Daemon:
        """
        Start the daemon while its archive hangs.
        """
        self.holds.hold("open")
        port = free_port()
        daemon = self.make_daemon("--port", str(port), *flags)
        self.addCleanup(daemon.kill)
        daemon.port = port
        daemon.launch()
        return daemon

    def test_not_serving(self) -> None:
        """
        status of a server that is not serving shows that, and is 3.
        """
        self.wait_for_calls("open")
        done = invoke(self.daemon.address, "status", "--retry-seconds", "0")
        self.assertEqual((done.exit_code, done.stderr), (3, ""))
        self.assertEqual(done.stdout, f"server\t{self.daemon.address}\nstate\tnot serving\n")
        done = invoke(self.daemon.address, "status", "--json", "--retry-seconds", "0")
        self.assertIs(json.loads(done.stdout)["serving"], False)
        self.holds.release("open")


class TlsTests(SynchronousTestCase):
    """
    A server with a certificate that requires a token.
    """

    def setUp(self) -> None:
        """
        Start the server.
        """
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
        self.server = FakeRegistry(MODELS, credentials)
        self.addCleanup(self.server.close)
        self.authority = self.mktemp()
        authority.cert_pem.write_to_path(self.authority)

    def test_trusted(self) -> None:
        """
        It is trusted if --tls-ca or its variable names the authority of its certificate.
        """
        self.assertEqual(invoke(self.server.address, "ls", "--tls-ca", self.authority).exit_code, 0)
        self.assertEqual(invoke(self.server.address, "ls", TWISTED_REGISTRY_TLS_CA=self.authority).exit_code, 0)

    def test_not_trusted(self) -> None:
        """
        With another authority, or without TLS, the status is 3.
        """
        other = self.mktemp()
        trustme.CA().cert_pem.write_to_path(other)
        for flags in (("--tls-ca", other), ()):
            done = invoke(self.server.address, "ls", "--retry-seconds", "0", *flags)
            self.assertEqual(done.exit_code, 3, done.stderr)

    def test_token(self) -> None:
        """
        The token of the variable is sent with each call.
        """
        invoke(self.server.address, "ls", "--tls-ca", self.authority, TWISTED_REGISTRY_TOKEN="secret")
        self.assertEqual(self.server.metadata["authorization"], "Bearer secret")

    def test_token_in_the_clear(self) -> None:
        """
        A token is not sent over a network without TLS: 2, and no part of it is printed.
        """
        done = invoke("192.0.2.1:9000", "ls", TWISTED_REGISTRY_TOKEN="secret")
        self.assertEqual((done.exit_code, done.stdout), (2, ""))
        self.assertIn("unencrypted", done.stderr)
        self.assertNotIn("secret", done.stderr)

    def test_odd_token(self) -> None:
        """
        A token that cannot be sent is 2, and is not printed.
        """
        for token in ("secret\n", "secr\xe9t", "secr" * 5000):
            done = invoke(self.server.address, "ls", "--tls-ca", self.authority, TWISTED_REGISTRY_TOKEN=token)
            self.assertEqual(done.exit_code, 2)
            self.assertNotIn("secr", done.stderr)

    def test_token_file(self) -> None:
        """
        The token in a file is sent with each call, without the line break after it; a variable beside it is 2.
        """
        path = Path(self.mktemp())
        path.write_text("secret\n")
        invoke(self.server.address, "ls", "--tls-ca", self.authority, "--token-file", str(path))
        self.assertEqual(self.server.metadata["authorization"], "Bearer secret")
        done = invoke(self.server.address, "ls", "--token-file", str(path), TWISTED_REGISTRY_TOKEN="other")
        self.assertEqual(done.exit_code, 2)

    def test_missing_token_file(self) -> None:
        """
        A token file that cannot be read is an error that names it.
        """
        done = invoke(self.server.address, "ls", "--tls-ca", self.authority, "--token-file", "/no/such/token")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("/no/such/token", done.stderr)

    def test_client_certificate(self) -> None:
        """
        A client certificate without its key is 2.
        """
        done = invoke(self.server.address, "ls", "--tls-ca", self.authority, "--tls-cert", self.authority)
        self.assertEqual(done.exit_code, 2)
        self.assertIn("go together", done.stderr)

    def test_no_authority(self) -> None:
        """
        A missing file of certificates is 2.
        """
        self.assertEqual(invoke(self.server.address, "ls", "--tls-ca", str(Path(self.mktemp()))).exit_code, 2)

    def test_no_certificate(self) -> None:
        """
        A file without certificates is 2, and the message names the option.
        """
        path = Path(self.mktemp())
        path.write_text("no certificate")
        done = invoke(self.server.address, "ls", "--tls-ca", str(path))
        self.assertEqual(done.exit_code, 2)
        self.assertIn("--tls-ca", done.stderr)


class OtherServerTests(SynchronousTestCase):
    """
    A server that is not a model registry.
    """

    def test_unsupported(self) -> None:
        """
        An unsupported call is 1, and the line names it.
        """
        server = FakeRegistry({})
        self.addCleanup(server.close)
        done = invoke(server.address, "ls")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("is this the address of a twisted-registry", done.stderr)
