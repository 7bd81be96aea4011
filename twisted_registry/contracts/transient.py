"""
The contract of a transient store.
"""

from collections.abc import Sequence
from enum import IntEnum

from attrs import frozen
from zope.interface import Attribute, Interface

from twisted_registry.contracts.streams import IChunkSink
from twisted_registry.domain.models import Chunk, VersionKey


class EvictionRank(IntEnum):
    """
    The order of eviction: lower ranks before higher ones, and within a rank the least recently used version first.

    So the latest version of each model stays longer than the second-latest of another, however often that one is
    published, and whichever budget is short.
    """

    COPY = 0
    """A copy of an archived version, which can be read again from the archive."""

    SUPERSEDED = 1
    """A transient version that is not one of its model's newest."""

    RECENT = 2
    """A transient version that is one of its model's newest few, but not the latest."""

    LATEST = 3
    """A transient version that is its model's latest."""

    PINNED = 4
    """A transient version that is being moved to the archive."""


@frozen
class TransientBudget:
    """
    The limits of a transient store.

    Attributes:
        max_items: the most versions, at least 1.
        max_bytes: the most bytes of data, at least 1.
    """

    max_items: int
    max_bytes: int


@frozen
class Usage:
    """
    The amount of data in a transient store.

    Attributes:
        items: how many versions it holds.
        size_bytes: how many bytes of data they have.
    """

    items: int
    size_bytes: int


class ITransientWriter(IChunkSink):
    """
    A writer of one version.
    """

    def commit(key: VersionKey, rank: EvictionRank) -> list[VersionKey]:
        """
        Store the version under a key, replacing an earlier one, and evict versions until the budget is kept: possibly
        this one too.

        Args:
            key: the version's key.
            rank: the version's rank.

        Returns:
            The keys of the versions that were evicted.
        """


class ITransientReader(Interface):
    """
    A reader of one version.  It can read to the end even if the version is evicted meanwhile.
    """

    def read() -> Chunk | None:
        """
        Return the next chunk as it was written, with the same buffer and offset; ``None`` after the last one.

        Raises:
            StorageFailure: the medium failed.
        """

    def close() -> None:
        """
        Release the version.  Never raises; may be called twice.
        """


class ITransientStore(Interface):
    """
    A store for versions that do not outlive the process, within a budget of items and bytes.

    Several threads call it at once.  ``usage`` and ``has_room`` never block, in any store.  Choosing what to evict must
    not take longer the more the store holds.
    """

    max_bytes: int = Attribute("The budget in bytes.")

    def create_version() -> ITransientWriter:
        """
        Create a writer for a new version.

        Returns:
            A writer without data, which the caller commits or aborts.
        """

    def open_version(key: VersionKey) -> ITransientReader:
        """
        Open a version for reading.

        Args:
            key: the version's key.

        Returns:
            A reader, which the caller closes.

        Raises:
            KeyError: the store does not hold the version.
        """

    def set_rank(key: VersionKey, rank: EvictionRank) -> None:
        """
        Change a version's rank.  Does nothing if the store does not hold the version.

        Args:
            key: the version's key.
            rank: the new rank.
        """

    def touch(keys: Sequence[VersionKey]) -> None:
        """
        Mark versions as used, in this order.  Ignores versions that the store does not hold.

        Args:
            keys: the versions' keys, the most recently used one last.
        """

    def remove(keys: Sequence[VersionKey]) -> None:
        """
        Remove versions.  Ignores versions that the store does not hold.

        Args:
            keys: the versions' keys.
        """

    def usage() -> Usage:
        """
        Return how much the store holds now.
        """

    def has_room(size_bytes: int, rank: EvictionRank) -> bool:
        """
        Return whether a version would stay if it were committed now: whether there is room, or versions of lower or
        equal rank to evict for it.

        Args:
            size_bytes: the size of the version's data in bytes.
            rank: the version's rank.
        """


class IPredictableStore(ITransientStore):
    """
    A transient store that knows what it will evict.  Optional; needed to archive versions instead of evicting them.
    """

    def victims(size_bytes: int) -> Sequence[VersionKey]:
        """
        Return which versions a commit would evict now, if it has the rank ``LATEST``.  Leaves out pinned ones.

        Args:
            size_bytes: the size of the committed version's data in bytes.
        """
