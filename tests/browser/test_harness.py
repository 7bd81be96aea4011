"""
Tests of the checks that all tests in a browser make.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.support.browser import NARROW, BrowserTestCase, accessibility_problems
from twisted_registry import __version__

GOOD = "<!doctype html><html lang=en><title>Good</title><main><h1>Good</h1><p>Text</p></main></html>"
NAMELESS = GOOD.replace("<p>", '<button></button><img src="data:,"><p>')


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """
        Answer with the page.
        """
        is_found = self.path == "/"
        self.send_response(200 if is_found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(GOOD.encode() if is_found else b"")

    def log_message(self, *_: object) -> None:
        """
        Log nothing.
        """


class HarnessTests(BrowserTestCase):
    """
    A browser with a daemon.
    """

    def other_site(self) -> str:
        """
        Serve a page on another port, and return its address.
        """
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        thread = Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    def test_daemon(self) -> None:
        """
        A page of the daemon is shown, and a screenshot of it is kept.
        """
        self.open("/version")
        self.assertEqual(json.loads(self.page.inner_text("body"))["version"], __version__)
        self.assertGreater(self.screenshot("shown").stat().st_size, 1000)
        self.page.set_viewport_size(NARROW)
        self.assertEqual(self.page.evaluate("innerWidth"), 400)

    def test_errors(self) -> None:
        """
        A test fails if its page logs an error or raises an exception, unless it expects that.
        """
        self.open("/version")
        with self.page.expect_event("pageerror"):
            self.page.evaluate("console.error('one'); console.log('fine'); setTimeout(() => { throw Error('two') })")
        with self.assertRaisesRegex(AssertionError, r"console: one.*exception: two"):
            self.check_problems()
        self.expected_problems += ["console: one", "two"]
        self.check_problems()

    def test_other_hosts(self) -> None:
        """
        A test fails if its page asks another host for anything, also if that answers.
        """
        site = self.other_site()
        self.page.set_content(GOOD)
        self.assertEqual(self.page.evaluate("url => fetch(url).then(answer => answer.status)", site), 200)
        with self.assertRaisesRegex(AssertionError, f"another host: {site}"):
            self.check_problems()
        self.expected_problems.append("another host")

    def test_accessibility(self) -> None:
        """
        axe-core accepts a page with names, and names what lacks one.
        """
        self.page.set_content(GOOD)
        self.check_accessibility()
        self.page.set_content(NAMELESS)
        report = accessibility_problems(self.page)
        self.assertIn("button-name", report)
        self.assertIn("image-alt", report)
