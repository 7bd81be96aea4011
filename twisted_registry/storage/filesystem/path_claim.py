"""
A claim to a path, which outlives what is at the path.

A lock belongs to the folder that was locked.  Where that is removed, or unmounted, a second daemon finds another folder
at the same path, and its lock free; then both would give out the same numbers.  So a daemon also claims the path: by a
socket with an abstract name (https://man7.org/linux/man-pages/man7/unix.7.html), which is on no file system and goes
with the process.
"""

import errno
import hashlib
import os
import socket
import struct

_CREDENTIALS = struct.Struct("3i")


def claim_path(path: str) -> int:
    """
    Claim a path, as those processes see it that see the same files.

    Returns:
        a descriptor; closing it gives the claim up.

    Raises:
        BlockingIOError: another process of this user, or of root's, has it.
        OSError: paths cannot be claimed here.
    """
    name = _name(path)
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(name)
        claim.listen()
    except OSError as error:
        claim.close()
        if error.errno == errno.EADDRINUSE and _owner(name) in (0, os.geteuid()):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
        raise
    return claim.detach()


def _name(path: str) -> bytes:
    # The same path is another one in another container, or under another root.
    top = os.stat("/")
    seen = f"{os.readlink('/proc/self/ns/mnt')} {top.st_dev} {top.st_ino} {os.path.realpath(path)}"
    return b"\0twisted-registry-archive-" + hashlib.sha256(os.fsencode(seen)).hexdigest().encode()


def _owner(name: bytes) -> int | None:
    # Anybody may take such a name.  Whoever must not keep others from starting is passed over.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(name)
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    _, user, _ = _CREDENTIALS.unpack(credentials)
    return int(user)
