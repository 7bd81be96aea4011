"""
Tests of the actions of the page: archive, move an alias, roll back, delete.
"""

import re
import time
from typing import Any, ClassVar

from playwright.sync_api import Locator, Route, expect

from tests.support.browser import NARROW, BrowserTestCase
from tests.support.http_api import HttpClient
from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.client import BlockingClient


class ActionsCase(BrowserTestCase):
    """
    A model with two archived versions and a transient one, and an alias that was moved once.

    Attributes:
        token: the token with which the model is made.
    """

    token: str | None = None
    _seen: ClassVar[set[str]] = set()

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.make_model()

    def make_model(self) -> None:
        """
        Make the model by gRPC and HTTP.
        """
        with BlockingClient(self.daemon.address, token=self.token) as client:
            client.ensure_model(self.model_id)
            for create in (client.store, client.store, client.publish):
                create(self.model_id, b"data")
        for number in (1, 2):
            self.move("production", number)

    def move(self, alias: str, number: int, **fields: Any) -> None:
        """
        Move an alias, as another client does.
        """
        status, reply = self.http.post("SetAlias", reference=f"{self.model_id}@{number}", alias=alias, **fields)
        self.assertEqual(status, 200, reply)

    def aliases(self) -> dict[str, int]:
        """
        Return the aliases of the model.
        """
        aliases: dict[str, int] = self.http.get("GetModel", modelId=self.model_id)[1].get("aliases", {})
        return aliases

    def moves(self) -> list[dict[str, Any]]:
        """
        Return the moves of the model's aliases, the newest first.
        """
        events: list[dict[str, Any]] = self.http.get("ListAliasEvents", modelId=self.model_id)[1]["events"]
        return events

    def open_model(self, number: int = 0) -> None:
        """
        Open the model in the browser, with the details of a version.
        """
        self.open(f"/#/models/{self.model_id}" + (f"/versions/{number}" if number else ""))

    def button(self, name: str) -> Locator:
        """
        Return a button outside of dialogs.
        """
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        """
        The dialog that is open.
        """
        return self.page.get_by_role("dialog")

    def open_dialog(self, name: str) -> Locator:
        """
        Press a button, and return the dialog that it opens, which axe accepts the first time.
        """
        button = self.button(name)
        expect(button).not_to_have_attribute("aria-disabled", "true")
        button.click()
        expect(self.dialog).to_be_visible()
        if name not in self._seen:  # axe takes long
            self._seen.add(name)
            self.check_accessibility()
            self.screenshot(re.sub(r"\W+", "-", name))
        return self.dialog

    def confirm(self, name: str) -> None:
        """
        Confirm the dialog that is open.
        """
        self.dialog.get_by_role("button", name=name).click()


