"""
The Cogment SDK for Python with TLS and access control, as its page shows it.
"""

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.functional.test_access import AccessTestCase
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment
from tests.support.guide import blocks
from tests.support.proxies import replaced
from twisted_registry.access.tokens.file import editing_tokens

_PAGE = Path(__file__).parents[2] / "docs" / "guides" / "cogment-sdk.md"

SDK = Path(sys.prefix) / "cogment-sdk"
"""The SDK and what it imports, apart from the environment: it asks for older releases of gRPC and protobuf."""

_CALLS = """    await registry.publish_model("walker", b"weights")
    print(await registry.retrieve_model("walker"))
"""

_REPLACED = """    updates = registry.iteration_updates("walker")
    print((await anext(updates)).iteration)
    print("replace the token", flush=True)
    input()
    try:
        await anext(updates)
    except Exception as error:
        print(error.code(), error.details())
    print((await registry.publish_model("walker", b"more")).iteration)
"""


class SdkTests(AccessTestCase):
    """
    Programs that use the SDK.
    """

    def setUp(self) -> None:
        """
        Read the page's program, and write the token that it reads.
        """
        if not SDK.is_dir():
            raise SkipTest("the Cogment SDK is not installed: .ci/install-services does it")
        super().setUp()
        (block,) = blocks(_PAGE.read_text())
        self.program = block.text
        self.token_file = self.directory / "trainer.token"
        self.token_file.write_text(self.add_token("trainer", "publisher", "*") + "\n")

    def begin(self, changes: dict[str, str], *flags: str) -> "subprocess.Popen[str]":
        """
        Start a daemon, and the page's program with some changes.
        """
        self.daemon = self.start("--tls-certificate", "cert.pem", "--tls-key", "key.pem", *flags)
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                replaced(self.program, {"localhost:9000": f"localhost:{self.daemon.port}", **changes}),
            ],
            cwd=self.directory,
            env=clean_environment({"PYTHONPATH": str(SDK)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.kill)
        return process

    def output(self, process: "subprocess.Popen[str]", typed: str | None = None) -> tuple[str, str]:
        """
        Return what a program prints until it ends.
        """
        return process.communicate(typed, TIMEOUT_SECONDS)

    def test_as_documented(self) -> None:
        """
        The page's program publishes and retrieves, with TLS and a token.
        """
        printed, errors = self.output(self.begin({}, "--tokens-file", "tokens"))
        self.assertEqual(printed, "b'weights'\n", errors)

    def test_plain_metadata(self) -> None:
        """
        A token in plain metadata is sent, too.
        """
        token = self.token_file.read_text().strip()
        metadata = f'    metadata = cogment.GrpcMetadata()\n    metadata.add("authorization", "Bearer {token}")\n'
        changes = {"    context = ": f"{metadata}    context = ", "metadata=TokenFile()": "metadata=metadata"}
        printed, errors = self.output(self.begin(changes, "--tokens-file", "tokens"))
        self.assertEqual(printed, "b'weights'\n", errors)

    def test_replaced_token(self) -> None:
        """
        A subscription ends when its token is revoked, and calls after that send the token that the file has then.
        """
        process = self.begin({_CALLS: _CALLS + _REPLACED}, "--tokens-file", "tokens")
        assert process.stdout is not None
        while "replace the token" not in (line := process.stdout.readline()):
            self.assertTrue(line, "the program ended")
        self.token_file.write_text(self.add_token("trainer", "publisher", "*"))
        with editing_tokens(self.tokens) as records:
            del records[-2]
        printed, errors = self.output(process, "\n")
        self.assertIn("StatusCode.UNAUTHENTICATED", printed, errors)
        self.assertEqual(printed.splitlines()[-1], "2", errors)

    def test_without_a_token(self) -> None:
        """
        Without a valid token, the SDK reports that one is missing if it publishes, and an unknown model if it reads.
        """
        self.token_file.write_text("not-a-token")
        cases = {
            '    await registry.publish_model("walker", b"weights")\n': "StatusCode.UNAUTHENTICATED",
            '    await registry.retrieve_model("walker")\n': "Unknown model [walker]",
        }
        for call, said in cases.items():
            process = self.begin({_CALLS: call}, "--tokens-file", "tokens")
            self.assertIn(said, self.output(process)[1])
            self.daemon.stop()

    def test_client_certificate(self) -> None:
        """
        The SDK presents a client certificate.
        """
        leaf = self.ca.issue_cert("trainer.example.com")
        leaf.private_key_pem.write_to_path(str(self.directory / "own.key"))
        leaf.cert_chain_pems[0].write_to_path(str(self.directory / "own.pem"))
        files = 'private_key_file="own.key", certificate_chain_file="own.pem", root_certificates_file='
        changes = {"root_certificates_file=": files, ", metadata=TokenFile()": ""}
        printed, errors = self.output(self.begin(changes, "--tls-client-ca", "ca.pem"))
        self.assertEqual(printed, "b'weights'\n", errors)

    def test_without_use_ssl(self) -> None:
        """
        Without ``use_ssl`` and a private key, the SDK does not speak TLS.
        """
        printed, errors = self.output(self.begin({", use_ssl=True": ""}, "--tokens-file", "tokens"))
        self.assertIn("UNAVAILABLE", errors)
        self.assertEqual(printed, "")
