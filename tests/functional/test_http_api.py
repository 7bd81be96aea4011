"""
Tests of the calls by HTTP, on a daemon.
"""

import hashlib
import json
import random
import re
import shutil
from contextlib import closing
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from tests.functional.test_access import AccessTestCase
from tests.support.client import DEADLINE_SECONDS
from tests.support.daemon import run_command, wait_until
from tests.support.http_api import HttpClient, http_port
from tests.support.registry_case import RegistryTestCase

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http-api.md"


def status_of_page(port: int, path: str, token: str = "", host: str = "localhost") -> int:
    """
    Return the status with which a page is answered.
    """
    headers = {"Host": host, **({"Authorization": f"Bearer {token}"} if token else {})}
    with closing(HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)) as connection:
        connection.request("GET", path, None, headers)
        return connection.getresponse().status


def answer_of(port: int, verb: str, path: str, host: str = "localhost", **others: str) -> tuple[int, Message, bytes]:
    """
    Return the status, the headers and the body of an answer; of a stream without end only its start.
    """
    with closing(HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)) as connection:
        connection.request(verb, path, None, {"Host": host, **others})
        response = connection.getresponse()
        body = response.read1() if response.length is None else response.read()
        return response.status, response.headers, body


class HttpTests(RegistryTestCase):
    """
    A registry that anyone on this machine may use.
    """

    flags: ClassVar = ["--http-port", "0"]

    def setUp(self) -> None:
        """
        Make a model with a version, by gRPC.
        """
        super().setUp()
        self.wait_until_logged("HTTP is served at")
        self.http = HttpClient(http_port(self.daemon.lines))
        self.client.save_model("team/walker", env="Walker2d")
        self.client.create("team/walker", b"data", archived=True)

    def test_calls(self) -> None:
        """
        Both edges show the same registry; what one changes, the other shows.
        """
        status, model = self.http.get("GetModel", modelId="team/walker")
        self.assertEqual((status, model["metadata"], model["latestNumber"]), (200, {"env": "Walker2d"}, 1))
        self.assertEqual(self.http.post("SetAlias", reference="team/walker@1", alias="production")[0], 200)
        status, version = self.http.get("GetVersion", reference="team/walker@production")
        self.assertEqual((status, version["number"], version["sizeBytes"]), (200, 1, "4"))
        status, error = self.http.post("DeleteVersion", reference="team/walker@1")
        self.assertEqual((status, error["code"]), (400, "failed_precondition"))
        status, error = self.http.get("GetModel", modelId="other")
        self.assertEqual((status, error["details"][0]["debug"]["reason"]), (404, "UNKNOWN_MODEL"))
        self.assertEqual(self.http.post("DeleteModel", modelId="team/walker"), (200, {}))
        self.assertEqual(list(self.client.models().model_infos), [])

    def test_events(self) -> None:
        """
        Events arrive as they happen; a client that was away gets those that it missed.
        """
        with closing(self.http.events()) as events:
            _, started = next(events)
            self.assertIn("started", started)
            self.client.create("team/walker", b"more")
            cursor, event = next(events)
            self.assertEqual((event["modelId"], event["versionCreated"]["number"]), ("team/walker", 2))
        self.client.create("team/walker", b"missed")
        with closing(self.http.events(cursor)) as events:
            numbers = [event.get("versionCreated", {}).get("number") for _, event in (next(events), next(events))]
        self.assertIn(3, numbers)

    def test_page(self) -> None:
        """
        The commands of the page about it work.
        """
        if shutil.which("curl") is None:
            raise SkipTest("curl is not installed")
        self.client.save_model("walker")
        self.client.create("walker", b"data", archived=True)
        blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        commands = re.findall(r"^\$ ((?:[^\n\\]|\\\n)*)$", "".join(blocks), re.MULTILINE)
        self.assertEqual(len(commands), 4)
        port = http_port(self.daemon.lines)
        for command in commands[:2]:
            printed = run_command(self.directory, "bash", "-c", command.replace(":8080", f":{port}")).stdout
            self.assertEqual((json.loads(printed)["modelId"], json.loads(printed)["number"]), ("walker", 1))
        follow = commands[2].replace(":8080", f":{port}") + " | head -2"
        identity, data = run_command(self.directory, "bash", "-c", follow).stdout.splitlines()
        self.assertEqual(json.loads(data.removeprefix("data: "))["cursor"], identity.removeprefix("id: "))
        run_command(self.directory, "bash", "-c", commands[3].replace(":8080", f":{port}"))
        self.assertEqual((self.directory / "walker-v1").read_bytes(), b"data")

    def test_data(self) -> None:
        """
        The data of a version arrive whole or in part, from memory and from the archive, with their hash.
        """
        port = http_port(self.daemon.lines)
        data = random.Random(1).randbytes(9 * 2**20 + 1)
        self.client.create("team/walker", data, archived=True)
        self.assertEqual(self.http.post("SetAlias", reference="team/walker@2", alias="best")[0], 200)
        path = "/api/v1/data?reference=team/walker@best"
        for _ in range(2):
            status, headers, body = answer_of(port, "GET", path)
            self.assertEqual((status, int(headers["Content-Length"])), (200, len(data)))
            self.assertEqual(hashlib.sha256(body).digest(), hashlib.sha256(data).digest())
            self.assertEqual(headers["ETag"], f'"{hashlib.sha256(data).hexdigest()}"')
            status, headers, body = answer_of(port, "GET", path, range=f"bytes={2**22 - 1}-{2**23}")
            self.assertEqual((status, body == data[2**22 - 1 : 2**23 + 1]), (206, True))
            status, headers, body = answer_of(port, "HEAD", path)
            self.assertEqual((status, int(headers["Content-Length"]), body), (200, len(data), b""))
            self.restart_with_http()
            port = http_port(self.daemon.lines)
        self.assertEqual(answer_of(port, "GET", path.replace("best", "1"))[2], b"data")
        self.assertEqual(answer_of(port, "GET", path.replace("best", "9"))[0], 404)

    def restart_with_http(self) -> None:
        """
        Restart the daemon, and wait until it serves HTTP again.
        """
        del self.daemon.lines[:]
        self.restart()
        self.wait_until_logged("HTTP is served at")

    def test_hosts(self) -> None:
        """
        A site whose name leads to this machine cannot make a browser read from the registry.
        """
        port = http_port(self.daemon.lines)
        for host, status in (
            ("localhost", 200),
            (f"LOCALHOST:{port}", 200),
            (f"127.0.0.1:{port}", 200),
            (f"[::1]:{port}", 200),
            ("evil.example.com", 421),
            ("localhost.example.com", 421),
            ("127.0.0.1.example.com", 421),
            ("", 421),
        ):
            self.assertEqual(status_of_page(port, "/api/v1/ListModels", host=host), status, host)

    def test_headers(self) -> None:
        """
        Answers of all kinds forbid guesses of their type, use by other sites, frames and the header Referer, and name
        neither a version nor Twisted.  Only files of the page may be kept, and only they may run scripts.
        """
        port = http_port(self.daemon.lines)
        index = answer_of(port, "GET", "/")[2].decode()
        script, *_ = re.findall(r'src="/?(page/[^"]+)"', index)
        for verb, path, host, status in (
            ("GET", "/api/v1/GetModel?modelId=team/walker", "localhost", 200),
            ("GET", "/api/v1/GetModel?modelId=other", "localhost", 404),
            ("GET", "/api/v1/GetModel?none=1", "localhost", 400),
            ("POST", "/api/v1/GetModel", "localhost", 400),
            ("OPTIONS", "/api/v1/GetModel", "localhost", 405),
            ("GET", "/api/v1/events", "localhost", 200),
            ("GET", "/metrics", "localhost", 200),
            ("HEAD", "/readyz", "localhost", 200),
            ("POST", "/livez", "localhost", 405),
            ("GET", "/none", "localhost", 404),
            ("GET", "/version", "evil.example.com", 421),
            ("GET", "/", "localhost", 200),
            ("GET", f"/{script}", "localhost", 200),
            ("GET", "/page/other/main.js", "localhost", 404),
        ):
            found, headers, _ = answer_of(port, verb, path, host)
            self.assertEqual(found, status, path)
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff", path)
            self.assertEqual(headers["Referrer-Policy"], "no-referrer", path)
            self.assertEqual(headers["Cross-Origin-Resource-Policy"], "same-origin", path)
            self.assertEqual(headers["Server"], "twisted-registry", path)
            is_page = status == 200 and (path == "/" or path.startswith("/page/"))
            self.assertEqual(headers["Cache-Control"] == "no-store", not is_page, path)
            policy = headers["Content-Security-Policy"]
            self.assertTrue(policy.startswith("default-src 'none'"), path)
            self.assertIn("frame-ancestors 'none'", policy, path)
            self.assertEqual("script-src 'self'" in policy, is_page, path)
            for word in ("unsafe", "http:", "https:", "*"):
                self.assertNotIn(word, policy, path)

    def test_stop(self) -> None:
        """
        A daemon that stops ends the streams, and exits.
        """
        with closing(self.http.events()) as events:
            next(events)
            self.assertEqual(self.daemon.stop(), 0, self.daemon.log)