class VersionTests(ActionsCase):
    """
    The actions of a version.
    """

    def test_archive(self) -> None:
        """
        A transient version is archived after a confirmation, and stays where the user is; an archived one cannot be.
        """
        self.open_model(3)
        expect(self.open_dialog("Archive…")).to_contain_text(
            "Version 3 of test_archive (4 B) is written to the archive"
        )
        self.confirm("Archive")
        expect(self.dialog).to_have_count(0)
        expect(self.page.get_by_text("Version 3 is archived.")).to_be_visible()
        expect(self.button("Archive…")).to_be_focused()
        expect(self.button("Archive…")).to_have_accessible_description("It is archived already.")
        self.assertTrue(self.http.get("GetVersion", reference=f"{self.model_id}@3")[1]["archived"])

    def test_new_alias(self) -> None:
        """
        A new alias is set to a transient version, which is archived by that; the dialog says so.
        """
        self.open_model(3)
        dialog = self.open_dialog("Set an alias…")
        expect(dialog.get_by_label("Alias")).to_be_focused()
        for wrong, said in (("latest", "are reserved"), ("v3", "are reserved"), ("9a", "is a letter")):
            dialog.get_by_label("Alias").fill(wrong)
            expect(dialog).to_contain_text(said)
            expect(dialog.get_by_role("button", name="Set the alias")).to_be_disabled()
        dialog.get_by_label("Alias").fill("canary")
        expect(dialog).to_contain_text("canary is a new alias: it names version 3.")
        expect(dialog).to_contain_text("The version is archived first.")
        dialog.get_by_label("Reason").fill("falls less")
        self.confirm("Set the alias")
        expect(self.dialog).to_have_count(0)
        expect(self.page.locator(".history")).to_contain_text("falls less")
        self.assertEqual(self.aliases(), {"production": 2, "canary": 3})

    def test_by_keyboard(self) -> None:
        """
        An alias is moved with keys alone, and Escape closes the dialog, and nothing else, before.
        """
        self.open_model(3)
        expect(self.button("Set an alias…")).not_to_have_attribute("aria-disabled", "true")
        self.button("Set an alias…").focus()
        self.page.keyboard.press("Enter")
        expect(self.dialog.get_by_label("Alias")).to_be_focused()
        self.page.keyboard.press("Escape")
        expect(self.dialog).to_have_count(0)
        expect(self.button("Set an alias…")).to_be_focused()
        self.page.keyboard.press("Enter")
        expect(self.dialog.get_by_label("Alias")).to_be_focused()
        self.page.keyboard.type("production")
        expect(self.dialog).to_contain_text("production moves from version 2 to version 3.")
        self.page.keyboard.press("Enter")
        expect(self.dialog).to_have_count(0)
        expect(self.button("Set an alias…")).to_be_focused()
        self.assertEqual(self.aliases(), {"production": 3})

    def test_concurrent_move(self) -> None:
        """
        If somebody else moves the alias first, nothing is moved; the dialog shows what it names now, and the user may
        confirm again.
        """

        def overtake(route: Route) -> None:
            self.move("production", 1)
            route.continue_()

        self.expected_problems.append("status of 409")
        self.open_model(3)
        dialog = self.open_dialog("Set an alias…")
        dialog.get_by_label("Alias").fill("production")
        expect(dialog).to_contain_text("moves from version 2 to version 3")
        self.page.route("**/SetAlias", overtake, times=1)
        self.confirm("Move the alias")
        expect(dialog.get_by_role("alert")).to_contain_text("production names version 1 by now, so nothing was moved")
        expect(dialog).to_contain_text("moves from version 1 to version 3")
        self.assertEqual(self.aliases(), {"production": 1})
        self.check_accessibility()
        self.screenshot("overtaken")
        self.confirm("Move the alias")
        expect(self.dialog).to_have_count(0)
        self.assertEqual(self.aliases(), {"production": 3})

    def test_lost_answer(self) -> None:
        """
        If the answer is lost, the user confirms again, and the move is not made twice, although somebody else has moved
        the alias between.
        """

        def lose(route: Route) -> None:
            self.assertEqual(route.fetch().status, 200)
            route.abort()

        self.expected_problems.append("net::ERR_FAILED")
        self.open_model(3)
        dialog = self.open_dialog("Set an alias…")
        dialog.get_by_label("Alias").fill("production")
        expect(dialog).to_contain_text("moves from version 2 to version 3")
        self.page.route("**/SetAlias", lose, times=1)
        self.confirm("Move the alias")
        expect(dialog.get_by_role("alert")).to_contain_text("it is not made twice")
        self.move("production", 1)
        self.confirm("Move the alias")
        expect(self.dialog).to_have_count(0)
        self.assertEqual([(it.get("fromNumber", 0), it["toNumber"]) for it in self.moves()[:2]], [(3, 1), (2, 3)])

    def test_delete(self) -> None:
        """
        A version is deleted after a confirmation, unless an alias names it.
        """
        self.open_model(1)
        expect(self.open_dialog("Delete…")).to_contain_text("This cannot be undone.")
        self.confirm("Cancel")
        self.assertEqual(self.http.get("GetVersion", reference=f"{self.model_id}@1")[0], 200)
        self.open_dialog("Delete…")
        self.confirm("Delete for good")
        expect(self.dialog).to_have_count(0)
        expect(self.page.get_by_text("Version 1 was deleted.")).to_be_visible()
        self.assertEqual(self.http.get("GetVersion", reference=f"{self.model_id}@1")[0], 404)
        self.open_model(2)
        expect(self.button("Delete…")).to_have_accessible_description(re.compile("move or remove “production” first"))
        self.button("Delete…").click(force=True)
        expect(self.dialog).to_have_count(0)


class HistoryTests(ActionsCase):
    """
    The history of aliases, and the way back.
    """

    def test_roll_back(self) -> None:
        """
        An alias moves back to what it named before; the history shows it at once, also moves of others.
        """
        self.open_model()
        history = self.page.locator(".history")
        expect(history.locator("li")).to_have_count(2)
        expect(history.locator("li").first).to_contain_text(re.compile(r"production\s*version 1\s*→\s*to\s*version 2"))
        dialog = self.open_dialog("Roll production back to 1…")
        expect(dialog).to_contain_text("production moves from version 2 to version 1.")
        self.confirm("Roll back")
        expect(self.dialog).to_have_count(0)
        expect(history.locator("li")).to_have_count(3)
        self.assertEqual(self.aliases(), {"production": 1})
        self.assertEqual(self.moves()[0]["reason"], "rollback from version 2")
        self.move("production", 2, reason="again")
        expect(history.locator("li").first).to_contain_text("again")
        self.assertIs(self.page.evaluate("document.activeElement === document.body"), False)

    def test_restore(self) -> None:
        """
        An alias that was removed is restored where it was, also with the dark theme.
        """
        self.page.emulate_media(color_scheme="dark")
        self.assertEqual(self.http.post("DeleteAlias", modelId=self.model_id, alias="production")[0], 200)
        self.open_model()
        dialog = self.open_dialog("Restore production at 2…")
        expect(dialog).to_contain_text("production exists again: it names version 2.")
        self.confirm("Restore")
        expect(self.dialog).to_have_count(0)
        self.assertEqual(self.aliases(), {"production": 2})
        self.assertEqual(self.moves()[0]["reason"], "restored")
        self.check_accessibility()

    def test_overtaken_roll_back(self) -> None:
        """
        If somebody else moves the alias while the dialog is open, nothing is moved.
        """
        self.expected_problems.append("status of 409")
        self.open_model()
        dialog = self.open_dialog("Roll production back to 1…")
        self.move("production", 3)
        self.confirm("Roll back")
        expect(dialog.get_by_role("alert")).to_contain_text("names version 3 by now")
        expect(dialog).to_contain_text("moves from version 3 to version 1")
        self.assertEqual(self.aliases(), {"production": 3})

    def test_pages(self) -> None:
        """
        Older moves are shown on demand.
        """
        for number in range(21):
            self.move("production", 1 + number % 2)
        self.open_model()
        history = self.page.locator(".history li")
        expect(history).to_have_count(20)
        self.button("Show older moves").click()
        expect(history).to_have_count(23)
        expect(self.button("Show older moves")).to_have_count(0)


