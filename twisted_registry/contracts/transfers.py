"""
The contracts of versions on their way in and out.
"""

from collections.abc import Iterator
from concurrent.futures import Future

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo


class IChunker(Interface):
    """
    Puts the data of one version into the form in which it is kept in memory and sent.
    """

    def add(data: memoryview) -> Iterator[Chunk]:
        """
        Take the next piece, and give the chunks that are full with it.  To be read to its end.
        """

    def flush() -> Iterator[Chunk]:
        """
        Give what is left; an empty chunk where there was no data at all.
        """


class IUpload(Interface):
    """
    A version on its way in.  May be used in any thread, by one caller at a time.
    """

    header: VersionHeader = Attribute("What the creator declared.")
    held_bytes: int = Attribute("How much of the data stays in memory until the upload is over.")

    def write(piece: Chunk) -> Future[None]:
        """
        Take the next piece of data, of any size.

        Returns:
            fires when it is stored and hashed; fails with ``StorageFull``, ``StorageReadOnly`` or ``StorageFailure``.
        """

    def finish() -> Future[None]:
        """
        All the data has come.

        Returns:
            fires when it is at rest and only the commit is missing; fails with ``HashMismatch``, or as ``write``.
        """

    def commit() -> Deferred[VersionInfo]:
        """
        Give the version its number and make it exist, after ``finish``.  Called in the reactor's thread.

        Returns:
            fires when the version can be seen, and is durable if archived; fails with ``ModelReplaced``,
            ``UnknownModel``, ``NumbersExhausted``, ``StorageFull``, ``StorageReadOnly`` or ``StorageFailure``, and then
            nothing stays, or with ``CommitUncertain``, and then it may be there after a restart.  With an idempotency
            key that was used before, fires with the version of then, or fails with ``InvalidRequest`` if that is not
            the same as this one.
        """

    def abort() -> None:
        """
        Forget the version, after the jobs under way.  Does nothing once it is committed.
        """


class IDownload(Interface):
    """
    A version on its way out.  May be used in any thread, by one caller at a time.
    """

    def at_once() -> Iterator[Chunk] | None:
        """
        Give the chunks, where they are in memory and none has to be waited for: then there is no need to ``read``.

        Returns:
            ``None`` where they have to be waited for.
        """

    def read() -> Future[Chunk | None]:
        """
        Give the next chunk.

        Returns:
            fires with a chunk, the last one only once the hash of all has matched, then with ``None``; fails with
            ``CorruptVersion``, with ``UnknownModel`` or ``UnknownVersion`` where it went meanwhile, or with
            ``StorageFailure``.
        """

    def xxh3() -> str:
        """
        Give the XXH3-128 of the data in hexadecimal, once all of it was given: of bytes whose hash has matched.

        Returns:
            empty where it is not known.
        """

    def close() -> None:
        """
        Let go of the version, after the jobs under way.
        """
