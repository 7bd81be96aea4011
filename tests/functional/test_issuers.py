"""
Tests of a daemon that accepts JSON Web Tokens of issuers.
"""

import ssl
import time
from typing import Any

import grpc
from grpc import StatusCode

from tests.functional.test_access import TLS_FLAGS, AccessTestCase
from tests.support.daemon import Daemon, run_twistd, wait_until
from tests.support.documents import DocumentServer
from tests.support.jwts import AUDIENCE, SigningIssuer, key_set
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import NotAuthenticated, NotPermitted, RegistryError, Unavailable

_GRANTS = """
[[issuers.grants]]
claims = { groups = "team-a" }
role = "publisher"
models = "team-a/*"

[[grants]]
to = "jwt:ci:admin"
role = "admin"
models = "*"
"""


class IssuerTestCase(AccessTestCase):
    """
    A directory with a policy that has an issuer.
    """

    def setUp(self) -> None:
        """
        Make the issuer.
        """
        super().setUp()
        self.signing = SigningIssuer()

    def write_policy(self, issuer: str, keys: str = "", grants: str = _GRANTS) -> None:
        """
        Write the policy.

        Args:
            keys: the lines that say where the keys are.
        """
        (self.directory / "policy.toml").write_text(
            f'[[issuers]]\nname = "ci"\nissuer = "{issuer}"\naudiences = ["{AUDIENCE}"]\n{keys}\n{grants}'
        )

    def write_keys(self, *signing: SigningIssuer) -> None:
        """
        Write the file of keys.
        """
        new = self.directory / "keys.new"
        new.write_bytes(key_set(*(each.jwk() for each in signing)))
        new.replace(self.directory / "keys.json")

    def start_secured(self) -> Daemon:
        """
        Start a daemon with TLS and the policy.
        """
        return self.start(*TLS_FLAGS, "--policy-file", "policy.toml")

    def wait_until_accepted(self, client: BlockingClient) -> None:
        """
        Wait until a client's token is accepted.  It tries seldom, because wrong tokens are refused without a check
        after a few.
        """
        next_seconds = 0.0

        def is_accepted() -> bool:
            nonlocal next_seconds
            if time.monotonic() < next_seconds:
                return False
            next_seconds = time.monotonic() + 3
            try:
                client.ensure_model("m")
            except RegistryError:
                return False
            return True

        wait_until(is_accepted, "the token is accepted")


class DiscoveryTests(IssuerTestCase):
    """
    An issuer on the network, which is found by its OpenID configuration.
    """

    def setUp(self) -> None:
        """
        Start the issuer, and a daemon.
        """
        super().setUp()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert("127.0.0.1").configure_cert(context)
        self.server = DocumentServer(context)
        self.addCleanup(self.server.stop)
        self.server.publish(key_set(self.signing.jwk()))
        self.write_policy(self.server.url, 'keys_ca_file = "ca.pem"')
        self.daemon = self.start_secured()

    def sign(self, signing: SigningIssuer | None = None, **claims: Any) -> str:
        """
        Return a token of the issuer.
        """
        return (signing or self.signing).sign(**{"iss": self.server.url, **claims})

    def refusal(self, token: str) -> str:
        """
        Return why a token is refused.
        """
        return str(self.assertRaises(NotAuthenticated, self.client(self.daemon, token).model, "m"))

    def test_permissions(self) -> None:
        """
        A token has the permissions of its subject and of its claims.
        """
        self.client(self.daemon, self.sign(sub="admin")).ensure_model("m")
        member = self.client(self.daemon, self.sign(groups=["team-a", "x"]))
        member.ensure_model("team-a/x")
        self.assertRaises(NotPermitted, member.model, "m")
        self.assertRaises(NotPermitted, self.client(self.daemon, self.sign()).model, "m")

    def test_refusals(self) -> None:
        """
        The refusal of a token says why.
        """
        self.assertIn(f"get one for the audience '{AUDIENCE}'", self.refusal(self.sign(aud="other")))
        self.assertIn("expired at", self.refusal(self.sign(seconds=-3600.0)))
        self.assertIn("signature", self.refusal(self.sign(SigningIssuer(number=1))))
        self.assertIn("issuer is 'https://other.example'", self.refusal(self.sign(iss="https://other.example")))

    def test_rotation(self) -> None:
        """
        The issuer gets another key while the daemon runs: tokens of both are accepted, then only those of the new one.
        """
        old = self.client(self.daemon, self.sign(sub="admin"))
        old.ensure_model("m")
        new_signing = SigningIssuer("EdDSA", "2")
        self.server.publish(key_set(self.signing.jwk(), new_signing.jwk()))
        self.wait_until_accepted(self.client(self.daemon, self.sign(new_signing, sub="admin")))
        old.ensure_model("m")
        newest = SigningIssuer("RS256", "3")
        self.server.publish(key_set(newest.jwk()))
        self.wait_until_accepted(self.client(self.daemon, self.sign(newest, sub="admin")))
        self.assertRaises(NotAuthenticated, old.model, "m")

    def test_issuer_down(self) -> None:
        """
        While the issuer does not answer, its keys stay in force.
        """
        self.client(self.daemon, self.sign(sub="admin")).ensure_model("m")
        self.server.stop()
        self.client(self.daemon, self.sign(sub="admin", jti="another")).ensure_model("m")

    def test_down_at_first(self) -> None:
        """
        If the issuer has never answered, the daemon starts, and calls with its tokens can be repeated.
        """
        self.server.stop()
        daemon = self.start(
            *TLS_FLAGS,
            "--policy-file",
            "policy.toml",
            "--tokens-file",
            "tokens",
            "--archive-dir",
            "other",
            "--port",
            "0",
        )
        daemon.wait_for("cannot fetch the keys of the issuer ci: .*refused; its tokens cannot be checked")
        error = self.assertRaises(Unavailable, self.client(daemon, self.sign(sub="admin")).model, "m")
        self.assertIn("the keys of the issuer 'ci' cannot be fetched", str(error))
        self.client(daemon, self.token).ensure_model("m")

    def test_flood(self) -> None:
        """
        However many tokens name keys that nobody knows, the issuer is asked every few seconds at most.
        """
        self.client(self.daemon, self.sign(sub="admin")).ensure_model("m")
        began, asked = time.monotonic(), len(self.server.requests)
        credentials = grpc.ssl_channel_credentials(self.ca.cert_pem.bytes())
        with grpc.secure_channel(f"localhost:{self.daemon.port}", credentials) as channel:
            call: Any = channel.unary_unary("/cogmentAPI.ModelRegistrySP/Version", bytes, bytes)
            tokens = [self.sign(SigningIssuer(key_id=str(number))) for number in range(2, 302)]
            calls = [call.future(b"", metadata=[("authorization", f"Bearer {token}")]) for token in tokens]
            codes = {each.code() for each in calls}
        self.assertLessEqual(codes, {StatusCode.UNAUTHENTICATED, StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED})
        fetches = (len(self.server.requests) - asked) / 2  # the configuration, and the keys
        self.assertLessEqual(fetches, 1 + (time.monotonic() - began) / 5)

    def test_stream_ends(self) -> None:
        """
        A stream ends within seconds after its token.
        """
        self.client(self.daemon, self.sign(sub="admin")).ensure_model("m")
        ends = time.time() + 3
        client = self.client(self.daemon, self.sign(sub="admin", exp=ends))
        with client.events() as events:
            error = self.assertRaises(NotAuthenticated, list, events)
        self.assertIn("expired at", str(error))
        self.assertLess(ends, time.time())


