"""
The quarantine of a damaged journal of aliases: the whole file gets a second name there, and the undamaged lines stay.
"""

from stat import S_ISREG

from twisted_registry.storage.filesystem.alias_journal import AliasJournals
from twisted_registry.storage.filesystem.alias_lines import read_lines
from twisted_registry.storage.filesystem.layout import ALIASES, ModelFolder
from twisted_registry.storage.filesystem.pinned_directory import open_file, read_up_to
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, lexists, within


def quarantine_aliases(staging: StagingArea, folder: ModelFolder, target: Folder) -> None:
    """
    Move the damaged lines of a journal away.

    Args:
        target: the quarantine's folder.

    Raises:
        OSError: this failed; the journal is unchanged.
        StorageFailure: the journal is unchanged, or repaired.
    """
    system, path, new_path = staging.system, within(folder.path, ALIASES), within(target, ALIASES)
    if not S_ISREG(system.lstat(path).st_mode):
        system.rename(path, new_path)
        staging.sync_folder(target)
        staging.sync_folder(folder.handle)
        return
    undamaged = _undamaged_lines(system, path)
    # Renaming it would lose the aliases until the undamaged lines are written.
    system.link(path, new_path)
    staging.sync_folder(target)
    staging.replace_file(folder.handle, ALIASES, undamaged)


def _undamaged_lines(system: System, path: str) -> bytes:
    descriptor, size_bytes = open_file(system, path)
    try:
        content = read_up_to(system, descriptor, size_bytes)
    finally:
        close_quietly(system, descriptor)
    descriptor, _ = open_file(system, path)
    try:
        lines = list(read_lines(system, descriptor))
    finally:
        close_quietly(system, descriptor)
    ends = [*(line.start for line in lines[1:]), len(content)]
    return b"".join(content[line.start : end] for line, end in zip(lines, ends, strict=True) if not line.damage)


def settle_aliases(staging: StagingArea, journals: AliasJournals, folder: ModelFolder) -> None:
    """
    Make the last moves of a journal independent of the version that they were committed with, before that version is
    moved: otherwise they would no longer count, and the alias would go back.

    Raises:
        OSError: this failed.
        StorageFailure: this failed.
    """
    if lexists(staging.system, within(folder.path, ALIASES)):
        journals.append_in(folder, [])
