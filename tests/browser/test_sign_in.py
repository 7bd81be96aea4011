"""
Tests of the page with access control, in a browser.
"""

import signal
import time
from collections.abc import Sequence
from typing import ClassVar

from playwright.sync_api import expect

from tests.browser.case import PageTestCase
from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token


class SignInTests(PageTestCase):
    """
    A registry that wants to know its callers.
    """

    flags: ClassVar[Sequence[str]] = ("--http-port", "0", "--tokens-file", "tokens")
    tokens: ClassVar[dict[str, str]] = {}

    def prepare(self) -> None:
        """
        Write the tokens.
        """
        self.directory.mkdir(parents=True)
        with editing_tokens(self.directory / "tokens") as records:
            for name, role, model in (("ann", "admin", "*"), ("rita", "reader", "mine/*"), ("lou", "reader", "*")):
                token = Token.make()
                records.append(TokenRecord(token.id, name, token.sha256, role, (model,), int(time.time()), None))
                self.tokens[name] = token.text

    def credential(self) -> str:
        """
        Return the administrator's token.
        """
        return self.tokens["ann"]

    def setUp(self) -> None:
        """
        Make a model, as the administrator.
        """
        super().setUp()
        self.publish("mine/walker", 1.0)
        self.publish("others/walker", 1.0)
        self.expected_problems += ["status of 401", "status of 403"]

    def sign_in(self, token: str) -> None:
        """
        Fill in the form.
        """
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("main").get_by_role("button", name="Sign in").click()

    def test_sign_in(self) -> None:
        """
        The page asks for a token, refuses a wrong one, and then shows the view that was asked for.
        """
        self.open("/#/models/mine%2Fwalker")
        self.sign_in("wrong")
        expect(self.page.get_by_role("alert")).to_contain_text("token")
        self.screenshot("refused")
        self.sign_in(self.tokens["ann"])
        expect(self.row("Versions", "v1")).to_be_visible()
        expect(self.page.get_by_title("You are token:ann")).to_be_visible()

    def test_token(self) -> None:
        """
        The token lasts as long as the tab, and is in no address and no lasting storage.
        """
        addresses: list[str] = []
        self.page.on("request", lambda request: addresses.append(request.url))
        self.open()
        self.sign_in(self.tokens["ann"])
        expect(self.row("Models", "mine/walker")).to_be_visible()
        self.page.reload()
        expect(self.row("Models", "mine/walker")).to_be_visible()
        self.assertFalse([url for url in (*addresses, self.page.url) if self.tokens["ann"] in url])
        self.assertNotIn(self.tokens["ann"], self.page.evaluate("JSON.stringify(localStorage) + document.cookie"))
        other = self.context.new_page()
        other.goto("/")
        expect(other.get_by_label("Token")).to_be_visible()

    def test_revoked(self) -> None:
        """
        A page whose token is revoked asks for another one, says why, and shows what was open then.
        """
        self.open("/#/models/mine%2Fwalker")
        self.sign_in(self.tokens["lou"])
        expect(self.page.get_by_text("Live", exact=True)).to_be_attached()
        with editing_tokens(self.directory / "tokens") as records:
            records[:] = [record for record in records if record.name != "lou"]
        self.daemon.process.send_signal(signal.SIGHUP)
        expect(self.page.get_by_role("alert")).to_contain_text("token")
        self.sign_in(self.tokens["ann"])
        expect(self.row("Versions", "v1")).to_be_visible()
        expect(self.page.get_by_title("You are token:ann")).to_be_visible()

    def test_sign_out(self) -> None:
        """
        After the user has signed out, the page holds neither the token nor any data.
        """
        self.open()
        self.sign_in(self.tokens["ann"])
        expect(self.row("Models", "mine/walker")).to_be_visible()
        self.page.get_by_role("button", name="Sign out").click()
        expect(self.page.get_by_label("Token")).to_be_visible()
        self.assertEqual(self.page.evaluate("sessionStorage.length"), 0)
        self.assertNotIn("walker", self.page.inner_text("body"))

    def test_permissions(self) -> None:
        """
        A user sees the models that they may read, live, and learns which permission is missing for another one.
        """
        self.open()
        self.sign_in(self.tokens["rita"])
        expect(self.row("Models", "mine/walker")).to_be_visible()
        expect(self.row("Models", "others/walker")).to_have_count(0)
        expect(self.page.get_by_text("Live", exact=True)).to_be_visible()
        self.publish("others/walker", 2.0)
        self.publish("mine/walker", 2.0)
        expect(self.row("Models", "mine/walker")).to_contain_text("2 versions")
        expect(self.row("Models", "others/walker")).to_have_count(0)
        self.open("/#/models/others%2Fwalker")
        alert = self.page.get_by_role("alert").first
        expect(alert).to_contain_text("Not permitted")
        expect(alert).to_contain_text("lacks the permission 'read' on model 'others/walker'")
        self.screenshot("denied")
