"""
Unfinished uploads, whose data outlives the process.

The data is in the model's folder, as that of every upload, in ``.upload-<id>-<unique>``; the id is a SHA-256 of the
idempotency key and the model.  ``.0/uploads/<id>-<unique>`` describes it: a line of JSON with a checksum.  So a start
finds the uploads that were left without listing the folders of all models.

Neither is synced before the commit.  A process that is killed loses nothing that it has written, but a machine that
crashes does: so the description names the boot (``/proc/sys/kernel/random/boot_id``) in which the data was written, and
after another boot the upload is dropped.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Iterable
from threading import Lock
from typing import Protocol
from uuid import uuid4

from attrs import frozen
from twisted.logger import Logger

from twisted_registry.contracts.unfinished import UnfinishedUpload
from twisted_registry.domain.errors import RegistryError, StorageFailure
from twisted_registry.domain.kept import UnfinishedLimits
from twisted_registry.storage.filesystem.failures import Malformed, is_absent, reading
from twisted_registry.storage.filesystem.layout import PRIVATE_FOLDER, UPLOAD_PREFIX, UPLOADS
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import open_file
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import within
from twisted_registry.storage.filesystem.upload_descriptions import Description, UploadDescriptions, description_name

_log = Logger()


class ReleasedWriter(Protocol):
    """
    A writer of an unfinished upload.
    """

    def release(self) -> None:
        """
        Close the file, and keep its data.  Never raises.
        """


@frozen
class _LeftUpload(UnfinishedUpload):
    """
    An upload that an earlier process has left.

    Attributes:
        device: the number of the device that its data is on.
    """

    device: int = 0


@frozen
class _Suspended:
    """
    An upload of this process that nobody is sending.

    Attributes:
        dropped: called if its data is discarded.
        device: the number of the device that its data is on.
        seconds: when it was suspended, since the Unix epoch.
    """

    upload: UnfinishedUpload
    writer: ReleasedWriter
    dropped: Callable[[], None]
    device: int
    seconds: float


def new_location(model_id: str, key_sha256: str) -> str:
    """
    Return a new name for the data of an upload.
    """
    return f"{UPLOAD_PREFIX}{upload_id(model_id, key_sha256)}-{uuid4().hex[:8]}"


def upload_id(model_id: str, key_sha256: str) -> str:
    """
    Return the id of an upload.
    """
    return hashlib.sha256(f"{key_sha256} {model_id}".encode()).hexdigest()


class UnfinishedUploads:
    """
    The unfinished uploads of an archive.  May be used in any thread.

    Attributes:
        now_seconds: returns the time in seconds since the Unix epoch.
        limits: see ``IResumableArchive.limit_unfinished``.
    """

    def __init__(
        self, staging: StagingArea, models: ModelFolders, now_seconds: Callable[[], float] = time.time
    ) -> None:
        self.now_seconds = now_seconds
        self.limits = UnfinishedLimits()
        self._staging = staging
        self._models = models
        self._system = staging.system
        self._descriptions = UploadDescriptions(staging)
        # Held briefly, and never while a file is used: the reactor takes it, too.
        self._lock = Lock()
        # What earlier processes have left, by the upload's id.
        self._left: dict[str, _LeftUpload] = {}
        # The writers of this process, by the name of their data.
        self._writers: dict[str, ReleasedWriter] = {}
        # Those of them that nobody is sending, the oldest first.
        self._suspended: dict[str, _Suspended] = {}
        self._boot = ""

    # Start and stop

    def load(self) -> None:
        """
        Find the uploads that earlier processes have left, and remove those that cannot go on.

        Raises:
            OSError: the descriptions cannot be listed.
        """
        self._boot = self._system.boot_id()
        found = [upload for name in self._descriptions.names() if (upload := self._load(name)) is not None]
        # Of those with the same key the last one.
        kept = {_id_of(upload): upload for upload in sorted(found, key=lambda upload: upload.changed_seconds)}
        within_limits = self._within_limits(kept.values())
        for upload in found:
            if upload.location in within_limits:
                self._left[_id_of(upload)] = upload
                self._staging.keep_temp_file(upload.location)
            else:
                self._remove_later(upload)
        self.expire()

    def _within_limits(self, uploads: Iterable[_LeftUpload]) -> set[str]:
        # Returns locations.  The rules are those of ``twisted_registry.domain.kept`` for the uploads of one client: to
        # apply these once for each upload that is dropped takes long.
        by_size = sorted(uploads, key=lambda upload: (upload.received_bytes, upload.changed_seconds))
        largest = by_size[max(0, len(by_size) - self.limits.count) :]
        kept = {upload.location for upload in largest}
        surplus_bytes = sum(upload.received_bytes for upload in largest) - self.limits.size_bytes
        for oldest in sorted(largest, key=lambda upload: upload.changed_seconds):
            if surplus_bytes > 0 and oldest.received_bytes:
                kept.remove(oldest.location)
                surplus_bytes -= oldest.received_bytes
        return kept

    def _load(self, name: str) -> _LeftUpload | None:
        try:
            description = self._descriptions.read(name)
            if not name.startswith(upload_id(description.model_id, description.key_sha256)):
                raise Malformed("it has the name of another upload")
            if self._boot and description.boot == self._boot:
                return self._described(description)
            reason = "the machine was started again since"
        except (Malformed, OSError, RegistryError) as error:
            reason = str(error)
        _log.info("the unfinished upload {name} is dropped: {reason}", name=name[:16], reason=reason)
        self._discard_description(name)
        return None

    def _described(self, description: Description) -> _LeftUpload:
        with self._models.open(description.model_id) as folder:
            status = self._system.lstat(within(folder.path, description.location))
        return _LeftUpload(
            description.model_id,
            description.key_sha256,
            description.facts,
            status.st_size,
            int(status.st_mtime),
            description.location,
            status.st_dev,
        )

    def close(self) -> None:
        """
        Close the files of all uploads that have not ended.  Their data is kept.
        """
        with self._lock:
            writers, left = list(self._writers.values()), list(self._left.values())
            self._writers.clear()
            self._suspended.clear()
            self._left.clear()
        for writer in writers:
            writer.release()
        for upload in left:
            self._staging.forget_temp_name(upload.location)

    # Expiry

    def expire(self) -> None:
        """
        Begin to remove the uploads that nobody went on with in time.  Takes no time if none are left.
        """
        with self._lock:
            now, seconds = self.now_seconds(), self.limits.seconds
            expired = [upload for upload in self._left.values() if abs(now - upload.changed_seconds) >= seconds]
            for upload in expired:
                del self._left[_id_of(upload)]
        for upload in expired:
            self._remove_later(upload)

    def _remove_later(self, upload: UnfinishedUpload) -> None:
        place = f"{PRIVATE_FOLDER}/{UPLOADS}/{description_name(upload.location)}"
        self._staging.removals.add(place, lambda: self._removal_steps(upload))

    def _removal_steps(self, upload: UnfinishedUpload) -> Generator[None, None, None]:
        self._discard_data(upload)
        yield
        self._discard_description(description_name(upload.location))

    def _discard(self, upload: UnfinishedUpload) -> None:
        self._discard_data(upload)
        self._discard_description(description_name(upload.location))

    def _discard_data(self, upload: UnfinishedUpload) -> None:
        try:
            with self._models.open(upload.model_id) as folder:
                self._staging.discard(folder.handle, upload.location)
        except RegistryError:
            pass  # it was removed with the model
        except OSError as error:
            _log.warn("the data of an unfinished upload stays for now: {error}", error=error)

    # Writing

    def take(self, writer: ReleasedWriter, upload: UnfinishedUpload) -> None:
        """
        Note that a writer goes on with an upload that an earlier process has left, unless that was discarded meanwhile:
        then ``resume`` returns false.
        """
        with self._lock:
            if self._left.pop(_id_of(upload), None) is not None:
                self._writers[upload.location] = writer

    def begin(self, writer: ReleasedWriter, upload: UnfinishedUpload) -> None:
        """
        Describe the upload of a new writer, and discard what an earlier process has left of one with the same key.

        Raises:
            OSError: the description cannot be written.
        """
        with self._lock:
            self._writers[upload.location] = writer
            left = self._left.pop(_id_of(upload), None)
        if left is not None:
            self._discard(left)
        # Before the data, so that a crash leaves no data without a description.
        self._descriptions.write(
            Description(upload.model_id, upload.key_sha256, upload.facts, upload.location, self._boot)
        )

    def end(self, upload: UnfinishedUpload) -> None:
        """
        Note that an upload was committed or aborted.  Never raises.
        """
        with self._lock:
            self._writers.pop(upload.location, None)
            self._suspended.pop(upload.location, None)
        self._discard_description(description_name(upload.location))

    # Interruptions

    def suspend(
        self, writer: ReleasedWriter, upload: UnfinishedUpload, dropped: Callable[[], None], device: int
    ) -> None:
        """
        Note that nobody is sending an upload; see ``IResumableWriter.suspend``.

        Args:
            device: the number of the device that its data is on.
        """
        with self._lock:
            if upload.location in self._writers:  # else it is closed
                self._suspended[upload.location] = _Suspended(upload, writer, dropped, device, self.now_seconds())

    def resume(self, upload: UnfinishedUpload) -> bool:
        """
        Note that an upload goes on, and return whether its data is still there.
        """
        with self._lock:
            self._suspended.pop(upload.location, None)
            return upload.location in self._writers

    def freeable_bytes(self, device: int) -> int:
        """
        Return how much ``free`` can free on a device.
        """
        with self._lock:
            suspended = sum(it.upload.received_bytes for it in self._suspended.values() if it.device == device)
            return suspended + sum(it.received_bytes for it in self._left.values() if it.device == device)

    def free(self, device: int | None = None) -> bool:
        """
        Discard the oldest upload that nobody is sending, because its space is needed.  Never raises.

        Args:
            device: the number of the device that it must be on; ``None`` for any.

        Returns:
            whether there was one.
        """
        with self._lock:
            ages = [(it.seconds, it.device, location) for location, it in self._suspended.items()]
            ages += [(it.changed_seconds, it.device, name) for name, it in self._left.items()]
            oldest = min((each for each in ages if device in (None, each[1])), default=None)
            if oldest is None:
                return False
            name = oldest[2]
            suspended = self._suspended.pop(name, None)
            upload = self._left.pop(name) if suspended is None else suspended.upload
            self._writers.pop(upload.location, None)
        if suspended is not None:
            suspended.writer.release()  # an open file keeps its space
            suspended.dropped()
        self._discard(upload)
        _log.warn("the disk is full: what was kept of an interrupted upload to {id!r} is dropped", id=upload.model_id)
        return True

    def _discard_description(self, name: str) -> None:
        try:
            self._descriptions.remove(name)
        except (OSError, RegistryError) as error:
            _log.warn("the description of an unfinished upload stays for now: {error}", error=error)

    # Reading

    def find(self, model_id: str, key_sha256: str) -> UnfinishedUpload | None:
        """
        See ``IResumableArchive.find_unfinished``.
        """
        self.expire()
        with self._lock:
            upload = self._left.get(upload_id(model_id, key_sha256))
        if upload is None:
            return None
        with reading("an unfinished upload"):
            try:
                with self._models.open(model_id) as folder:
                    status = self._system.lstat(within(folder.path, upload.location))
            except RegistryError:
                return None  # it was removed with the model
            except OSError as error:
                if is_absent(error):
                    return None
                raise
        return upload if status.st_size == upload.received_bytes else None

    def open(self, upload: UnfinishedUpload) -> int:
        """
        Open the data of an upload for reading.

        Returns:
            its descriptor.

        Raises:
            UnknownModel: the model was deleted.
            StorageFailure: the data cannot be read.
        """
        try:
            with reading("an unfinished upload"), self._models.open(upload.model_id) as folder:
                descriptor, _ = open_file(self._system, within(folder.path, upload.location))
        except Malformed as error:
            raise StorageFailure(error.reason) from error
        return descriptor


def _id_of(upload: UnfinishedUpload) -> str:
    return upload_id(upload.model_id, upload.key_sha256)
