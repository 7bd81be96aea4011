"""
A keyring for tests, by the interface of the library ``keyring``: a directory, so that processes share it.
"""

import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

DIRECTORY_VARIABLE = "TEST_KEYRING"
BACKEND_VARIABLES = {"PYTHON_KEYRING_BACKEND": "tests.support.keyrings.DirectoryKeyring"}
"""The variables that make the library use this keyring."""

LOCK_NAME = "locked"
"""A file with this name in the directory locks the keyring."""


class DirectoryKeyring(KeyringBackend):
    """
    A keyring that keeps secrets in the directory that a variable names.
    """

    priority = 5

    def get_password(self, service: str, username: str) -> str | None:
        """
        Return a secret.
        """
        path = self._path(service, username)
        return path.read_text() if path.exists() else None

    def set_password(self, service: str, username: str, password: str) -> None:
        """
        Keep a secret.
        """
        self._path(service, username).write_text(password)

    def delete_password(self, service: str, username: str) -> None:
        """
        Remove a secret.
        """
        path = self._path(service, username)
        if not path.exists():
            raise PasswordDeleteError("not found")
        path.unlink()

    @staticmethod
    def _path(service: str, username: str) -> Path:
        directory = Path(os.environ[DIRECTORY_VARIABLE])
        if (directory / LOCK_NAME).exists():
            raise KeyringLocked("Failed to unlock the collection!")
        return directory / f"{service} {username}"
