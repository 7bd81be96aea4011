"""
Tests of the view of all models, in a browser.
"""

import re

from playwright.sync_api import expect

from tests.browser.case import PageTestCase

HOSTILE = (
    "<img src=x onerror=document.title='changed'>",
    "team/walker@3",
    "100%25/%2e%2e/#?a=b&c",
    "\u202egpj.exe",
    "\"quoted\" 'id'",
    "long-" + "x" * 190,
)


class ModelsViewTests(PageTestCase):
    """
    The list of models.
    """

    def test_models(self) -> None:
        """
        A model has its latest version, its number of versions, size, age, aliases and a metric with its course.
        """
        self.publish(self.model_id, 1.5, 2.5, 4.25)
        self.registry.set_alias(f"{self.model_id}@2", "production")
        self.show()
        row = self.row("Models", self.model_id)
        for text in ("v3", "3 versions", "4 B", "s ago|just now", "production 2", "4.25"):
            expect(row).to_contain_text(re.compile(text))
        expect(row.locator("polyline")).to_be_attached()
        self.screenshot("models")

    def test_no_models(self) -> None:
        """
        An empty registry is reported right below the headings, with the command that fills it.
        """
        self.answer("ListModels", {})
        self.show()
        hint = self.page.get_by_text("There are no models yet. twisted-registry push --create MODEL FILE")
        expect(hint).to_be_visible()
        above = self.table("Models").bounding_box()
        below = hint.bounding_box()
        assert above is not None and below is not None
        self.assertLess(above["height"], 100)
        self.assertLess(below["y"], 300)

    def test_live(self) -> None:
        """
        A new model, a new version and a moved alias are shown without asking for the list again.
        """
        self.show()
        expect(self.table("Models")).to_have_attribute("aria-busy", "false")
        asked: list[str] = []
        self.page.on("request", lambda request: asked.append(request.url))
        self.publish(self.model_id, 1.0)
        row = self.row("Models", self.model_id)
        expect(row).to_contain_text("v1")
        self.publish(self.model_id, 2.0)
        expect(row).to_contain_text("v2")
        self.registry.set_alias(f"{self.model_id}@1", "stable")
        expect(row).to_contain_text("stable 1")
        self.assertFalse([url for url in asked if "ListModels" in url or "GetModel" in url.replace("Metric", "")])
        self.registry.delete_model(self.model_id)
        expect(row).to_have_count(0)

    def test_said(self) -> None:
        """
        A screen reader is notified of a new version.
        """
        self.publish(self.model_id, 1.0)
        self.show()
        expect(self.row("Models", self.model_id)).to_be_visible()
        self.publish(self.model_id, 2.0)
        expect(self.page.locator("[data-role=news]")).to_contain_text(f"Version 2 of {self.model_id} was created")

    def test_filter(self) -> None:
        """
        A filter selects models and is part of the address; a wrong one is explained in place.
        """
        self.publish(f"{self.model_id}/a", 1.0)
        self.publish(f"{self.model_id}/b", 1.0, 2.0)
        self.show()
        search = self.page.get_by_role("searchbox")
        search.fill(f'model_id = "{self.model_id}/*" AND version_count > 1')
        expect(self.page.get_by_text("1 model", exact=True)).to_be_visible()
        expect(self.row("Models", f"{self.model_id}/b")).to_be_visible()
        expect(self.row("Models", f"{self.model_id}/a")).to_have_count(0)
        self.page.reload()
        expect(self.row("Models", f"{self.model_id}/b")).to_be_visible()
        expect(self.row("Models", f"{self.model_id}/a")).to_have_count(0)
        self.expected_problems.append("status of 400")
        search.fill("version_count > ten")
        expect(self.page.get_by_role("alert")).to_contain_text("column 17")

    def test_changes_of_a_filtered_list(self) -> None:
        """
        A change that may belong to a filtered list is offered, and shown on request.
        """
        self.publish(f"{self.model_id}/a", 1.0)
        self.show("models", query=f"?filter=model_id = {self.model_id}/*")
        expect(self.row("Models", f"{self.model_id}/a")).to_be_visible()
        self.publish(f"{self.model_id}/b", 1.0)
        expect(self.row("Models", f"{self.model_id}/b")).to_have_count(0)
        self.page.get_by_role("button", name="Load it again").click()
        expect(self.row("Models", f"{self.model_id}/b")).to_be_visible()

    def test_order(self) -> None:
        """
        A click on a heading orders the models, and another one turns the order around.
        """
        self.publish(f"{self.model_id}/a", 1.0)
        self.publish(f"{self.model_id}/b", 1.0, 2.0)
        self.show("models", query=f"?filter=model_id = {self.model_id}/*")
        rows = self.table("Models").get_by_role("row")
        versions = self.page.get_by_role("button", name="Versions")
        versions.click()
        expect(rows.nth(1)).to_contain_text(f"{self.model_id}/b")
        heading = self.page.get_by_role("columnheader", name="Versions")
        expect(heading).to_have_attribute("aria-sort", "descending")
        versions.click()
        expect(rows.nth(1)).to_contain_text(f"{self.model_id}/a")
        expect(heading).to_have_attribute("aria-sort", "ascending")

    def test_names_of_metrics(self) -> None:
        """
        A metric may have a name that every object in a browser has: models and versions without it show no value.
        """
        self.registry.ensure_model(self.model_id)
        self.registry.publish(self.model_id, b"data", metrics={"return": 1.0})
        self.registry.publish(self.model_id, b"data", metrics={"constructor": 2.5})
        self.publish(f"{self.model_id}/other", 4.25)
        self.show()
        self.page.get_by_label("Metric", exact=True).select_option("constructor")
        links = self.page.get_by_role("link", name=self.model_id, exact=True)
        expect(self.table("Models").get_by_role("row").filter(has=links)).to_contain_text("2.5")
        expect(self.row("Models", f"{self.model_id}/other")).not_to_contain_text("∞")
        links.click()
        expect(self.row("Versions", "v2")).to_contain_text("2.5")
        expect(self.row("Versions", "v1")).not_to_contain_text("∞")

    def test_hostile_ids(self) -> None:
        """
        The id of a model is text, whatever it contains, leads to this model, and cannot turn its direction around.
        """
        for model_id in HOSTILE:
            self.publish(model_id, 1.0)
        self.show()
        for model_id in HOSTILE:
            shown = model_id.replace("\u202e", "\ufffd")
            self.page.get_by_role("link", name=shown, exact=True).click()
            expect(self.page.get_by_role("heading", level=1)).to_have_text(shown)
            expect(self.row("Versions", "v1")).to_be_visible()
            self.page.reload()
            expect(self.row("Versions", "v1")).to_be_visible()
            expect(self.page).to_have_title(f"{model_id} · Model registry")
            self.page.go_back()
        expect(self.page).to_have_title("Models · Model registry")
        self.assertEqual(self.page.locator("img").count(), 0)
        expect(self.table("Models").get_by_role("row").nth(1)).to_contain_text("4 B")
        self.screenshot("hostile")
        for model_id in HOSTILE:
            self.registry.delete_model(model_id)
