"""
The copying of one version, while a daemon may delete it.
"""

from attrs import define, field, frozen

from twisted_registry.storage.filesystem.backup.target import TargetData, TargetFolder
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.layout import TEMP_PREFIX
from twisted_registry.storage.filesystem.metadata import parse_version
from twisted_registry.storage.filesystem.pinned_directory import open_file
from twisted_registry.storage.filesystem.system import System, close_quietly, within
from twisted_registry.storage.filesystem.verify.findings import Finding
from twisted_registry.storage.filesystem.verify.version import (
    BLOCK_BYTES,
    PinnedModel,
    Unreadable,
    VersionCheck,
    read_small_file,
)

_MAX_ATTEMPTS = 3


@frozen
class CopiedVersion:
    """
    The result for one version.

    Attributes:
        number: its number.
        exists: whether it still existed when it had been copied.
        size_bytes: the size of its data in bytes.
        is_kept: whether its data is that of an earlier copy.
        findings: what was found.
    """

    number: int
    exists: bool = False
    size_bytes: int = 0
    is_kept: bool = False
    findings: list[Finding] = field(factory=list)


@define(eq=False)
class VersionCopier:
    """
    The copying of versions.  May be used in any thread.
    """

    _system: System
    _check: VersionCheck

    def copy(self, model: PinnedModel, number: int, target: TargetFolder) -> CopiedVersion:
        """
        Copy a version with its labels and metrics.  If it is damaged, that is reported, and its data is kept as a temp
        file: under its own name a later copy would take it for intact.

        Raises:
            CannotCopy: the target cannot be written.
            StorageUnavailable: this process has reached a limit, such as that on open files.
            Stopped: the work was stopped.
        """
        path = model.folder.version_yaml(number)
        seen = read_small_file(self._system, path)
        for _ in range(_MAX_ATTEMPTS):
            if seen is None:
                break
            copied = self._copy(model, number, seen, target)
            # If its .yaml is still there, neither its data nor its labels were being removed.
            before, seen = seen, read_small_file(self._system, path)
            if seen == before:
                return copied
            self._discard(model, number, target)
        return CopiedVersion(number)

    def _copy(self, model: PinnedModel, number: int, yaml: bytes | Unreadable, target: TargetFolder) -> CopiedVersion:
        if isinstance(yaml, bytes):
            self._copy_annotations(model, number, target)
            size_bytes = self._size(model, number)
            if target.keep_version(model.folder, number, yaml, size_bytes):
                return CopiedVersion(number, exists=True, size_bytes=size_bytes, is_kept=True)
        data = target.data(model.folder.version_data_name(number))
        try:
            findings = self._check.findings(model, number, data)
            data.finish()
        finally:
            data.close()
        if findings is None:
            return CopiedVersion(number)
        if any(finding.is_damage for finding in findings) and isinstance(yaml, bytes):
            self._copy_damaged(model, number, yaml, target)
        if isinstance(yaml, bytes):
            target.write(model.folder.version_yaml_name(number), yaml)
        return CopiedVersion(number, exists=True, size_bytes=self._size(model, number), findings=findings)

    def _size(self, model: PinnedModel, number: int) -> int:
        try:
            return self._system.lstat(model.folder.version_data(number)).st_size
        except OSError:
            return 0

    def _copy_annotations(self, model: PinnedModel, number: int, target: TargetFolder) -> None:
        name = model.folder.annotations_name(number)
        content = read_small_file(self._system, within(model.folder.path, name))
        if isinstance(content, bytes) and not target.keep(name, content):
            target.write(name, content)

    def _copy_damaged(self, model: PinnedModel, number: int, yaml: bytes, target: TargetFolder) -> None:
        data_name = model.folder.version_data_name(number)
        target.remove(data_name)
        try:
            size_bytes = parse_version(yaml, "", number).size_bytes
        except Malformed:
            size_bytes = -1
        if target.keep_version(model.folder, number, yaml, size_bytes):
            return  # an earlier copy has it intact
        name = f"{TEMP_PREFIX}damaged-{data_name}"
        data = target.data(name)
        try:
            self._copy_unchecked(model.folder.version_data(number), data)
        except (OSError, Malformed):
            target.remove(name)
        finally:
            data.close()

    def _copy_unchecked(self, path: str, data: TargetData) -> None:
        descriptor, _ = open_file(self._system, path)
        try:
            data.begin()
            while block := self._system.read(descriptor, BLOCK_BYTES):
                data.write(memoryview(block))
            data.finish()
        finally:
            close_quietly(self._system, descriptor)

    def _discard(self, model: PinnedModel, number: int, target: TargetFolder) -> None:
        folder = model.folder
        target.remove(
            folder.version_yaml_name(number), folder.version_data_name(number), folder.annotations_name(number)
        )
