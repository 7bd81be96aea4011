"""
Tests of the view of a model, in a browser.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Route, expect

from tests.browser.case import PageTestCase
from tests.support.browser import NARROW, WIDE

MANY = 100_000
ROW_PIXELS = 34
EVENTS = "import(document.querySelector('script[type=module]').src.replace('main.js', 'events.js'))"


def version(number: int) -> Mapping[str, Any]:
    """
    Return a version as the registry describes it.
    """
    return {
        "modelId": "large",
        "number": number,
        "createTime": "2026-01-31T12:00:00Z",
        "sizeBytes": "4",
        "metrics": {"return": number / 1000},
    }


class ModelViewTests(PageTestCase):
    """
    A model with a few versions.
    """

    def test_versions(self) -> None:
        """
        The versions are listed, the newest first, with their metrics and aliases, and the metric is plotted.
        """
        self.publish(self.model_id, 1.0, 2.0, 3.5)
        self.registry.set_alias(f"{self.model_id}@2", "production")
        self.show("models", self.model_id)
        rows = self.table("Versions").get_by_role("row")
        expect(rows).to_have_count(4)
        for index, texts in ((1, ("v3", "3.5", "transient")), (2, ("v2", "archived", "production"))):
            for text in texts:
                expect(rows.nth(index)).to_contain_text(text)
        expect(
            self.page.get_by_role("img", name="return of versions 1 to 3: from 1 to 3.5, the last is 3.5")
        ).to_be_visible()
        self.page.locator(".plot canvas").wait_for()
        self.screenshot("versions")

    def test_live(self) -> None:
        """
        A new version is shown at once, in the table, the title and the plot, and without asking for the list again.
        """
        self.publish(self.model_id, 1.0)
        self.show("models", self.model_id)
        expect(self.row("Versions", "v1")).to_be_visible()
        self.page.get_by_role("img", name=re.compile("versions 1 to 1")).wait_for()
        asked: list[str] = []
        self.page.on("request", lambda request: asked.append(request.url))
        self.publish(self.model_id, 5.0)
        expect(self.row("Versions", "v2")).to_be_visible()
        expect(self.page.get_by_text("latest v2 · 2 versions")).to_be_visible()
        expect(self.page.get_by_role("img", name=re.compile("versions 1 to 2: from 1 to 5"))).to_be_visible()
        self.registry.annotate(f"{self.model_id}@1", metrics={"return": 9.0})
        expect(self.row("Versions", "v1")).to_contain_text("9")
        self.registry.archive(f"{self.model_id}@1")
        expect(self.row("Versions", "v1")).to_contain_text("archived")
        self.registry.delete_version(f"{self.model_id}@1")
        expect(self.row("Versions", "v1")).to_have_count(0)
        self.assertFalse([url for url in asked if "ListVersions" in url])

    def test_lost_connection(self) -> None:
        """
        A page that lost its connection goes on after the last event that it has seen.
        """
        self.publish(self.model_id, 1.0)
        self.show("models", self.model_id)
        expect(self.row("Versions", "v1")).to_be_visible()
        self.expected_problems += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED", "ERR_FAILED"]
        self.page.route("**/api/v1/events", lambda route: route.abort())
        # The stream that is open is closed as a browser closes it for a page that nobody sees.
        self.page.evaluate(f"{EVENTS}.then(({{ events }}) => {{ events.stop(); events.start(); }})")
        expect(self.page.get_by_text("Reconnecting")).to_be_visible()
        self.publish(self.model_id, 2.0)
        self.page.unroute("**/api/v1/events")
        expect(self.row("Versions", "v2")).to_be_visible()
        expect(self.page.get_by_text("Live", exact=True)).to_be_visible()

    def test_network_is_back(self) -> None:
        """
        A view that could not be loaded without the network is loaded as soon as that is back.
        """
        self.publish(self.model_id, 1.0)
        self.expected_problems += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED", "ERR_FAILED"]
        self.show("models")
        self.context.set_offline(True)
        self.row("Models", self.model_id).click()
        expect(self.page.get_by_text("The registry cannot be reached.").first).to_be_visible()
        self.context.set_offline(False)
        expect(self.row("Versions", "v1")).to_be_visible()
        expect(self.page.get_by_text("The registry cannot be reached.")).to_have_count(0)

    def expire_cursor(self) -> None:
        """
        Refuse the next stream of events, as the registry does if the page has missed too many.
        """
        expired = {"type": "google.rpc.ErrorInfo", "debug": {"reason": "CURSOR_EXPIRED"}}
        refusal = {"code": "out_of_range", "message": "too old", "details": [expired]}
        self.page.route("**/api/v1/events", lambda route: route.fulfill(status=400, json=refusal), times=1)

    def test_expired_cursor(self) -> None:
        """
        A page that has missed events for too long loads again what it shows.
        """
        self.publish(self.model_id, 1.0)
        self.show("models", self.model_id)
        expect(self.row("Versions", "v1")).to_be_visible()
        self.expected_problems.append("status of 400")
        self.expire_cursor()
        self.page.evaluate(f"{EVENTS}.then(({{ events }}) => events.stop())")
        expect(self.page.get_by_text("Not live")).to_be_visible()
        self.publish(self.model_id, 2.0)
        self.page.evaluate(f"{EVENTS}.then(({{ events }}) => events.start())")
        expect(self.row("Versions", "v2")).to_be_visible()
        expect(self.page.get_by_text("Live", exact=True)).to_be_visible()

    def test_details(self) -> None:
        """
        A version's details open by a click, are part of the address, and close.
        """
        self.publish(self.model_id, 1.0, 2.0, env="<b>walker</b>")
        self.show("models", self.model_id)
        self.row("Versions", "v1").click()
        details = self.page.get_by_role("region", name="Version 1")
        expect(details).to_contain_text("3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7")
        expect(details).to_contain_text("<b>walker</b>")
        expect(details).to_contain_text("4 bytes")
        self.page.reload()
        expect(details).to_contain_text("return")
        expect(details.locator("time").first).to_have_attribute("title", re.compile("UTC"))
        details.get_by_role("button", name="Close the details").click()
        expect(details).to_have_count(0)

    def test_filter(self) -> None:
        """
        The filter's language selects and orders versions by what they have.
        """
        self.publish(self.model_id, 1.0, 3.0, 2.0)
        self.show("models", self.model_id)
        self.page.get_by_role("searchbox").fill("metrics.return >= 2")
        expect(self.page.get_by_text("2 versions found")).to_be_visible()
        self.table("Versions").get_by_role("button", name="return").click()
        rows = self.table("Versions").get_by_role("row")
        expect(rows.nth(1)).to_contain_text("v2")
        expect(rows.nth(2)).to_contain_text("v3")

    def test_followers(self) -> None:
        """
        The streams that follow the model are listed.
        """
        self.publish(self.model_id, 1.0)
        with self.registry.track(self.model_id, wait=True):
            self.show("models", self.model_id)
            followers = self.page.get_by_role("region", name="Followers")
            expect(followers).to_contain_text("follows new versions since")

    def test_unknown(self) -> None:
        """
        A model that is not there is reported, and so is an address that leads nowhere.
        """
        self.expected_problems.append("status of 404")
        self.show("models", self.model_id)
        expect(self.page.get_by_role("alert").first).to_contain_text(self.model_id)
        self.show("nowhere")
        expect(self.page.get_by_role("heading", name="There is no such view")).to_be_visible()

    def test_deleted(self) -> None:
        """
        A model that is deleted while it is shown is reported.
        """
        self.expected_problems.append("status of 404")  # calls that were under way
        self.publish(self.model_id, 1.0)
        self.show("models", self.model_id)
        expect(self.row("Versions", "v1")).to_be_visible()
        self.registry.delete_model(self.model_id)
        expect(self.page.get_by_text("This model was deleted.")).to_be_visible()

    def test_created_again(self) -> None:
        """
        A model that is created again under its id is shown again.
        """
        self.expected_problems.append("status of 404")
        self.publish(self.model_id, 1.0, 2.0)
        self.show("models", self.model_id, "versions", "1")
        details = self.page.get_by_role("region", name="Version 1")
        expect(details.get_by_role("button", name="Delete…")).to_be_visible()
        self.registry.delete_model(self.model_id)
        expect(details).to_contain_text("This version is gone.")
        expect(details.get_by_role("button", name="Delete…")).to_have_count(0)
        self.publish(self.model_id, 3.0)
        expect(self.page.get_by_text("This model was deleted.")).to_have_count(0)
        expect(self.page.get_by_role("button", name="Delete the model…")).to_be_visible()
        expect(details.get_by_role("button", name="Delete…")).to_be_visible()
        expect(self.row("Versions", "v1")).to_contain_text("3")
        expect(self.row("Versions", "v2")).to_have_count(0)
        expect(self.page.get_by_role("img", name="return of versions 1 to 1: from 3 to 3")).to_be_visible()

    def test_gone_meanwhile(self) -> None:
        """
        A version that went while no events arrived, as by a restart of the registry, is reported as gone, and has no
        actions.
        """
        self.expected_problems += ["status of 400", "status of 404"]
        self.publish(self.model_id, 1.0, 2.0)
        self.show("models", self.model_id, "versions", "1")
        details = self.page.get_by_role("region", name="Version 1")
        expect(details.get_by_role("button", name="Delete…")).to_be_visible()
        self.expire_cursor()
        self.page.evaluate(f"{EVENTS}.then(({{ events }}) => events.stop())")
        self.registry.delete_version(f"{self.model_id}@1")
        self.page.evaluate(f"{EVENTS}.then(({{ events }}) => events.start())")
        expect(details).to_contain_text("This version is gone.")
        expect(details.get_by_role("button", name="Delete…")).to_have_count(0)
        expect(details).to_contain_text("4 bytes")

    def test_long_name_of_a_metric(self) -> None:
        """
        The longest name of a metric does not make the page wider than its window.
        """
        self.registry.ensure_model(self.model_id)
        self.registry.publish(self.model_id, b"data", metrics={"m" * 100: 1.0})
        for size in (WIDE, NARROW):
            self.page.set_viewport_size(size)
            self.show("models", self.model_id)
            legend = self.page.locator(".u-legend")
            expect(legend).to_contain_text("mmm")
            box = legend.evaluate("(legend) => [legend.scrollWidth, legend.clientWidth]")
            self.assertLessEqual(*box)
            self.check_layout()


class ManyVersionsTests(PageTestCase):
    """
    A model with 100,000 versions, as the browser sees it: the registry's lists have their own tests.
    """

    def setUp(self) -> None:
        """
        Answer the calls about the model.
        """
        super().setUp()
        self.skips: list[int] = []
        self.count = MANY
        model = {"modelId": "large", "latestNumber": MANY, "versionCount": MANY}
        self.answer("GetModel", model)
        self.answer("GetVersion", version(MANY))
        self.answer("ListMetrics", {})
        self.answer("GetMetricSeries", {"series": [{"metric": "return", "numbers": [1], "values": [1.0]}]})
        self.answer("ListFollowers", {})
        self.answer("ListAliasEvents", {})
        self.page.route("**/api/v1/ListVersions", self.list_versions)

    def list_versions(self, route: Route) -> None:
        """
        Answer with a page of the versions, the newest first.
        """
        request = json.loads(route.request.post_data or "{}")
        skip = request.get("skip", 0)
        self.skips.append(skip)
        first = self.count - skip
        numbers = range(first, max(0, first - request["pageSize"]), -1)
        route.fulfill(json={"versions": [version(number) for number in numbers], "totalSize": self.count})

    def scroll(self, row: int) -> None:
        """
        Scroll the table to a row.
        """
        self.page.evaluate(f"document.querySelector('[role=grid]').scrollTop = {row * ROW_PIXELS}")

    def test_scroll(self) -> None:
        """
        The middle and the end of the list are shown after a scroll, and only rows around them are loaded and held.
        """
        self.show("models", "large")
        table = self.table("Versions")
        expect(table).to_have_attribute("aria-rowcount", str(MANY + 1))
        self.scroll(MANY - 50_000)
        row = self.row("Versions", "v50000")
        expect(row).to_be_visible()
        expect(row).to_have_attribute("aria-rowindex", str(MANY - 50_000 + 2))
        self.scroll(MANY)
        expect(self.row("Versions", "v1")).to_be_visible()
        self.assertLess(len(self.skips), 10)
        self.assertLess(self.page.locator("[role=row]").count(), 60)
        self.screenshot("end")

    def test_millions(self) -> None:
        """
        A list that is too high for a browser can be scrolled and walked through, too.
        """
        self.count = 40 * MANY
        self.show("models", "large")
        self.row("Versions", f"v{self.count}").focus()
        for key, number in (("End", 1), ("ArrowUp", 2), ("Home", self.count), ("ArrowDown", self.count - 1)):
            self.page.keyboard.press(key)
            expect(self.page.locator(f"[data-index='{self.count - number}']")).to_be_focused()
            expect(self.row("Versions", f"v{number}")).to_be_in_viewport()
        self.page.evaluate("document.querySelector('[role=grid]').scrollTop = 4_000_000")
        middle = re.compile(r"^(19|20)\d{5}$")
        expect(self.page.locator("[data-address]").nth(20)).to_have_attribute("data-index", middle)

    def test_keys(self) -> None:
        """
        The table is one stop of the Tab key; keys move within it, to both ends, and open a row.
        """
        self.show("models", "large")
        expect(self.row("Versions", f"v{MANY}")).to_be_visible()
        self.row("Versions", f"v{MANY}").focus()
        for key, row in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", MANY - 1), ("Home", 0)):
            self.page.keyboard.press(key)
            expect(self.page.locator(f"[data-index='{row}']")).to_be_focused()
        self.page.keyboard.press("PageDown")
        expect(self.page.locator("[data-index='0']:focus")).to_have_count(0)
        expect(self.page.locator("[data-address]:focus")).to_have_count(1)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("region", name=re.compile("Version 99"))).to_be_visible()
