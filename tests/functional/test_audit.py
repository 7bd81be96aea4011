"""
Tests of a daemon with an audit log.
"""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.functional.test_access import AccessTestCase
from tests.support.audit import lines_of
from tests.support.cli import TWISTED_REGISTRY
from tests.support.daemon import Daemon, run_command, wait_until
from twisted_registry.access.audit.chain import parse_line
from twisted_registry.access.audit.verify import AuditFinding, AuditVerification
from twisted_registry.access.tokens.file import editing_tokens
from twisted_registry.client import BlockingClient, RetentionPolicy
from twisted_registry.client.errors import NotAuthenticated, NotPermitted, RegistryError

_FLAGS = ("--audit-file", "audit.log")


def whole_lines(*paths: Path) -> list[dict[str, Any]]:
    """
    Return the complete lines of files.
    """
    lines = [line for path in paths for line in path.read_bytes().splitlines()]
    return [dict(fields) for line in lines if (fields := parse_line(line)) is not None]


class AuditTestCase(AccessTestCase):
    """
    A daemon with an audit log.
    """

    @property
    def path(self) -> Path:
        """
        The log.
        """
        return self.directory / "audit.log"

    def connect(self, daemon: Daemon, token: str | None = None) -> BlockingClient:
        """
        Return a client without TLS.
        """
        client = BlockingClient(daemon.address, token=token, retry_seconds=0.0)
        self.addCleanup(client.close)
        return client

    def findings(self, *paths: Path) -> list[AuditFinding]:
        """
        Verify the log, and return what was found.
        """
        return list(AuditVerification(paths or (self.path,)).findings())

    def check_intact(self, *paths: Path) -> None:
        """
        Check that no line was changed or lost.
        """
        self.assertEqual([finding for finding in self.findings(*paths) if finding.is_damage], [])


class AccessLinesTests(AuditTestCase):
    """
    A daemon with access control.
    """

    def test_lines(self) -> None:
        """
        The log has a line for each act and each refusal, with who called, and never a token.
        """
        reader = self.add_token("bob", "reader", "team-a/*")
        daemon = self.start(*_FLAGS, "--tokens-file", "tokens")
        admin = self.connect(daemon, self.token)
        admin.ensure_model("team-a/x")
        admin.store("team-a/x", b"weights", metadata={"key": "secret words"})
        self.assertRaises(NotPermitted, self.connect(daemon, reader).publish, "team-a/x", b"")
        self.assertRaises(NotAuthenticated, self.connect(daemon, self.token[:-1] + "!").models().__next__)
        daemon.stop()
        found = [
            (line["event"], line.get("result"), line.get("identity", {}).get("name")) for line in lines_of(self.path)
        ]
        expected = [("OK", "ann"), ("OK", "ann"), ("PERMISSION_DENIED", "bob"), ("UNAUTHENTICATED", None)]
        self.assertEqual(found, [("start", None, None), *(("call", *each) for each in expected), ("stop", None, None)])
        content = self.path.read_text()
        for secret in (self.token, reader, "secret words", "weights"):
            self.assertNotIn(secret, content)
            self.assertNotIn(secret.rpartition("_")[2], content)
        self.check_intact()

    def test_reloads(self) -> None:
        """
        Reloads of the files of access control are recorded, also of those that cannot be used.
        """
        daemon = self.start(*_FLAGS, "--tokens-file", "tokens")
        with editing_tokens(self.tokens) as records:
            records.clear()
        self.wait_for_reload(daemon, "OK")
        self.tokens.write_bytes(b"not tokens\n")
        self.wait_for_reload(daemon, "FAILED")
        daemon.stop()
        reloads = [line for line in lines_of(self.path) if line["event"] == "reload"]
        self.assertEqual([(line["result"], line["path"]) for line in reloads], [("OK", "tokens"), ("FAILED", "tokens")])

    def wait_for_reload(self, daemon: Daemon, result: str) -> None:
        """
        Wait until a reload is in the log.
        """

        def is_recorded() -> bool:
            daemon.process.send_signal(signal.SIGHUP)
            return any(line.get("result") == result for line in whole_lines(self.path) if line["event"] == "reload")

        wait_until(is_recorded, "the reload is recorded")


