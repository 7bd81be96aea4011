"""
The contract of the registry, which the edges talk to.
"""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from twisted_registry.contracts.coordination import Listener
from twisted_registry.contracts.transfers import IDownload, IUpload
from twisted_registry.contracts.transient import Usage
from twisted_registry.domain.errors import CorruptModel, CorruptVersion, UnknownModel
from twisted_registry.domain.events import Event
from twisted_registry.domain.models import ModelInfo, VersionHeader, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot


class ISnapshots(Interface):
    """
    The part of the registry that any thread may call, and that answers at once.
    """

    def snapshot(model_id: str) -> ModelSnapshot | None:
        """
        Give the model as it is now; ``None`` where it is not read from the archive yet.

        Raises:
            UnknownModel: there is none.
        """

    def version_info(snapshot: ModelSnapshot, version_number: int) -> VersionInfo | None:
        """
        Give a version's info from memory; ``None`` where it is not there.
        """

    def model_info(model_id: str) -> ModelInfo | None:
        """
        Give a model's info from memory; ``None`` where it is not there.

        Raises:
            UnknownModel: there is none.
        """

    def model_ids() -> tuple[str, ...] | None:
        """
        Give the ids of all models that are whole, ordered; ``None`` where the archive was not surveyed yet.
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
            InvalidRequest: the key is not allowed, or that creation was not the same as this one.
        """

    def keeps_archived_keys() -> bool:
        """
        Return whether the idempotency keys of archived versions survive restarts.
        """

    def upload(header: VersionHeader, snapshot: ModelSnapshot, idempotency_key: str = "") -> IUpload:
        """
        Start creating a version.

        Args:
            snapshot: the header's model.
            idempotency_key: 1 to 128 printable ASCII characters; empty for none.  With a key, ``IUpload.commit``
                returns the version of an earlier creation with the same key and the same content, instead of making a
                second one.  The registry remembers a key for a day, or until its version or model is deleted; for
                archived versions across restarts, if the archive can (``IKeyedArchive``).  If two creations with the
                same key overlap, the first commit makes the version and the second returns it.

        Raises:
            InvalidRequest: the key is not allowed.
            TooLarge: the version can never be held.
        """

    def download(snapshot: ModelSnapshot, info: VersionInfo) -> IDownload:
        """
        Start reading a version.

        Raises:
            UnknownVersion: it was evicted meanwhile.
        """

    def usage() -> Usage:
        """
        Give what the transient store holds now.
        """

    def evicted_latest() -> int:
        """
        Return how often, since the start, a version was evicted that was its model's latest, and is nowhere else.
        """

    def went_back(model_id: str, seen: int) -> bool:
        """
        Return whether the model is in an earlier state than one that a client has seen: it was on the archive when that
        was opened, and has not given this number yet.

        Args:
            seen: the highest number that the client has seen.

        Raises:
            UnknownModel: there is none.
        """


class IRegistry(ISnapshots):
    """
    The registry: models, their versions, and the policy.  What ``ISnapshots`` does not declare is called in the
    reactor's thread.
    """

    def open() -> None:
        """
        Open the archive.  Blocks.

        Raises:
            CannotStart: it is in use, or cannot be used.
        """

    def close() -> Deferred[None]:
        """
        Finish what is under way and close the archive.

        Returns:
            fires when that is done.
        """

    def subscribe(listener: Listener, *kinds: type[Event]) -> None:
        """
        Call a listener with each event of certain kinds from now on.

        Args:
            listener: called with the event in the reactor's thread, while the change is under way: it must not block,
                and postpones everything that takes long.  If it raises, that is logged with the id of an incident and
                has no other effect.
            kinds: the classes of ``twisted_registry.domain.events``.
        """

    def unsubscribe(listener: Listener) -> None:
        """
        Stop calling a listener.  Does nothing if it is not subscribed.
        """

    def load_snapshot(model_id: str) -> Deferred[ModelSnapshot]:
        """
        Read a model's versions from the archive.

        Returns:
            fires with the model as it is then; fails with ``UnknownModel``, ``CorruptModel`` or ``StorageFailure``.
        """

    def load_version_infos(
        snapshot: ModelSnapshot, version_numbers: Sequence[int]
    ) -> Deferred[list[VersionInfo | CorruptVersion]]:
        """
        Read infos of archived versions.

        Returns:
            fires with as many entries as numbers: an info, or how it is damaged; fails with ``UnknownModel`` where the
            model is gone meanwhile, or with ``StorageFailure``.
        """

    def load_model_infos(model_ids: Sequence[str]) -> Deferred[list[ModelInfo | CorruptModel | UnknownModel]]:
        """
        Read models' infos from the archive.

        Returns:
            fires with as many entries as ids: an info, how it is damaged, or that it is gone meanwhile; fails with
            ``StorageFailure``.
        """

    def check_archive() -> Deferred[None]:
        """
        Check that the archive is still where it was opened, and that no model's folder was removed, if it can tell
        (``ILocatedArchive``).  Logs a failure at once and then once a minute, and that the archive is back; logs each
        model that is gone.  Cheap: for a periodic health check.

        Returns:
            fires when it is; fails with ``ArchiveMoved`` or ``StorageFailure``.
        """

    def survey() -> Deferred[tuple[str, ...]]:
        """
        Read all models once, to know which are whole.

        Returns:
            fires with the ids of those, ordered; fails with ``StorageFailure``.
        """

    def note_seen(snapshot: ModelSnapshot, version_number: int) -> Deferred[None]:
        """
        Note what a client has seen of a model that went back to an earlier state, as where a backup was restored: the
        next version gets a higher number.

        Returns:
            fires when that is sure, or cannot be done; never fails.
        """

    def save_model(info: ModelInfo) -> Deferred[None]:
        """
        Make a model, or replace its user data.

        Returns:
            fires when it is durable; fails with ``StorageFull``, ``StorageReadOnly`` or ``StorageFailure``.
        """

    def delete_model(model_id: str) -> Deferred[None]:
        """
        Remove a model and all its versions.

        Returns:
            fires when that is durable; fails with ``UnknownModel``, ``StorageReadOnly`` or ``StorageFailure``.
        """
