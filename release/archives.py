"""
The wheel and the source distribution: the same files always give the same bytes.

A wheel and an sdist contain more than files: times, modes that depend on the umask, owners, an order.  So they are
built from a copy of the source files and then packed again, with all of that fixed.
"""

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

from release import Refused

EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
DISTRIBUTION_VARIABLE = "TWISTED_REGISTRY_DISTRIBUTION"
"""Read by setup.py."""

FALLBACK_EPOCH = 315_532_800
"""1 January 1980, the earliest time in a wheel: used outside git, where the time of the source is unknown."""

_NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".mypy_cache", ".ruff_cache", "_trial_temp*"
)


def build(root: Path, target: Path) -> list[Path]:
    """
    Build the wheel and the source distribution, and the wheel of the client alone.

    Args:
        target: the directory for them; its contents are removed.

    Raises:
        Refused: the build failed.
    """
    epoch = source_epoch(root)
    with tempfile.TemporaryDirectory(prefix="build-") as folder:
        source, built = Path(folder, "source"), Path(folder, "dist")
        copy_source(root, source)
        environment = {**os.environ, EPOCH_VARIABLE: str(epoch), DISTRIBUTION_VARIABLE: ""}
        _run_build(source, built, environment)
        _run_build(source, built, {**environment, DISTRIBUTION_VARIABLE: "client"}, "--wheel")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        return [_packed_again(path, target / path.name, epoch) for path in sorted(built.iterdir())]


def _run_build(source: Path, target: Path, environment: dict[str, str], *options: str) -> None:
    # Without isolation, with the tools of the lock.
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(target), str(source)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise Refused(f"the package cannot be built:\n{ended.stdout}{ended.stderr}")


def source_epoch(root: Path) -> int:
    """
    Return the time of the source, in seconds since 1970: from the environment, or the time of the last commit.
    """
    given = os.environ.get(EPOCH_VARIABLE)
    if given:
        return int(given)
    listed = _git(root, "log", "-1", "--format=%ct")
    return int(listed) if listed else FALLBACK_EPOCH


def copy_source(root: Path, target: Path) -> None:
    """
    Copy the source files: those that git knows or does not ignore; outside git, all except build results.
    """
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if not listed:
        shutil.copytree(root, target, ignore=_NOT_SOURCE)
        return
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():  # git also lists deleted files
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


def _git(root: Path, *words: str) -> str:
    # A checkout around an unpacked source distribution does not count.
    if not (root / ".git").exists():
        return ""
    ended = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    return ended.stdout if ended.returncode == 0 else ""


def _packed_again(path: Path, target: Path, epoch: int) -> Path:
    pack = pack_wheel if path.suffix == ".whl" else pack_sdist
    target.write_bytes(pack(path, epoch))
    return target


def pack_wheel(path: Path, epoch: int) -> bytes:
    """
    Pack a wheel again.
    """
    packed = io.BytesIO()
    date_time = time.gmtime(max(epoch, FALLBACK_EPOCH))[:6]
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in _sorted(old.namelist()):
            member = zipfile.ZipInfo(name, date_time)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # Unix, whose modes these are
            executable = old.getinfo(name).external_attr >> 16 & 0o100
            member.external_attr = (0o100755 if executable else 0o100644) << 16
            new.writestr(member, old.read(name))
    return packed.getvalue()


def _sorted(names: Iterable[str]) -> list[str]:
    # As the format recommends: the metadata comes last, and its list of files at the very end.
    return sorted(names, key=lambda name: (".dist-info/" in name, name.endswith("/RECORD"), name))


def pack_sdist(path: Path, epoch: int) -> bytes:
    """
    Pack a source distribution again.
    """
    unpacked = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=unpacked, mode="w", format=tarfile.GNU_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime = epoch
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
    return gzip.compress(unpacked.getvalue(), mtime=epoch)
