"""
Tests of the static files of the page.
"""

import gzip
import hashlib
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path, PurePosixPath

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.web.hosts import HostNames
from twisted_registry.web.page_files import PageFiles, page_resources
from twisted_registry.web.site import make_site

FOLDER = Path(str(files("twisted_registry.web"))) / "page"
IMPORT = re.compile(
    r"""^\s*(?:import|export)\b[^"';]*?from\s*["']([^"']+)["']|import\(["']([^"']+)["']\)""", re.MULTILINE
)

VENDORED = {
    "htm/standalone.module.js": "72284e8e9079c87817145df1110f74e8a2aa040b2fc384922e18dfcb46fc1fd7",
    "uplot/uPlot.esm.js": "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
    "uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
"""The SHA-256 of each file, as it is in the package of npm that vendor/README.md names."""


class _Scripts(HTMLParser):
    """
    The parts of a document that could run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.inline: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Collect scripts and styles.
        """
        values = dict(attrs)
        self.inline += [name for name in values if name.startswith("on") or name == "style"]
        self._inside = tag in ("script", "style")
        if tag == "script":
            self.sources.append(values.get("src") or "none")

    def handle_data(self, data: str) -> None:
        """
        Collect what is written in the document itself.
        """
        if self._inside and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        """
        Note the end of a script.
        """
        self._inside = False


class PageFilesTests(SynchronousTestCase):
    """
    Requests for the files.
    """

    def setUp(self) -> None:
        """
        Make a site.
        """
        self.site = make_site(page_resources(), Clock(), HostNames())
        self.found = PageFiles()

    def get(self, path: str, headers: str = "", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """
        Return the status, the headers and the body of a reply.
        """
        protocol = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        return int(status.split()[1]), {name.lower(): value for name, _, value in pairs}, body

    def path_of(self, name: str) -> str:
        """
        Return the path of a file.
        """
        return f"/page/{self.found.release}/{name}"

    def test_document(self) -> None:
        """
        The document is at the root, must be asked for each time, and names files that are there.
        """
        status, headers, body = self.get("/")
        self.assertEqual(status, 200)
        self.assertEqual(headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(headers["cache-control"], "no-cache")
        names = re.findall(r'(?:href|src)="([^"]+)"', body.decode())
        self.assertGreater(len(names), 3)
        for name in names:
            self.assertEqual(self.get(f"/{name}")[0], 200, name)

    def test_types(self) -> None:
        """
        Each file has the content type that browsers need, and is kept for good.
        """
        types = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
        for name in self.found.files:
            status, headers, body = self.get(self.path_of(name))
            self.assertEqual((status, headers["content-type"]), (200, types[name.rpartition(".")[2]]), name)
            self.assertIn("immutable", headers["cache-control"])
            self.assertEqual(body, (FOLDER / name).read_bytes())

    def test_all_are_served(self) -> None:
        """
        All files of the page are served, and the texts about the vendored ones are not.
        """
        served = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
        kept = {name for name in served if "LICENSE" in name or name.endswith(".md")}
        self.assertEqual(set(self.found.files), served - kept - {"index.html"})
        self.assertEqual(self.get(self.path_of("vendor/uplot/LICENSE"))[0], 404)

    def test_policy(self) -> None:
        """
        The document permits no script but files of this server, and has none in itself.
        """
        _, headers, body = self.get("/")
        policy = headers["content-security-policy"]
        self.assertIn("script-src 'self';", policy)
        self.assertNotIn("unsafe", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        scripts = _Scripts()
        scripts.feed(body.decode())
        self.assertEqual(scripts.inline, [])
        self.assertTrue(all(source.startswith("page/") for source in scripts.sources))

    def test_compressed(self) -> None:
        """
        A browser that reads gzip gets it; others, and those that refuse it, do not.
        """
        path = self.path_of("main.js")
        plain = (FOLDER / "main.js").read_bytes()
        _, headers, body = self.get(path, "Accept-Encoding: br, gzip\r\n")
        self.assertEqual((headers["content-encoding"], gzip.decompress(body)), ("gzip", plain))
        self.assertEqual(int(headers["content-length"]), len(body))
        for refusing in ("", "Accept-Encoding: br\r\n", "Accept-Encoding: gzip;q=0\r\n"):
            _, headers, body = self.get(path, refusing)
            self.assertEqual((headers.get("content-encoding"), body, headers["vary"]), (None, plain, "accept-encoding"))

    def test_unchanged(self) -> None:
        """
        A browser that has a file gets no second copy of it; the compressed form is another one.
        """
        _, headers, _ = self.get("/")
        etag = headers["etag"]
        status, headers, body = self.get("/", f"If-None-Match: {etag}\r\n")
        self.assertEqual((status, body), (304, b""))
        status, _, body = self.get("/", f"If-None-Match: {etag}\r\nAccept-Encoding: gzip\r\n")
        self.assertEqual((status, body != b""), (200, True))

    def test_head(self) -> None:
        """
        HEAD returns the length of a file without its bytes.
        """
        _, headers, body = self.get(self.path_of("main.js"), method="HEAD")
        self.assertEqual((int(headers["content-length"]), body), ((FOLDER / "main.js").stat().st_size, b""))

    def test_only_reading(self) -> None:
        """
        Nothing can be sent to the page.
        """
        for path in ("/", self.path_of("main.js")):
            self.assertEqual(self.get(path, "Content-Length: 0\r\n", "POST")[0], 405)

    def test_missing(self) -> None:
        """
        Files that are not there, of another release, or outside the folder, are not found.
        """
        release = self.found.release
        wrong = ("/page", "/page/", f"/page/{release}", f"/page/{release}/", "/page/0123/main.js", "/index.html", "/x")
        for path in (
            *wrong,
            f"/page/{release}/../page_files.py",
            f"/page/{release}/%2e%2e/pages.py",
            "/page/%ff/main.js",
        ):
            self.assertEqual(self.get(path)[0], 404, path)


class ModulesTests(SynchronousTestCase):
    """
    The modules, and what they import.
    """

    def imports_of(self, name: str) -> list[str]:
        """
        Return the files that a module imports.
        """
        folder = PurePosixPath(name).parent
        found = [one or other for one, other in IMPORT.findall((FOLDER / name).read_text())]
        return [(FOLDER / folder / each).resolve().relative_to(FOLDER.resolve()).as_posix() for each in found]

    def test_imports(self) -> None:
        """
        Modules import files of this folder, and each module is imported by one that the document runs.
        """
        modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js")}
        reached, waiting = {"theme.js"}, ["main.js"]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += self.imports_of(name)
        self.assertEqual(reached, modules)

    def test_vendored(self) -> None:
        """
        The vendored files are those of the published packages, and each package has its license beside it.
        """
        vendor = FOLDER / "vendor"
        found = {
            path.relative_to(vendor).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in vendor.rglob("*")
            if path.suffix in (".js", ".css")
        }
        self.assertEqual(found, VENDORED)
        note = (vendor / "README.md").read_text()
        for folder in (path for path in vendor.iterdir() if path.is_dir()):
            self.assertTrue((folder / "LICENSE").is_file(), folder)
            self.assertIn(f"`{folder.name}/`", note)

    def test_preload(self) -> None:
        """
        The document names all modules that others import at once: a browser does not find them one after another.
        """
        index = PageFiles().index.body.decode()
        named = set(re.findall(r'rel="modulepreload" href="page/[0-9a-f]+/([^"]+)"', index))
        modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js")}
        self.assertEqual(modules - named, {"main.js", "theme.js", "vendor/uplot/uPlot.esm.js"})
