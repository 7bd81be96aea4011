"""
Tests of the page as a whole, in a browser: keys, themes, widths, and what screen readers find.
"""

import re

from playwright.sync_api import expect

from tests.browser.case import PageTestCase
from tests.support.browser import NARROW

VIEWS = (("models",), ("models", "team/walker"), ("models", "team/walker", "versions", "2"), ("server",))


class PageTests(PageTestCase):
    """
    All views.
    """

    def views(self) -> None:
        """
        Make a model with all that can be shown.
        """
        self.publish("team/walker", 1.0, 3.0, 2.0, env="walker")
        self.registry.update_model("team/walker", {"owner": "ada"})
        self.registry.set_alias("team/walker@2", "production", reason="best so far")

    def open_view(self, *parts: str) -> None:
        """
        Open a view, and wait until it is complete.
        """
        self.show(*parts)
        headings = {"models": "Models", "server": "Load"}
        heading = headings[parts[0]] if len(parts) == 1 else "team/walker"
        expect(self.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        if len(parts) > 1:
            self.page.locator(".plot canvas").wait_for()
        self.page.wait_for_load_state()

    def test_accessible(self) -> None:
        """
        axe-core finds nothing wrong with any view, in both themes.
        """
        self.views()
        for theme in ("light", "dark"):
            self.page.emulate_media(color_scheme=theme)
            for parts in VIEWS:
                with self.subTest(theme=theme, parts=parts):
                    self.open_view(*parts)
                    self.check_accessibility()
                    self.screenshot(f"{theme}.{parts[0]}{len(parts)}")

    def test_narrow(self) -> None:
        """
        In a window of 400 pixels nothing is wider than the window, and axe-core finds nothing wrong with the tables.
        """
        self.views()
        self.page.set_viewport_size(NARROW)
        for parts in VIEWS:
            with self.subTest(parts=parts):
                self.open_view(*parts)
                self.check_layout()
                self.screenshot(f"{parts[0]}{len(parts)}")
        self.open_view("models", "team/walker")
        self.check_accessibility()

    def test_help(self) -> None:
        """
        The list of keys is accessible, and returns the focus to where it was.
        """
        self.show()
        button = self.page.get_by_role("button", name="Keyboard shortcuts")
        button.focus()
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        self.check_accessibility()
        self.page.keyboard.press("Escape")
        expect(self.page.get_by_role("dialog")).to_have_count(0)
        expect(button).to_be_focused()

    def test_walk(self) -> None:
        """
        The Tab key reaches everything in the order of the page, and each stop shows where the focus is.
        """
        self.publish("walked", 1.0)
        self.show()
        expect(self.row("Models", "walked")).to_be_visible()
        stops = []
        for _ in range(12):
            self.page.keyboard.press("Tab")
            stops.append(self.focused())
            outline = self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            self.assertNotEqual(outline, "none", stops[-1])
            if stops[-1].startswith("row"):
                break
        expected = ["Skip to the content", "Models", "Server", "Dark theme", "Keyboard shortcuts", "Filter of models"]
        self.assertEqual(stops[:6], expected)
        self.assertEqual(stops[-1], "row 0")
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("heading", level=1)).not_to_have_text("Models")

    def test_shortcuts(self) -> None:
        """
        Single keys lead to the search and the views, not while the user types, and can be turned off.
        """
        self.show()
        search = self.page.get_by_role("searchbox")
        self.page.keyboard.press("/")
        expect(search).to_be_focused()
        self.page.keyboard.type("s/m")
        expect(search).to_have_value("s/m")
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("s")
        expect(self.page.get_by_role("heading", name="Server")).to_be_visible()
        self.page.keyboard.press("m")
        expect(self.page.get_by_role("heading", name="Models")).to_be_visible()
        self.page.keyboard.press("?")
        self.page.get_by_role("checkbox").uncheck()
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("s")
        expect(self.page.get_by_role("heading", name="Models")).to_be_visible()

    def test_theme(self) -> None:
        """
        The theme is that of the system until the user chooses the other one, which lasts.
        """

        def ground() -> str:
            return str(self.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

        self.page.emulate_media(color_scheme="light")
        self.show()
        light = ground()
        toggle = self.page.get_by_role("button", name="Dark theme")
        expect(toggle).to_have_attribute("aria-pressed", "false")
        toggle.click()
        expect(toggle).to_have_attribute("aria-pressed", "true")
        dark = ground()
        self.assertNotEqual(dark, light)
        self.page.reload()
        self.assertEqual(ground(), dark)
        expect(toggle).to_have_attribute("aria-pressed", "true")
        toggle.click()
        self.assertEqual(ground(), light)
        self.page.emulate_media(color_scheme="dark")
        self.assertEqual(ground(), dark)

    def test_reduced_motion(self) -> None:
        """
        Nothing moves for users who do not want it.
        """
        self.publish("still", 1.0)
        self.page.emulate_media(reduced_motion="reduce")
        self.show()
        row = self.row("Models", "still")
        expect(row).to_be_visible()
        self.publish("still", 2.0)
        expect(row).to_have_attribute("data-fresh", re.compile("."))
        self.assertEqual(row.evaluate("each => getComputedStyle(each).animationName"), "none")

    def test_policy(self) -> None:
        """
        The page runs without inline scripts and styles, and its policy refuses them.
        """
        self.show()
        self.expected_problems += ["Content Security Policy", "TrustedScript", "TrustedHTML", "violates"]
        inline = "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
        self.page.evaluate(f"() => {{ try {{ {inline} }} catch {{}} }}")
        self.assertIsNone(self.page.evaluate("window.ran ?? null"))

    def test_landmarks(self) -> None:
        """
        The page has the landmarks by which screen readers move, and one heading of the first level.
        """
        self.show()
        for role in ("banner", "main", "search"):
            expect(self.page.get_by_role(role)).to_have_count(1)
        expect(self.page.get_by_role("navigation", name="Views")).to_be_visible()
        expect(self.page.get_by_role("heading", level=1)).to_have_count(1)
        expect(self.page.get_by_role("grid", name="Models")).to_have_attribute("aria-colcount", "7")
