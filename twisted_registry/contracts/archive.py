"""
The contract of an archive: synchronous, and free of the reactor and of the wire.
"""

from zope.interface import Attribute, Interface

from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo


class IChunkSink(Interface):
    """
    Takes a version's data, piece by piece.  Calls come one after the other, though not always from one thread.
    """

    def write(chunk: Chunk) -> None:
        """
        Take the next piece.

        Raises:
            UnknownModel: the model is gone.
            StorageFull: no room.
            StorageReadOnly: the medium takes no writes.
            StorageFailure: the medium failed.
        """

    def abort() -> None:
        """
        Forget all that was written.  Nothing stays.  Never raises; does nothing after another abort, or after a commit
        that succeeded or is uncertain.
        """


class IArchiveWriter(IChunkSink):
    """
    Writes one archived version.
    """

    def finish() -> None:
        """
        All the data is written: bring it to rest (sync it), so that ``commit`` is short.

        Raises:
            StorageFull: no room.
            StorageReadOnly: the medium takes no writes.
            StorageFailure: the medium failed.
        """

    def commit(info: VersionInfo) -> None:
        """
        Make the version exist, after ``finish``.  When this returns the version outlives a power cut.

        Args:
            info: the whole truth about the version; its number is above all numbers of the model.

        Raises:
            UnknownModel: the model is gone; the version does not exist.
            NumberTaken: others have brought a version of this number, or a part of one, which stays as it is; this
                version can be committed under a number above ``highest``.
            StorageFull: no room; the version does not exist.
            StorageReadOnly: the medium takes no writes; the version does not exist.
            StorageFailure: the medium failed; the version does not exist.
            CommitUncertain: the medium failed; the version may exist after a restart.
        """


class IArchiveReader(Interface):
    """
    Reads one archived version.  Reading goes on to the end, also when the model is deleted meanwhile.
    """

    def read(size_bytes: int) -> bytes:
        """
        Give the next bytes: exactly as many as asked for, fewer only at the end.

        Raises:
            StorageFailure: the medium failed.
        """

    def close() -> None:
        """
        Let go of the version.  Never raises; may be called twice.
        """


class IModelStore(Interface):
    """
    Keeps models, without their versions.
    """

    def model_ids() -> list[str]:
        """
        Give the ids of all models, damaged ones among them, in any order.  Cheap: ten thousand in a moment.

        Raises:
            StorageFailure: the medium failed.
        """

    def load_model(model_id: str) -> ModelInfo:
        """
        Read a model.

        Raises:
            UnknownModel: there is none.
            CorruptModel: its metadata is damaged or missing.
            StorageFailure: the medium failed.
        """

    def save_model(info: ModelInfo) -> None:
        """
        Make a model, or replace its user data.  Durable when this returns; after a crash there is the old or the new.

        Raises:
            StorageFull: no room; the old one stays.
            StorageReadOnly: the medium takes no writes; the old one stays.
            StorageFailure: the medium failed; there is the old one or the new one.
        """

    def delete_model(model_id: str) -> None:
        """
        Remove a model with all its versions.  Durable when this returns; after a crash it is wholly there or wholly
        gone.  Versions being read can be read to their end.

        Raises:
            UnknownModel: there is none.
            StorageReadOnly: the medium takes no writes; the model stays.
            StorageFailure: the medium failed.
        """


class IVersionStore(Interface):
    """
    Keeps archived versions.
    """

    def version_numbers(model_id: str) -> list[int]:
        """
        Give the numbers of a model's versions, damaged ones among them, rising.

        Drops what a crash left behind of versions that were never committed.

        Raises:
            UnknownModel: there is no such model.
            StorageFailure: the medium failed.
        """

    def load_version(model_id: str, version_number: int) -> VersionInfo:
        """
        Read what is known of a version, and see that data of its size is there.

        Raises:
            CorruptVersion: the version, or a part of it, is damaged or missing.
            UnknownModel: the model is gone, where that can be told.
            StorageFailure: the medium failed.
        """

    def open_version(model_id: str, version_number: int) -> IArchiveReader:
        """
        Start reading a version's data.

        Raises:
            CorruptVersion: its data is missing.
            UnknownModel: the model is gone, where that can be told.
            StorageFailure: the medium failed.
        """

    def create_version(model_id: str) -> IArchiveWriter:
        """
        Start writing a version.  Cheap: nothing touches the medium before the first write.
        """


class IHighWaterMarks(Interface):
    """
    Remembers, for each model, up to which number versions may have been given out, transient ones included.
    """

    def high_water_mark(model_id: str) -> int:
        """
        Give the highest number reserved; 0 where none was.

        Raises:
            StorageFailure: the medium failed.
        """

    def set_high_water_mark(model_id: str, version_number: int) -> None:
        """
        Remember that numbers up to this one may have been given out, in place of what was remembered.  Durable when
        this returns; goes with the model when that is deleted.

        Raises:
            UnknownModel: there is no such model.
            StorageFull: no room; what was remembered stays.
            StorageReadOnly: the medium takes no writes; what was remembered stays.
            StorageFailure: the medium failed.
        """


class IArchive(IModelStore, IVersionStore, IHighWaterMarks):
    """
    An archive: everything that outlives the process.

    A call that reads fails in one of two ways, and never returns less than there is:

      - ``StorageFailure``, or its subclass ``StorageUnavailable``, where the medium did not give what was asked for: it
        is away, it timed out, access was denied, the process has no descriptor left.  It may pass.  The caller tries
        again, and remembers nothing: no absence, no damage, no empty list.
      - ``CorruptModel`` or ``CorruptVersion`` where bytes were read and are wrong, or where the medium is sure that a
        part is missing.  That stays until somebody mends it, and lists leave it out.

    Where a medium cannot tell one from the other, such as an error of a disk that may be a bad sector, it is the first.

    Calls come from several threads at once.  For one model, the caller never lets two of ``IModelStore.save_model``,
    ``IModelStore.delete_model``, ``IHighWaterMarks.set_high_water_mark`` and ``IArchiveWriter.commit`` overlap.
    """

    description: str = Attribute("Where it is, for the log: a path, an address.")

    def open() -> None:
        """
        Take the archive for this process alone, and drop what a crash left behind.

        Raises:
            CannotStart: it is in use, or cannot be used.
        """

    def close() -> None:
        """
        Let go of the archive.
        """
