"""
The number of versions in an archive's folder, and their size.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_DATA = ".data"


def stored_versions(root: int, is_wanted: Callable[[], bool]) -> tuple[int, int]:
    """
    Count the files with data of versions, and their bytes.  Links are not followed.

    Args:
        root: the descriptor of the archive's folder.
        is_wanted: returns whether to go on; asked before each model.

    Raises:
        OSError: the folder cannot be read.
    """
    versions = size_bytes = 0
    with os.scandir(root) as entries:
        folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name[0] != "."]
    for name in folders:
        if not is_wanted():
            break
        # A model may be deleted meanwhile.
        with suppress(FileNotFoundError, NotADirectoryError), _opened(root, name) as folder:
            for size in _sizes(folder):
                versions += 1
                size_bytes += size
    return versions, size_bytes


@contextmanager
def _opened(root: int, name: str) -> Iterator[int]:
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    try:
        yield folder
    finally:
        os.close(folder)


def _sizes(folder: int) -> Iterator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_DATA) and entry.name[0] != ".":
                with suppress(FileNotFoundError):
                    yield entry.stat(follow_symlinks=False).st_size
