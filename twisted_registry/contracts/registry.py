"""
The contract of the registry, for the edges.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from zope.interface import Attribute

from twisted_registry.contracts.coordination import Listener
from twisted_registry.contracts.retention import IRetention
from twisted_registry.contracts.searches import ISearches
from twisted_registry.contracts.snapshots import ISnapshots
from twisted_registry.contracts.unfinished import UnfinishedUpload
from twisted_registry.contracts.version_changes import IVersionChanges
from twisted_registry.domain.errors import CorruptModel, UnknownModel, Unreadable
from twisted_registry.domain.events import Event
from twisted_registry.domain.models import ModelInfo, VersionHeader, VersionInfo
from twisted_registry.domain.quotas import Quota
from twisted_registry.domain.snapshot import ModelSnapshot


class IRegistry(ISnapshots, IVersionChanges, ISearches):
    """
    The registry: models, their versions, and the policy.  Except for ``ISnapshots``, and unless stated otherwise,
    its calls are made in the reactor's thread.
    """

    retention: IRetention = Attribute("The retention policies.")

    def open() -> None:
        """
        Open the archive.  Blocks.

        Raises:
            CannotStart: the archive is in use or cannot be used.
        """

    def use_quotas(quotas: Sequence[Quota]) -> None:
        """
        Limit what models have in memory and in the archive.  Called before ``open``, and again when quotas change.
        Lower ones delete nothing from the archive; in memory, they count from the next version on.

        Args:
            quotas: the quotas from now on.  Those of calls and bytes a second are ignored: the edge applies them.
        """

    def close() -> Deferred[None]:
        """
        Finish the operations under way, and close the archive.

        Returns:
            Fires with ``None`` when the archive is closed.
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

        Args:
            listener: the function that was passed to ``subscribe``.
        """

    def load_snapshot(model_id: str) -> Deferred[ModelSnapshot]:
        """
        Read a model's versions from the archive.

        Args:
            model_id: the model's id.

        Returns:
            Fires with the model's snapshot; fails with ``UnknownModel``, ``CorruptModel`` or ``StorageFailure``.
        """

    def find_created(
        header: VersionHeader, snapshot: ModelSnapshot, idempotency_key: str
    ) -> Deferred[VersionInfo | None]:
        """
        Find the version that an earlier creation with the same key made, also if only the archive knows it.

        Args:
            header: the header of this creation, with the SHA-256.
            snapshot: the header's model.
            idempotency_key: 1 to 128 printable ASCII characters.

        Returns:
            Fires with the version, or with ``None`` if there is none; fails with ``InvalidRequest`` if that creation
            was not the same as this one, with ``CorruptVersion`` if the version is damaged, or with
            ``StorageFailure``.
        """

    def find_version_with_key(snapshot: ModelSnapshot, idempotency_key: str) -> Deferred[VersionInfo | None]:
        """
        Find the version that was created with a key.

        Args:
            snapshot: the model.
            idempotency_key: 1 to 128 printable ASCII characters.

        Returns:
            Fires with the version, or with ``None`` if there is none; fails with ``InvalidRequest`` if the key is not
            allowed or was used for another model, with ``CorruptVersion`` if the version is damaged, or with
            ``StorageFailure``.
        """

    def find_unfinished(snapshot: ModelSnapshot, idempotency_key: str) -> Deferred[UnfinishedUpload | None]:
        """
        Find an upload that an earlier process has left.

        Args:
            snapshot: the model.
            idempotency_key: 1 to 128 printable ASCII characters.

        Returns:
            Fires with the upload, or with ``None`` if there is none; fails with ``InvalidRequest`` if the key is not
            allowed, or with ``StorageFailure``.
        """

    def load_version_infos(
        snapshot: ModelSnapshot, version_numbers: Sequence[int]
    ) -> Deferred[list[VersionInfo | Unreadable]]:
        """
        Read the infos of archived versions.

        Args:
            snapshot: the versions' model.
            version_numbers: the versions' numbers.

        Returns:
            Fires with an entry for each number: an info, or the error if the version is damaged; fails with
            ``UnknownModel`` if the model was deleted meanwhile, or with ``StorageFailure``.
        """

    def load_model_infos(model_ids: Sequence[str]) -> Deferred[list[ModelInfo | CorruptModel | UnknownModel]]:
        """
        Read the infos of models from the archive.

        Args:
            model_ids: the models' ids.

        Returns:
            Fires with an entry for each id: an info, or the error if the model is damaged or was deleted; fails with
            ``StorageFailure``.
        """

    def check_archive() -> Deferred[None]:
        """
        Check that the archive is still where it was opened, and that no model's directory was removed, if the archive
        can tell (``ILocatedArchive``).  Logs a failure at once and then once a minute, the end of the failure, and each
        model that was removed.  Takes little time, so that a periodic health check can use it.  Also starts, in the
        background, to remove what deleted models and versions left (``IDeferredRemovals``).

        Returns:
            Fires with ``None`` if the archive is there; fails with ``ArchiveMoved`` or ``StorageFailure``.
        """

    def survey() -> Deferred[tuple[str, ...]]:
        """
        Read all models once, to find the damaged ones.

        Returns:
            Fires with the ids of all undamaged models, sorted; fails with ``StorageFailure``.
        """

    def note_seen(snapshot: ModelSnapshot, version_number: int) -> Deferred[None]:
        """
        Raise the numbers of a model that went back to an earlier state, as after a backup was restored: the next
        version gets a higher number than a client has seen.

        Args:
            snapshot: the model.
            version_number: the highest number that the client has seen.

        Returns:
            Fires with ``None`` when the numbers are raised or cannot be raised; never fails.
        """

    def save_model(info: ModelInfo) -> Deferred[None]:
        """
        Create a model, or replace its metadata.

        Args:
            info: the model's id and all of its metadata.

        Returns:
            Fires with ``None`` when that is durable; fails with ``StorageFull``, ``StorageReadOnly`` or
            ``StorageFailure``.
        """

    def edit_model(model_id: str, edit: Callable[[ModelInfo | None], ModelInfo]) -> Deferred[ModelInfo]:
        """
        Create a model, or replace its metadata, depending on what it is now.  Nothing else changes it meanwhile.

        Args:
            model_id: the model's id.
            edit: called once, with the model as it is, or ``None`` if there is none; returns the model as it shall be.
                If it raises, nothing changes.

        Returns:
            Fires with the model when it is durable; fails with the error that ``edit`` raised, with ``CorruptModel`` if
            the model's metadata is damaged, or with an error of ``save_model``.
        """

    def delete_model(model_id: str, check: Callable[[ModelInfo], None] | None = None) -> Deferred[None]:
        """
        Delete a model and all its versions.

        Args:
            model_id: the model's id.
            check: called with the model before it is deleted; if it raises, nothing changes.  ``None`` for no check.

        Returns:
            Fires with ``None`` when that is durable; fails with ``UnknownModel``, ``StorageReadOnly`` or
            ``StorageFailure``, or with the error that ``check`` raised.
        """
