"""
Tests of the guide on the Unix socket: its commands run, in its order.
"""

import shlex
from pathlib import Path

from tests.functional import test_unix_socket
from tests.support.cli import TWISTED_REGISTRY
from tests.support.daemon import Daemon, run_command
from tests.support.guide import blocks
from twisted_registry.access.policy.file import parse_policy

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "unix-socket.md").read_text()


class PageTests(test_unix_socket.UnixSocketTestCase):
    """
    The page's commands.
    """

    def setUp(self) -> None:
        """
        Read the page.
        """
        super().setUp()
        found = blocks(PAGE)
        self.assertEqual([block.language for block in found], ["sh", "sh", "ini", "toml"])
        self.start_text, self.shell, self.unit, self.policy = (block.text for block in found)

    def test_commands(self) -> None:
        """
        A daemon that is started as the page says serves the page's commands.
        """
        words = shlex.split(self.start_text)
        daemon = Daemon(self.folder, words[words.index("model-registry") + 1 :])
        self.addCleanup(daemon.kill)
        daemon.launch()
        daemon.wait_for("listening on unix:registry.sock")
        export, *commands = self.shell.splitlines()
        environment = dict([export.removeprefix("export ").split("=")])
        for command in commands:
            words = command.split()[1:]
            ended = run_command(self.folder, TWISTED_REGISTRY, *words, environment=environment)
            self.assertEqual((ended.returncode, ended.stdout), (0, "walker\tteam=blue\n"), ended.stderr)

    def test_policy(self) -> None:
        """
        The page's policy is valid, and has grants for users and a group.
        """
        subjects = {subject for subject, _ in parse_policy(self.policy.encode()).grants}
        self.assertEqual(subjects, {"unix:alice", "unix:1003", "unix-group:ml"})

    def test_unit(self) -> None:
        """
        The lines for systemd set variables of the daemon.
        """
        path, group = self.unit.splitlines()[2].removeprefix("Environment=").split()
        self.assertEqual(path.partition("=")[0], "COGMENT_MODEL_REGISTRY_SOCKET")
        self.assertEqual(group.partition("=")[0], "COGMENT_MODEL_REGISTRY_SOCKET_GROUP")
