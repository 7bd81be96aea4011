"""
The rules by which interrupted uploads are dropped when there are too many of them.

An upload that holds a lot of data cannot be displaced by many that hold little, nor the uploads of one client by those
of another that sends more.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar

from attrs import frozen

K = TypeVar("K")


@frozen
class UnfinishedLimits:
    """
    Limits on the unfinished uploads that nobody is sending.

    Attributes:
        count: the most uploads.
        size_bytes: the most bytes of all of them.
        seconds: how long one is kept after its last change.
    """

    count: int = 100
    size_bytes: int = 64 * 2**30
    seconds: float = 3600.0


@frozen
class KeptData:
    """
    The size and the origin of the data that is kept of an upload.

    Attributes:
        owner: the address of the client that sent it; empty if it is not known.
        size_bytes: the length of the data.
        kept_seconds: when it was interrupted.
    """

    owner: str
    size_bytes: int
    kept_seconds: float


def first_of_too_many(kept: Mapping[K, KeptData], max_count: int) -> K | None:
    """
    Return the upload to drop because there are too many: the smallest of the client that has the most.

    If several clients have as many, it is the smallest of theirs.

    Returns:
        ``None`` if there are not too many.
    """
    if len(kept) <= max_count:
        return None
    counts: dict[str, int] = defaultdict(int)
    for each in kept.values():
        counts[each.owner] += 1
    most = max(counts.values())
    candidates = [key for key, each in kept.items() if counts[each.owner] == most]
    return min(candidates, key=lambda key: (kept[key].size_bytes, kept[key].kept_seconds))


def first_of_too_much(kept: Mapping[K, KeptData], max_bytes: int) -> K | None:
    """
    Return the upload to drop because there is too much data: the oldest with data of the client that has the most.

    Returns:
        ``None`` if there is not too much.
    """
    sizes: dict[str, int] = defaultdict(int)
    for each in kept.values():
        sizes[each.owner] += each.size_bytes
    if sum(sizes.values()) <= max_bytes:
        return None
    owner = max(sizes, key=lambda owner: sizes[owner])
    candidates = [key for key, each in kept.items() if each.owner == owner and each.size_bytes]
    return min(candidates, key=lambda key: kept[key].kept_seconds)