class ModelTests(ActionsCase):
    """
    The action of a model.
    """

    viewport: ClassVar = NARROW

    def test_delete(self) -> None:
        """
        A model is deleted once its id is typed; then the models are shown.
        """
        self.open_model()
        dialog = self.open_dialog("Delete the model…")
        expect(dialog).to_contain_text("3 versions (2 archived), 1 alias")
        expect(dialog.get_by_label("Type the id")).to_be_focused()
        confirm = dialog.get_by_role("button", name="Delete the model for good")
        for typed in ("", "test", f"{self.model_id} "):
            dialog.get_by_label("Type the id").fill(typed)
            expect(confirm).to_be_disabled()
        dialog.get_by_label("Type the id").fill(self.model_id)
        confirm.click()
        expect(self.page.get_by_role("heading", name="Models")).to_be_visible()
        expect(self.page.get_by_text(f"Model {self.model_id} was deleted.").first).to_be_visible()
        self.assertEqual(self.http.get("GetModel", modelId=self.model_id)[0], 404)


class PermissionTests(ActionsCase):
    """
    A registry with access control.
    """

    flags: ClassVar = ("--http-port", "0", "--tokens-file", "tokens")
    tokens: ClassVar[dict[str, str]] = {}

    def prepare(self) -> None:
        """
        Write the tokens.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with editing_tokens(self.directory / "tokens") as records:
            for role in ("admin", "reader"):
                token = Token.make()
                self.tokens[role] = token.text
                record = TokenRecord(token.id, role, token.sha256, role, ("*",), int(time.time()), None)
                records.append(record)

    def make_model(self) -> None:
        """
        Make the model, with the token of the admin.
        """
        self.http = HttpClient(int(self.origin.rpartition(":")[2]), self.tokens["admin"])
        self.token = self.tokens["admin"]
        super().make_model()

    def sign_in(self, role: str) -> None:
        """
        Sign in.
        """
        self.expected_problems.append("status of 401")
        self.open_model(3)
        self.page.get_by_label("Token").fill(self.tokens[role])
        self.page.get_by_role("button", name="Sign in").click()

    def test_reader(self) -> None:
        """
        Actions that a reader may not take are shown, disabled and with the reason; they can be reached and do nothing.
        """
        self.sign_in("reader")
        for name, action in (("Archive…", "archive"), ("Set an alias…", "alias"), ("Delete…", "delete")):
            button = self.button(name)
            expect(button).to_have_accessible_description(re.compile(f"You lack the permissions? .*“{action}”"))
            button.focus()
            self.page.keyboard.press("Enter")
            expect(self.dialog).to_have_count(0)
        expect(self.button("Delete the model…")).to_have_attribute("aria-disabled", "true")
        expect(self.button("Roll production back to 1…")).to_have_attribute("aria-disabled", "true")
        expect(self.page.get_by_text("You lack the permissions “archive”, “alias”, and “delete”")).to_be_visible()
        self.check_accessibility()
        self.screenshot("reader")

    def test_lost_permission(self) -> None:
        """
        If the server refuses all the same, the dialog says so and stays open.
        """
        self.expected_problems.append("status of 403")
        self.sign_in("admin")
        dialog = self.open_dialog("Delete…")
        headers = {"Authorization": f"Bearer {self.tokens['reader']}"}
        self.page.route("**/DeleteVersion", lambda route: route.continue_(headers={**route.request.headers, **headers}))
        self.confirm("Delete for good")
        expect(dialog.get_by_role("alert")).to_contain_text("You may not do this")
        expect(dialog.get_by_role("alert")).to_contain_text("delete")
        self.screenshot("refused")
        self.assertEqual(self.http.get("GetVersion", reference=f"{self.model_id}@3")[0], 200)
