"""
Pages with commands that tests run.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.daemon import TIMEOUT_SECONDS, clean_environment, run_command

ADDRESS = "localhost:9000"
"""So pages call the registry."""

_SESSION = """
import ast, asyncio, codeop, inspect, sys
compiler = codeop.CommandCompiler()
compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
async def session():
    names, statement = {"__name__": "__main__"}, []
    for line in sys.stdin.read().splitlines():
        statement.append(line)
        code = compiler("\\n".join(statement), "page", "single")
        if code is None:
            continue
        try:
            given = eval(code, names)
            if inspect.isawaitable(given):
                await given
        except SystemExit:
            sys.exit(f"this ends Python: {statement}")
        statement.clear()
    if statement:
        sys.exit(f"this is not whole: {statement}")
asyncio.run(session())
"""
"""A session that reads line by line, as ``python -m asyncio`` does; the first error ends it."""


class Block(NamedTuple):
    """
    A fenced block of a page.

    Attributes:
        before: the paragraph that it follows.
    """

    language: str
    text: str
    before: str = ""


def blocks(page: str) -> list[Block]:
    """
    Return the blocks of a page, in order.
    """
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [Block(match[1], match[2], page[: match.start()].rstrip().rpartition("\n\n")[2]) for match in found]


def run_session(directory: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """
    Type Python into a console in which ``await`` may stand anywhere.
    """
    return _run_python(directory, _SESSION, text)


def run_program(directory: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """
    Run Python code as a separate program.
    """
    return _run_python(directory, text)


def _run_python(directory: Path, program: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    return run_command(directory, sys.executable, "-c", program, typed=typed)


def run_shell(
    directory: Path, command: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """
    Run a line as a shell does, with what it says on stderr among the rest.
    """
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env=clean_environment(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
