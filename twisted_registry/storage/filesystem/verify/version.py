"""
The check of one version, including all of its data.

Nothing is locked, and a daemon may be writing meanwhile.  So apparent damage is checked again, and is reported only if
the files are unchanged and the directory is still the same one.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Protocol

from attrs import define, field, frozen

from twisted_registry.domain.integrity import Sha256
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
"""A size that fits a processor's cache, so that hashing does not wait for memory; larger blocks were slower."""

_AHEAD_BYTES = 4 * BLOCK_BYTES
_MAX_ATTEMPTS = 3


class Stopped(Exception):
    """
    The verification was stopped.
    """


@frozen
class PinnedModel:
    """
    A model's directory, which is held open, so that no other directory gets its inode.

    Attributes:
        folder: the directory.
        model_id: the model's id; ``None`` if it is not known.
        system: the system's calls.
        place: the directory's path in the root.
    """

    folder: ModelFolder
    model_id: str | None
    system: System
    place: str

    @property
    def descriptor(self) -> int:
        """
        The directory's descriptor.
        """
        return self.folder.handle.descriptor

    def is_gone(self) -> bool:
        """
        Return whether the directory has lost its name: the model was deleted, and may have been created again.
        """
        held = self.system.fstat(self.descriptor)
        try:
            named = self.system.lstat(self.place)
        except OSError as error:
            return is_absent(error)
        return (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino)

    def finding(self, kind: Kind, number: int | None, path: str, reason: str, *, is_unread: bool = False) -> Finding:
        """
        Return a finding about a file of the model.
        """
        place = os.path.join(self.folder.name, os.path.basename(path))
        return Finding(kind, self.model_id, number, place, reason, is_unread)


def may_exist(system: System, path: str) -> bool:
    """
    Return whether a path exists or may exist, which is so if the system cannot say.
    """
    try:
        system.lstat(path)
    except OSError as error:
        return not is_absent(error)
    return True


@frozen
class Unreadable:
    """
    The reason why a file could not be read.

    Attributes:
        reason: one line without a path.
        is_damage: whether the file is damaged; otherwise the disk failed, and the file may be intact.
    """

    reason: str
    is_damage: bool


def read_small_file(system: System, path: str, max_bytes: int = MAX_METADATA_BYTES) -> bytes | Unreadable | None:
    """
    Read a file that should be small.

    Args:
        system: the system's calls.
        path: the file.
        max_bytes: how many bytes are read at most.

    Returns:
        The content; or why it cannot be read; or ``None`` if there is no such file.

    Raises:
        StorageUnavailable: this process has reached a limit, such as that on open files.
    """
    try:
        return read_metadata(system, path, max_bytes)
    except Malformed as error:
        unreadable_file = Unreadable(error.reason, is_damage=True)
    except OSError as error:
        if is_absent(error):
            return None
        if is_process_limit(error):
            raise read_failure(error) from error
        unreadable_file = Unreadable(unreadable(error), is_damage=is_link_loop(error))
    return unreadable_file if may_exist(system, path) else None


@define
class _Damage(Exception):
    """
    Damage of a version's data.
    """

    kind: Kind
    reason: str
    is_unread: bool = False


class IDataSink(Protocol):
    """
    A receiver of the data of a version as it is checked.
    """

    def begin(self) -> None:
        """
        Start, or start over.
        """

    def write(self, data: memoryview) -> None:
        """
        Take the next data.
        """


