"""
Tests for completion in a shell.
"""

import os
import shutil
import subprocess

from click.shell_completion import ShellComplete

from tests.support.cli import TWISTED_REGISTRY, invoke, settings
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment, free_port
from tests.support.edge import SharedEdgeTestCase
from tests.support.fake_server import FakeServer
from tests.support.registry_v1 import RegistryV1
from twisted_registry.cli.group import command

ODD = ("two words", "-x", "~x", "tab\u2003", "*", "$(reboot)", "`x`", "comma,", "\u202eevil")


class CompletionTests(SharedEdgeTestCase):
    """
    The words that may come next.
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
        Return the completions of the last word.
        """
        self.patch(os, "environ", {**os.environ, **settings(server or self.daemon.address)})
        *before, incomplete = words
        complete = ShellComplete(command, {}, "twisted-registry", "_TWISTED_REGISTRY_COMPLETE")
        return [item.value for item in complete.get_completions(before, incomplete)]

    def test_models(self) -> None:
        """
        Each argument that is a model is completed with the registry's models.
        """
        names = ("push", "pull", "ls", "versions", "info", "rm", "set", "watch", "promote", "label", "metric", "events")
        for words in (
            *((name,) for name in (*names, "rollback", "search", "prune")),
            *(("alias", name) for name in ("set", "ls", "log")),
            *(("retention", name) for name in ("set", "show")),
        ):
            self.assertEqual(self.complete(*words, "walk"), ["walker", "walker-2"], words)
        self.assertEqual(self.complete("ls", "walker", "r"), ["runner"])

    def test_odd_models(self) -> None:
        """
        Ids that a shell would split are left out; an @ of an id is %40.
        """
        self.assertEqual(self.complete("info", ""), ["runner", "team%403", "walker", "walker-2"])

    def test_aliases(self) -> None:
        """
        After an @ the aliases of the model are completed, if a version may follow; ``latest`` only where it may stand.
        """
        self.client.create("runner", b"data")
        for alias in ("production", "canary"):
            RegistryV1(self.client.channel).SetAlias(reference="runner", alias=alias)
        aliases = ["runner@canary", "runner@production"]
        for name in ("info", "pull", "rm", "promote", "label", "metric"):
            self.assertEqual(self.complete(name, "runner@"), ["runner@canary", "runner@latest", aliases[1]], name)
        for words in (("rollback",), ("alias", "rm"), ("alias", "log")):
            self.assertEqual(self.complete(*words, "runner@"), aliases, words)
        self.assertEqual(self.complete("info", "runner@p"), ["runner@production"])
        for words in (("push", "runner@"), ("ls", "runner@"), ("info", "nobody@"), ("info", "a b@")):
            self.assertEqual(self.complete(*words), [], words)

    def test_registry_without_aliases(self) -> None:
        """
        ``latest`` is completed also if the registry has no aliases.
        """
        other = FakeServer()
        self.addCleanup(other.stop)
        self.assertEqual(self.complete("info", "runner@", server=other.address), ["runner@latest"])

    def test_flag(self) -> None:
        """
        The server is that of the flag, if it is given.
        """
        away = f"localhost:{free_port()}"
        self.assertEqual(self.complete("info", "--server", self.daemon.address, "r", server=away), ["runner"])

    def test_nobody_to_ask(self) -> None:
        """
        If the server is away or its address is invalid, nothing is completed and nothing fails.
        """
        for server in (f"localhost:{free_port()}", "nonsense"):
            self.assertEqual(self.complete("info", "r", server=server), [])

    def test_commands_and_options(self) -> None:
        """
        Commands and options are completed too.
        """
        self.assertEqual(self.complete("pu"), ["pull", "push"])
        self.assertEqual(self.complete("alias", "s"), ["set"])
        self.assertIn("--user-data", self.complete("push", "--"))

    def test_scripts(self) -> None:
        """
        There is a script for each shell; for other shells the status is 2.
        """
        for shell in ("bash", "zsh", "fish"):
            done = invoke(self.daemon.address, "completion", shell)
            self.assertEqual(done.exit_code, 0)
            self.assertIn(f"_TWISTED_REGISTRY_COMPLETE={shell}_complete", done.stdout)
        self.assertEqual(invoke(self.daemon.address, "completion", "csh").exit_code, 2)

    def in_shell(self, shell: str, script: str) -> list[str]:
        """
        Run a script in a shell, and return the lines it prints.
        """
        if shutil.which(shell) is None:
            self.skipTest(f"there is no {shell}")
        environment = clean_environment({**settings(self.daemon.address), "HOME": self.mktemp(), "TERM": "xterm"})
        environment["PATH"] = f"{os.path.dirname(TWISTED_REGISTRY)}:{environment['PATH']}"
        done = subprocess.run(
            [shell, "-c", script],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        self.assertEqual(done.stderr, "")
        return done.stdout.splitlines()

    def in_bash(self, line: str, part: str) -> list[str]:
        """
        Return bash's completions for the last part of a line, which may be less than a word.
        """
        script = f"""
            eval "$(twisted-registry completion bash)"
            COMP_LINE="twisted-registry {line}" COMP_POINT=${{#COMP_LINE}}
            _twisted_registry_completion twisted-registry "{part}"
        """
        return self.in_shell("bash", script + r"""printf '%s\n' "${COMPREPLY[@]}" """)

    def test_in_bash(self) -> None:
        """
        In bash, the script completes like the command.
        """
        self.assertEqual(self.in_bash("info walk", "walk"), ["walker", "walker-2"])
        self.assertEqual(self.in_bash("info 'walk", "walk"), ["walker", "walker-2"])
        self.assertEqual(self.in_bash("ls walker run", "run"), ["runner"])
        self.assertEqual(self.in_bash("pu", "pu"), ["pull", "push"])

    def test_in_bash_parts(self) -> None:
        """
        bash splits words: only the last part is completed, and an address stays an address.
        """
        self.client.save_model("team:a")
        self.addCleanup(self.client.delete_model, "team:a")
        self.assertEqual(self.in_bash("info team%", "team%"), ["team%403"])
        self.assertEqual(self.in_bash("info team%4", "team%4"), ["team%403"])
        self.assertEqual(self.in_bash("info team:", ""), ["a"])
        for flag in ("--server ", "--server="):
            self.assertEqual(self.in_bash(f"ls {flag}{self.daemon.address} run", "run"), ["runner"])

    def test_in_fish(self) -> None:
        """
        fish completes too, and shows help with a comma in full.
        """
        script = "twisted-registry completion fish | source; complete -C 'twisted-registry {}'"
        self.assertEqual(self.in_shell("fish", script.format("info walk")), ["walker", "walker-2"])
        shown = self.in_shell("fish", script.format("ls --js"))
        self.assertEqual(shown, ["--json\tPrint JSON, one object per line."])

    def test_in_zsh(self) -> None:
        """
        The same in zsh, typed into a terminal.
        """
        script = """
            zmodload zsh/zpty
            zpty shell zsh -f -i
            zpty -w shell "PS1= RPS1=; autoload -U compinit; compinit -u -D; source <(twisted-registry completion zsh)"
            zpty -w shell "echo re''ady"
            zpty -r -m shell said '*ready*'
            zpty -w -n shell $'twisted-registry info run\t'
            zpty -r -m shell said '*info runner*' && echo completed
            zpty -d shell
        """
        self.assertEqual(self.in_shell("zsh", script), ["completed"])
