"""
The limit on the descriptors (open files and connections) of this process.
"""

import resource
from contextlib import suppress

_DESCRIPTORS_MAX = 2**20
"""Where the system sets no limit; also about what Linux allows a process by default."""

_RESERVE_MIN = 96
"""Descriptors for the process itself and for the files of archived versions that are created and read."""
_CONNECTIONS_MIN = 8


def usable_descriptors() -> int:
    """
    Return how many descriptors this process can have once its soft limit is raised.
    """
    soft, hard = (
        _DESCRIPTORS_MAX if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    return max(soft, min(hard, _DESCRIPTORS_MAX))


def raise_descriptor_limit() -> None:
    """
    Raise the soft limit to the hard one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    usable = usable_descriptors()
    if soft != resource.RLIM_INFINITY and soft < usable:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (usable, hard))


def connections_within(descriptors: int) -> int:
    """
    Return how many connections a limit on descriptors allows, with a reserve for files.
    """
    reserve = max(_RESERVE_MIN, descriptors // 4)
    return max(descriptors - reserve, _CONNECTIONS_MIN)
