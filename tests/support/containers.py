"""
Commands that start another one as a container's engine would: as a user, and in a file system that it can only read.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_READ_ONLY = """
count=$1; shift
while [ "$count" -gt 0 ]; do
    mount --bind "$1" "$1" || exit 1
    shift; count=$((count - 1))
done
mount -o remount,bind,ro / && exec "$@"
"""
"""A script that keeps some directories writable, makes the root read-only, and starts a command."""


def has_users() -> bool:
    """
    Return whether this process can start others as another user.
    """
    return os.geteuid() == 0 and shutil.which("setpriv") is not None


def as_user(user: int, group: int, *groups: int) -> Sequence[str]:
    """
    Return the command for another user.

    A capability lets it read the interpreter and its packages, wherever they are.
    """
    capability = "+dac_read_search"
    more = ("--groups", ",".join(map(str, groups))) if groups else ("--clear-groups",)
    ids = ("--reuid", str(user), "--regid", str(group), *more)
    return ("setpriv", *ids, "--inh-caps", capability, "--ambient-caps", capability)


def with_read_only_root(writable: Sequence[Path]) -> Sequence[str]:
    """
    Return the command for a read-only root; none if this process may not mount.

    Args:
        writable: the directories that stay writable; they are made if they are missing.
    """
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return ()
    for each in writable:
        each.mkdir(parents=True, exist_ok=True)
    return ("unshare", "--mount", "sh", "-c", _READ_ONLY, "sh", str(len(writable)), *map(str, writable))
