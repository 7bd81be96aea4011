"""
One version, checked to its last byte.

Nothing is locked, and a daemon may be writing meanwhile: what looks like damage is looked at once more, and is damage
only where the files still say the same and the folder is still the one it was.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local

from attrs import define, field, frozen

from twisted_registry.domain.models import VersionInfo
from twisted_registry.storage.filesystem.failures import (
    Malformed,
    is_absent,
    is_link_loop,
    is_process_limit,
    read_failure,
    unreadable,
)
from twisted_registry.storage.filesystem.layout import ModelFolder
from twisted_registry.storage.filesystem.metadata import MAX_METADATA_BYTES, parse_version_and_claims
from twisted_registry.storage.filesystem.pinned_directory import open_file, read_metadata
from twisted_registry.storage.filesystem.system import System, close_quietly
from twisted_registry.storage.filesystem.verify.findings import Finding, Kind

BLOCK_BYTES = 1024 * 1024
"""Fits a processor's cache, so that hashing does not wait for memory; larger ones were slower."""

_AHEAD_BYTES = 4 * BLOCK_BYTES
_MOST_LOOKS = 3


class Stopped(Exception):
    """
    Whoever asked for the check wants it no longer.
    """


@frozen
class Watched:
    """
    A model's folder, held open: as long as it is, no other folder gets its inode.

    Attributes:
        place: its path in the root.
    """

    folder: ModelFolder
    model_id: str | None
    system: System
    place: str

    @property
    def descriptor(self) -> int:
        """
        The folder's descriptor.
        """
        return self.folder.handle.descriptor

    def is_gone(self) -> bool:
        """
        Tell whether the folder has its name no longer: the model was deleted, though there may be a new one.
        """
        held = self.system.fstat(self.descriptor)
        try:
            named = self.system.lstat(self.place)
        except OSError as error:
            return is_absent(error)
        return (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino)

    def finding(self, kind: Kind, number: int | None, path: str, reason: str, *, is_unread: bool = False) -> Finding:
        """
        Say what was found.
        """
        place = os.path.join(self.folder.name, os.path.basename(path))
        return Finding(kind, self.model_id, number, place, reason, is_unread)


def seems_named(system: System, path: str) -> bool:
    """
    Tell whether anything seems to have a name; where that cannot be told, it does.
    """
    try:
        system.lstat(path)
    except OSError as error:
        return not is_absent(error)
    return True


@frozen
class Unread:
    """
    A file that was not read.

    Attributes:
        reason: why not, in one line that names no path.
        is_damage: whether the file is at fault; else it may be whole, and the disk did not give it.
    """

    reason: str
    is_damage: bool


def described(system: System, path: str, most_bytes: int = MAX_METADATA_BYTES) -> bytes | Unread | None:
    """
    Read a file that should be small.

    Args:
        most_bytes: more are not read.

    Returns:
        what it holds; or why it cannot be read; or ``None`` where nothing has its name.

    Raises:
        StorageUnavailable: this process lacks something.
    """
    try:
        return read_metadata(system, path, most_bytes)
    except Malformed as error:
        unread = Unread(error.reason, is_damage=True)
    except OSError as error:
        if is_absent(error):
            return None
        if is_process_limit(error):
            raise read_failure(error) from error
        unread = Unread(unreadable(error), is_damage=is_link_loop(error))
    return unread if seems_named(system, path) else None


@define
class _Damage(Exception):
    """
    What is wrong with a version's data.
    """

    kind: Kind
    reason: str
    is_unread: bool = False


