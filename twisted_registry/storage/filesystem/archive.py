"""
The archive on a file system.

``twisted_registry.storage.filesystem.layout`` describes its files, and ``twisted_registry.storage.filesystem.staging``
how they are written.
"""

import os
from collections.abc import Callable, Sequence

from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.archive import IVersionBatches
from twisted_registry.contracts.idempotency import IKeyedArchive, StoredKey
from twisted_registry.contracts.lifecycle import IDeferredRemovals, ILifecycleArchive
from twisted_registry.contracts.observation import IDiskReporter, ISizeReporter, ISyncReporter
from twisted_registry.contracts.ownership import (
    ArchiveIdentity,
    IIdentifiableArchive,
    ILocatedArchive,
    IOwnedArchive,
    IProbedArchive,
)
from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter
from twisted_registry.contracts.unfinished import IResumableArchive, UnfinishedUpload
from twisted_registry.domain.aliases import AliasMove, AliasState
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.creation import UploadFacts
from twisted_registry.domain.errors import CannotStart, CorruptAnnotations, CorruptVersion, StorageFailure
from twisted_registry.domain.kept import UnfinishedLimits
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.retention import RetentionPolicy
from twisted_registry.storage.filesystem.backup_mark import why_not_opened
from twisted_registry.storage.filesystem.claim import Claim, ClaimTimes
from twisted_registry.storage.filesystem.failures import reading, reason_of, removing
from twisted_registry.storage.filesystem.high_water_marks import HighWaterMarks
from twisted_registry.storage.filesystem.identity import IdentityFile
from twisted_registry.storage.filesystem.layout import PRIVATE_FOLDER
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import LockFailed, PinnedDirectory, in_use
from twisted_registry.storage.filesystem.private_folder import NotPrivate
from twisted_registry.storage.filesystem.probe import probe
from twisted_registry.storage.filesystem.retention import RetentionFiles
from twisted_registry.storage.filesystem.space import Space, disk_bytes
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.stored import stored_versions
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, exists, lexists, within
from twisted_registry.storage.filesystem.versions import ArchivedVersions

_log = Logger()


def filesystem_archive(directory: str) -> "FilesystemArchive":
    """
    Create the archive that ``filesystem:DIRECTORY`` describes.
    """
    return FilesystemArchive(directory)


