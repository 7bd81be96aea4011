"""
The reasons why a Unix socket cannot be connected to.
"""

import os
import stat
from urllib.parse import unquote

_SCHEME = "unix:"


def socket_problem(address: str) -> str:
    """
    Return why a connection to an address has failed, and what to do; empty if it is not the path of a Unix socket.
    """
    if not address.startswith(_SCHEME):
        return ""
    path = unquote(address.removeprefix(_SCHEME).removeprefix("//"))
    try:
        found = os.stat(path)
    except OSError as error:
        return _missing(error)
    if not stat.S_ISSOCK(found.st_mode):
        return "the file is not a socket"
    if not os.access(path, os.W_OK):
        return _closed(found)
    return "no program answers at this socket: the daemon has ended, or is still starting"


def _missing(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such socket: the daemon creates it, if it is started with --socket"
    if isinstance(error, PermissionError):
        return "its directory is closed to this user: ask the owner of the registry for access"
    return f"the path leads to no socket: {error.strerror}"


def _closed(found: os.stat_result) -> str:
    # Imported late: they exist only where Unix sockets do.
    import grp
    import pwd

    if found.st_mode & stat.S_IWGRP:
        try:
            group = grp.getgrgid(found.st_gid).gr_name
        except KeyError:
            group = str(found.st_gid)
        return f"permission denied: the socket is for the group {group}, of which this process is not a member"
    try:
        owner = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        owner = str(found.st_uid)
    return f"permission denied: the socket is for the user {owner} alone; --socket-group opens it to a group"
