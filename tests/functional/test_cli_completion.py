"""
Completion in the shell.
"""

import os
import shutil
import subprocess

from click.shell_completion import ShellComplete

from tests.support.cli import TWISTED_REGISTRY, invoke, settings
from tests.support.daemon import PATIENCE_SECONDS, clean_environment, free_port
from tests.support.registry_case import SharedRegistryTestCase
from twisted_registry.cli.main import command

ODD = ("two words", "tab\u2003", "*", "$(reboot)", "`x`", "comma,", "\u202eevil")


class CompletionTests(SharedRegistryTestCase):
    """
    What may stand next.
    """

    def setUp(self) -> None:
        """
        Make models.
        """
        super().setUp()
        for model_id in ("walker", "walker-2", "runner", "team@3", *ODD):
            self.client.save_model(model_id)

    def complete(self, *words: str, server: str = "") -> list[str]:
        """
        Give what may stand for the last word.
        """
        self.patch(os, "environ", {**os.environ, **settings(server or self.daemon.address)})
        *before, incomplete = words
        complete = ShellComplete(command, {}, "twisted-registry", "_TWISTED_REGISTRY_COMPLETE")
        return [item.value for item in complete.get_completions(before, incomplete)]

    def test_models(self) -> None:
        """
        Wherever a model is named, those of the registry are given that begin so.
        """
        for name in ("push", "pull", "ls", "versions", "info", "rm", "set", "watch"):
            self.assertEqual(self.complete(name, "walk"), ["walker", "walker-2"], name)
        self.assertEqual(self.complete("ls", "walker", "r"), ["runner"])

    def test_odd_models(self) -> None:
        """
        Ids that a shell would take apart are left out; one that ends as a number does gets an @ behind it.
        """
        self.assertEqual(self.complete("info", ""), ["runner", "team@3@", "walker", "walker-2"])

    def test_flag(self) -> None:
        """
        The server is that of the flag, where it is given.
        """
        away = f"localhost:{free_port()}"
        self.assertEqual(self.complete("info", "--server", self.daemon.address, "r", server=away), ["runner"])

    def test_nobody_to_ask(self) -> None:
        """
        Where the server is away, or its address is none, nothing is given and nothing fails.
        """
        for server in (f"localhost:{free_port()}", "nonsense"):
            self.assertEqual(self.complete("info", "r", server=server), [])

    def test_commands_and_options(self) -> None:
        """
        Commands and options are given too.
        """
        self.assertEqual(self.complete("pu"), ["pull", "push"])
        self.assertIn("--user-data", self.complete("push", "--"))

    def test_scripts(self) -> None:
        """
        There is a script for each shell, and 2 for others.
        """
        for shell in ("bash", "zsh", "fish"):
            done = invoke(self.daemon.address, "completion", shell)
            self.assertEqual(done.exit_code, 0)
            self.assertIn(f"_TWISTED_REGISTRY_COMPLETE={shell}_complete", done.stdout)
        self.assertEqual(invoke(self.daemon.address, "completion", "csh").exit_code, 2)

    def test_in_bash(self) -> None:
        """
        In bash, the script gives what the command does.
        """
        if shutil.which("bash") is None:
            self.skipTest("there is no bash")
        script = """
            eval "$(twisted-registry completion bash)"
            COMP_WORDS=(twisted-registry info walk) COMP_CWORD=2
            $(complete -p twisted-registry | sed 's/.*-F \\([^ ]*\\).*/\\1/') twisted-registry
            printf '%s\\n' "${COMPREPLY[@]}"
        """
        environment = clean_environment(settings(self.daemon.address))
        environment["PATH"] = f"{os.path.dirname(TWISTED_REGISTRY)}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        self.assertEqual((done.stdout, done.stderr), ("walker\nwalker-2\n", ""))
