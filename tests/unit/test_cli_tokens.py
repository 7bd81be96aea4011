"""
Tests of the commands for access tokens.
"""

import json
import time
from pathlib import Path
from typing import Any

from attrs import evolve
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.access.tokens.file import TOKEN_FILE, TokenRecord, editing_tokens, parse_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.cli.commands.token import token
from twisted_registry.cli.tokens import TOKENS_VARIABLE

_DAY_SECONDS = 86_400


class TokenCommandTests(SynchronousTestCase):
    """
    ``twisted-registry token`` changes the file of tokens.
    """

    def setUp(self) -> None:
        """
        Choose a file.
        """
        self.path = Path(self.mktemp())
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def run_command(self, *words: str) -> Result:
        """
        Run a command on the file.
        """
        return CliRunner().invoke(token, [*words], env={TOKENS_VARIABLE: str(self.path)})

    def create(self, *words: str) -> Any:
        """
        Create a token, and return its JSON object.
        """
        given = ["create", "trainer", "--role", "publisher", "--model", "team-a/*", "--json", *words]
        return json.loads(self.run_command(*given).stdout)

    def records(self) -> list[TokenRecord]:
        """
        Return the tokens in the file.
        """
        return list(parse_tokens(TOKEN_FILE.read(self.path)))

    def test_create(self) -> None:
        """
        A new token is printed alone on stdout, and the file has its hash; by default it ends in 90 days.
        """
        done = self.run_command("create", "ci", "--role", "reader", "--model", "a", "--model", "b/*")
        made = Token.parse(done.stdout.removesuffix("\n"))
        assert made is not None
        (record,) = self.records()
        self.assertEqual(
            (record.id, record.name, record.sha256, record.role, record.models),
            (made.id, "ci", made.sha256, "reader", ("a", "b/*")),
        )
        assert record.expires_seconds is not None
        self.assertEqual(record.expires_seconds - record.created_seconds, 90 * _DAY_SECONDS)
        self.assertIn("shown only now", done.stderr)
        self.assertNotIn(made.secret, done.stderr + self.path.read_text())

    def test_expires(self) -> None:
        """
        A token ends after a given time, or never.
        """
        self.assertIsNone(self.create("--expires", "never")["expires"])
        self.create("--expires", "12h")
        record = self.records()[-1]
        assert record.expires_seconds is not None
        self.assertEqual(record.expires_seconds - record.created_seconds, _DAY_SECONDS // 2)

    def test_invalid(self) -> None:
        """
        A bad pattern, name or age is a usage error, and nothing is written.
        """
        for name, options in (
            ("x", ["--model", "team-a*"]),
            ("a b", ["--model", "*"]),
            ("", ["--model", "*"]),
            ("x", ["--model", "*", "--expires", "soon"]),
            ("x", []),
        ):
            done = self.run_command("create", name, "--role", "reader", *options)
            self.assertEqual(done.exit_code, 2, options)
        self.assertFalse(self.path.exists())

    def test_ls(self) -> None:
        """
        The list has no secrets, and marks tokens that have ended.
        """
        made = self.create()
        self.create("--expires", "never")
        with editing_tokens(self.path) as records:
            records[0] = evolve(records[0], expires_seconds=int(time.time()) - 1)
        lines = self.run_command("ls").stdout.splitlines()
        self.assertEqual([line.split("\t")[-1] for line in lines], ["expired", "never"])
        self.assertNotIn(made["token"], "".join(lines))
        objects = [json.loads(line) for line in self.run_command("ls", "--json").stdout.splitlines()]
        self.assertEqual(objects[0]["id"], made["id"])
        self.assertNotIn("token", objects[0])

    def test_revoke(self) -> None:
        """
        Tokens are revoked by id, or all of a name; an unknown one is an error that changes nothing.
        """
        first, second = self.create(), self.create()
        self.assertEqual(self.run_command("revoke", first["id"], "nobody").exit_code, 1)
        self.assertEqual(len(self.records()), 2)
        self.run_command("revoke", first["id"])
        self.assertEqual([record.id for record in self.records()], [second["id"]])
        self.create()
        self.run_command("revoke", "trainer")
        self.assertEqual(self.records(), [])

    def test_rotate(self) -> None:
        """
        A new token has the permissions and the life of the old one, which ends after the grace.
        """
        old = self.create("--expires", "30d")
        new = json.loads(self.run_command("rotate", "trainer", "--grace", "1h", "--json").stdout)
        before, after = self.records()
        self.assertEqual((before.id, after.id), (old["id"], new["id"]))
        self.assertEqual((after.name, after.role, after.models), ("trainer", "publisher", ("team-a/*",)))
        assert before.expires_seconds is not None
        assert after.expires_seconds is not None
        self.assertEqual(after.expires_seconds - after.created_seconds, 30 * _DAY_SECONDS)
        self.assertEqual(before.expires_seconds - after.created_seconds, 3600)

    def test_rotate_by_name(self) -> None:
        """
        If a name has several valid tokens, the one to replace must be named by its id.
        """
        first = self.create()
        self.create()
        self.assertEqual(self.run_command("rotate", "trainer").exit_code, 1)
        self.assertEqual(self.run_command("rotate", first["id"]).exit_code, 0)

    def test_bad_file(self) -> None:
        """
        A file that cannot be used is an error with its reason, and stays as it is.
        """
        self.create()
        self.path.chmod(0o644)
        done = self.run_command("ls")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("chmod 600", done.stderr)
        self.assertEqual(self.run_command("revoke", "trainer").exit_code, 1)
