"""
The contract of an archive: synchronous, and independent of the reactor and the wire.
"""

from collections.abc import Sequence

from zope.interface import Attribute, Interface

from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter
from twisted_registry.domain.errors import CorruptVersion
from twisted_registry.domain.models import ModelInfo, VersionInfo


class IModelStore(Interface):
    """
    The models of an archive, without their versions.
    """

    def model_ids() -> list[str]:
        """
        Return the ids of all models, including damaged ones, in any order.  Must be fast: ten thousand ids in less than
        a second.

        Raises:
            StorageFailure: the medium failed.
        """

    def load_model(model_id: str) -> ModelInfo:
        """
        Read a model.

        Args:
            model_id: the model's id.

        Returns:
            The model's id and metadata.

        Raises:
            UnknownModel: there is no such model.
            CorruptModel: the model's metadata is damaged or missing.
            StorageFailure: the medium failed.
        """

    def save_model(info: ModelInfo) -> None:
        """
        Create a model, or replace its metadata.  Durable when this returns; after a crash the model is as before or as
        saved.

        Args:
            info: the model's id and metadata.

        Raises:
            StorageFull: the medium is full; nothing was changed.
            StorageReadOnly: the medium accepts no writes; nothing was changed.
            StorageFailure: the medium failed; the model is as before or as saved.
        """

    def delete_model(model_id: str) -> None:
        """
        Delete a model with all its versions.  Durable when this returns; after a crash the model is complete or gone.
        Open readers can read to the end.

        Args:
            model_id: the model's id.

        Raises:
            UnknownModel: there is no such model.
            StorageReadOnly: the medium accepts no writes; nothing was changed.
            StorageFailure: the medium failed.
        """


class IVersionStore(Interface):
    """
    The archived versions of an archive.
    """

    def version_numbers(model_id: str) -> list[int]:
        """
        Return the numbers of a model's versions, including damaged ones, in ascending order.

        Removes the parts of uncommitted versions that a crash left behind.

        Args:
            model_id: the model's id.

        Raises:
            UnknownModel: there is no such model.
            StorageFailure: the medium failed.
        """

    def load_version(model_id: str, version_number: int) -> VersionInfo:
        """
        Read a version's info, and check that data of its size exists.

        Args:
            model_id: the model's id.
            version_number: the version's number.

        Returns:
            The version's info.

        Raises:
            CorruptVersion: the version, or a part of it, is damaged or missing.
            UnknownModel: the model was deleted, if the archive can tell.
            StorageFailure: the medium failed.
        """

    def open_version(model_id: str, version_number: int) -> IArchiveReader:
        """
        Open a version's data for reading.

        Args:
            model_id: the model's id.
            version_number: the version's number.

        Returns:
            A reader, which the caller closes.

        Raises:
            CorruptVersion: the version's data is missing.
            UnknownModel: the model was deleted, if the archive can tell.
            StorageFailure: the medium failed.
        """

    def create_version(model_id: str) -> IArchiveWriter:
        """
        Create a writer for a new version.  Must be fast: nothing touches the medium before the first write.

        Args:
            model_id: the model's id.

        Returns:
            A writer, which the caller commits or aborts.
        """


class IVersionBatches(Interface):
    """
    An archive that reads several versions in less time than one after another.  Optional, in addition to ``IArchive``.
    """

    def load_versions(model_id: str, version_numbers: Sequence[int]) -> list[VersionInfo | CorruptVersion]:
        """
        Read the infos of versions like ``IVersionStore.load_version``.

        Args:
            model_id: the model's id.
            version_numbers: the versions' numbers.

        Returns:
            The infos in the order of the numbers, and for each damaged or missing version its error.

        Raises:
            UnknownModel: the model was deleted, if the archive can tell.
            StorageFailure: the medium failed.
        """


class IHighWaterMarks(Interface):
    """
    The high-water mark of each model: the highest version number that may have been assigned, also to transient
    versions.
    """

    def high_water_mark(model_id: str) -> int:
        """
        Return a model's high-water mark; 0 if none was set.

        Args:
            model_id: the model's id.

        Raises:
            StorageFailure: the medium failed.
        """

    def set_high_water_mark(model_id: str, version_number: int) -> None:
        """
        Replace a model's high-water mark.  Durable when this returns; deleted together with the model.

        Args:
            model_id: the model's id.
            version_number: the mark, which may be lower than the one before.

        Raises:
            UnknownModel: there is no such model.
            StorageFull: the medium is full; the mark is unchanged.
            StorageReadOnly: the medium accepts no writes; the mark is unchanged.
            StorageFailure: the medium failed.
        """


class IArchive(IModelStore, IVersionStore, IHighWaterMarks):
    """
    An archive: everything that outlives the process.

    A call that reads fails in one of two ways, and never returns less than there is:

      - ``StorageFailure``, or its subclass ``StorageUnavailable``, if the medium did not return the requested data: it
        is unreachable, it timed out, access was denied, or the process has no file descriptors left.  This may be
        temporary: the caller retries, and caches nothing, neither an absence nor damage nor an empty list.
      - ``CorruptModel`` or ``CorruptVersion`` if data was read and is wrong, or if a part certainly does not exist.
        This stays until somebody repairs it, and lists leave the item out.

    If the archive cannot distinguish the two, as with a disk error that may be a bad sector, it is the first.

    Several threads call an archive at once.  For one model, the caller never lets two of ``IModelStore.save_model``,
    ``IModelStore.delete_model``, ``IHighWaterMarks.set_high_water_mark`` and ``IArchiveWriter.commit`` overlap.
    """

    description: str = Attribute("The archive's location for the log, such as a path or an address.")

    def open() -> None:
        """
        Open the archive for this process alone, and remove the leftovers of a crash.

        Raises:
            CannotStart: the archive is in use or cannot be used.
        """

    def close() -> None:
        """
        Release the archive.  It can be opened again.
        """
