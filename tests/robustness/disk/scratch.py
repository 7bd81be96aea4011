"""
Where things can be thrown about.
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
    Give an empty folder in memory, removed at the end; where there is none, one on the disk.

    Args:
        otherwise: a folder on the disk.
    """
    there = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else otherwise
    with tempfile.TemporaryDirectory(prefix="robustness-", dir=there, ignore_cleanup_errors=True) as directory:
        yield Path(directory)
