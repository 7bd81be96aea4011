"""
The file ``identity`` in the private folder: the archive's id, as JSON that people can read, with a checksum.
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
    The file that holds the archive's id.  Used by one thread at a time.
    """

    def __init__(self, staging: StagingArea) -> None:
        self._staging = staging

    @property
    def _path(self) -> str:
        return within(self._staging.root.folder, os.path.join(PRIVATE_FOLDER, IDENTITY))

    @property
    def exists(self) -> bool:
        """
        Return whether the file exists, even if it is damaged.

        Raises:
            OSError: this cannot be determined.
        """
        return lexists(self._staging.system, self._path)

    def load(self) -> ArchiveIdentity:
        """
        Read the file.

        Returns:
            the identity.  Its id is empty if there is no file, and ``None`` if the file is damaged.

        Raises:
            OSError: the file cannot be read now.
        """
        try:
            return parse_identity(read_metadata(self._staging.system, self._path))
        except FileNotFoundError:
            return ArchiveIdentity()
        except Malformed as error:
            _log.warn(
                "{path} is damaged, so clients do not learn the archive's id: {reason}; remove it to give the "
                "archive a new id, or restore it from a backup",
                path=self._path,
                reason=error.reason,
            )
            return ArchiveIdentity(None)

    def create(self, is_new: bool) -> ArchiveIdentity:
        """
        Write a file with a new id.

        Args:
            is_new: whether the archive itself is new.

        Returns:
            the identity; its id is empty if the file cannot be written.
        """
        identity = ArchiveIdentity(str(uuid4()), is_new)
        try:
            self._write(identity)
        except (OSError, StorageFailure) as error:
            _log.warn(
                "the archive {root} has no id, and none can be written: {reason}",
                root=self._staging.root.path,
                reason=reason_of(error) if isinstance(error, OSError) else error.reason,
            )
            return evolve(identity, archive_id="")
        return identity

    def count_restore(self) -> ArchiveIdentity:
        """
        Count a restore: the archive's numbers were raised after a backup was restored.

        Raises:
            OSError: the file cannot be written; nothing has changed.
            StorageFailure: either the old file or the new one exists.
        """
        before = self.load()
        if before.archive_id is None:
            return before  # a person has to restore a damaged file
        identity = ArchiveIdentity(before.archive_id or str(uuid4()), restores=before.restores + 1)
        self._write(identity)
        return identity

    def _write(self, identity: ArchiveIdentity) -> None:
        self._staging.replace_private_file(IDENTITY, format_identity(identity))


def format_identity(identity: ArchiveIdentity) -> bytes:
    """
    Return the content of the file.
    """
    values = {"archive_id": identity.archive_id, "restores": identity.restores}
    return (json.dumps({**values, "crc32": _crc32(values)}) + "\n").encode()


def _crc32(values: dict[str, Any]) -> str:
    # One flipped bit would make it another id, and clients would take the archive for another one.
    return f"{zlib.crc32(json.dumps([values['archive_id'], values['restores']]).encode()):08x}"


def parse_identity(content: bytes) -> ArchiveIdentity:
    """
    Parse the content of the file.

    Raises:
        Malformed: it is damaged.
    """
    try:
        values: Any = json.loads(content)
        archive_id, restores, crc32 = values["archive_id"], values["restores"], _crc32(values)
    except (ValueError, RecursionError, TypeError, KeyError):
        raise Malformed("it does not hold an archive's id") from None
    if not isinstance(archive_id, str) or _ID.fullmatch(archive_id) is None:
        raise Malformed("it does not hold an archive's id")
    if type(restores) is not int or not 0 <= restores < 2**31:
        raise Malformed("it does not hold the number of restores")
    if values.get("crc32") != crc32:
        raise Malformed("its checksum does not match")
    return ArchiveIdentity(archive_id, restores=restores)
