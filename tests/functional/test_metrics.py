"""
Tests of the metrics of a daemon, as curl and a real Prometheus read them, and of the guide about them.
"""

import json
import re
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.functional.test_start_failures import StartFailureTestCase
from tests.support.daemon import Daemon, free_port, run_command, wait_until
from tests.support.exposition import Samples
from tests.support.guide import blocks
from tests.support.proxies import Proxy, certify, program, replaced
from twisted_registry import __version__
from twisted_registry.client import BlockingClient, errors
from twisted_registry.observability import metrics

ROOT = Path(__file__).parents[2]
DEPLOYED = ROOT / "deploy" / "prometheus"
PAGE = (ROOT / "docs" / "guides" / "observe.md").read_text()

_COGMENT = "cogmentAPI.ModelRegistrySP"


class MetricsTestCase(StartFailureTestCase):
    """
    A directory for a daemon with a web edge.

    Attributes:
        web_port: its port for HTTP.
        tls: trusts the certificate of the daemon; ``None`` if it has none.
    """

    web_port = 0
    tls: ssl.SSLContext | None = None

    def start(self, *flags: str) -> Daemon:
        """
        Start a daemon with a web edge.
        """
        self.web_port = free_port()
        daemon = Daemon(self.directory, ("--http-port", str(self.web_port), *flags), is_forked=True)
        self.addCleanup(daemon.kill)
        return daemon.start()

    def get(self, path: str, accept: str = "application/openmetrics-text") -> str:
        """
        Return a page of the web edge.
        """
        origin = f"https://localhost:{self.web_port}" if self.tls else f"http://127.0.0.1:{self.web_port}"
        request = urllib.request.Request(f"{origin}{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, context=self.tls) as reply:
            text: str = reply.read().decode()
        return text

    def samples(self) -> Samples:
        """
        Scrape.
        """
        return Samples(self.get("/metrics"))

    def wait_for(self, metric: str, value: Callable[[float], bool], **labels: str) -> None:
        """
        Wait until a sample has such a value.
        """
        wait_until(lambda: (found := self.samples().value(metric, **labels)) is not None and value(found), metric)


class ScrapeTests(MetricsTestCase):
    """
    The metrics of a daemon that works.
    """

    def test_work(self) -> None:
        """
        The metrics show what clients do, with the syncs of the disk that it takes.
        """
        daemon = self.start("--metrics-models", "team/a")
        with BlockingClient(daemon.address) as client:
            client.save_model("team/a")
            client.store("team/a", b"x" * 1000)
            client.publish("team/a", b"y" * 2000)
            with self.assertRaises(errors.UnknownModel):
                client.latest("team/none")
            with client.track("team/a", wait=True):
                self.wait_for("twisted_registry_subscribers", lambda count: count == 1)
                self.assertEqual(self.samples().value("twisted_registry_model_subscribers", model="team/a"), 1)
                client.publish("team/a", b"z" * 10)
                self.wait_for("twisted_registry_delivery_duration_seconds_count", lambda count: count == 1)
            samples = self.samples()
        created, size = metrics.VERSIONS_CREATED.name, metrics.VERSIONS_CREATED_BYTES.name
        self.assertEqual([samples.value(created, tier=tier) for tier in ("archived", "transient")], [1, 2])
        self.assertEqual([samples.value(size, tier=tier) for tier in ("archived", "transient")], [1000, 2010])
        self.assertEqual(samples.value("twisted_registry_models"), 1)
        self.assertEqual(samples.value("twisted_registry_memory_held_bytes"), 3010)
        self.assertEqual(samples.value("twisted_registry_model_latest_version", model="team/a"), 3)
        self.assertEqual(samples.value("twisted_registry_model_versions", model="team/a", tier="transient"), 2)
        self.assertEqual(
            samples.value(f"{metrics.ARCHIVE_SECONDS.name}_count", operation="commit"),
            1,
        )
        self.assertGreater(samples.value(f"{metrics.SYNC_SECONDS.name}_count") or 0, 1)
        self.assertGreater(samples.value("twisted_registry_archive_free_bytes") or 0, 0)
        received = samples.value(metrics.RECEIVED_BYTES.name, service=_COGMENT, method="CreateVersion") or 0
        self.assertGreater(received, 3010)

    def test_completeness(self) -> None:
        """
        Every metric that is declared is there, except those that an error or an unread model would make.
        """
        self.tls = ssl.create_default_context(cadata=certify(self.directory).decode())
        tls = "--tls-certificate", "registry.pem", "--tls-key", "registry.key"
        self.start("--metrics-models", "none", "--audit-file", "audit.log", *tls)
        self.wait_for("twisted_registry_archive_free_bytes", lambda free: free > 0)
        self.wait_for("twisted_registry_certificate_expires_seconds", lambda expires: expires > time.time())
        families = set(self.samples().families)
        missing = {metric.name for metric in metrics.ALL if metric.name.removesuffix("_total") not in families}
        self.assertEqual(missing, set())

    def test_pages(self) -> None:
        """
        The probes and the version answer, and other pages do not exist.
        """
        self.start()
        self.assertEqual(self.get("/readyz"), "ok\n")
        self.assertEqual(json.loads(self.get("/version")), {"version": __version__})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.get("/nothing")
        self.assertEqual(caught.exception.code, 404)
        caught.exception.close()

    def test_moved_archive(self) -> None:
        """
        An archive that is gone shows as an error by cause, and in the probe.
        """
        daemon = self.start()
        with BlockingClient(daemon.address) as client:
            client.save_model("m")
            archive = self.directory / ".cogment_model_registry"
            archive.rename(self.directory / "moved")
            with self.assertRaises(errors.RegistryError):
                client.store("m", b"x")
            self.wait_for("twisted_registry_archive_usable", lambda usable: usable == 0)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.get("/readyz")
        self.assertEqual(caught.exception.code, 503)
        self.assertIn("the archive cannot be used: ", caught.exception.read().decode())
        caught.exception.close()
        errors_seen = [
            sample
            for sample in self.samples().families["twisted_registry_archive_errors"].samples
            if sample.labels["cause"] == "moved"
        ]
        self.assertTrue(errors_seen)


class StartTests(MetricsTestCase):
    """
    Starts that are refused.
    """

    def test_refused(self) -> None:
        """
        Another interface than loopback needs --insecure, and a port that is taken is named.
        """
        self.assert_cannot_start("--http-port=0", "--http-interface=0.0.0.0", said="--http-interface 0.0.0.0 would let")
        self.assert_cannot_start("--http-port=9000", "--port=9000", said="are the same")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            said = f"--http-port: cannot listen on 127.0.0.1:{port}: "
            self.assert_cannot_start(f"--http-port={port}", "--port=0", said=said)


class PrometheusTests(MetricsTestCase):
    """
    Debian's Prometheus with the configuration and the rules of deploy/.
    """

    def setUp(self) -> None:
        """
        Copy them, for a daemon's port.
        """
        super().setUp()
        self.prometheus = program("prometheus")
        self.daemon = self.start()
        configuration = replaced(
            (DEPLOYED / "prometheus.yml").read_text(),
            {"127.0.0.1:9001": f"127.0.0.1:{self.web_port}", "15s": "1s"},
        )
        self.folder = self.directory / "prometheus"
        self.folder.mkdir()
        (self.folder / "prometheus.yml").write_text(configuration)
        (self.folder / "alerts.yml").write_bytes((DEPLOYED / "alerts.yml").read_bytes())

    def test_checks(self) -> None:
        """
        promtool accepts the configuration and the rules, and finds nothing to say about the metrics.
        """
        promtool = program("promtool")
        checked = run_command(self.folder, promtool, "check", "config", "prometheus.yml")
        self.assertEqual(checked.returncode, 0, checked.stderr)
        linted = run_command(self.folder, promtool, "check", "metrics", typed=self.get("/metrics", "text/plain"))
        self.assertEqual(linted.stderr, "")

    def test_scrape(self) -> None:
        """
        Prometheus scrapes the daemon, and evaluates each rule without an error.
        """
        self.port = free_port()
        command = [self.prometheus, "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{self.port}"]
        process = Proxy(self.folder, [*command, "--storage.tsdb.path=data"], self.port)
        self.addCleanup(process.stop)
        with BlockingClient(self.daemon.address) as client:
            client.save_model("m")
        name = metrics.MODELS.name
        wait_until(lambda: self.query(name) == ["1"], "Prometheus has scraped the daemon")
        self.assertEqual(self.query("up"), ["1"])
        wait_until(self.are_evaluated, "all rules are evaluated")
        self.assertEqual({rule["health"] for rule in self.rules()}, {"ok"}, self.rules())
        self.assertEqual([rule["name"] for rule in self.rules() if rule["state"] == "firing"], [])

    def are_evaluated(self) -> bool:
        """
        Return whether Prometheus has evaluated all rules.
        """
        rules = self.rules()
        return bool(rules) and all(rule["lastEvaluation"] > "0001-01-02" for rule in rules)

    def query(self, expression: str) -> list[str]:
        """
        Return the values of an expression.
        """
        result = self.ask("query", query=expression)["result"]
        return [each["value"][1] for each in result]

    def rules(self) -> list[dict[str, Any]]:
        """
        Return the rules, as Prometheus sees them.
        """
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def ask(self, path: str, **parameters: str) -> Any:
        """
        Ask Prometheus.
        """
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            if error.code != 503:  # it is starting
                raise
            error.close()
            return {"result": [], "groups": []}


class PageTests(MetricsTestCase):
    """
    The guide's commands.
    """

    def test_commands(self) -> None:
        """
        The daemons start with the flags of the page, and its curl commands get their pages.
        """
        shell = [block.text for block in blocks(PAGE) if block.language == "sh"]
        starts = [text for text in shell if text.startswith("twistd ")]
        self.assertEqual(len(starts), 2)
        for text in starts:
            flags = re.search(r"--http-port 9001(.*)", text)
            assert flags is not None
            daemon = self.start(*flags[1].split())
            (asks,) = (text for text in shell if text.startswith("curl "))
            for line in asks.splitlines():
                url = replaced(line, {"9001": str(self.web_port)}).removeprefix("curl ")
                with urllib.request.urlopen(url) as reply:
                    self.assertEqual(reply.status, 200, line)
            daemon.stop()

    def test_prometheus(self) -> None:
        """
        Prometheus is started as in the tests above.
        """
        self.assertIn("prometheus --config.file=prometheus.yml", PAGE)
        version = subprocess.run([program("prometheus"), "--version"], capture_output=True, text=True, check=True)
        self.assertIn("version 2.", version.stdout + version.stderr)
