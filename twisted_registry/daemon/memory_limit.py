"""
How much memory this process may use: that of the machine, or less where the system or a container says so; and how much
it has.

Linux says it in files of the process's control groups, in one of two layouts::

    /proc/self/cgroup                                       0::/a/b             (version 2)
                                                            9:cpu,memory:/a/b   (version 1)
    /sys/fs/cgroup/a/b/memory.max                           bytes, or "max"     (version 2)
    /sys/fs/cgroup/memory/a/b/memory.limit_in_bytes         bytes               (version 1)

A group is also held to the limits of all those above it.  Inside a container the path may name folders that cannot be
seen there; the group's own files are then at the top.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROC_STATM = Path("/proc/self/statm")
PROC_CGROUP = Path("/proc/self/cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")

_ASSUMED_BYTES = 4 * 2**30
"""Where the system does not say."""


def _groups(proc_cgroup: Path) -> Iterator[tuple[str, str, PurePosixPath]]:
    """
    Give, for each hierarchy that can limit memory: its folder, its file of the limit, and this process's group.
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
    Read one limit; ``None`` where there is none.
    """
    try:
        text = path.read_text().strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def cgroup_limit(proc_cgroup: Path = PROC_CGROUP, cgroup_root: Path = CGROUP_ROOT) -> int | None:
    """
    Give the least limit, in bytes, that the control groups of this process set; ``None`` where they set none.
    """
    limits = [
        limit
        for folder, file, group in _groups(proc_cgroup)
        for place in (group, *group.parents)
        if (limit := _limit(cgroup_root / folder / place / file)) is not None
    ]
    return min(limits, default=None)


def machine_memory() -> int | None:
    """
    Give the machine's memory in bytes; ``None`` where the system does not say.
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
    Give how many bytes of memory this process may use.

    Args:
        machine_bytes: the machine's memory, instead of what the system says.
    """
    known = [machine_bytes or machine_memory(), cgroup_limit(proc_cgroup, cgroup_root)]
    return min((size_bytes for size_bytes in known if size_bytes is not None), default=_ASSUMED_BYTES)


def resident_bytes(proc_statm: Path = PROC_STATM) -> int:
    """
    Tell how much memory this process has; 0 where the system does not say.
    """
    try:
        return int(proc_statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
