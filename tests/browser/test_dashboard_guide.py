"""
Tests of docs/guides/dashboard.md.
"""

import re
from pathlib import Path
from textwrap import dedent

from playwright.sync_api import expect

from tests.browser.case import PageTestCase
from tests.support.daemon import free_port
from tests.support.proxies import replaced, start_nginx

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "dashboard.md"
KEYS = Path(__file__).parents[2] / "twisted_registry" / "web" / "page" / "keys.js"


class DashboardGuideTests(PageTestCase):
    """
    The facts in the guide.
    """

    def test_proxy(self) -> None:
        """
        The page works below a path of nginx, with the guide's configuration: calls, events and addresses.
        """
        found = re.search(r"^ *```nginx\n(.*?)^ *```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
        assert found is not None
        location = replaced(dedent(found[1]), {"http://127.0.0.1:9001": self.origin})
        folder, port = Path(self.mktemp()).absolute(), free_port()
        folder.mkdir(parents=True)
        proxy = start_nginx(folder, f"server {{ listen 127.0.0.1:{port}; {location} }}", port)
        self.addCleanup(proxy.stop)
        self.expected_problems.append(f"another host: http://127.0.0.1:{port}/registry/")
        self.publish("walker", 1.0)
        self.page.goto(f"http://127.0.0.1:{port}/registry/")
        self.row("Models", "walker").click()
        expect(self.row("Versions", "v1")).to_be_visible()
        self.publish("walker", 2.0)
        expect(self.row("Versions", "v2")).to_be_visible()
        self.assertEqual(self.page.url, f"http://127.0.0.1:{port}/registry/#/models/walker")

    def test_keys(self) -> None:
        """
        The guide and the page list the same keys of one letter.
        """
        listed = re.findall(r'^  \["(\S)",', KEYS.read_text(), re.MULTILINE)
        table = "".join(re.findall(r"^\| (.*?) \|", GUIDE.read_text(), re.MULTILINE))
        self.assertEqual(sorted(re.findall(r"`(.)`", table)), sorted(listed))
