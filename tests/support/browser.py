"""
Tests in a real browser: Chromium, which playwright drives.

The browser is a program of the machine; playwright's own is not downloaded.  One serves all tests of a process.
"""

import atexit
import re
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, sync_playwright
from twisted.trial.unittest import SkipTest

from tests.support.http_api import HttpClient, http_port
from tests.support.registry_case import SharedRegistryTestCase

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 400, "height": 800}
TIMEOUT_MS = 30_000
"""Nothing takes so long; a test that waits for it has failed."""

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@cache
def browser() -> Browser:
    """
    Return the browser of this process.

    Raises:
        SkipTest: there is none on this machine.
    """
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise SkipTest("Chromium is not installed: .ci/install-services does it")
    playwright = sync_playwright().start()
    atexit.register(playwright.stop)
    started = playwright.chromium.launch(executable_path=program)
    atexit.register(started.close)
    return started


class Watch:
    """
    A watch over what a page must not do: log errors, raise exceptions, or connect to other hosts.

    Attributes:
        problems: those that it did.
    """

    def __init__(self, origin: str) -> None:
        self.problems: list[str] = []
        self._origin = urlsplit(origin).netloc

    def follow(self, page: Page) -> None:
        """
        Watch a page from now on.
        """
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("request", lambda request: self._connects(request.url))
        page.on("websocket", lambda socket: self._connects(socket.url))

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text} {message.location.get('url', '')}")

    def _connects(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != self._origin:
            self.problems.append(f"connection to another host: {url}")

    def unexpected(self, expected: Sequence[str]) -> list[str]:
        """
        Return the problems that match none of some patterns.
        """
        return [each for each in self.problems if not any(re.search(pattern, each) for pattern in expected)]


def accessibility_problems(page: Page) -> str:
    """
    Return a report of what axe-core finds wrong with a page as it is now, by WCAG 2.2 AA and the best practices; empty
    if that is nothing.
    """
    results = Axe().run(page)
    return str(results.generate_report()) if results.violations_count else ""


class BrowserTestCase(SharedRegistryTestCase):
    """
    A test case with a browser page for each test, and a daemon with HTTP for all tests of a class.

    A test fails if the page logs an error, raises an exception, or connects to another host than the daemon.  A
    screenshot of a failed test is in build/screenshots/.

    Attributes:
        viewport: the size of the page, in CSS pixels.
        expected_problems: patterns of problems that a test brings about, such as ``status of 403``: Chromium logs each
            answer with an error.  A test may append to it.
        http: makes calls by HTTP.
        context: the browser's profile, new for each test.
        page: the page.
    """

    flags: ClassVar[Sequence[str]] = ("--http-port", "0")
    viewport: ClassVar[ViewportSize] = WIDE
    context: BrowserContext
    page: Page

    def setUp(self) -> None:
        """
        Open an empty page.
        """
        started = browser()
        super().setUp()
        self.wait_until_logged("HTTP is served at")
        port = http_port(self.daemon.lines)
        self.origin = f"http://127.0.0.1:{port}"
        self.http = HttpClient(port)
        self.expected_problems: list[str] = []
        self.watch = Watch(self.origin)
        self.context = started.new_context(viewport=self.viewport, base_url=self.origin)
        self.addCleanup(self.context.close)
        self.context.on("page", self.watch.follow)
        self.page = self.context.new_page()
        setattr(self, self._testMethodName, self._watched(getattr(self, self._testMethodName)))

    def _watched(self, test: Any) -> Any:
        def run() -> None:
            try:
                test()
                self.check_problems()
            except SkipTest:
                raise
            except BaseException:
                self.screenshot("failed")
                raise

        return run

    def open(self, path: str = "/") -> None:
        """
        Open a page of the daemon.
        """
        self.page.goto(path)

    def screenshot(self, name: str) -> Path:
        """
        Save a screenshot of the page for people to look at, and return its path.

        Args:
            name: distinguishes it from others of the test.
        """
        path = SCREENSHOTS / f"{type(self).__name__}.{self._testMethodName}.{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def check_problems(self) -> None:
        """
        Check that the page has logged no error, raised no exception, and connected to no other host so far.
        """
        self.page.evaluate("0")  # what happened before it has arrived
        self.assertEqual(self.watch.unexpected(self.expected_problems), [])

    def check_accessibility(self) -> None:
        """
        Check that axe-core finds nothing wrong with the page as it is now.
        """
        self.assertEqual(accessibility_problems(self.page), "")
