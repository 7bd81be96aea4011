"""
The command ``twisted-registry`` as a child process, or in this process.
"""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from inspect import signature
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result

from tests.support.daemon import TIMEOUT_SECONDS, clean_environment, wait_until
from twisted_registry.cli.group import command

_REPEAT_SECONDS = 5.0
TWISTED_REGISTRY = str(Path(sys.executable).with_name("twisted-registry"))


def subcommands(group: click.Group = command) -> dict[str, click.Command]:
    """
    Return the commands of a group by name.
    """
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: each for name, each in found.items() if each is not None}


def all_commands() -> dict[str, click.Command]:
    """
    Return all commands by name, such as ``info`` and ``alias set``, and no groups.
    """
    found: dict[str, click.Command] = {}
    for name, each in subcommands().items():
        inner = subcommands(each) if isinstance(each, click.Group) else None
        found |= {name: each} if inner is None else {f"{name} {word}": one for word, one in inner.items()}
    return found


def settings(server: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return the variables that select a server, and unset all others that the command reads.
    """
    unset = {name: "" for name in os.environ if name.startswith("TWISTED_REGISTRY_")}
    folders = {f"XDG_{kind.upper()}_HOME": str(Path.cwd() / kind) for kind in ("cache", "config")}
    return {**unset, "TWISTED_REGISTRY_SERVER": server, **folders, **(extra or {})}


def invoke(server: str, *arguments: "str | Path", data: bytes = b"", **variables: str) -> Result:
    """
    Run a command in this process.
    """
    # Older versions of click mix stdout and stderr by default.
    apart: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
    runner = CliRunner(env=settings(server, variables), **apart)
    return runner.invoke(command, [*map(str, arguments)], input=data, prog_name="twisted-registry")


def run(server: str, *arguments: "str | Path", **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """
    Run a command as a child process, until it exits.
    """
    return subprocess.run(
        [TWISTED_REGISTRY, *map(str, arguments)],
        env=clean_environment(settings(server)),
        timeout=TIMEOUT_SECONDS,
        check=False,
        **{"capture_output": True, **options},
    )


@contextmanager
def started(server: str, *arguments: "str | Path", **options: Any) -> "Iterator[subprocess.Popen[bytes]]":
    """
    Run a command as a child process, for as long as the context lasts.
    """
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**clean_environment(settings(server)), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([TWISTED_REGISTRY, *map(str, arguments)], env=environment, **{**pipes, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


class Terminal:
    """
    A terminal that a child process may have.

    Attributes:
        child: the child's end.
    """

    def __init__(self) -> None:
        self._ours, self.child = pty.openpty()
        self.shown = b""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *raised: object) -> None:
        os.close(self._ours)

    def let_go(self) -> None:
        """
        Close the child's end in this process.
        """
        os.close(self.child)

    def type(self, text: bytes) -> None:
        """
        Type a text.
        """
        os.write(self._ours, text)

    def wait_for(self, text: bytes) -> None:
        """
        Read until a text is shown.
        """
        while text not in self.shown:
            assert self._is_readable(TIMEOUT_SECONDS), f"{text!r} was not shown: {self.shown!r}"
            self.shown += os.read(self._ours, 4096)

    def wait_for_reader(self, process: "subprocess.Popen[bytes]") -> None:
        """
        Wait until a process is blocked in a read of its stdin: a signal that comes just before does not wake it.

        Does nothing if the system does not show which system call a process is in.
        """
        path = Path(f"/proc/{process.pid}/syscall")
        with suppress(OSError):
            wait_until(lambda: path.read_text().split()[1:2] == ["0x0"], "the command reads its stdin")

    def read_all(self, repeat: Callable[[], object] | None = None) -> None:
        """
        Read until the child has closed its end.

        Args:
            repeat: called each time nothing came for some seconds, for systems on which ``wait_for_reader`` does not
                wait: a person presses the key again.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        try:
            while True:
                while not self._is_readable(_REPEAT_SECONDS):
                    assert time.monotonic() < deadline, f"the terminal was not closed: {self.shown!r}"
                    if repeat is not None:
                        repeat()
                text = os.read(self._ours, 4096)
                if not text:
                    return
                self.shown += text
        except OSError:
            return  # It is closed.

    def _is_readable(self, seconds: float) -> bool:
        return bool(select.select([self._ours], [], [], seconds)[0])


def interrupt(process: "subprocess.Popen[bytes]") -> tuple[int, bytes]:
    """
    Press Ctrl-C, and return the child's status and the rest of its stderr.
    """
    process.send_signal(signal.SIGINT)
    # Its stdin stays open: what waits for it must not keep the command from its end.
    status = process.wait(TIMEOUT_SECONDS)
    return status, process.stderr.read() if process.stderr is not None else b""
