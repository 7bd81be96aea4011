"""
The contracts of observation: what the other packages report as it happens.  Numbers that exist anyway are read when
they are asked for.
"""

from collections.abc import Callable, Collection
from typing import Literal

from zope.interface import Attribute, Interface

Refusal = Literal["unauthenticated", "denied", "quota", "overloaded", "throttled", "unavailable"]
"""Why a call was refused, without regard to what it asked for."""


class IMethodObserver(Interface):
    """
    The observer of the calls of one method.  Used in one thread.
    """

    def received(size_bytes: int) -> None:
        """
        Record that a message was received.

        Args:
            size_bytes: its length.
        """

    def sent(size_bytes: int) -> None:
        """
        Record that a message was passed to the transport, which sends it.

        Args:
            size_bytes: its length.
        """

    def ended(code: str, seconds: float) -> None:
        """
        Record that a call has ended.

        Args:
            code: the name of its status, such as ``OK``.
            seconds: how long it took.
        """


class IEdgeObserver(Interface):
    """
    The observer of a server at the edge.  Used in the thread of its event loop.
    """

    def method(service: str, method: str) -> IMethodObserver:
        """
        Return the observer of a method's calls.

        Args:
            service: the full name of the service, such as ``cogmentAPI.ModelRegistrySP``.
            method: the name of the method.

        Returns:
            The same one for the same method.
        """

    def refused(kind: Refusal) -> None:
        """
        Record that a call was refused.

        Args:
            kind: why.
        """

    def delivered(seconds: float) -> None:
        """
        Record that a subscriber was sent a new version.

        Args:
            seconds: the time since its commit.
        """

    def lagged(seconds: float) -> None:
        """
        Record by how much the event loop was late.

        Args:
            seconds: the time by which a timer fired too late.
        """


class IArchiveObserver(Interface):
    """
    The observer of an archive.  May be used in any thread.
    """

    def succeeded(operation: str, seconds: float) -> None:
        """
        Record that an operation was done.

        Args:
            operation: its name, such as ``commit``.
            seconds: how long it took.
        """

    def failed(operation: str, cause: str) -> None:
        """
        Record that an operation failed because of the medium.

        Args:
            operation: its name.
            cause: the kind of the error.
        """

    def synced(seconds: float) -> None:
        """
        Record a sync of a file or a folder to the disk.

        Args:
            seconds: how long it took.
        """


class ISyncReporter(Interface):
    """
    An archive that reports how long each sync takes.  Optional, in addition to ``IArchive``.
    """

    def report_syncs(synced: Callable[[float], None]) -> None:
        """
        Report syncs from now on, to a further listener if there is one already.

        Args:
            synced: called with the seconds of each sync, in any thread.
        """


class IDiskReporter(Interface):
    """
    An archive on a disk that may become full.  Optional, in addition to ``IArchive``.
    """

    def disk_bytes() -> tuple[int, int]:
        """
        Return how much this process can still write, and the size of the disk.  May block.

        Returns:
            Two numbers of bytes.

        Raises:
            StorageFailure: it cannot be determined.
        """


class ISizeReporter(Interface):
    """
    An archive that can be counted.  Optional, in addition to ``IArchive``.
    """

    def stored(is_wanted: Callable[[], bool]) -> tuple[int, int]:
        """
        Count the versions in the archive, and their bytes.  Takes as long as reading all folders does.

        Args:
            is_wanted: returns whether to go on.  If not, the result is too small.

        Returns:
            The number of versions, and of bytes.

        Raises:
            StorageFailure: they cannot be counted.
        """


class IArchiveNumbers(Interface):
    """
    The size of the archive as it was read last.  May be used in any thread; never waits for a disk.
    """

    def disk_bytes() -> tuple[int, int] | None:
        """
        Return how much this process can still write, and the size of the disk.

        Returns:
            Two numbers of bytes; ``None`` if they are not known, or not yet.
        """

    def stored() -> tuple[int, int] | None:
        """
        Return the versions in the archive, and their bytes.

        Returns:
            The number of versions, and of bytes; ``None`` if they are not known, or not yet.
        """


class IExposition(Interface):
    """
    The metrics as text.
    """

    models: Collection[str] = Attribute("The ids of the models that have separate metrics.")

    def render(accept: str) -> tuple[str, bytes]:
        """
        Return the metrics as they are now.  May be called in any thread; does not wait for anything.

        Args:
            accept: the formats that the reader accepts, as in HTTP's header ``Accept``.

        Returns:
            The content type, and the text.
        """
