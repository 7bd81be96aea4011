"""
Tests of the lines of a daemon's log: those of an ordinary day, in JSON, and the commands of the page about them.
"""

import json
import re
import shutil
import ssl
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from tests.functional.test_access import TLS_FLAGS, AccessTestCase
from tests.support.daemon import run_command, wait_until
from tests.support.guide import blocks
from tests.support.http_api import HttpClient, http_port
from tests.support.registry_case import RegistryTestCase
from twisted_registry.client.errors import NotAuthenticated, NotPermitted, UnknownVersion

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "logs.md"


class OrdinaryDayTests(RegistryTestCase):
    """
    A daemon at the default level.
    """

    flags: ClassVar = ["--log-format", "json"]

    def test_calm(self) -> None:
        """
        A start, 1,000 versions and a stop are a few lines, the same for any number of versions.  What is not right has
        a line that says what to do.
        """
        self.client.save_model("walker")
        for _ in range(1000):
            self.client.create("walker", b"data")
        self.assertEqual(self.daemon.stop(), 0)
        lines = [json.loads(line) for line in self.daemon.lines]
        self.assertLess(len(lines), 16, self.daemon.log)
        messages = [line["message"] for line in lines]
        for text in ("listening on", "models in the archive", "stopping", "stopped"):
            self.assertEqual(sum(message.startswith(text) for message in messages), 1, text)
        levels = {line["message"]: line["level"] for line in lines if line["level"] != "info"}
        self.assertEqual(set(levels.values()), {"warn"})
        for message in levels:
            self.assertRegex(message, "check|run it as|pass")


class JsonLogTests(AccessTestCase):
    """
    A daemon with access control that logs all calls in JSON.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.reader = self.add_token("bob", "reader", "walker")
        self.daemon = self.start(
            *TLS_FLAGS, "--tokens-file", "tokens", "--log-format", "json", "--access-log", "all", "--http-port", "0"
        )
        self.ann = self.client(self.daemon, self.token)
        self.ann.save_model("walker")
        self.ann.store("walker", b"data")

    def lines_of(self, request_id: str) -> list[dict[str, Any]]:
        """
        Wait until the log names a call, and return its lines.
        """
        wait_until(lambda: any(request_id in line for line in self.daemon.lines), f"{request_id} is logged")
        found = [json.loads(line) for line in self.daemon.lines]
        return [line for line in found if line.get("request_id") == request_id]

    def test_refusal(self) -> None:
        """
        The id in a client's error leads to the line of its call, which names the caller, the model and the reason, and
        no token.
        """
        bob = self.client(self.daemon, self.reader)
        error = self.assertRaises(NotPermitted, bob.store, "walker", b"data")
        (line,) = self.lines_of(error.request_id)
        self.assertEqual(
            [line[name] for name in ("identity", "model", "code", "reason")],
            ["token:bob", "walker", "PERMISSION_DENIED", "NOT_PERMITTED"],
        )
        self.assertIn(line["token_id"], self.reader)
        self.assertNotIn(self.reader, self.daemon.log)

    def test_every_error(self) -> None:
        """
        Errors of all kinds have the id.
        """
        stranger = self.client(self.daemon, None)
        for kind, act in (
            (UnknownVersion, lambda: self.ann.retrieve("walker", 7)),
            (UnknownVersion, lambda: self.ann.version("walker", 7)),
            (NotAuthenticated, lambda: stranger.latest("walker")),
        ):
            error = self.assertRaises(kind, act)
            (line,) = self.lines_of(error.request_id)
            self.assertEqual(line["reason"], re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper())
            self.assertIn(error.request_id, "".join(error.__notes__))

    def test_download(self) -> None:
        """
        The line of a download has the version, the bytes and the number of messages.
        """
        self.ann.retrieve("walker", 1)
        wait_until(lambda: "RetrieveVersionData" in self.daemon.log or "ReadVersion" in self.daemon.log, "it is logged")
        (line,) = [json.loads(line) for line in self.daemon.lines if "VersionData" in line or "ReadVersion" in line]
        self.assertEqual((line["reference"], line["code"], line["sent_messages"]), ("walker@1", "OK", 1))
        self.assertGreater(line["sent_bytes"], 4)

    def test_http(self) -> None:
        """
        Calls by HTTP have lines too.
        """
        port = http_port([json.loads(line)["message"] for line in self.daemon.lines])
        status, _ = HttpClient(port, self.token, self.client_tls()).get("GetModel", modelId="walker")
        self.assertEqual(status, 200)
        wait_until(lambda: "GetModel" in self.daemon.log, "it is logged")
        (line,) = [json.loads(line) for line in self.daemon.lines if "GetModel" in line]
        self.assertEqual((line["identity"], line["model"], line["code"]), ("token:ann", "walker", "OK"))

    def client_tls(self) -> Any:
        """
        Return the context of an HTTP client that trusts the daemon.
        """
        return ssl.create_default_context(cadata=self.ca.cert_pem.bytes().decode())

    def test_page(self) -> None:
        """
        The commands of the page find what they are for.
        """
        if shutil.which("jq") is None:
            raise SkipTest("jq is not installed")
        error = self.assertRaises(UnknownVersion, self.ann.retrieve, "walker", 7)
        self.lines_of(error.request_id)
        self.daemon.stop()
        log = self.directory / "registry.log"
        log.write_text("I0000 00:00:00 a line of gRPC's core\n" + self.daemon.log)
        commands = [block.text for block in blocks(PAGE.read_text(encoding="utf-8")) if block.language == "sh"]
        by_id, attention, failed, slowest = (
            run_command(
                self.directory,
                *("bash", "-c", each.replace("5f1c9f0ab2c34d5e", error.request_id).replace("policy", "walker")),
            ).stdout.splitlines()
            for each in commands
        )
        self.assertEqual([json.loads(line)["code"] for line in by_id], ["NOT_FOUND"])
        self.assertTrue(any("new archive" in line for line in attention), attention)
        self.assertRegex(failed[0], r"1 token:ann\t/.*\tUNKNOWN_VERSION")
        self.assertIn('"OK"', "".join(slowest))
