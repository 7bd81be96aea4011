"""
The page of the registry in a browser.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from playwright.sync_api import Locator, expect

from tests.support.browser import TIMEOUT_MS, BrowserTestCase
from twisted_registry.client import BlockingClient

expect.set_options(timeout=TIMEOUT_MS)


class PageTestCase(BrowserTestCase):
    """
    A test case that looks at the page.

    Attributes:
        registry: makes models.
    """

    def setUp(self) -> None:
        """
        Connect the client.
        """
        super().setUp()
        self.registry = BlockingClient(self.daemon.address, token=self.credential())
        self.addCleanup(self.registry.close)

    def credential(self) -> str | None:
        """
        Return the token of the client that makes models; ``None`` without access control.
        """
        return None

    def publish(self, model_id: str, *returns: float, **labels: str) -> None:
        """
        Create versions of a model, each with a value of the metric ``return``.
        """
        self.registry.ensure_model(model_id)
        for value in returns:
            self.registry.publish(model_id, b"data", metrics={"return": value}, labels=labels)

    def show(self, *parts: str, query: str = "") -> None:
        """
        Open a view by its address, and wait until it is there and live.
        """
        path = "/".join(quote(part, safe="") for part in parts)
        self.open(f"/#/{path}{query}")
        expect(self.page.get_by_text("Live", exact=True)).to_be_attached()

    def table(self, name: str) -> Locator:
        """
        Return a table by its name.
        """
        return self.page.get_by_role("grid", name=name)

    def row(self, table: str, text: str) -> Locator:
        """
        Return the rows of a table with a cell, or a link in it, of exactly this text.
        """
        exact = self.page.get_by_role("link", name=text, exact=True)
        return self.table(table).get_by_role("row").filter(has=exact)

    def focused(self) -> str:
        """
        Return a description of the element that has the focus.
        """
        return str(
            self.page.evaluate(
                """() => {
                    const found = document.activeElement;
                    return found.dataset.index ? `row ${found.dataset.index}`
                        : found.getAttribute("aria-label") || found.id || found.innerText.trim();
                }"""
            )
        )

    def check_layout(self) -> None:
        """
        Check that nothing is wider than the window.
        """
        widths = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        self.assertLessEqual(widths[0], widths[1])

    def answer(self, call: str, replies: Mapping[str, object] | Sequence[object]) -> None:
        """
        Answer a call in the browser, without the registry.
        """
        self.page.route(f"**/api/v1/{call}", lambda route: route.fulfill(json=replies))
