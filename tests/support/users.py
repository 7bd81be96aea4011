"""
Clients that are run by other users of this machine.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

from twisted.trial.unittest import SkipTest

from tests.support.daemon import TIMEOUT_SECONDS, clean_environment

_SCRIPT = """
import grp, os, pwd, sys
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import RegistryError
uid, gid, groups, address, code = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
try:  # another user may not be able to read the modules that are imported late
    with BlockingClient("unix:/nonexistent", retry_seconds=0) as client:
        client.model("x")
except RegistryError:
    pass
os.setgroups([int(group) for group in groups.split(",") if group])
os.setgid(gid)
os.setuid(uid)
try:
    with BlockingClient(address, retry_seconds=0, token=os.environ.get("TOKEN")) as client:
        print(eval(code))
except RegistryError as error:
    print(f"{type(error).__name__}: {error}")
"""


def call_as(
    uid: int, address: str, code: str, gid: int | None = None, groups: Sequence[int] = (), token: str | None = None
) -> str:
    """
    Make a call as another user, and return what it results in, or its error.

    Args:
        code: an expression with a ``client``.
        gid: the user's primary group; by default it has the number of the user.
        groups: the user's further groups.
        token: sent with the call.

    Raises:
        SkipTest: the tests do not run as root.
    """
    if os.geteuid() != 0:
        raise SkipTest("only root can make calls as another user")
    arguments = [str(uid), str(uid if gid is None else gid), ",".join(map(str, groups)), address, code]
    environment = clean_environment({} if token is None else {"TOKEN": token})
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if ended.returncode:
        raise AssertionError(ended.stderr)
    return ended.stdout.strip()
