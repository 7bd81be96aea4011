"""
Tests of the guide on security: its commands run, in its order.
"""

import os
import shlex
from pathlib import Path

from tests.functional.test_access import AccessTestCase
from tests.support.cli import TWISTED_REGISTRY
from tests.support.daemon import Daemon
from tests.support.guide import blocks, run_program, run_shell
from twisted_registry.access.policy.file import parse_policy
from twisted_registry.domain.access import Action

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "secure.md").read_text()


class PageTests(AccessTestCase):
    """
    The page's commands in a directory with a certificate.
    """

    def setUp(self) -> None:
        """
        Read the page; it makes its tokens itself.
        """
        super().setUp()
        self.tokens.unlink()
        found = blocks(PAGE)
        self.assertEqual([block.language for block in found], ["sh", "sh", "python", "sh", "toml", "sh"])
        self.start_text, self.shell, self.python, self.token_text, self.policy, self.rotation = (
            block.text for block in found
        )

    def run_lines(self, text: str) -> str:
        """
        Run a block in a shell that stops at the first error, and return what it prints.
        """
        path = f"{os.path.dirname(TWISTED_REGISTRY)}:{os.environ['PATH']}"
        environment = {"PATH": path, "XDG_CONFIG_HOME": str(self.directory / "config")}
        done = run_shell(self.directory, f"set -eu\n{text}", environment)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_commands(self) -> None:
        """
        A daemon that is started as the page says serves the page's clients, and the page's tokens.
        """
        create, _, start = self.start_text.partition("twistd ")
        self.run_lines(create)
        words = shlex.split(start.replace("\\\n", " "))
        daemon = Daemon(self.directory, [*words[words.index("model-registry") + 1 :], "--port", "0"])
        self.addCleanup(daemon.kill)
        daemon.start()
        address = f"localhost:{daemon.port}"
        kept, *listed = self.run_lines(self.shell.replace("localhost:9000", address)).splitlines()
        self.assertIn("knows you as token:trainer (token ", kept)
        self.assertEqual(listed, ["walker\tteam=blue"] * 2)
        program = self.python.replace("localhost:9000", address)
        called = f"{program}\nprint([model.model_id for model in client.models()])\n"
        done = run_program(self.directory, called.replace("import Client,", "import BlockingClient as Client,"))
        self.assertEqual(done.stdout, "['walker']\n", done.stderr)
        printed = self.run_lines(self.token_text)
        for name in ("trainer.token", "ci.token"):
            self.assertEqual((self.directory / name).stat().st_mode & 0o077, 0)
        self.assertIn("revoked", printed)
        self.assertIn("team-a/*, walker", printed)

    def test_policy(self) -> None:
        """
        The page's policy can be read, and the daemon takes it.
        """
        rules = parse_policy(self.policy.encode())
        self.assertEqual(rules.roles["releaser"], {Action.READ, Action.ARCHIVE, Action.ALIAS})
        subjects = {subject for subject, _ in rules.grants}
        self.assertEqual(subjects, {"token:ci", "certificate:trainer.example.com", "anyone"})
        (self.directory / "policy.toml").write_text(self.policy)
        self.start("--policy-file", "policy.toml")