class KeysFileTests(IssuerTestCase):
    """
    An issuer whose keys are in a file.
    """

    def setUp(self) -> None:
        """
        Write its keys.
        """
        super().setUp()
        self.write_keys(self.signing)
        self.write_policy("https://issuer.example", 'keys_file = "keys.json"')

    def test_rotation(self) -> None:
        """
        The file is read again when it changes; one that is damaged leaves the keys in force.
        """
        daemon = self.start_secured()
        old = self.client(daemon, self.signing.sign(sub="admin"))
        old.ensure_model("m")
        (self.directory / "keys.json").write_text("{")
        daemon.wait_for("key set .*keys.json cannot be used.*stays in force")
        old.ensure_model("m")
        new_signing = SigningIssuer(key_id="2", number=1)
        self.write_keys(new_signing)
        daemon.wait_for("the key set .*keys.json was read again")
        self.client(daemon, new_signing.sign(sub="admin")).ensure_model("m")
        self.assertRaises(NotAuthenticated, old.model, "m")

    def test_policy_changes(self) -> None:
        """
        An issuer that leaves the policy is accepted no longer.
        """
        daemon = self.start_secured()
        client = self.client(daemon, self.signing.sign(sub="admin"))
        client.ensure_model("m")
        (self.directory / "policy.toml").write_text("")
        daemon.wait_for("the policy policy.toml was read again")
        self.assertRaises(NotAuthenticated, client.model, "m")

    def test_check(self) -> None:
        """
        ``--check-config`` and the start report mistakes, also in files of keys; URLs are not fetched.
        """
        self.assertEqual(self.check().returncode, 0)
        self.write_policy("https://issuer.example", 'keys_url = "https://issuer.invalid/keys"')
        self.assertEqual(self.check().returncode, 0)
        for keys, said in (
            ('keys_file = "missing.json"', "missing.json cannot be read"),
            ('keys_file = "cert.pem"', "cert.pem cannot be used: the key set is not valid JSON"),
            ('keys_url = "http://issuer.example/keys"', "not encrypted"),
            ('algorithms = ["HS256"]', "'HS256'"),
        ):
            self.write_policy("https://issuer.example", keys)
            self.assertIn(said, self.check().stderr)
            self.assert_cannot_start("--port", "0", "--policy-file", "policy.toml", said=said)

    def check(self) -> Any:
        """
        Check the configuration.
        """
        return run_twistd(self.directory, "model-registry", "--check-config", "--policy-file", "policy.toml")


class ImportTests(IssuerTestCase):
    """
    PyJWT is imported for issuers only.
    """

    def imported(self) -> set[str]:
        """
        Return the modules that a daemon has imported when it serves.
        """
        environment = {"PYTHONPROFILEIMPORTTIME": "1"}
        daemon = Daemon(self.directory, ("--policy-file", "policy.toml"), environment=environment)
        self.addCleanup(daemon.kill)
        daemon.start()
        lines = daemon.log.splitlines()
        return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}

    def test_without_issuers(self) -> None:
        """
        A daemon with a policy without issuers does not load it.
        """
        (self.directory / "policy.toml").write_text("")
        imported = self.imported()
        self.assertIn("twisted_registry.daemon.service", imported)
        self.assertNotIn("jwt", imported)

    def test_with_issuers(self) -> None:
        """
        With issuers, it does.
        """
        self.write_keys(self.signing)
        self.write_policy("https://issuer.example", 'keys_file = "keys.json"')
        self.assertIn("jwt", self.imported())
