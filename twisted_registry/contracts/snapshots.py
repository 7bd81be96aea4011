"""
The contract of the registry's snapshots: what every thread may ask.
"""

from zope.interface import Interface

from twisted_registry.contracts.transfers import IDownload, IUpload
from twisted_registry.contracts.transient import Usage
from twisted_registry.contracts.unfinished import UnfinishedUpload
from twisted_registry.domain.aliases import AliasMove, AliasRequest
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails
from twisted_registry.domain.models import ModelInfo, VersionHeader, VersionInfo
from twisted_registry.domain.ranges import ByteRange
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.snapshot import ModelSnapshot


class ISnapshots(Interface):
    """
    The part of the registry that any thread may call, and that never blocks.
    """

    def snapshot(model_id: str) -> ModelSnapshot | None:
        """
        Return a model's current snapshot.

        Args:
            model_id: the model's id.

        Returns:
            ``None`` if the model has not been read from the archive yet.

        Raises:
            UnknownModel: there is no such model.
        """

    def version_info(snapshot: ModelSnapshot, version_number: int) -> VersionInfo | None:
        """
        Return a version's info.

        Args:
            snapshot: the version's model.
            version_number: the version's number.

        Returns:
            ``None`` if the info is not in memory.
        """

    def version_record(snapshot: ModelSnapshot, version_number: int) -> VersionRecord | None:
        """
        Return a version with its labels, metrics and aliases.

        Args:
            snapshot: the version's model.
            version_number: the version's number.

        Returns:
            ``None`` if a part of it is not in memory.
        """

    def model_info(model_id: str) -> ModelInfo | None:
        """
        Return a model's info.

        Args:
            model_id: the model's id.

        Returns:
            ``None`` if the info is not in memory.

        Raises:
            UnknownModel: there is no such model.
        """

    def model_ids() -> tuple[str, ...] | None:
        """
        Return the ids of all undamaged models, sorted; ``None`` before ``IRegistry.survey``.
        """

    def created(header: VersionHeader, snapshot: ModelSnapshot, idempotency_key: str) -> VersionInfo | None:
        """
        Return the version that an earlier creation with the same key made, from memory.  The answer is known before the
        data arrives only if the header declares the SHA-256; otherwise ``IUpload.commit`` finds it.

        Args:
            header: the header of this creation.
            snapshot: the header's model.
            idempotency_key: 1 to 128 printable ASCII characters.

        Returns:
            ``None`` if there is none, if it is not in memory, or if the header declares no SHA-256.

        Raises:
            InvalidRequest: the key is not allowed, or the earlier creation differs from this one.
        """

    def find_alias_move(snapshot: ModelSnapshot, request: AliasRequest) -> AliasMove | None:
        """
        Return the move of an alias that a request has made before.

        Args:
            snapshot: the alias's model.
            request: the request.

        Returns:
            ``None`` if the request is new, or was forgotten.

        Raises:
            InvalidRequest: there was another request with the same id.
        """

    def may_be_created(snapshot: ModelSnapshot, idempotency_key: str) -> bool:
        """
        Return whether ``IRegistry.find_created`` may find a version where ``created`` finds none, because it reads the
        archive.

        Args:
            snapshot: the model.
            idempotency_key: 1 to 128 printable ASCII characters.
        """

    def keeps_archived_keys() -> bool:
        """
        Return whether the idempotency keys of archived versions survive restarts.
        """

    def upload(
        header: VersionHeader,
        snapshot: ModelSnapshot,
        idempotency_key: str = "",
        details: CreationDetails = NO_DETAILS,
        is_resumable: bool = False,
    ) -> IUpload:
        """
        Start creating a version.

        Args:
            header: the declared properties of the version.
            snapshot: the header's model.
            idempotency_key: 1 to 128 printable ASCII characters; empty for none.  With a key, ``IUpload.commit``
                returns the version of an earlier creation with the same key and the same content, instead of making a
                second one.  The registry remembers a key for a day, or until its version or model is deleted; for
                archived versions across restarts, if the archive can (``IKeyedArchive``).  If two creations with the
                same key overlap, the first commit makes the version and the second returns it.
            details: what is set in the same commit.
            is_resumable: whether the data shall be kept if the process ends before the commit, for ``resume_upload``.
                This needs a key, and an archive that can do it (``IResumableArchive``).

        Returns:
            An upload that expects the first piece of data.

        Raises:
            InvalidRequest: the key is not allowed.
            TooLarge: the version can never be stored.
            UnsupportedByArchive: the archive cannot store the details.
        """

    def resume_upload(
        header: VersionHeader,
        snapshot: ModelSnapshot,
        idempotency_key: str,
        details: CreationDetails,
        unfinished: UnfinishedUpload,
    ) -> IUpload:
        """
        Go on with an upload that an earlier process has left.

        Args:
            header: the declared properties of the version, the same as before.
            snapshot: the header's model.
            idempotency_key: the same as before.
            details: what is set in the same commit.
            unfinished: what ``IRegistry.find_unfinished`` found.

        Returns:
            An upload whose data must be restored (``IUpload.restore``) before more is written.
        """

    def download(snapshot: ModelSnapshot, info: VersionInfo) -> IDownload:
        """
        Start reading a version.

        Args:
            snapshot: the version's model.
            info: the version's info.

        Returns:
            A download that is at the start of the data.

        Raises:
            UnknownVersion: the version was evicted meanwhile.
        """

    def download_range(snapshot: ModelSnapshot, info: VersionInfo, part: ByteRange) -> IDownload:
        """
        Start reading a part of a version.  Its chunks are compared with their XXH3, if these are known since the
        SHA-256 of all data has matched; otherwise only the length of the data is checked.

        Args:
            snapshot: the version's model.
            info: the version's info.
            part: the part to read.

        Returns:
            A download that is at the start of the part.  It does not know the XXH3 of the part.

        Raises:
            UnknownVersion: the version was evicted meanwhile.
        """

    def usage() -> Usage:
        """
        Return how much the transient store holds now.
        """

    def evicted_latest() -> int:
        """
        Return how many versions were evicted since the start that were the latest of their model and not archived.
        """

    def model_count() -> int:
        """
        Return how many models there are, with damaged ones.
        """

    def search_index_bytes() -> int:
        """
        Return the approximate memory of the indexes of searches.
        """

    def went_back(model_id: str, seen: int) -> bool:
        """
        Return whether the archive is in an earlier state than one that a client has seen, as after a backup was
        restored: the model was in the archive when that was opened, and has not used this number yet.

        Args:
            model_id: the model's id.
            seen: the highest version number that the client has seen.

        Raises:
            UnknownModel: there is no such model.
        """
