"""
The contracts of the data of one archived version: its writer and its reader.
"""

from zope.interface import Interface

from twisted_registry.domain.models import Chunk, VersionInfo


class IChunkSink(Interface):
    """
    A sink for the data of one version.  Calls follow each other, not always in the same thread.
    """

    def write(chunk: Chunk) -> None:
        """
        Write the next piece of data.

        Args:
            chunk: the piece; its data may be empty, and may begin anywhere in its buffer.

        Raises:
            UnknownModel: the model was deleted.
            StorageFull: the medium is full.
            StorageReadOnly: the medium accepts no writes.
            StorageFailure: the medium failed, or the sink was aborted before.
        """

    def abort() -> None:
        """
        Discard everything that was written.  Never raises.  Does nothing after another ``abort``, and after a commit
        that succeeded or is uncertain.
        """


class IArchiveWriter(IChunkSink):
    """
    A writer of one archived version.
    """

    def finish() -> None:
        """
        Make all data durable (sync it), so that ``commit`` takes little time.  Called after the last ``write``.

        Raises:
            StorageFull: the medium is full.
            StorageReadOnly: the medium accepts no writes.
            StorageFailure: the medium failed, or the writer was aborted before.
        """

    def commit(info: VersionInfo) -> None:
        """
        Make the version exist.  When this returns, the version survives a power cut.  Called after ``finish``.

        Args:
            info: all facts about the version.  Its number is higher than all numbers of the model.

        Raises:
            UnknownModel: the model was deleted; the version does not exist.
            NumberTaken: another program has put a version, or a part of one, with this number into the archive; it is
                left unchanged.  This version can be committed with a number above ``NumberTaken.highest``.
            StorageFull: the medium is full; the version does not exist.
            StorageReadOnly: the medium accepts no writes; the version does not exist.
            StorageFailure: the medium failed; the version does not exist.
            CommitUncertain: the medium failed; the version may exist after a restart.
        """


class ISizedWriter(IArchiveWriter):
    """
    A writer that may refuse a version for which there is no space.  Optional.
    """

    def expect(size_bytes: int) -> None:
        """
        Note the size of the whole version, before the first ``write``.  Must be fast, and not raise.

        Args:
            size_bytes: the declared size; ``write`` may then fail with ``StorageFull`` although some data would fit.
        """


class IArchiveReader(Interface):
    """
    A reader of one archived version.  It can read to the end even if the model is deleted meanwhile.
    """

    def read(size_bytes: int) -> bytes:
        """
        Read the next bytes.

        Args:
            size_bytes: how many bytes to read.

        Returns:
            Exactly ``size_bytes`` bytes; fewer only at the end.

        Raises:
            StorageFailure: the medium failed.
        """

    def close() -> None:
        """
        Release the version.  Never raises; may be called twice.
        """


class ISeekableReader(IArchiveReader):
    """
    A reader that can start anywhere.  Optional: other readers are read from the beginning.
    """

    def seek(offset: int) -> None:
        """
        Continue at another position.

        Args:
            offset: the position of the next byte to read, from 0 to the size of the data.

        Raises:
            StorageFailure: the medium failed, or the reader is closed.
        """
