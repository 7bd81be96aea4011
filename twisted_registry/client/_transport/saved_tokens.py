"""
Access tokens that ``twisted-registry login`` keeps for the user, by the address of the registry.  This module loads
without gRPC.

A file, which only the user may read, has an entry for each address: the token, or that the keyring has it.  Without an
entry, no keyring is opened.
"""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted_registry.client._transport.addresses import Address
from twisted_registry.client._transport.keyrings import read_secret, remove_secret, usable_keyring, write_secret

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600
_MOST_BYTES = 2**20

_TOKEN = "token"
_IN_KEYRING = "in_keyring"

_SOCKET_SCHEME = "unix:"
_CASELESS_SCHEMES = ("dns:///", "ipv4:", "ipv6:")


def address_key(address: str) -> str:
    """
    Return the text by which the token of an address is kept: the same for all spellings of one address.  A relative
    path of a socket is made absolute: in another directory, it leads to another program.

    Raises:
        ValueError: it is not an address.
    """
    target = Address.parse(address).target
    if target.startswith(_SOCKET_SCHEME):
        return _SOCKET_SCHEME + os.path.abspath(target.removeprefix(_SOCKET_SCHEME).removeprefix("//"))
    return target.lower().removeprefix("dns:///") if target.startswith(_CASELESS_SCHEMES) else target


class SavedTokens:
    """
    The tokens that are kept.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path | None = None) -> None:
        """

        Args:
            path: the file; ``None`` for that of the user.

        Raises:
            OSError: the user has no home directory.
        """
        self.path = path or _users_path()

    def has(self, address: str) -> bool:
        """
        Return whether a token is kept for an address.

        Raises:
            OSError: the file cannot be read, or is open to others.
        """
        return address_key(address) in self._read()

    def keys(self) -> list[str]:
        """
        Return the addresses for which tokens are kept.

        Raises:
            OSError: the file cannot be read, or is open to others.
        """
        return sorted(self._read())

    def get(self, address: str) -> str | None:
        """
        Return the token of an address; ``None`` if none is kept.

        Raises:
            OSError: the file cannot be read, or is open to others, or the keyring cannot be used.
        """
        key = address_key(address)
        entry = self._read().get(key)
        if entry is None:
            return None
        token = read_secret(key) if entry.get(_IN_KEYRING) else entry.get(_TOKEN)
        return token if isinstance(token, str) else None

    def save(self, address: str, token: str, *, in_keyring: bool) -> None:
        """
        Keep the token of an address, in place of the one that is kept.

        Args:
            address: the address.
            token: the token.
            in_keyring: whether to keep it in the keyring, rather than in the file.

        Raises:
            OSError: the file cannot be written, or is open to others, or the keyring cannot be used.
        """
        key = address_key(address)
        with self._changing() as entries:
            if in_keyring:
                write_secret(key, token)
            elif entries.get(key, {}).get(_IN_KEYRING) and usable_keyring() is not None:
                remove_secret(key)
            entries[key] = {_IN_KEYRING: True} if in_keyring else {_TOKEN: token}

    def remove(self, address: str) -> bool:
        """
        Forget the token of an address.

        Returns:
            whether one was kept.

        Raises:
            OSError: the file cannot be written, or is open to others, or the keyring cannot be used.
        """
        key = address_key(address)
        with self._changing() as entries:
            entry = entries.pop(key, None)
            if entry is not None and entry.get(_IN_KEYRING):
                remove_secret(key)
        return entry is not None

    def fingerprint(self) -> tuple[int, ...]:
        """
        Return what differs after each change; empty if there is no file.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return ()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            with open(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                self._check(os.fstat(file.fileno()))
                content = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return {}
        try:
            entries = json.loads(content) if len(content) <= _MOST_BYTES else None
        except (ValueError, RecursionError):
            entries = None
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise self._bad("it is damaged; remove it, and run 'twisted-registry login' again")
        return entries

    def _check(self, found: os.stat_result) -> None:
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode):
            raise self._bad("it is not a regular file")
        if found.st_uid != os.geteuid():
            raise self._bad("it belongs to another user, so its tokens are not used; remove it")
        if mode & 0o077:
            raise self._bad(
                f"it is open to other users (mode {mode:04o}), so its tokens are not used; run 'chmod 600' on it, and "
                "replace the tokens if others can have read them"
            )

    def _bad(self, problem: str) -> OSError:
        return OSError(errno.EPERM, problem, str(self.path))

    @contextmanager
    def _changing(self) -> Iterator[dict[str, dict[str, Any]]]:
        """
        Change the entries; other processes that change them wait meanwhile.
        """
        self.path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        path = self.path.resolve()  # a link would be replaced by a file
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock = os.open(path.with_name(f".{path.name}.lock"), flags, _FILE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = self._read()
            yield entries
            _replace(path, json.dumps(entries, indent=1, sort_keys=True).encode() + b"\n")
        finally:
            os.close(lock)


def _users_path() -> Path:
    try:
        folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    except RuntimeError:
        raise FileNotFoundError(errno.ENOENT, "there is no home directory; set XDG_CONFIG_HOME") from None
    return Path(folder, "twisted-registry", "tokens.json")


def _replace(path: Path, content: bytes) -> None:
    new_file = path.with_name(f".{path.name}.new")
    new_file.unlink(missing_ok=True)
    try:
        with open(os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new_file.replace(path)
    except OSError:
        new_file.unlink(missing_ok=True)
        raise


class SavedToken:
    """
    The token that ``twisted-registry login`` keeps for a registry.  It is read again after another ``login``.

    Pass it to a client of that registry as ``token``.  It is sent to no other one: a client with another address
    refuses it.

    Attributes:
        address: the address of the registry.
    """

    def __init__(self, address: str) -> None:
        """
        Name the registry.  The token is read at the first call.

        Args:
            address: the address, as the client takes it.

        Raises:
            ValueError: it is not an address.
        """
        self.address = address
        self._key = address_key(address)
        self._seen: tuple[int, ...] | None = None
        self._token = ""

    def is_of(self, address: str) -> bool:
        """
        Return whether the token is kept for an address.

        Args:
            address: the address, in any spelling.

        Returns:
            Whether it is.
        """
        return address_key(address) == self._key

    def __call__(self) -> str:
        """
        Return the token that is kept now.

        Returns:
            The token.

        Raises:
            OSError: none is kept, or it cannot be read.
        """
        tokens = SavedTokens()
        seen = tokens.fingerprint()
        if seen != self._seen:
            token = tokens.get(self.address)
            if token is None:
                raise OSError(f"none is kept for {self.address}; run 'twisted-registry login {self.address}'")
            self._token, self._seen = token, seen
        return self._token

    def __reduce__(self) -> tuple[type["SavedToken"], tuple[str]]:
        return SavedToken, (self.address,)

    def __repr__(self) -> str:
        return f"SavedToken({self.address!r})"
