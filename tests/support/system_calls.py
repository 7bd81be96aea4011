"""
The system calls that a unit of systemd permits, and a command that runs another one with these alone.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from tests.support.daemon import run_command

_START = """
import ctypes, errno, os, sys
library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(library.seccomp_init(0x00050000 | errno.EPERM))
for name in sys.argv[1].split(","):
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        assert library.seccomp_rule_add_array(context, 0x7FFF0000, number, 0, None) == 0, name
assert library.seccomp_load(context) == 0
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""A program that makes each other system call fail with EPERM, and starts a command."""


@cache
def _groups(analyze: str) -> Mapping[str, Sequence[str]]:
    from pathlib import Path

    printed = run_command(Path.cwd(), analyze, "--no-pager", "syscall-filter").stdout
    found: dict[str, list[str]] = {}
    for line in printed.splitlines():
        if line.startswith("@"):
            found[line] = []
        elif re.fullmatch(r"    [@a-z_0-9-]+", line) and found:
            found[[*found][-1]].append(line.strip())
    return found


def _expanded(name: str, analyze: str) -> Iterator[str]:
    if not name.startswith("@"):
        yield name
        return
    for member in _groups(analyze)[name]:
        yield from _expanded(member, analyze)


def permitted(unit: str, analyze: str) -> Sequence[str]:
    """
    Return the system calls that a unit permits.

    Args:
        unit: its text.
        analyze: the path of ``systemd-analyze``, which knows the groups.
    """
    calls = set(_expanded("@default", analyze))
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        named = {call for word in line.removeprefix("~").split() for call in _expanded(word, analyze)}
        calls = calls - named if line.startswith("~") else calls | named
    return sorted(calls)


def with_system_calls(calls: Sequence[str]) -> Sequence[str]:
    """
    Return the command that starts another one with these system calls alone.
    """
    return (sys.executable, "-c", _START, ",".join(calls))
