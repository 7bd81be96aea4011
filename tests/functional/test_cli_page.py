"""
Tests of the page on the command line, and of the part of the README on it.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

from tests.functional.test_readme import README, ROOT, fenced
from tests.support.cli import TWISTED_REGISTRY, all_commands, settings
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment
from tests.support.registry_case import RegistryTestCase
from twisted_registry.cli.group import command

PAGE = (ROOT / "docs" / "reference" / "command-line.md").read_text()
PROGRAM = "twisted-registry"
SHARED = {"--server", "--retry-seconds", "--tls", "--tls-ca", "--tls-cert", "--tls-key", "--token-file", "--json"}


def section(name: str) -> str:
    """
    Return a section of the page.
    """
    match = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return match[1] if match else ""


def flags(text: str) -> set[str]:
    """
    Return the long flags that a text names.
    """
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def options_of(name: str) -> set[str]:
    """
    Return the long flags of a command.
    """
    return {flag for option in all_commands()[name].params for flag in option.opts if flag.startswith("--")}


def examples(text: str) -> Iterator[list[str]]:
    """
    Return the arguments of each run of the program in a text.
    """
    for line in text.splitlines():
        if not re.search(rf"(^|[|&] ){PROGRAM} ", line.strip()):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&<>")
        lexer.whitespace_split = True
        for is_command, words in groupby(lexer, lambda word: word.strip("|&<>") != ""):
            program, *arguments = words
            if is_command and program == PROGRAM:
                yield arguments


class PageTests(SynchronousTestCase):
    """
    The page compared with the commands.
    """

    def test_commands(self) -> None:
        """
        Each command has a section with all its flags, except the flags that all commands have.
        """
        self.assertEqual(flags(section("Where the registry is")), SHARED - {"--json"})
        for name in all_commands():
            self.assertLessEqual(options_of(name) - (SHARED - {"--json"}), flags(section(name)), name)

    def test_no_other_flags(self) -> None:
        """
        No section names a flag that its command does not have, except for other programs in a pipe.
        """
        for name in all_commands():
            text = re.sub(r"\| (?!twisted-registry).*|tar .*? \|", "", section(name))
            self.assertLessEqual(flags(text), options_of(name), name)

    def test_examples_are_understood(self) -> None:
        """
        Each example of the page, the README and the help is valid for its command.
        """
        helps = [each.help or "" for each in all_commands().values()]
        found = [words for text in (PAGE, README, command.help or "", *helps) for words in examples(text)]
        self.assertGreater(len(found), 50)
        for words in found:
            if "--help" in words:
                continue
            name = words[0] if words[0] in all_commands() else " ".join(words[:2])
            all_commands()[name].make_context(name, words[len(name.split()) :])

    def test_help_has_examples(self) -> None:
        """
        The help of each command has an example and explains its statuses.
        """
        for name, each in all_commands().items():
            self.assertIn("Example", each.help or "", name)
            says = "Exit status:" in (each.epilog or "") + (each.help or "")
            self.assertTrue(says or name == "completion", name)

    def test_help_fits_a_terminal(self) -> None:
        """
        The help of each command fits 80 columns, except for examples, which are typed as they are.
        """
        for name, each in all_commands().items():
            shown = each.get_help(click.Context(each, info_name=f"{PROGRAM} {name}", terminal_width=80))
            lines = [line for line in shown.splitlines() if PROGRAM not in line]
            self.assertEqual([line for line in lines if len(line) > 80], [], name)

    def test_statuses(self) -> None:
        """
        The page's table of statuses matches the help.
        """
        rows = re.findall(r"^\| (\d+) \| (\w[\w ,]*\w)", section("Output"), re.MULTILINE)
        for number, meaning in rows:
            self.assertRegex(command.epilog or "", rf"{number} +{meaning.split(' by ')[0]}")
        self.assertEqual([number for number, _ in rows], ["0", "1", "2", "3", "4", "130"])


class ExampleTests(RegistryTestCase):
    """
    Examples that are run.
    """

    def setUp(self) -> None:
        """
        Make a directory to type in.
        """
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def run_block(self, block: str) -> str:
        """
        Run a block, and return what it prints.
        """
        environment = clean_environment(settings(self.daemon.address))
        environment["PATH"] = f"{os.path.dirname(TWISTED_REGISTRY)}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", block],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def test_page(self) -> None:
        """
        The first block of the page runs next to a file of that name.
        """
        (self.folder / "walker.pt").write_bytes(b"weights")
        block = next(fenced("sh", PAGE))
        lines = self.run_block(block).splitlines()
        self.assertEqual(lines[0], "walker@1  7 bytes  transient")
        self.assertEqual(lines[-1], "deleted walker")

    def test_readme(self) -> None:
        """
        The block of the README runs, and creates the file that it needs.
        """
        (block,) = (block for block in fenced("sh") if f"{PROGRAM} push" in block)
        self.assertIn("walker@1  1.0 MB  transient\n", self.run_block(block.replace("watch", "watch --once")))
        self.assertEqual((self.folder / "copy.pt").read_bytes(), (self.folder / "walker.pt").read_bytes())