@implementer(
    ILocatedArchive,
    IIdentifiableArchive,
    IOwnedArchive,
    IProbedArchive,
    IKeyedArchive,
    ILifecycleArchive,
    IDeferredRemovals,
    IResumableArchive,
    IVersionBatches,
    ISyncReporter,
    IDiskReporter,
    ISizeReporter,
)
class FilesystemArchive:
    """
    An archive in a folder, in the layout of the Cogment Model Registry.
    """

    def __init__(self, root: str, system: System | None = None, times: ClaimTimes | None = None) -> None:
        """
        Args:
            root: the archive's folder; created, if missing, when the archive is opened.
            system: the operating system.
            times: how often the claim is renewed, and how long the mark of another daemon is watched.

        Raises:
            CannotStart: the folder has no name.
        """
        if not root:
            raise CannotStart("the archive's directory has no name; write filesystem:DIRECTORY")
        self.description: str = os.path.abspath(root)
        self._root = self.description
        self._system = system or System()
        self._system.space = Space()
        self._directory = PinnedDirectory(self._root, self._system)
        self._staging = StagingArea(self._directory)
        self._models = ModelFolders(self._staging)
        self._marks = HighWaterMarks(self._staging, self._models)
        self._versions = ArchivedVersions(self._staging, self._models, self._marks)
        self._system.space.free = self._versions.uploads.free
        self._system.space.freeable_bytes = self._versions.uploads.freeable_bytes
        self._retention = RetentionFiles(self._staging, self._models)
        self._claim = Claim(self._staging, times)
        self._directory.check_claim = self._claim.check
        self.renew_seconds: float = self._claim.times.renew_seconds
        self._identity_file = IdentityFile(self._staging)
        self._identity = ArchiveIdentity()
        self._must_exist = False
        self._path_descriptor: int | None = None

    # Opening and closing.

    def open(self) -> None:
        """See ``IArchive.open``."""
        path_descriptor = self._claim_path()
        try:
            self._open_directory()
        except BaseException:
            self._close_descriptor(path_descriptor)
            raise
        self._path_descriptor = path_descriptor
        try:
            self._check_is_no_backup()
            self._read_names()
            is_identified, is_new = self._examine()
            self._clean_up()
            self._identity = self._load_identity() if is_identified else self._identity_file.create(is_new)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See ``IArchive.close``."""
        self._staging.removals.clear()
        self._versions.uploads.close()
        self._claim.release()
        self._directory.close()
        path_descriptor, self._path_descriptor = self._path_descriptor, None
        self._close_descriptor(path_descriptor)

    def renew(self) -> None:
        """See ``IOwnedArchive.renew``."""
        self._claim.renew()

    def probe(self) -> None:
        """See ``IProbedArchive.probe``."""
        probe(self._staging)

    def expect_existing(self) -> None:
        """See ``IIdentifiableArchive.expect_existing``."""
        self._must_exist = True

    def identity(self) -> ArchiveIdentity:
        """See ``IIdentifiableArchive.identity``."""
        return self._identity

    def check(self) -> None:
        """See ``ILocatedArchive.check``."""
        with reading():
            self._directory.check()

    def missing(self, model_ids: Sequence[str]) -> list[str]:
        """See ``ILocatedArchive.missing``."""
        with reading():
            return self._models.missing(model_ids)

    def report_syncs(self, synced: Callable[[float], None]) -> None:
        """See ``ISyncReporter.report_syncs``."""
        earlier = self._system.synced

        def both(seconds: float) -> None:
            if earlier is not None:
                earlier(seconds)
            synced(seconds)

        self._system.synced = synced if earlier is None else both

    def disk_bytes(self) -> tuple[int, int]:
        """See ``IDiskReporter.disk_bytes``."""
        with reading():
            return disk_bytes(self._directory.folder.descriptor)

    def stored(self, is_wanted: Callable[[], bool]) -> tuple[int, int]:
        """See ``ISizeReporter.stored``."""
        with reading():
            return stored_versions(self._directory.folder.descriptor, is_wanted)

    def _open_directory(self) -> None:
        try:
            if not self._must_exist:
                self._create_folder(self._root)
            elif not exists(self._system, self._root):
                raise self._no_archive("it is missing")
            self._directory.open()
        except OSError as error:
            raise self._unusable(error) from error
        except LockFailed as error:
            raise CannotStart(error.reason) from error

        if self._directory.is_open_to_others:
            _log.warn(
                "every user of this machine can write to the archive {root} and replace what is in it; "
                "run: chmod o-rwx {root}",
                root=self._root,
            )

    def _check_is_no_backup(self) -> None:
        try:
            reason = why_not_opened(self._system, self._directory.folder, self._root)
        except OSError as error:
            raise self._unusable(error) from error
        if reason:
            raise CannotStart(reason)

    def _load_identity(self) -> ArchiveIdentity:
        try:
            return self._identity_file.load()
        except OSError as error:
            raise self._unusable(error) from error

    def _examine(self) -> tuple[bool, bool]:
        """
        Return whether the archive has an id, and whether it is new.

        Raises:
            CannotStart: there is no archive although one must exist, or this cannot be determined.
        """
        try:
            is_identified = self._identity_file.exists
            is_empty = not is_identified and self._models.is_empty
            if is_empty and self._must_exist:
                raise self._no_archive("it does not contain an archive")
            is_new = is_empty and not lexists(self._system, within(self._directory.folder, PRIVATE_FOLDER))
        except OSError as error:
            raise self._unusable(error) from error
        except StorageFailure as error:
            raise CannotStart(f"the models in {self._root!r} cannot be listed: {error.reason}") from error
        return is_identified, is_new

    def _claim_path(self) -> int | None:
        # This comes before anything is created at the path, because another process may still have its archive there.
        try:
            return self._system.claim_path(self._root)
        except BlockingIOError as error:
            raise CannotStart(in_use(self._root).reason) from error

    def _close_descriptor(self, descriptor: int | None) -> None:
        if descriptor is not None:
            close_quietly(self._system, descriptor)

    def _read_names(self) -> None:
        try:
            self._models.read_names()
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> CannotStart:
        return CannotStart(f"the archive's directory {self._root!r} cannot be used: {reason_of(error)}")

    def _no_archive(self, what: str) -> CannotStart:
        return CannotStart(
            f"there is no archive in {self._root!r} ({what}), and --archive-must-exist is set: is its disk mounted? "
            "To create a new archive there, start once without --archive-must-exist"
        )

    def _create_folder(self, path: str) -> None:
        if exists(self._system, path):
            return
        parent = os.path.dirname(path)
        self._create_folder(parent)
        try:
            self._system.mkdir(path)
        except FileExistsError:
            return
        descriptor = self._system.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._staging.sync_folder(Folder(parent, descriptor))
        finally:
            close_quietly(self._system, descriptor)

    def _clean_up(self) -> None:
        self._versions.forget_sweeps()
        try:
            self._staging.private.check()
            self._staging.retry_root_sync()
            self._staging.private.prepare()
            # Nothing may be swept that belongs to another daemon.
            self._claim.acquire()
            self._staging.sweep()
            self._versions.uploads.load()
            if self._claim.was_abandoned:
                self._versions.sweep_temp_files()
        except LockFailed as error:
            raise CannotStart(error.reason) from error
        except NotPrivate as error:
            raise CannotStart(
                f"{error.what}, and a start removes everything in the archive's private folders: remove the link or "
                "the mount, or rename it, and start again"
            ) from error
        except OSError as error:
            _log.warn(
                "the archive {root} cannot be cleaned up, is it read-only? {reason}",
                root=self._root,
                reason=reason_of(error),
            )

    # Models.

    def model_ids(self) -> list[str]:
        """See ``IModelStore.model_ids``."""
        return self._models.ids()

    def load_model(self, model_id: str) -> ModelInfo:
        """See ``IModelStore.load_model``."""
        return self._models.load(model_id)

    def save_model(self, info: ModelInfo) -> None:
        """See ``IModelStore.save_model``."""
        self._models.save(info)

    def delete_model(self, model_id: str) -> None:
        """See ``IModelStore.delete_model``."""
        self._models.delete(model_id)

    # Versions.

    def version_numbers(self, model_id: str) -> list[int]:
        """See ``IVersionStore.version_numbers``."""
        return self._versions.numbers(model_id)

    def load_version(self, model_id: str, version_number: int) -> VersionInfo:
        """See ``IVersionStore.load_version``."""
        return self._versions.load(model_id, version_number)

    def load_versions(self, model_id: str, version_numbers: Sequence[int]) -> list[VersionInfo | CorruptVersion]:
        """See ``IVersionBatches.load_versions``."""
        return self._versions.load_all(model_id, version_numbers)

    def open_version(self, model_id: str, version_number: int) -> IArchiveReader:
        """See ``IVersionStore.open_version``."""
        return self._versions.open(model_id, version_number)

    def create_version(self, model_id: str) -> IArchiveWriter:
        """See ``IVersionStore.create_version``."""
        return self._versions.create(model_id)

    # Unfinished uploads.

    def limit_unfinished(self, limits: UnfinishedLimits) -> None:
        """See ``IResumableArchive.limit_unfinished``."""
        self._versions.uploads.limits = limits

    def create_resumable(self, model_id: str, key_sha256: str, facts: UploadFacts) -> IArchiveWriter:
        """See ``IResumableArchive.create_resumable``."""
        return self._versions.write_upload(UnfinishedUpload(model_id, key_sha256, facts, 0, 0))

    def find_unfinished(self, model_id: str, key_sha256: str) -> UnfinishedUpload | None:
        """See ``IResumableArchive.find_unfinished``."""
        return self._versions.uploads.find(model_id, key_sha256)

    def resume_version(self, upload: UnfinishedUpload) -> IArchiveWriter:
        """See ``IResumableArchive.resume_version``."""
        return self._versions.write_upload(upload)

    def open_unfinished(self, upload: UnfinishedUpload) -> IArchiveReader:
        """See ``IResumableArchive.open_unfinished``."""
        return self._versions.read_upload(upload)

    # Deletion.

    def delete_version(self, model_id: str, version_number: int) -> None:
        """See ``IVersionRemoval.delete_version``."""
        self._versions.delete(model_id, version_number)

    def delete_versions(self, model_id: str, version_numbers: Sequence[int]) -> None:
        """See ``IVersionRemoval.delete_versions``."""
        self._versions.delete_all(model_id, version_numbers)

    # Labels, metrics, aliases and retention.

    def load_annotations(self, model_id: str, version_numbers: Sequence[int]) -> list[Annotations | CorruptAnnotations]:
        """See ``IAnnotationStore.load_annotations``."""
        return self._versions.annotations.load(model_id, version_numbers)

    def save_annotations(self, model_id: str, version_number: int, annotations: Annotations) -> None:
        """See ``IAnnotationStore.save_annotations``."""
        self._versions.annotations.save(model_id, version_number, annotations)

    def load_aliases(self, model_id: str) -> AliasState:
        """See ``IAliasJournal.load_aliases``."""
        return self._versions.aliases.state(model_id)

    def alias_moves(
        self, model_id: str, alias: str | None = None, before: int | None = None, limit: int | None = None
    ) -> list[AliasMove]:
        """See ``IAliasJournal.alias_moves``."""
        return self._versions.aliases.moves(model_id, alias, before, limit)

    def append_alias_moves(self, model_id: str, moves: Sequence[AliasMove]) -> None:
        """See ``IAliasJournal.append_alias_moves``."""
        self._versions.aliases.append(model_id, moves)

    def load_retention(self, model_id: str) -> RetentionPolicy | None:
        """See ``IRetentionStore.load_retention``."""
        return self._retention.load(model_id)

    def save_retention(self, model_id: str, policy: RetentionPolicy | None) -> None:
        """See ``IRetentionStore.save_retention``."""
        self._retention.save(model_id, policy)

    def retention_prefixes(self) -> dict[str, RetentionPolicy]:
        """See ``IRetentionStore.retention_prefixes``."""
        return self._retention.prefixes()

    def save_retention_prefix(self, prefix: str, policy: RetentionPolicy | None) -> None:
        """See ``IRetentionStore.save_retention_prefix``."""
        self._retention.save_prefix(prefix, policy)

    # What deletions left.

    def removal_seconds(self) -> float | None:
        """See ``IDeferredRemovals.removal_seconds``."""
        self._versions.uploads.expire()
        return self._staging.removals.next_seconds()

    def remove_some(self) -> None:
        """See ``IDeferredRemovals.remove_some``."""
        with removing():
            self._staging.removals.run()

    # Numbers.

    def high_water_mark(self, model_id: str) -> int:
        """See ``IHighWaterMarks.high_water_mark``."""
        return self._marks.get(model_id)

    def set_high_water_mark(self, model_id: str, version_number: int) -> None:
        """See ``IHighWaterMarks.set_high_water_mark``."""
        self._marks.set(model_id, version_number)

    # Idempotency keys.

    def stored_keys(self, model_id: str) -> list[StoredKey]:
        """See ``IKeyedArchive.stored_keys``."""
        return self._versions.keys.stored(model_id)

    def remove_keys(self, model_id: str, keys: Sequence[StoredKey]) -> None:
        """See ``IKeyedArchive.remove_keys``."""
        self._versions.keys.remove(model_id, keys)
