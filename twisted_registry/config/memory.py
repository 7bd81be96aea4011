"""
Settings of the memory for versions.
"""

from attrs import frozen

from twisted_registry.config.setting import setting
from twisted_registry.config.values import SWITCH, whole


@frozen
class MemorySettings:
    """
    Settings of the memory for versions.

    Attributes:
        max_items: how many versions are held in memory at most.
        max_bytes: how many bytes of versions are held in memory at most.
        keep_per_model: how many of the newest transient versions of each model are evicted after all others.
        archive_evicted_latest: whether a model's latest version is archived instead of being evicted.
        search_index_max_bytes: the approximate memory for the indexes of searches.
    """

    max_items: int = setting(
        "version-cache-max-items", whole(1, 10**9), "maximum number of versions held in memory", 100
    )
    max_bytes: int = setting(
        "version-cache-max-bytes",
        whole(1, 2**63 - 1, " of bytes"),
        "maximum size of all versions held in memory, in bytes",
        lambda machine: max(1, machine.memory_bytes // 4),
        "a quarter of the memory that the process may use",
    )
    keep_per_model: int = setting(
        "transient-keep-per-model",
        whole(1, 1000),
        "how many of the newest versions of each model, if they are not archived, are evicted after all others, so "
        "that one fast trainer does not evict the versions of all models",
        1,
    )
    archive_evicted_latest: bool = setting(
        "archive-evicted-latest",
        SWITCH,
        "archive a model's latest version instead of losing it when memory is too small for it; commits wait if the "
        "archive is slower than they are",
        False,
        "off",
    )
    search_index_max_bytes: int = setting(
        "search-index-max-bytes",
        whole(1, 2**63 - 1, " of bytes"),
        "maximum size of the indexes of searches, in bytes of memory; a version takes about 1.6 KB",
        256 * 2**20,
    )
