"""
Tests of a daemon that delivers events, and of the guide about it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from tests.functional.test_start_failures import StartFailureTestCase
from tests.support.daemon import Daemon, clean_environment, free_port, run_twistd, wait_until
from tests.support.exposition import Samples
from tests.support.guide import blocks
from tests.support.webhook_receiver import Received, WebhookReceiver, new_secret, write_secret
from twisted_registry.access.file_kinds import BadFile
from twisted_registry.client import BlockingClient
from twisted_registry.daemon.deliveries import read_destinations
from twisted_registry.deliveries import file
from twisted_registry.deliveries.file import parse_deliveries

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "webhooks.md").read_text()
_FLAGS = ("--deliveries-file", "deliveries.toml", "--deliveries-journal", "journal")


class DeliveriesTestCase(StartFailureTestCase):
    """
    A directory with a file of deliveries, and a receiver.
    """

    def setUp(self) -> None:
        """
        Start the receiver.
        """
        super().setUp()
        self.status = 204
        self.receiver = WebhookReceiver(self.answer)
        self.addCleanup(self.receiver.close)
        self.secret = new_secret()
        write_secret(self.directory / "ci.secret", self.secret)
        self.file = self.directory / "deliveries.toml"
        self.write(self.webhook("ci"))

    def answer(self, received: Received) -> tuple[int, dict[str, str]]:
        """
        Check the signature, and answer.
        """
        received.verify(self.secret)
        return self.status, {}

    def webhook(self, name: str, more: str = "") -> str:
        """
        Return the table of a webhook.
        """
        return (
            f'[[webhooks]]\nname = "{name}"\nurl = "http://127.0.0.1:{self.receiver.port}/{name}?key=hidden"\n'
            f'secret_file = "ci.secret"\nprivate_networks = "127.0.0.1"\n{more}'
        )

    def write(self, text: str) -> None:
        """
        Replace the file of deliveries.
        """
        new = self.directory / "deliveries.new"
        new.write_text(text)
        new.replace(self.file)

    def start(self, *flags: str) -> Daemon:
        """
        Start a daemon with deliveries.
        """
        daemon = Daemon(self.directory, (*_FLAGS, *flags), is_forked=True)
        self.addCleanup(daemon.kill)
        return daemon.start()

    def client(self, daemon: Daemon) -> BlockingClient:
        """
        Return a client.
        """
        client = BlockingClient(daemon.address)
        self.addCleanup(client.close)
        return client

    def paths(self, type: str) -> list[str]:
        """
        Return where events of a type were received.
        """
        return [each.path.partition("?")[0] for each in list(self.receiver.received) if each.event["type"] == type]


class WebhookTests(DeliveriesTestCase):
    """
    Webhooks of a daemon.
    """

    def test_delivered(self) -> None:
        """
        Events of a model arrive in order, as the HTTP API shows it; nothing secret is in the log or in ps.
        """
        daemon = self.start()
        client = self.client(daemon)
        client.save_model("walker")
        client.publish("walker", b"data", metrics={"return": 5.0})
        client.set_alias("walker@1", "production", reason="so")
        client.delete_model("walker")
        wait_until(lambda: "model.deleted" in self.receiver.types(), "all events have arrived")
        self.assertEqual(
            self.receiver.types(),
            ["model.created", "version.created", "version.archived", "alias.moved", "model.deleted"],
        )
        created, moved = (self.receiver.received[index].event["data"] for index in (1, 3))
        self.assertEqual(created["versionCreated"]["metrics"], {"return": 5.0})
        self.assertEqual((moved["aliasMoved"]["alias"], moved["aliasMoved"]["reason"]), ("production", "so"))
        self.assertEqual(len({each.message_id for each in self.receiver.received}), 5)
        shown = Path(f"/proc/{daemon.process.pid}/cmdline").read_text()
        self.assertEqual(daemon.stop(), 0)
        for secret in ("hidden", self.secret):
            self.assertNotIn(secret, daemon.log + shown)

    def test_resumed(self) -> None:
        """
        Events that were not delivered before a stop or a kill are delivered after it, with the ids that they had.
        """
        self.status = 500
        daemon = self.start()
        client = self.client(daemon)
        client.save_model("walker")
        client.store("walker", b"data")
        wait_until(lambda: self.receiver.received, "an attempt was made")
        first = self.receiver.received[0].message_id
        self.assertEqual(daemon.stop(), 0)
        daemon = self.start()
        self.client(daemon).store("walker", b"data")
        daemon.kill()
        before = len(self.receiver.received)
        self.status = 204
        daemon = self.start()
        delivered = self.receiver.received
        wait_until(lambda: self.receiver.types()[before:].count("version.created") == 2, "all events have arrived")
        wait_until(lambda: first in {each.message_id for each in delivered[before:]}, "the first came again")
        self.assertEqual(len({each.message_id for each in delivered}), 3)
        self.assertEqual(daemon.stop(), 0)

    def test_reloaded(self) -> None:
        """
        A changed file counts after SIGHUP; one that cannot be used does not, and what was read before stays in force.
        """
        daemon = self.start()
        client = self.client(daemon)
        client.save_model("one")
        wait_until(lambda: self.paths("model.created") == ["/ci"], "the first event has arrived")
        self.write(self.webhook("ci", 'events = "alias.moved"\n') + self.webhook("other"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("events are delivered to ci, other")
        client.save_model("two")
        wait_until(lambda: self.paths("model.created") == ["/ci", "/other"], "the second event has arrived")
        self.write("[[webhooks]]")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("webhook 1 needs 'name'.*; what was read before stays in force")
        client.save_model("three")
        wait_until(lambda: self.paths("model.created") == ["/ci", "/other", "/other"], "the third event has arrived")
        self.assertEqual(daemon.stop(), 0)

    def test_metrics(self) -> None:
        """
        Metrics show what was delivered, and what waits.
        """
        self.write(self.webhook("ci") + self.webhook("down").replace(f":{self.receiver.port}", f":{free_port()}"))
        port = free_port()
        daemon = self.start("--http-port", str(port))
        self.client(daemon).save_model("walker")

        def samples() -> Samples:
            accept = {"Accept": "application/openmetrics-text"}
            with urlopen(Request(f"http://127.0.0.1:{port}/metrics", headers=accept)) as reply:
                return Samples(reply.read().decode())

        prefix = "twisted_registry_deliveries"
        failed = {"destination": "down", "result": "failed"}
        wait_until(lambda: samples().value(f"{prefix}_total", **failed), "an attempt has failed")
        wait_until(
            lambda: samples().value(f"{prefix}_total", destination="ci", result="delivered"), "one was delivered"
        )
        wait_until(lambda: samples().value(f"{prefix}_pending", destination="ci") == 0, "that is noted")
        self.assertEqual(samples().value(f"{prefix}_pending", destination="down"), 1)
        self.assertGreater(samples().value(f"{prefix}_oldest_pending_seconds", destination="down") or 0, 0)
        self.assertEqual(daemon.stop(), 0)

    def test_refused_at_the_start(self) -> None:
        """
        A daemon does not start with settings or files that cannot be used, and says what to do; nor does a check pass.
        """
        (self.directory / "ci.secret").chmod(0o644)
        for flags, problem in (
            (_FLAGS, "the webhook's secret .*ci.secret is open to other users .* run 'chmod 600'"),
            (_FLAGS[:2], "--deliveries-file needs a file where events wait; pass --deliveries-journal too"),
            (_FLAGS[2:], "--deliveries-journal needs webhooks or commands; pass --deliveries-file too"),
        ):
            for check in ((), ("--check-config",)) if flags is _FLAGS else ((),):
                ended = run_twistd(self.directory, "--nodaemon", "--pidfile=", "model-registry", *check, *flags)
                self.assertEqual(ended.returncode, 1)
                self.assertRegex(ended.stderr + ended.stdout, problem)
        self.assertFalse((self.directory / "journal").exists())

    def test_authorities_that_cannot_be_used(self) -> None:
        """
        A file of authorities that does not exist is named before the start.
        """
        self.write(self.webhook("ci", 'ca_file = "missing.pem"\n'))
        error = self.assertRaises(BadFile, read_destinations, self.file, self.file.read_bytes())
        self.assertRegex(str(error), "webhook ci: the authorities in .*missing.pem cannot be read: .*No such file")

    def test_a_journal_that_cannot_be_used(self) -> None:
        """
        A daemon does not start with a file that is not a journal.
        """
        (self.directory / "journal").write_text("something else" * 1000)
        ended = run_twistd(self.directory, "--nodaemon", "--pidfile=", "model-registry", "--port", "0", *_FLAGS)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("--deliveries-journal cannot be used: file is not a database", ended.stderr + ended.stdout)


class PageTests(DeliveriesTestCase):
    """
    The page's files, commands and programs.
    """

    def setUp(self) -> None:
        """
        Read the page.
        """
        super().setUp()
        found = blocks(PAGE)
        self.assertEqual([block.language for block in found], ["sh", "toml", "sh", "python", "json", "toml"])
        self.secret_text, self.toml, self.start_text, self.python, self.json, self.command = (
            block.text for block in found
        )

    def test_webhook(self) -> None:
        """
        A daemon and a receiver that are started as the page says work together.
        """
        (self.directory / "ci.secret").unlink()
        subprocess.run(["/bin/sh", "-c", self.secret_text], cwd=self.directory, check=True)
        port = str(free_port())
        self.write(self.toml.replace("8000", port))
        receiver = subprocess.Popen(
            [sys.executable, "-c", self.python.replace("8000", port)],
            cwd=self.directory,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.addCleanup(receiver.wait)
        self.addCleanup(receiver.kill)
        words = self.start_text.split()
        daemon = Daemon(self.directory, words[words.index("model-registry") + 1 :], is_forked=True)
        self.addCleanup(daemon.kill)
        client = self.client(daemon.start())
        client.save_model("walker")
        client.store("walker", b"data", aliases=["production"])
        assert receiver.stdout is not None
        with receiver.stdout as printed:
            lines = [printed.readline() for _ in range(2)]
        self.assertEqual(lines, ["version.created walker\n", "alias.moved walker\n"])
        self.assertEqual(daemon.stop(), 0)

    def test_command(self) -> None:
        """
        The page's command runs on a new version.
        """
        script = self.directory / "mirror"
        script.write_text(f'#!/bin/sh\necho "$* $TWISTED_REGISTRY_MODEL_ID" >> {self.directory}/ran\n')
        script.chmod(0o755)
        self.write(self.command.replace("/usr/local/bin/mirror-model", str(script)))
        daemon = self.start()
        client = self.client(daemon)
        client.save_model("walker")
        client.store("walker", b"data")
        ran = self.directory / "ran"
        wait_until(lambda: ran.exists() and ran.read_text().endswith("\n"), "the command has run")
        self.assertEqual(ran.read_text(), "--to backup walker\n")
        self.assertEqual("as root" in daemon.log, os.geteuid() == 0)
        self.assertEqual(daemon.stop(), 0)

    def test_keys(self) -> None:
        """
        The page lists all keys and types, and its files have no unknown ones.
        """
        for text in (self.toml, self.command):
            self.assertEqual(len(parse_deliveries(text.encode(), self.directory)), 1)
        for name in {*file._WEBHOOK_KEYS, *file._COMMAND_KEYS, *file._TYPES}:
            self.assertIn(f"`{name}`", PAGE)
