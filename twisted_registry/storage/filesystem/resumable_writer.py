"""
The writer of a version whose data outlives the process.
"""

import os
from collections.abc import Callable
from threading import Lock

from attrs import define, evolve, field
from zope.interface import implementer

from twisted_registry.contracts.unfinished import IResumableWriter, UnfinishedUpload
from twisted_registry.domain.errors import RegistryError, StorageFailure
from twisted_registry.domain.models import VersionInfo
from twisted_registry.storage.filesystem.layout import ModelFolder
from twisted_registry.storage.filesystem.system import close_quietly, within
from twisted_registry.storage.filesystem.unfinished import UnfinishedUploads, new_location
from twisted_registry.storage.filesystem.writer import FileWriter, Stage


@implementer(IResumableWriter)
@define(eq=False)
class ResumableFileWriter(FileWriter):
    """
    A writer that leaves its data behind if the process ends before the commit.

    Attributes:
        _upload: what it writes; with a location once there is data.
        _releasing: held while the file is closed: the archive may discard the data while its creator aborts.
    """

    _uploads: UnfinishedUploads = field(kw_only=True)
    _upload: UnfinishedUpload = field(kw_only=True)
    _device: int = field(default=0, init=False)
    _releasing: Lock = field(factory=Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._temp_name = self._upload.location
        self._size_bytes = self._writeback_bytes = self._upload.received_bytes
        if self._temp_name:
            self._uploads.take(self, self._upload)

    def _open(self) -> int:
        if self._descriptor is None:
            self._staging.root.check()
            with self._models.open(self._model_id) as folder:
                self._check_space(folder)
                self._device = self._staging.system.fstat(folder.handle.descriptor).st_dev
                self._descriptor = self._reopen(folder) if self._temp_name else self._create(folder)
        return self._descriptor

    def _create(self, folder: ModelFolder) -> int:
        location = new_location(self._model_id, self._upload.key_sha256)
        self._upload = evolve(self._upload, location=location)
        self._uploads.begin(self, self._upload)
        self._staging.keep_temp_file(location)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = self._staging.system.open(within(folder.handle, location), flags)
        self._temp_name = location
        return descriptor

    def _reopen(self, folder: ModelFolder) -> int:
        system = self._staging.system
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW
        descriptor = system.open(within(folder.handle, self._temp_name), flags)
        try:
            size_bytes = system.fstat(descriptor).st_size
            if size_bytes != self._size_bytes:
                raise StorageFailure(f"of {self._size_bytes} bytes that were kept, the file has {size_bytes}")
        except (OSError, RegistryError):
            close_quietly(system, descriptor)
            raise
        return descriptor

    def release(self) -> None:
        """See ``ReleasedWriter.release``."""
        with self._releasing:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_quietly(self._staging.system, descriptor)
        self._staging.forget_temp_name(self._temp_name)  # the next start finds it by its description

    def suspend(self, dropped: Callable[[], None]) -> None:
        """See ``IResumableWriter.suspend``."""
        if self._stage is not Stage.CLOSED and self._temp_name:
            upload = evolve(self._upload, received_bytes=self._size_bytes)
            self._uploads.suspend(self, upload, dropped, self._device)

    def resume(self) -> bool:
        """See ``IResumableWriter.resume``."""
        return not self._upload.location or self._uploads.resume(self._upload)

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        super().commit(info)
        self._end()

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self.release()
        super().abort()
        self._end()

    def _end(self) -> None:
        if self._upload.location:  # else nothing was written
            self._uploads.end(self._upload)
