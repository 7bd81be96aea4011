"""
A probe of an archive: whether its disk accepts writes.
"""

import errno

from twisted_registry.storage.filesystem.failures import is_absent, writing
from twisted_registry.storage.filesystem.space import device_of
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import Folder, close_quietly, within

_CONTENT = bytes(4096)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def probe(staging: StagingArea) -> None:
    """
    Write, sync and remove a small file in the private folder.  May be called in any thread.

    A full disk counts as writable while interrupted uploads could be dropped, as a real write would drop them.  The
    probe itself drops none.

    Raises:
        StorageFull: there is no space.
        StorageReadOnly: the disk accepts no writes.
        StorageFailure: the disk failed.
    """
    space = staging.system.space
    with writing():
        try:
            with space.kept(), staging.private.open("tmp") as folder:
                _write(staging, folder)
        except OSError as error:
            device = device_of(staging.root.folder.descriptor)
            if error.errno not in _FULL or not space.freeable_bytes(device):
                raise


def _write(staging: StagingArea, folder: Folder) -> None:
    system = staging.system
    descriptor, name = staging.create_temp_file(folder)
    try:
        # The file has no name while it is written, so that a process that dies leaves nothing behind.
        try:
            system.unlink(within(folder, name))
        except OSError as error:
            if not is_absent(error):
                raise
        finally:
            staging.forget_temp_name(name)
        staging.write_all(descriptor, memoryview(_CONTENT))
        system.sync_data(descriptor)
    except BaseException:
        close_quietly(system, descriptor)
        raise
    system.close(descriptor)