@define(eq=False)
class VersionCheck:
    """
    Checks versions.  May be used in any thread.

    Attributes:
        read: is told how many bytes more were read, in whatever thread reads them.
        is_stopped: tells whether to go on.
    """

    system: System
    read: Callable[[int], None]
    is_stopped: Callable[[], bool]
    _own: local = field(factory=local, init=False)

    def findings(self, model: Watched, number: int) -> list[Finding] | None:
        """
        Check a version.

        Returns:
            what was found; ``None`` where there is no such version any more.

        Raises:
            StorageUnavailable: this process lacks something.
            Stopped: it was told to stop.
        """
        path = model.folder.version_yaml(number)
        findings: list[Finding] = []
        seen = described(self.system, path)
        for _ in range(_MOST_LOOKS):
            if seen is None:
                return None
            findings = list(self._examined(model, number, seen))
            if not any(finding.is_damage for finding in findings):
                break
            before, seen = seen, described(self.system, path)
            if model.is_gone():
                return None
            if seen == before:
                break
        return findings

    def _examined(self, model: Watched, number: int, seen: bytes | Unread) -> Iterator[Finding]:
        path = model.folder.version_yaml(number)
        if isinstance(seen, Unread):
            reason, is_unread = f"its .yaml: {seen.reason}", not seen.is_damage
            yield model.finding(Kind.VERSION_YAML, number, path, reason, is_unread=is_unread)
            return
        try:
            info, claims = parse_version_and_claims(seen, "", number)
        except Malformed as error:
            yield model.finding(Kind.VERSION_YAML, number, path, f"its .yaml: {error.reason}")
            return
        if claims.model_id and model.model_id is not None and claims.model_id != model.model_id:
            yield model.finding(Kind.CLAIM, number, path, "its .yaml speaks of another model")
        if claims.version_number and claims.version_number != str(number):
            yield model.finding(Kind.CLAIM, number, path, "its .yaml speaks of another number")
        data = model.folder.version_data(number)
        try:
            self._check_data(data, info)
        except _Damage as damage:
            reason = f"its .data: {damage.reason}"
            yield model.finding(damage.kind, number, data, reason, is_unread=damage.is_unread)

    def _check_data(self, path: str, info: VersionInfo) -> None:
        with self._opened(path) as (descriptor, size_bytes):
            if size_bytes != info.size_bytes:
                raise _Damage(Kind.DATA_SIZE, f"it has {size_bytes} bytes instead of {info.size_bytes}")
            with _telling_unreadable():
                found = self._hash(descriptor)
        if found != info.sha256:
            raise _Damage(Kind.DATA_HASH, f"its SHA-256 is {found} instead of {info.sha256}")

    @contextmanager
    def _opened(self, path: str) -> Iterator[tuple[int, int]]:
        with _telling_unreadable():
            descriptor, size_bytes = open_file(self.system, path)
        try:
            yield descriptor, size_bytes
        finally:
            close_quietly(self.system, descriptor)

    def _hash(self, descriptor: int) -> str:
        digest, position, buffer = hashlib.sha256(), 0, self._buffer()
        # What is in memory a daemon may need soon; what only this check brought there leaves again.
        is_cached = self.system.is_cached(descriptor)
        while count := self.system.read_into(descriptor, buffer):
            if self.is_stopped():
                raise Stopped
            self.system.read_ahead(descriptor, position + count, _AHEAD_BYTES)
            digest.update(buffer[:count])
            if not is_cached:
                self.system.drop_cached(descriptor, position, count)
            position += count
            self.read(count)
        return base64.b64encode(digest.digest()).decode("ascii")

    def _buffer(self) -> memoryview:
        if not hasattr(self._own, "buffer"):
            self._own.buffer = memoryview(bytearray(BLOCK_BYTES))
        buffer: memoryview = self._own.buffer
        return buffer


@contextmanager
def _telling_unreadable() -> Iterator[None]:
    try:
        yield
    except Malformed as error:
        raise _Damage(Kind.DATA_UNREADABLE, error.reason) from error
    except OSError as error:
        if is_process_limit(error):
            raise read_failure(error) from error
        if is_absent(error):
            raise _Damage(Kind.DATA_MISSING, "it is missing") from error
        raise _Damage(Kind.DATA_UNREADABLE, unreadable(error), is_unread=True) from error
