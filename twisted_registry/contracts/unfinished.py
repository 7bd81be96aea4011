"""
The optional contract of an archive that keeps the data of unfinished uploads over a restart of the registry.
"""

from collections.abc import Callable

from attrs import frozen
from zope.interface import Interface

from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter
from twisted_registry.domain.creation import UploadFacts
from twisted_registry.domain.kept import UnfinishedLimits


@frozen
class UnfinishedUpload:
    """
    An upload that was interrupted by the end of an earlier process.

    Attributes:
        model_id: the model's id.
        key_sha256: the SHA-256 of the idempotency key in hexadecimal.
        facts: its declared properties.
        received_bytes: how much of its data is kept.
        changed_seconds: when it last changed, in seconds since the Unix epoch.
        location: where the archive keeps the data, in its own words.
    """

    model_id: str
    key_sha256: str
    facts: UploadFacts
    received_bytes: int
    changed_seconds: int
    location: str = ""


class IResumableWriter(IArchiveWriter):
    """
    A writer of an unfinished upload that may be interrupted.
    """

    def suspend(dropped: Callable[[], None]) -> None:
        """
        Note that nobody is sending the upload for now.  Its data may then be discarded for its space.

        Args:
            dropped: called in any thread if the data is discarded.  Must be fast, and not raise.
        """

    def resume() -> bool:
        """
        Note that the upload goes on.

        Returns:
            Whether its data is still there.
        """


class IResumableArchive(Interface):
    """
    An archive that keeps what was written of a version, although the process ends before the commit.  Optional, in
    addition to ``IArchive``.

    What is kept need not be durable: after a crash of the machine it is dropped.  It is also dropped with its model,
    beyond the limits, or if nobody is sending it and its space is needed.
    """

    def limit_unfinished(limits: UnfinishedLimits) -> None:
        """
        Limit what is kept over a restart.  Called before ``open``.

        Args:
            limits: how much is kept, and for how long.
        """

    def create_resumable(model_id: str, key_sha256: str, facts: UploadFacts) -> IArchiveWriter:
        """
        Create a writer like ``IVersionStore.create_version``, whose data is kept if the process ends before the commit.
        What is kept for the same model and key is dropped with the first write.

        Args:
            model_id: the model's id.
            key_sha256: the SHA-256 of the idempotency key in hexadecimal.
            facts: the declared properties of the version.

        Returns:
            An ``IResumableWriter``, which the caller commits, aborts, or leaves as it is when the archive is closed.
        """

    def find_unfinished(model_id: str, key_sha256: str) -> UnfinishedUpload | None:
        """
        Return an upload that an earlier process has left, unless a writer of this process has taken it.

        Args:
            model_id: the model's id.
            key_sha256: the SHA-256 of the idempotency key in hexadecimal.

        Returns:
            ``None`` if there is none.

        Raises:
            StorageFailure: the medium failed.
        """

    def resume_version(upload: UnfinishedUpload) -> IArchiveWriter:
        """
        Create a writer that goes on after the data of an upload.  Must be fast.

        Args:
            upload: what ``find_unfinished`` returned.

        Returns:
            A writer like that of ``create_resumable``.  The caller calls ``resume`` first, which returns false if the
            data was discarded meanwhile.  The first other call fails with ``StorageFailure`` if the data has changed.
        """

    def open_unfinished(upload: UnfinishedUpload) -> IArchiveReader:
        """
        Open the data of an upload for reading.

        Args:
            upload: what ``find_unfinished`` returned.

        Returns:
            A reader, which the caller closes.

        Raises:
            UnknownModel: the model was deleted.
            StorageFailure: the medium failed, or the data is gone.
        """