class LoadedTests(AuditTestCase):
    """
    A daemon without access control, under load.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.daemon = self.start(*_FLAGS)
        self.created: list[int] = []
        self.failures: list[RegistryError] = []

    def under_load(self, disturb: Callable[[], None]) -> None:
        """
        Create archived versions in several threads, and do something meanwhile.
        """
        self.connect(self.daemon).ensure_model("m")
        ended = Event()
        threads = [Thread(target=self.create, args=(ended,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            self.wait_for_versions(20)
            disturb()
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def wait_for_versions(self, count: int) -> None:
        """
        Wait until some more versions are created.
        """
        count += len(self.created)
        wait_until(lambda: len(self.created) >= count, "versions are created")

    def create(self, ended: Event) -> None:
        """
        Create versions until the end, or until the daemon is gone.
        """
        client = self.connect(self.daemon)
        while not ended.is_set():
            try:
                self.created.append(client.store("m", b"data").version_number)
            except RegistryError as error:
                self.failures.append(error)
                return

    def recorded(self, *paths: Path) -> set[int]:
        """
        Return the numbers of the versions whose creation is in the log.
        """
        return {line["version_number"] for line in whole_lines(*paths) if line.get("archived")}

    def test_kill(self) -> None:
        """
        If the daemon is killed, the log is intact, and has a line for each version whose creation was answered.
        """
        self.under_load(self.daemon.kill)
        answered = set(self.created)
        self.start(*_FLAGS).stop()
        self.check_intact()
        self.assertLessEqual(answered, self.recorded(self.path))
        self.assertIn("did not stop cleanly", self.findings()[-1].reason)

    def test_rotation(self) -> None:
        """
        If the log is renamed, SIGHUP begins a new file that continues the chain, and no call fails.
        """
        old = [self.directory / f"audit.log.{number}" for number in range(3)]

        def rotate() -> None:
            for path in old:
                self.path.rename(path)
                self.daemon.process.send_signal(signal.SIGHUP)
                wait_until(self.path.exists, "the new file is there")
                self.wait_for_versions(10)

        self.under_load(rotate)
        self.assertEqual(self.failures, [])
        self.daemon.stop()
        self.check_intact(*old, self.path)
        self.assertEqual(self.recorded(*old, self.path), set(self.created))
        done = run_command(self.directory, TWISTED_REGISTRY, "audit", "verify", "--json", self.path, *old)
        self.assertEqual((done.returncode, json.loads(done.stdout.splitlines()[-1])["summary"]["damaged"]), (0, 0))


class ServerActsTests(AuditTestCase):
    """
    Acts that no client asked for.
    """

    def wait_for(self, event: str) -> list[dict[str, Any]]:
        """
        Wait until an event is in the log, and return its lines.
        """
        return wait_until(
            lambda: [line for line in whole_lines(self.path) if line["event"] == event], f"{event} is recorded"
        )

    def test_retention(self) -> None:
        """
        Versions that a retention policy deletes are named.
        """
        client = self.connect(self.start(*_FLAGS))
        client.ensure_model("m")
        for _ in range(3):
            client.store("m", b"data")
        client.set_retention("m", policy=RetentionPolicy(keep_last=1))
        (line,) = self.wait_for("deleted")
        self.assertEqual((line["model_id"], sorted(line["version_numbers"])), ("m", [1, 2]))
        self.assertEqual(line["identity"], {"kind": "server", "name": "retention"})

    def test_eviction(self) -> None:
        """
        Versions that are archived instead of being evicted are named.
        """
        client = self.connect(self.start(*_FLAGS, "--version-cache-max-items", "1", "--archive-evicted-latest"))
        for model_id in ("a", "b"):
            client.ensure_model(model_id)
            client.publish(model_id, b"data")
        line = self.wait_for("archived")[0]
        self.assertEqual((line["model_id"], line["version_number"], line["size_bytes"]), ("a", 1, 4))
        self.assertEqual(line["identity"], {"kind": "server", "name": "eviction"})


class SettingsTests(AuditTestCase):
    """
    Settings that do not fit.
    """

    def test_required_without_file(self) -> None:
        """
        A log cannot be required without a file.
        """
        self.assert_cannot_start("--audit-required", said="pass --audit-file too")

    def test_unusable_file(self) -> None:
        """
        A file that cannot be used prevents the start.
        """
        self.assert_cannot_start("--audit-file", "no/audit.log", said="its directory does not exist")
        self.path.write_bytes(b"something else\n")
        self.path.chmod(0o600)
        self.assert_cannot_start(*_FLAGS, said="name another file")
        self.assertEqual(self.path.read_bytes(), b"something else\n")
