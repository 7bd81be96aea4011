"""
Optional contracts of an archive: its location, its identity and its owner.
"""

from collections.abc import Sequence

from attrs import define, field, frozen
from zope.interface import Attribute, Interface

from twisted_registry.contracts.archive import IArchive


class ILocatedArchive(IArchive):
    """
    An archive at a location that can change while it is open: a directory can be renamed, removed, unmounted or mounted
    over.  Optional.
    """

    def check() -> None:
        """
        Check that the archive is still where it was opened.  Must be fast: called every second, and by every operation
        that stores something durably.

        Raises:
            ArchiveMoved: the archive is no longer there.
            StorageFailure: the medium failed, so that it cannot be determined.
        """

    def missing(model_ids: Sequence[str]) -> list[str]:
        """
        Return those models whose directory no longer exists, because another program removed it.  Must be fast if
        nothing was added to the archive or removed from it since the last call.

        Args:
            model_ids: the models to look for.

        Raises:
            StorageUnavailable: it cannot be determined now.
        """


@frozen
class ArchiveIdentity:
    """
    The identity of an archive.

    Attributes:
        archive_id: distinguishes the archive from all others, wherever it is moved; empty if it has no id, ``None`` if
            its id cannot be read.
        is_new: whether the archive was created when it was opened.
        restores: how often its numbers were raised after a backup was restored.
    """

    archive_id: str | None = ""
    is_new: bool = False
    restores: int = 0


@define
class ArchiveStatus:
    """
    The status of the archive as a whole.  Changed in the reactor's thread; may be read in any thread.

    Attributes:
        identity: the archive's identity.
        problem: why the archive cannot be used; empty if it can.
        write_problem: why nothing can be stored, though the archive may still be read, as a clause; empty if it can.
    """

    identity: ArchiveIdentity = field(factory=ArchiveIdentity)
    problem: str = ""
    write_problem: str = ""


class IProbedArchive(Interface):
    """
    An archive that can try whether it accepts writes.  Optional, in addition to ``IArchive``.
    """

    def probe() -> None:
        """
        Write, sync and remove something small.  Called every 15 seconds, never twice at once; may block.

        Raises:
            StorageFull: there is no space.
            StorageReadOnly: the medium accepts no writes.
            StorageFailure: the medium failed.
        """


class IIdentifiableArchive(Interface):
    """
    An archive with an identity.  Optional, in addition to ``IArchive``.
    """

    def expect_existing() -> None:
        """
        Make ``IArchive.open`` fail with ``CannotStart``, and create nothing, if the archive does not exist.  Called
        before it.
        """

    def identity() -> ArchiveIdentity:
        """
        Return the archive's identity.  Called after ``IArchive.open``; never blocks.
        """


class IOwnedArchive(Interface):
    """
    An archive that another machine can take over unless this process renews its claim.  Optional, in addition to
    ``IArchive``.
    """

    renew_seconds: float = Attribute("The interval in seconds at which ``renew`` is called.")

    def renew() -> None:
        """
        Renew this process's claim.

        Raises:
            ArchiveTaken: another process has taken the archive; nothing more is stored.
            StorageFailure: the medium failed, so that it cannot be determined.
        """
