"""
Keys of pushes that are not finished, so that the same push goes on in another process.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from attrs import frozen

LEAST_BYTES = 8 * 1024 * 1024
"""A smaller file is sent from its beginning."""

_KEPT_SECONDS = 24 * 3600
"""A registry remembers keys for as long."""

_KEY_CHARACTERS = 32
_KEY = re.compile(rf"[0-9a-f]{{{_KEY_CHARACTERS}}}")


@frozen
class UnfinishedPush:
    """
    A push that is remembered until it is finished.

    Attributes:
        key: its idempotency key.
    """

    key: str
    _record: Path
    _descriptor: int

    def forget(self) -> None:
        """
        Forget the push, because its outcome is known: the same push again is another one.
        """
        with suppress(OSError):
            self._record.unlink()
        self.close()

    def close(self) -> None:
        """
        Let another process go on with the push.
        """
        with suppress(OSError):
            os.close(self._descriptor)


def remember(
    address: str,
    model_id: str,
    file: Path,
    archived: bool,
    properties: Sequence[object],
    lock: Callable[[int, int], None] = fcntl.flock,
) -> UnfinishedPush | None:
    """
    Remember a push, or find the same one that was not finished.

    Args:
        address: the registry's address.
        model_id: the model.
        file: the file that is pushed; if it has changed since, the push is another one.
        archived: whether the version is archived.
        properties: the version's metadata, labels and so on, as JSON.
        lock: locks a descriptor.

    Returns:
        the push; ``None`` if the file is small or not a regular one, if nothing can be remembered, or if another
            process is pushing the same now.
    """
    try:
        status = file.stat()
        if not file.is_file() or status.st_size < LEAST_BYTES:
            return None
        facts: list[object] = [address, model_id, archived, *properties, str(file.resolve())]
        facts += [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_old(folder)
        record = folder / hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return _locked(record, lock)
    except (OSError, RuntimeError):  # there is no home directory
        return None


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "twisted-registry" / "pushes"


def _locked(record: Path, lock: Callable[[int, int], None]) -> UnfinishedPush:
    """
    Open a record, or make it.

    Raises:
        OSError: another process is pushing the same, which is another version; or the record cannot be written.
    """
    descriptor = os.open(record, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another process may have finished its push and removed the record before it was locked: its key is used up.
        if not os.path.samestat(os.fstat(descriptor), os.stat(record, follow_symlinks=False)):
            raise FileExistsError(errno.EEXIST, "another process has made a new record", str(record))
        key = os.read(descriptor, _KEY_CHARACTERS + 1).decode("ascii", "replace")
        if not _KEY.fullmatch(key):
            key = uuid4().hex
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, key.encode(), 0)
        return UnfinishedPush(key, record, descriptor)
    except OSError:
        os.close(descriptor)
        raise


def _remove_old(folder: Path) -> None:
    oldest = time.time() - _KEPT_SECONDS
    for record in folder.iterdir():
        with suppress(OSError):
            if record.stat().st_mtime < oldest:
                record.unlink()
