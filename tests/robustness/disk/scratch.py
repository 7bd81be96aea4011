"""
Scratch directories.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = "/dev/shm"


@contextmanager
def memory_folder(otherwise: Path) -> Iterator[Path]:
    """
    Return an empty directory in memory, removed at the end; or, if there is no memory file system, one on the disk.

    Args:
        otherwise: a directory on the disk.
    """
    there = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else otherwise
    with tempfile.TemporaryDirectory(prefix="robustness-", dir=there, ignore_cleanup_errors=True) as directory:
        yield Path(directory)
