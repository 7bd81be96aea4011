"""
The limit on this process's descriptors: open files and connections.
"""

import resource
from contextlib import suppress

_DESCRIPTORS_MAX = 2**20
"""Assumed if the system sets no limit; about the default maximum of Linux."""


def usable_descriptors() -> int:
    """
    Return how many descriptors this process can have once the soft limit is raised.
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