class PermissionTests(AccessTestCase):
    """
    A registry with access control.
    """

    def test_permissions(self) -> None:
        """
        The same tokens, permissions and audit count as for gRPC.
        """
        audit = self.directory / "audit.jsonl"
        reader = self.add_token("rita", "reader", "team-a/*")
        daemon = self.start("--tokens-file", "tokens", "--http-port", "0", "--audit-file", str(audit))
        self.wait_until_http(daemon)
        port = http_port(daemon.lines)
        admin, rita, nobody = (HttpClient(port, token) for token in (self.token, reader, ""))
        for model_id in ("team-a/m", "team-b/m"):
            self.assertEqual(admin.post("CreateModel", model={"modelId": model_id})[0], 200)
        self.assertEqual(rita.get("GetModel", modelId="team-a/m")[0], 200)
        self.assertEqual([model["modelId"] for model in rita.get("ListModels")[1]["models"]], ["team-a/m"])
        self.assertEqual(rita.get("GetModel", modelId="team-b/m")[1]["code"], "permission_denied")
        self.assertEqual(rita.post("DeleteModel", modelId="team-a/m")[0], 403)
        for model_id, status in (("team-a/m", 404), ("team-b/m", 403)):  # there is no version
            path = f"/api/v1/data?reference={model_id}@latest"
            self.assertEqual(status_of_page(port, path, reader), status)
        self.assertEqual(nobody.get("GetModel", modelId="team-a/m")[0], 401)
        self.assertEqual(HttpClient(port, "wrong").get("ListModels")[0], 401)
        self.assertEqual([status_of_page(port, "/metrics", token) for token in (reader, "")], [200, 401])
        self.assertEqual([status_of_page(port, page) for page in ("/livez", "/readyz", "/version")], [200] * 3)
        self.assertEqual(daemon.stop(), 0, daemon.log)
        entries = [json.loads(line) for line in audit.read_text().splitlines()]
        results = [(entry["method"].rpartition("/")[2], entry["result"]) for entry in entries if "method" in entry]
        self.assertEqual(results.count(("CreateModel", "OK")), 2)
        self.assertIn(("DeleteModel", "PERMISSION_DENIED"), results)
        self.assertNotIn(reader, audit.read_text())

    def wait_until_http(self, daemon: Any) -> None:
        """
        Wait until a daemon has logged its port for HTTP.
        """
        wait_until(lambda: any("HTTP is served at" in line for line in daemon.lines), "it serves HTTP")
