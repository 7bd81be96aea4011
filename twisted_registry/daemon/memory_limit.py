"""
The memory limit of this process (the machine's memory, or a container's limit), and the memory that it uses.

Linux has the limits in files of the process's control groups, in one of two layouts::

    /proc/self/cgroup                                       0::/a/b             (version 2)
                                                            9:cpu,memory:/a/b   (version 1)
    /sys/fs/cgroup/a/b/memory.max                           bytes, or "max"     (version 2)
    /sys/fs/cgroup/memory/a/b/memory.limit_in_bytes         bytes               (version 1)

The limits of all parent groups apply as well.  Inside a container the path may name directories that do not exist
there; then the group's files are at the root.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROC_STATM = Path("/proc/self/statm")
PROC_CGROUP = Path("/proc/self/cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")

_ASSUMED_BYTES = 4 * 2**30
"""Assumed if the system does not report it."""


def _groups(proc_cgroup: Path) -> Iterator[tuple[str, str, PurePosixPath]]:
    """
    Return, for each hierarchy that can limit memory, its directory, its limit file, and this process's group.
    """
    try:
        lines = proc_cgroup.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        hierarchy, controllers, path = [*line.split(":", 2), "", ""][:3]
        group = PurePosixPath(path.lstrip("/"))
        if hierarchy == "0" and not controllers:
            yield "", "memory.max", group
        elif "memory" in controllers.split(","):
            yield "memory", "memory.limit_in_bytes", group


def _limit(path: Path) -> int | None:
    """
    Read a limit in bytes; ``None`` if there is none.
    """
    try:
        text = path.read_text().strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def cgroup_limit(proc_cgroup: Path = PROC_CGROUP, cgroup_root: Path = CGROUP_ROOT) -> int | None:
    """
    Return the lowest limit of this process's control groups in bytes; ``None`` if there is none.
    """
    limits = [
        limit
        for hierarchy, file, group in _groups(proc_cgroup)
        for directory in (group, *group.parents)
        if (limit := _limit(cgroup_root / hierarchy / directory / file)) is not None
    ]
    return min(limits, default=None)


def machine_memory() -> int | None:
    """
    Return the machine's memory in bytes; ``None`` if the system does not report it.
    """
    try:
        size_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return size_bytes if size_bytes > 0 else None


def usable_memory(
    machine_bytes: int | None = None, proc_cgroup: Path = PROC_CGROUP, cgroup_root: Path = CGROUP_ROOT
) -> int:
    """
    Return the memory in bytes that this process may use.

    Args:
        machine_bytes: the machine's memory; by default, the value that the system reports.
        proc_cgroup: the file with the process's groups.
        cgroup_root: the directory of the hierarchies.
    """
    known = [machine_bytes or machine_memory(), cgroup_limit(proc_cgroup, cgroup_root)]
    return min((size_bytes for size_bytes in known if size_bytes is not None), default=_ASSUMED_BYTES)


def resident_bytes(proc_statm: Path = PROC_STATM) -> int:
    """
    Return the resident memory of this process in bytes; 0 if the system does not report it.
    """
    try:
        return int(proc_statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
