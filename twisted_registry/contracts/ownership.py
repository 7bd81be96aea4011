"""
Optional contracts of an archive: where it is, which one it is, and whose.
"""

from collections.abc import Sequence

from attrs import define, field, frozen
from zope.interface import Attribute, Interface

from twisted_registry.contracts.archive import IArchive


class ILocatedArchive(IArchive):
    """
    An archive at a place that can change under it: a directory can be renamed, removed, unmounted or mounted over.
    Optional.
    """

    def check() -> None:
        """
        Check that the archive is still where it was opened.  Cheap enough to be called before every durable act and
        every second; each call that would store something durably makes this check itself.

        Raises:
            ArchiveMoved: it is not.
            StorageFailure: that cannot be told; the medium failed.
        """

    def missing(model_ids: Sequence[str]) -> list[str]:
        """
        Return those of some models that have no folder any more: others removed it.  Cheap where nothing has come to
        the archive or left it since this was asked last.

        Raises:
            StorageUnavailable: that cannot be told now.
        """


@frozen
class ArchiveIdentity:
    """
    Which archive it is.

    Attributes:
        archive_id: tells the archive from all others, wherever it is moved; empty where it has no id, ``None`` where it
            has one that cannot be read.
        is_new: the archive was made when it was opened.
        restores: how often its numbers were raised after a backup was restored.
    """

    archive_id: str | None = ""
    is_new: bool = False
    restores: int = 0


@define
class ArchiveStatus:
    """
    What is known of the archive as a whole.  Changed in the reactor's thread; may be read in any.

    Attributes:
        identity: which archive it is.
        problem: why it cannot be used; empty where it can.
    """

    identity: ArchiveIdentity = field(factory=ArchiveIdentity)
    problem: str = ""


class IIdentifiableArchive(Interface):
    """
    An archive that knows which one it is.  Optional, beside ``IArchive``.
    """

    def expect_existing() -> None:
        """
        Let ``IArchive.open`` fail with ``CannotStart``, and make nothing, where there is no archive yet.  Called before
        it.
        """

    def identity() -> ArchiveIdentity:
        """
        Return which archive it is.  Called after ``IArchive.open``; never blocks.
        """


class IOwnedArchive(Interface):
    """
    An archive that another machine could take while this process has it, unless the claim to it is renewed.  Optional,
    beside ``IArchive``.
    """

    renew_seconds: float = Attribute("How often L{renew} is to be called.")

    def renew() -> None:
        """
        Renew this process's claim.

        Raises:
            ArchiveTaken: another process has taken the archive; nothing is stored any more.
            StorageFailure: that cannot be told; the medium failed.
        """
