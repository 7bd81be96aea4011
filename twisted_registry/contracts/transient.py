"""
The contract of a transient store.
"""

from collections.abc import Sequence
from enum import IntEnum

from attrs import frozen
from zope.interface import Attribute, Interface

from twisted_registry.contracts.archive import IChunkSink
from twisted_registry.domain.models import Chunk, VersionKey


class EvictionRank(IntEnum):
    """
    What is evicted first: lower ranks before higher ones, and within a rank the least recently used.

    So the latest version of each model stays before a second one of any other, however many that publishes, whether
    items or bytes are short.
    """

    COPY = 0
    """A copy of an archived version: it can be read again."""

    SUPERSEDED = 1
    """A transient version that is not its model's latest."""

    LATEST = 2
    """A transient version that is its model's latest."""


class ITransientWriter(IChunkSink):
    """
    Writes one version into a transient store.
    """

    def commit(key: VersionKey, rank: EvictionRank) -> list[VersionKey]:
        """
        Keep the version under a key, and evict what goes beyond the budget: perhaps this very version.

        Returns:
            what was evicted.
        """


class ITransientReader(Interface):
    """
    Reads one version of a transient store.  Reading goes on to the end, also when the version is evicted meanwhile.
    """

    def read() -> Chunk | None:
        """
        Give the next chunk, just as it was written; ``None`` after the last.

        Raises:
            StorageFailure: the medium failed.
        """

    def close() -> None:
        """
        Let go of the version.  Never raises; may be called twice.
        """


@frozen
class Usage:
    """
    How much a transient store holds.
    """

    items: int
    size_bytes: int


class ITransientStore(Interface):
    """
    Keeps versions for the time of this process, within a budget of items and bytes.

    Calls come from several threads at once.  ``usage`` and ``has_room`` never block, whatever the store.
    """

    max_bytes: int = Attribute("The budget in bytes.")

    def create_version() -> ITransientWriter:
        """
        Start writing a version.
        """

    def open_version(key: VersionKey) -> ITransientReader:
        """
        Start reading a version.

        Raises:
            KeyError: it is not held.
        """

    def set_rank(key: VersionKey, rank: EvictionRank) -> None:
        """
        Change how early a version goes.  Does nothing where it is not held.
        """

    def touch(keys: Sequence[VersionKey]) -> None:
        """
        Note that versions were used, in this order.  Passes over what is not held.
        """

    def remove(keys: Sequence[VersionKey]) -> None:
        """
        Drop versions.  Passes over what is not held.
        """

    def usage() -> Usage:
        """
        Give what is held now.
        """

    def has_room(size_bytes: int, rank: EvictionRank) -> bool:
        """
        Tell whether a version, were it kept now, would stay: whether there is room, or what may go for it.
        """


@frozen
class TransientBudget:
    """
    What a transient store may hold.

    Attributes:
        max_items: most versions, at least 1.
        max_bytes: most bytes of data, at least 1.
    """

    max_items: int
    max_bytes: int
