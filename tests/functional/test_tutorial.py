"""
The tutorial works: what it says to type is typed, and what it says is seen is looked for.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from tests.support.guide import ADDRESS, Block, blocks, run_shell
from tests.support.registry_case import RegistryTestCase

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()

SHORTENED = {
    "trainer.py": "--versions 3 --period 0",
    "actor.py": "--until 3",
    "actor_twisted.py": "--until 3",
}
"""The arguments added to commands that would run for ever."""


class Step(NamedTuple):
    """
    Commands to type, and the lines that are then seen.
    """

    commands: list[str]
    seen: list[str]


def steps() -> Iterator[Step]:
    """
    Return the steps of the page. The expected output of commands is the next block in their section.
    """
    for section in re.split(r"^#+ ", PAGE, flags=re.MULTILINE):
        for block, following in pairwise([*blocks(section), Block("", "")]):
            if block.language == "sh":
                seen = following.text.splitlines() if following.language == "text" else []
                yield Step(block.text.splitlines(), [line for line in seen if not line.startswith("…")])


def all_commands() -> Iterator[str]:
    """
    Return all commands of the page.
    """
    return (line for step in steps() for line in step.commands)


def programs() -> dict[str, str]:
    """
    Return the programs that the reader writes, by file name.
    """
    return dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def is_done_by_the_test(line: str) -> bool:
    """
    Return whether the test has already done what a command does.
    """
    word = shlex.split(line)[0]
    return word == "make" or word.endswith("/pip")


def without_numbers(text: str) -> str:
    """
    Leave out what is another number each time: of versions, and scores.
    """
    return re.sub(r"\b\d+(\.\d+)?\b", "N", text)


class StoryTests(RegistryTestCase):
    """
    A newcomer follows the page in a directory that looks like a checkout, beside a daemon that runs already.
    """

    def prepare(self) -> None:
        """
        Lay out the checkout.
        """
        self.directory.mkdir(parents=True)
        (self.directory / ".venv").symlink_to(sys.prefix)
        (self.directory / "examples").symlink_to(ROOT / "examples")

    def typed(self, line: str) -> str:
        """
        Type a command, and give what is printed.
        """
        for script, more in SHORTENED.items():
            if f"/{script}" in line:
                line = f"{line} {more}"
        if "examples/" in line:
            line = f"{line} --server {self.daemon.address}"
        done = run_shell(self.directory, line, {"TWISTED_REGISTRY_SERVER": self.daemon.address})
        self.assertEqual(done.returncode, 1 if "--only-verify" in line else 0, f"{line}: {done.stdout}")
        return done.stdout

    def test_what_is_typed_gives_what_is_seen(self) -> None:
        """
        Every command does its work in the page's order, and prints the lines that the page shows, but for numbers.  In
        the end all files are gone that were made on the way.
        """
        before = os.listdir(self.directory)
        for name, text in programs().items():
            (self.directory / name).write_text(text.replace(ADDRESS, self.daemon.address))
        for commands, seen in steps():
            typed = [line for line in commands if not is_done_by_the_test(line)]
            printed = "".join(map(self.typed, typed))
            if typed:
                missing = set(map(without_numbers, seen)) - set(without_numbers(printed).splitlines())
                self.assertEqual(missing, set(), f"{typed} printed {printed}")
        self.assertCountEqual(os.listdir(self.directory), before)


class PageTests(SynchronousTestCase):
    """
    The names on the page exist.
    """

    def test_every_kind_of_command_is_known(self) -> None:
        """
        Every command is one that this test knows how to follow.
        """
        tools = {"make", "echo", "rm", ".venv/bin/pip", ".venv/bin/python", ".venv/bin/twisted-registry"}
        self.assertEqual({shlex.split(line)[0] for line in all_commands()} - tools, set())

    def test_targets_are_in_the_makefile(self) -> None:
        """
        All targets of make exist.
        """
        made = {line.split()[1] for line in all_commands() if line.startswith("make ")}
        makefile = (ROOT / "Makefile").read_text()
        self.assertEqual(made, {target for target in made if re.search(rf"^{target}:", makefile, re.MULTILINE)})

    def test_scripts_and_programs_are_there(self) -> None:
        """
        Every script that is run is in the repository, or written by the reader before.
        """
        run = {shlex.split(line)[1] for line in all_commands() if line.startswith(".venv/bin/python ")}
        self.assertLessEqual(set(programs()), run)
        self.assertEqual({name for name in run - set(programs()) if not (ROOT / name).exists()}, set())
