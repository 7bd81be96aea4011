"""
A real file system in a file, mounted, that writes only on request.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZE_BYTES = 256 * 2**20


def _command(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)


def _made(*words: object) -> None:
    ended = _command(*words)
    if ended.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: {ended.stderr.strip()}")


def make_image(image: Path, size_bytes: int = _SIZE_BYTES) -> None:
    """
    Make an empty ext4 in a sparse file.
    """
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _made("mkfs.ext4", "-q", "-F", "-b", "4096", image)


@contextmanager
def mounted(image: Path, options: str = "") -> Iterator[Path]:
    """
    Mount an image, and give where.

    Options that leave commits to syncs, as far as possible, and do not write data early because of a rename.
    """
    with tempfile.TemporaryDirectory(prefix="mount-", dir=image.parent) as place:
        _made("mount", "-o", f"loop,commit=300,noauto_da_alloc,{options}".rstrip(","), image, place)
        try:
            yield Path(place)
        finally:
            _unmount(place)


def _unmount(place: str) -> None:
    if _command("umount", place).returncode != 0:
        # Something is open there still: it goes once that is closed.
        _made("umount", "--lazy", place)


def copy_as_after_a_cut(image: Path, copy: Path) -> None:
    """
    Copy a mounted image as it is on disk at one moment; again, if something was written meanwhile.

    Raises:
        OSError: it was written to each time.
    """
    for _ in range(20):
        _made("cp", "--sparse=always", image, copy)
        if _command("cmp", "--silent", image, copy).returncode == 0:
            return
    raise OSError(f"{image} does not become stable")


def hindrance() -> str | None:
    """
    Return what this machine lacks to mount images; ``None`` if nothing.
    """
    if os.geteuid() != 0:
        return "not root, who may mount"
    missing = [name for name in ("mkfs.ext4", "mount", "umount", "cp", "cmp") if shutil.which(name) is None]
    if missing:
        return f"there is no {missing[0]}"
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory, "image")
        try:
            make_image(image, 2**24)
            with mounted(image):
                return None
        except OSError as error:
            return str(error)
