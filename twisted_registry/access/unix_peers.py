"""
The authenticator of users of this machine who connect to the Unix socket.
"""

import grp
import pwd
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from zope.interface import implementer

from twisted_registry.contracts.access import ISelectiveAuthenticator
from twisted_registry.domain.access import Credentials, Identity

KIND = "unix"
GROUP_KIND = "unix-group"

_NAMES_SECONDS = 60.0
"""After so long, the names of a user and its groups are looked up again."""

_OVERFLOW_DEFAULT = 65534

Names = Callable[[int], str]
"""A function that returns the name for a number; it raises ``KeyError`` if there is none."""


def overflow_number(name: str, folder: Path = Path("/proc/sys/kernel")) -> int:
    """
    Return the number under which the kernel reports those that do not exist in this user namespace.

    Args:
        name: ``overflowuid`` or ``overflowgid``.
        folder: where the kernel reports it.
    """
    try:
        return int((folder / name).read_text())
    except (OSError, ValueError):
        return _OVERFLOW_DEFAULT


def _user_name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name


def _group_name(gid: int) -> str:
    return grp.getgrgid(gid).gr_name


@implementer(ISelectiveAuthenticator)
class UnixPeers:
    """
    Identities of the users of this machine, named as the system names them, or by number if they have no name.  The
    policy may also have grants for the number, and for the groups of the process.

    A user of another user namespace, such as that of a container, has no identity: the kernel reports all of these
    under one number.

    Names are looked up in the system's databases, which may be in a network: this blocks.
    """

    def __init__(
        self,
        user_name: Names = _user_name,
        group_name: Names = _group_name,
        overflow: Callable[[str], int] = overflow_number,
        now_seconds: Callable[[], float] = time.time,
    ) -> None:
        """

        Args:
            user_name: returns the name of a user.
            group_name: returns the name of a group.
            overflow: see ``overflow_number``.
            now_seconds: returns the time in seconds since the Unix epoch.
        """
        self._user_name = user_name
        self._group_name = group_name
        self._no_uid, self._no_gid = overflow("overflowuid"), overflow("overflowgid")
        self._now_seconds = now_seconds

    def concerns(self, credentials: Credentials) -> bool:
        """See ``ISelectiveAuthenticator.concerns``."""
        return credentials.unix_user is not None

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        user = credentials.unix_user
        if user is None or user.uid == self._no_uid:
            return None
        ends_seconds = self._now_seconds() + _NAMES_SECONDS
        name = _name(self._user_name, user.uid)
        return Identity(KIND, name, groups=tuple(self._groups(user.uid, name, user.gids)), ends_seconds=ends_seconds)

    def _groups(self, uid: int, name: str, gids: Iterable[int]) -> Iterable[str]:
        if name != str(uid):
            yield f"{KIND}:{uid}"
        for gid in gids:
            if gid != self._no_gid:
                yield f"{GROUP_KIND}:{gid}"
                if (group := _name(self._group_name, gid)) != str(gid):
                    yield f"{GROUP_KIND}:{group}"

    def on_change(self, changed: Callable[[], None]) -> None:
        """See ``IAuthenticator.on_change``."""


def _name(find: Names, number: int) -> str:
    """
    Return the name for a number, or the number.  A name of digits would pass for another number, and one with a line
    break for a line of a log.
    """
    try:
        name = find(number)
    except (KeyError, OSError):
        return str(number)
    return str(number) if name.isdecimal() or not (name and name.isprintable()) else name
