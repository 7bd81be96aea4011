"""
Access tokens of a client.  This module loads without gRPC.
"""

import os
from collections.abc import Callable
from pathlib import Path

from twisted_registry.client.errors import TokenUnusable
from twisted_registry.protocol.limits import TOKEN_MAX_BYTES

TokenSource = str | Callable[[], str]
"""A token, or a function that returns the current one."""


def token_problem(token: object) -> str:
    """
    Return why a token cannot be sent; an empty text if it can.
    """
    if token == "":
        return "the token is empty; pass None for no token"
    if not (isinstance(token, str) and token.isascii() and token.isprintable()):
        return "a token may contain only printable ASCII characters; does this one end with a line break?"
    if len(token) > TOKEN_MAX_BYTES:
        return (
            f"a token may have at most {TOKEN_MAX_BYTES} bytes, and this one has {len(token)}: ask its issuer for one "
            "with fewer claims, such as groups"
        )
    return ""


def current_token(source: TokenSource) -> str:
    """
    Return the token to send now.

    Raises:
        TokenUnusable: the source returns something that cannot be sent, or fails with ``OSError``.
    """
    if isinstance(source, str):
        return source
    try:
        token = source()
    except OSError as error:
        raise TokenUnusable(_cause(error)) from None
    problem = token_problem(token)
    if problem:
        raise TokenUnusable(problem)
    return token


def _cause(error: OSError) -> str:
    if error.filename is None:
        return f"it cannot be read: {error}"
    return f"the file {error.filename} cannot be read: {error.strerror}"


class TokenFile:
    """
    A token in a file, which is read again when the file changes.  Kubernetes, for example, replaces the token of a
    service account before it ends.

    Pass it to a client as ``token``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """
        Name the file.  It is read at the first call.

        Args:
            path: a file that holds the token alone; white space around it does not count.
        """
        self._path = Path(path)
        self._seen: tuple[int, ...] | None = None
        self._token = ""

    def __call__(self) -> str:
        """
        Return the token that the file holds now.

        Returns:
            The token.

        Raises:
            OSError: the file cannot be read.
        """
        found = self._path.stat()
        seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if seen != self._seen:
            self._token = self._path.read_bytes().decode("ascii", "replace").strip()
            self._seen = seen
        return self._token

    def __reduce__(self) -> tuple[type["TokenFile"], tuple[Path]]:
        return TokenFile, (self._path,)  # without the token

    def __repr__(self) -> str:
        return f"TokenFile({str(self._path)!r})"
