"""
The contracts of uploads and downloads.
"""

from collections.abc import Iterator
from concurrent.futures import Future

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from twisted_registry.domain.creation import CreationDetails
from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot


class IChunker(Interface):
    """
    A converter from the data of one version to the chunks that are kept in memory and sent.
    """

    def add(data: memoryview) -> Iterator[Chunk]:
        """
        Add the next piece of data, and cut off the chunks that it completes.

        Args:
            data: the piece, of any size.

        Returns:
            An iterator over these chunks, which must be exhausted.
        """

    def flush() -> Iterator[Chunk]:
        """
        End the data.

        Returns:
            An iterator over the chunks of the remaining data; an empty chunk if there was no data at all.
        """


class IUpload(Interface):
    """
    The upload of a version.  May be used in any thread, by one caller at a time.
    """

    header: VersionHeader = Attribute("The declared properties of the version.")
    held_bytes: int = Attribute("How many bytes of the data stay in memory until the upload ends.")
    snapshot: ModelSnapshot = Attribute("The model when the upload began.")
    details: CreationDetails = Attribute("What is set in the commit.  May be replaced until then.")

    is_dropped: bool = Attribute("Whether its data was discarded while it was suspended, because the disk is full.")

    is_droppable: bool = Attribute("Whether the archive may discard its data while it is suspended.")

    def restore() -> Future[int]:
        """
        Read and hash some of the data that an earlier process has written.  Called, until nothing is left, before
        ``write``.

        Returns:
            Fires with the number of bytes that were hashed; 0 if nothing is left.  Fails with ``UnknownModel`` or
            ``StorageFailure``.
        """

    def suspend() -> None:
        """
        Release what is not needed to go on later: the copy of an archived version in memory.  The archive may discard
        the data, if it needs the space, until ``resume`` is called.
        """

    def resume() -> Future[bool]:
        """
        Go on after ``suspend``.

        Returns:
            Fires with whether the data is still there; if it is not, the upload can only be aborted.
        """

    def write(piece: Chunk) -> Future[None]:
        """
        Write the next piece of data.

        Args:
            piece: the data, of any size.

        Returns:
            Fires with ``None`` when the piece is stored and hashed; fails with ``StorageFull``, ``StorageReadOnly`` or
            ``StorageFailure``.
        """

    def finish() -> Future[None]:
        """
        Complete the data.  Called after the last ``write``; again, if the upload was interrupted after that.

        Returns:
            Fires with ``None`` when the data is durable and only the commit is missing; fails with ``HashMismatch``, or
            with an error of ``write``.
        """

    def commit() -> Deferred[VersionInfo]:
        """
        Assign a number to the version, and make it exist.  Called in the reactor's thread, after ``finish``.

        Returns:
            Fires with the version's info when the version can be read, and is durable if it is archived.  Fails with
            ``ModelReplaced``, ``UnknownModel``, ``NumbersExhausted``, ``StorageFull``, ``StorageReadOnly`` or
            ``StorageFailure`` if the version does not exist, and with ``CommitUncertain`` if it may exist after a
            restart.  With an idempotency key that was used before, fires with the version that was created then, or
            fails with ``InvalidRequest`` if that version differs.
        """

    def abort() -> None:
        """
        Discard the version once its running jobs have ended.  Does nothing after the commit.
        """


class IDownload(Interface):
    """
    The download of a version.  May be used in any thread, by one caller at a time.
    """

    def at_once() -> Iterator[Chunk] | None:
        """
        Return all chunks if they are in memory: then nobody needs to wait for ``read``.

        Returns:
            ``None`` if a chunk may have to be waited for.
        """

    def read() -> Future[Chunk | None]:
        """
        Read the next chunk.

        Returns:
            Fires with a chunk, and after the last one with ``None``; the last chunk comes only if the SHA-256 of all
            data is right.  Fails with ``CorruptVersion``, with ``UnknownModel`` or ``UnknownVersion`` if the version
            was deleted or evicted meanwhile, or with ``StorageFailure``.
        """

    def xxh3() -> str:
        """
        Return the XXH3-128 of the data, whose SHA-256 has matched.  Called after the last chunk.

        Returns:
            Hexadecimal; empty if it is not known.
        """

    def close() -> None:
        """
        Release the version, after the jobs under way.
        """
