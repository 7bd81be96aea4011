"""
Which archive it is: a file with an id, made with the archive.

It is ``identity`` in the private folder: JSON, so that people can read it too, with a checksum.
"""

import json
import os
import re
import zlib
from typing import Any
from uuid import uuid4

from attrs import evolve
from twisted.logger import Logger

from twisted_registry.contracts.ownership import ArchiveIdentity
from twisted_registry.domain.errors import StorageFailure
from twisted_registry.storage.filesystem.failures import Malformed, reason_of
from twisted_registry.storage.filesystem.layout import IDENTITY, PRIVATE_FOLDER
from twisted_registry.storage.filesystem.pinned_directory import read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import lexists, within

_log = Logger()

_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)


class IdentityFile:
    """
    The file that says which archive it is.  Used by one thread at a time.
    """

    def __init__(self, staging: StagingArea) -> None:
        self._staging = staging

    @property
    def _path(self) -> str:
        return within(self._staging.root.folder, os.path.join(PRIVATE_FOLDER, IDENTITY))

    @property
    def exists(self) -> bool:
        """
        Whether there is such a file, be it damaged.

        Raises:
            OSError: that cannot be told.
        """
        return lexists(self._staging.system, self._path)

    def load(self) -> ArchiveIdentity:
        """
        Read it.

        Returns:
            without an id where there is no file, or with one that cannot be told where it is damaged.

        Raises:
            OSError: it cannot be read now.
        """
        try:
            return parse_identity(read_metadata(self._staging.system, self._path))
        except FileNotFoundError:
            return ArchiveIdentity()
        except Malformed as error:
            _log.warn(
                "{path} cannot be read, so clients do not learn the archive's id: {reason}; remove it to give the "
                "archive a new id, or restore it from a backup",
                path=self._path,
                reason=error.reason,
            )
            return ArchiveIdentity(None)

    def make(self, is_new: bool) -> ArchiveIdentity:
        """
        Write one with a new id.

        Args:
            is_new: whether the archive itself is new.

        Returns:
            what it says; without an id where it cannot be written.
        """
        identity = ArchiveIdentity(str(uuid4()), is_new)
        try:
            self._write(identity)
        except (OSError, StorageFailure) as error:
            _log.warn(
                "the archive {root} has no id, and cannot be given one: {reason}",
                root=self._staging.root.path,
                reason=reason_of(error) if isinstance(error, OSError) else error.reason,
            )
            return evolve(identity, archive_id="")
        return identity

    def count_restore(self) -> ArchiveIdentity:
        """
        Note that the numbers of the archive were raised after a backup was restored.

        Raises:
            OSError: it cannot be written; nothing has changed.
            StorageFailure: there is the old file or the new one.
        """
        before = self.load()
        if before.archive_id is None:
            return before  # what cannot be read is for somebody to restore
        identity = ArchiveIdentity(before.archive_id or str(uuid4()), restores=before.restores + 1)
        self._write(identity)
        return identity

    def _write(self, identity: ArchiveIdentity) -> None:
        self._staging.replace_private_file(IDENTITY, format_identity(identity))


def format_identity(identity: ArchiveIdentity) -> bytes:
    """
    Return what the file holds.
    """
    told = {"archive_id": identity.archive_id, "restores": identity.restores}
    return (json.dumps({**told, "crc32": _checksum(told)}) + "\n").encode()


def _checksum(told: dict[str, Any]) -> str:
    # One bit makes another id of it, and all clients would be told that the archive is another one.
    return f"{zlib.crc32(json.dumps([told['archive_id'], told['restores']]).encode()):08x}"


def parse_identity(content: bytes) -> ArchiveIdentity:
    """
    Read what the file holds.

    Raises:
        Malformed: it is damaged.
    """
    try:
        told: Any = json.loads(content)
        archive_id, restores, checksum = told["archive_id"], told["restores"], _checksum(told)
    except (ValueError, RecursionError, TypeError, KeyError):
        raise Malformed("it does not hold an archive's id") from None
    if not isinstance(archive_id, str) or _ID.fullmatch(archive_id) is None:
        raise Malformed("it does not hold an archive's id")
    if type(restores) is not int or not 0 <= restores < 2**31:
        raise Malformed("it does not say how often a backup was restored")
    if told.get("crc32") != checksum:
        raise Malformed("it does not have its checksum")
    return ArchiveIdentity(archive_id, restores=restores)
