"""
The keyring of the user, by the library ``keyring``, if that is installed.  This module loads without it.
"""

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_SERVICE = "twisted-registry"

_LEAST_PRIORITY = 1
"""The library gives a lower priority to keyrings that protect nothing, and to the one that stands for none."""


class KeyringFailed(OSError):
    """
    The keyring cannot be used now.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(errno.EACCES, problem)


def usable_keyring() -> "KeyringBackend | None":
    """
    Return the keyring of the user; ``None`` if there is none, or the library is not installed.
    """
    try:
        import keyring
    except ImportError:
        return None
    try:
        backend = keyring.get_keyring()
        return backend if backend.priority >= _LEAST_PRIORITY else None
    except Exception:  # a backend is a plugin, which may fail in any way
        return None


def read_secret(key: str) -> str | None:
    """
    Return a secret; ``None`` if the keyring has none.

    Raises:
        KeyringFailed: the keyring is locked, or gone.
    """
    backend = _backend()
    try:
        return backend.get_password(_SERVICE, key)
    except Exception as error:
        raise _failed(error) from None


def write_secret(key: str, secret: str) -> None:
    """
    Keep a secret, in place of the one that is there.

    Raises:
        KeyringFailed: the keyring is locked, or gone.
    """
    backend = _backend()
    try:
        backend.set_password(_SERVICE, key, secret)
    except Exception as error:
        raise _failed(error) from None


def remove_secret(key: str) -> None:
    """
    Remove a secret, if there is one.

    Raises:
        KeyringFailed: the keyring is locked, or gone.
    """
    if read_secret(key) is None:
        return
    try:
        _backend().delete_password(_SERVICE, key)
    except Exception as error:
        raise _failed(error) from None


def _backend() -> "KeyringBackend":
    backend = usable_keyring()
    if backend is None:
        raise KeyringFailed(
            "the token is in a keyring, and there is none here; install the package 'keyring', or run "
            "'twisted-registry login --no-keyring'"
        )
    return backend


def _failed(error: Exception) -> KeyringFailed:
    # The text of the library is about the keyring, and never contains the secret.
    return KeyringFailed(
        f"the keyring cannot be used ({str(error) or type(error).__name__}); unlock it, or run 'twisted-registry login "
        "--no-keyring' to keep the token in a file"
    )