@define(eq=False)
class VersionCheck:
    """
    The check of versions.  May be used in any thread.

    Attributes:
        system: the system's calls.
        on_read: called with the number of bytes just read, in the thread that read them.
        is_stopped: returns whether the verification was stopped.
    """

    system: System
    on_read: Callable[[int], None]
    is_stopped: Callable[[], bool]
    _thread: local = field(factory=local, init=False)

    def findings(self, model: PinnedModel, number: int, sink: IDataSink | None = None) -> list[Finding] | None:
        """
        Check a version.

        Args:
            model: the model.
            number: the version's number.
            sink: where its data goes; ``None`` for nowhere.

        Returns:
            The findings; ``None`` if the version no longer exists.

        Raises:
            StorageUnavailable: this process has reached a limit, such as that on open files.
            Stopped: the verification was stopped.
        """
        path = model.folder.version_yaml(number)
        findings: list[Finding] = []
        seen = read_small_file(self.system, path)
        for _ in range(_MAX_ATTEMPTS):
            if seen is None:
                return None
            findings = list(self._examined(model, number, seen, sink))
            if not any(finding.is_damage for finding in findings):
                break
            before, seen = seen, read_small_file(self.system, path)
            if model.is_gone():
                return None
            if seen == before:
                break
        return findings

    def _examined(
        self, model: PinnedModel, number: int, seen: bytes | Unreadable, sink: IDataSink | None
    ) -> Iterator[Finding]:
        path = model.folder.version_yaml(number)
        if isinstance(seen, Unreadable):
            reason, is_unread = f"its .yaml: {seen.reason}", not seen.is_damage
            yield model.finding(Kind.VERSION_YAML, number, path, reason, is_unread=is_unread)
            return
        try:
            info, claims = parse_version_and_claims(seen, "", number)
        except Malformed as error:
            yield model.finding(Kind.VERSION_YAML, number, path, f"its .yaml: {error.reason}")
            return
        if claims.model_id and model.model_id is not None and claims.model_id != model.model_id:
            yield model.finding(Kind.CLAIM, number, path, "its .yaml names another model")
        if claims.version_number and claims.version_number != str(number):
            yield model.finding(Kind.CLAIM, number, path, "its .yaml names another number")
        data = model.folder.version_data(number)
        try:
            self._check_data(data, info, sink)
        except _Damage as damage:
            reason = f"its .data: {damage.reason}"
            yield model.finding(damage.kind, number, data, reason, is_unread=damage.is_unread)

    def _check_data(self, path: str, info: VersionInfo, sink: IDataSink | None) -> None:
        with self._opened(path) as (descriptor, size_bytes):
            if size_bytes != info.size_bytes:
                raise _Damage(Kind.DATA_SIZE, f"it has {size_bytes} bytes instead of {info.size_bytes}")
            with _damage_if_unreadable():
                found = self._sha256(descriptor, sink)
        if found != info.sha256:
            raise _Damage(Kind.DATA_HASH, f"its SHA-256 is {found} instead of {info.sha256}")

    @contextmanager
    def _opened(self, path: str) -> Iterator[tuple[int, int]]:
        with _damage_if_unreadable():
            descriptor, size_bytes = open_file(self.system, path)
        try:
            yield descriptor, size_bytes
        finally:
            close_quietly(self.system, descriptor)

    def _sha256(self, descriptor: int, sink: IDataSink | None) -> str:
        if sink is not None:
            sink.begin()
        sha256, position, buffer = Sha256(), 0, self._buffer()
        # A daemon may soon need what is in the page cache; what only this check brought there is dropped again.
        is_cached = self.system.is_cached(descriptor)
        while count := self.system.read_into(descriptor, buffer):
            if self.is_stopped():
                raise Stopped
            self.system.read_ahead(descriptor, position + count, _AHEAD_BYTES)
            sha256.update(buffer[:count])
            if sink is not None:
                sink.write(buffer[:count])
            if not is_cached:
                self.system.drop_cached(descriptor, position, count)
            position += count
            self.on_read(count)
        return sha256.text()

    def _buffer(self) -> memoryview:
        if not hasattr(self._thread, "buffer"):
            self._thread.buffer = memoryview(bytearray(BLOCK_BYTES))
        buffer: memoryview = self._thread.buffer
        return buffer


@contextmanager
def _damage_if_unreadable() -> Iterator[None]:
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
