"""
The mark of a copy of an archive: the file ``backup`` in the private folder.

A copy has it from when it is complete until its version numbers are raised, so that no daemon assigns the numbers of
lost versions again.  While a backup is restored, the mark says so.
"""

import os
from typing import Any

from attrs import asdict, frozen

from twisted_registry.storage.filesystem.documents import format_document, parse_document
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.layout import BACKUP, PRIVATE_FOLDER
from twisted_registry.storage.filesystem.pinned_directory import read_metadata, remove
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, lexists, within

BACKUP_PATH = os.path.join(PRIVATE_FOLDER, BACKUP)


@frozen
class BackupMark:
    """
    The content of the file.

    Attributes:
        began_ns: when the backup began, in nanoseconds since the Unix epoch.
        models: how many models it has.
        versions: how many versions it has.
        size_bytes: the size of their data in bytes.
        damaged: how many files were found damaged, or could not be read.
        is_complete: false while it is being restored.
    """

    began_ns: int
    models: int
    versions: int
    size_bytes: int
    damaged: int
    is_complete: bool = True


def format_backup_mark(mark: BackupMark) -> bytes:
    """
    Return the content of the file.
    """
    return format_document(asdict(mark))


def read_backup_mark(system: System, root: Folder) -> BackupMark | None:
    """
    Read the mark of an open archive.

    Returns:
        ``None`` if there is none.

    Raises:
        OSError: it cannot be read.
        Malformed: it is damaged.
    """
    try:
        values: Any = parse_document(read_metadata(system, within(root, BACKUP_PATH)))
    except FileNotFoundError:
        return None
    try:
        mark = BackupMark(**values)
    except TypeError:
        raise Malformed("it is not the mark of a backup") from None
    if any(not isinstance(value, int) for value in asdict(mark).values()):
        raise Malformed("it is not the mark of a backup")
    return mark


def why_not_opened(system: System, root: Folder, path: str) -> str:
    """
    Return why a daemon must not open an archive: it is a copy whose numbers were not raised.

    Args:
        system: the system's calls.
        root: the archive.
        path: its path.

    Returns:
        one line with advice; empty if the archive may be opened.

    Raises:
        OSError: this cannot be determined.
    """
    if not lexists(system, within(root, BACKUP_PATH)):
        return ""
    try:
        mark = read_backup_mark(system, root)
    except Malformed:
        mark = None
    if mark is not None and not mark.is_complete:
        return (
            f"the restore into {path!r} was interrupted: run the same 'twisted-registry archive restore' again, "
            "which goes on with it"
        )
    return (
        f"{path!r} is a backup, and numbers that were assigned after it must not be assigned again: restore it with "
        "'twisted-registry archive restore', or run 'twisted-registry archive raise-numbers' if this is a copy of it"
    )


def remove_mark(system: System, root: Folder) -> None:
    """
    Remove the mark of a copy, so that daemons open it.  Durable when this returns.

    Raises:
        OSError: it cannot be removed.
    """
    remove(system, within(root, BACKUP_PATH))
    descriptor = system.open(within(root, PRIVATE_FOLDER), os.O_RDONLY | os.O_DIRECTORY)
    try:
        system.fsync(descriptor)
    finally:
        close_quietly(system, descriptor)
