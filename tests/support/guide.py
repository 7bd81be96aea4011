"""
Pages that tell how something is done, so that tests can do it.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.daemon import PATIENCE_SECONDS, clean_environment

ADDRESS = "localhost:9000"
"""So pages call the registry."""

_SESSION = """
import ast, asyncio, inspect, sys
code = compile(sys.stdin.read(), "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
async def session():
    given = eval(code, {"__name__": "__main__"})
    if inspect.isawaitable(given):
        await given
asyncio.run(session())
"""
"""Runs what could be typed into C{python -m asyncio}."""


class Block(NamedTuple):
    """
    A fenced block of a page.
    """

    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """
    Give a page's blocks, in order.
    """
    return [Block(*match.groups()) for match in re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)]


def run_session(directory: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """
    Run Python in which C{await} may stand anywhere.
    """
    return subprocess.run(
        [sys.executable, "-c", _SESSION],
        input=text,
        cwd=directory,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


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
        timeout=PATIENCE_SECONDS,
        check=False,
    )
