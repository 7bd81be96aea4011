"""
Tests of what CI and pre-commit run: the commands exist.
"""

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
HOOKS = ROOT / ".pre-commit-config.yaml"
SCRIPT = ROOT / ".ci" / "run"
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = {".venv/.installed-dev", *re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)}
SYSTEM = {"make", "sudo", "python", "cp", "cd"}
"""The commands of the forge's machines."""


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Yield each step of the workflow, with the name of its job.
    """
    for name, job in yaml.safe_load(WORKFLOW.read_text())["jobs"].items():
        for step in job["steps"]:
            yield name, step


def commands() -> list[list[str]]:
    """
    Return the words of each command of the workflow.
    """
    lines = (line for _, step in steps() for line in step.get("run", "").splitlines())
    plain = (re.sub(r"\$\{\{.*?\}\}", "VALUE", line) for line in lines)
    return [shlex.split(part) for line in plain for part in line.split(" && ")]


class WorkflowTests(SynchronousTestCase):
    """
    The workflow of the forge.
    """

    def test_structure(self) -> None:
        """
        Each job has a machine, and each step either runs a command or uses an action at a version.
        """
        for job in yaml.safe_load(WORKFLOW.read_text())["jobs"].values():
            self.assertIn("runs-on", job)
        for job_name, step in steps():
            self.assertEqual(("run" in step) + ("uses" in step), 1, (job_name, step))
            self.assertRegex(step.get("uses", "some/action@v1"), r"^[\w-]+/[\w-]+@v\d+$")

    def test_commands(self) -> None:
        """
        Each command is one of the machine's, a script of the checkout, or a program of an environment.
        """
        self.assertGreater(len(commands()), 10)
        for command, *_ in commands():
            is_installed = re.search(r"(^|/)(\.venv|venv|client)/bin/(python|trial)$", command) is not None
            self.assertTrue(command in SYSTEM or is_installed or (ROOT / command).is_file(), command)

    def test_targets(self) -> None:
        """
        Each target of make is in the Makefile, also those of the script that runs everything.
        """
        words = [word for command in commands() if command[0] == "make" for word in command[1:]]
        named = {word for word in words if not word.startswith("-") and "=" not in word}
        in_script = set(re.findall(r"\bmake ([a-z-]+)", SCRIPT.read_text()))
        in_script |= set(re.findall(r"^ *tests \S+ ([a-z-]+)", SCRIPT.read_text(), re.MULTILINE))
        self.assertGreater(len(in_script), 5)
        self.assertEqual((named | in_script) - TARGETS, set())

    def test_modules(self) -> None:
        """
        Each module whose tests are run exists.
        """
        modules = {word for command in commands() for word in command if word.startswith("tests.")}
        self.assertEqual({module for module in modules if find_spec(module) is None}, set())

    def test_modules_of_the_second_interpreter(self) -> None:
        """
        The script runs the README's command on a second interpreter, with functional tests that exist.
        """
        self.assertRegex(SCRIPT.read_text(), r"(?m)^ *tests \S+ test .*FUNCTIONAL='\$\(INTERPRETER\)'$")
        found = re.search(r"INTERPRETER := \$\(addprefix (\S+), ([^)]*)\)", MAKEFILE)
        assert found is not None
        modules = [f"{found[1]}{name}" for name in found[2].replace("\\\n", " ").split()]
        self.assertGreater(len(modules), 5)
        self.assertEqual([module for module in modules if find_spec(module) is None], [])

    def test_coverage_and_robustness(self) -> None:
        """
        The workflow and the script hold the floor of the coverage, and run the short form of the robustness cases.
        """
        run = {word for command in commands() if command[0] == "make" for word in command[1:]}
        for target in ("coverage", "test-functional", "test-browser", "test-robustness"):
            self.assertIn(target, run)
            self.assertRegex(SCRIPT.read_text(), rf"(?m)^tests \S+ {target} ")


class HookTests(SynchronousTestCase):
    """
    The hooks of pre-commit.
    """

    def test_entries(self) -> None:
        """
        Each hook runs a program that the lint runs too.
        """
        lint = MAKEFILE.partition("\nlint:")[2].partition("\n\n")[0]
        hooks = [hook for repository in yaml.safe_load(HOOKS.read_text())["repos"] for hook in repository["hooks"]]
        self.assertGreater(len(hooks), 3)
        for hook in hooks:
            program = hook["entry"].removeprefix(".venv/").replace("bin/", "$(BIN)/", 1).removesuffix(" --fix")
            self.assertIn(program, lint)
