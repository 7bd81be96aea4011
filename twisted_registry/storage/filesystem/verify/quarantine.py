"""
The quarantine of damaged files, which leaves the rest of an archive intact.

Damaged files are moved to a separate directory, which no reader of the layout opens and no start cleans up::

    <root>/.0/quarantine/<UTC time>/
        report.jsonl            the findings and the files to move, a JSON object a line
        <folder>/               the files, under their names

Files are renamed, never copied or removed; so at any time, also after a power cut, a file is either in its place or
here.  A model's data is moved, and that is synced, before any .yaml is: data alone above the highest number would look
like the rest of a crash, and be removed.  And before the highest version is moved, its number is set as the high-water
mark.
"""

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from attrs import frozen

from twisted_registry.domain.errors import RegistryError, StorageUnavailable
from twisted_registry.storage.filesystem.alias_journal import AliasJournals
from twisted_registry.storage.filesystem.claim import Claim, keep_renewed
from twisted_registry.storage.filesystem.failures import Malformed, is_bad_medium, reason_of, unreadable
from twisted_registry.storage.filesystem.high_water_marks import HighWaterMarks
from twisted_registry.storage.filesystem.layout import (
    ALIASES,
    HIGH_WATER_MARK,
    PRIVATE_FOLDER,
    QUARANTINE,
    ModelFolder,
    version_files,
)
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import LockFailed, PinnedDirectory, open_file, read_up_to
from twisted_registry.storage.filesystem.private_folder import NotPrivate
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, lexists, within
from twisted_registry.storage.filesystem.verify.alias_quarantine import quarantine_aliases, settle_aliases
from twisted_registry.storage.filesystem.verify.findings import CannotVerify, Finding, Kind

_BLOCK_BYTES = 1024 * 1024
# These are not moved like other files.
_KEPT = frozenset({HIGH_WATER_MARK, ALIASES})
_STAMP = "%Y%m%dT%H%M%S.%fZ"


@frozen
class QuarantinedFinding:
    """
    A finding after its files were moved, or were left.

    Attributes:
        finding: the finding.
        files: where its files are now, relative to the archive.
        remark: why they were left, or what is still to do; empty if there is nothing to do.
    """

    finding: Finding
    files: list[str]
    remark: str = ""


@contextmanager
def locked(root: str, system: System | None = None) -> Iterator[None]:
    """
    Hold the lock of an archive, as a daemon does.

    Raises:
        CannotVerify: another process has the lock, or the archive cannot be used.
    """
    held = PinnedDirectory(os.path.abspath(root), system or System())
    staging = StagingArea(held)
    claim = Claim(staging)
    try:
        try:
            held.open()
            # Without a private directory, no daemon has the archive.
            if lexists(held.system, within(held.folder, PRIVATE_FOLDER)):
                staging.private.check()
                claim.acquire()
        except LockFailed as error:
            raise CannotVerify(error.reason) from error
        except NotPrivate as error:
            raise CannotVerify(error.what) from error
        except OSError as error:
            raise CannotVerify(f"the archive's directory {held.path!r} cannot be used: {_reason(error)}") from error
        with keep_renewed(claim):
            yield
    finally:
        claim.release()
        held.close()


class Quarantine:
    """
    The quarantine of one archive.  The caller must hold the archive's lock.
    """

    def __init__(self, root: str, system: System | None = None) -> None:
        self._root = os.path.abspath(root)
        self._system = system or System()
        self._held = PinnedDirectory(self._root, self._system)
        self._staging = StagingArea(self._held)
        self._private = self._staging.private
        models = ModelFolders(self._staging)
        self._marks = HighWaterMarks(self._staging, models)
        self._journals = AliasJournals(self._staging, models)
        self._stamp = datetime.now(UTC).strftime(_STAMP)

    @property
    def path(self) -> str:
        """
        The directory that files are moved to, relative to the archive.
        """
        return os.path.join(PRIVATE_FOLDER, QUARANTINE, self._stamp)

    def move(self, findings: Iterable[Finding]) -> Iterator[QuarantinedFinding]:
        """
        Move the files of all damage.

        Returns:
            The result for each damage.

        Raises:
            CannotVerify: nothing can be moved at all.
        """
        damaged: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding.is_damage:
                damaged.setdefault(finding.path.partition(os.sep)[0], []).append(finding)
        if not damaged:
            return
        try:
            self._prepare([finding for of_model in damaged.values() for finding in of_model])
            for name, of_model in damaged.items():
                yield from self._move_model(name, of_model)
        finally:
            self._held.close()

    def _prepare(self, findings: list[Finding]) -> None:
        try:
            self._make(findings)
        except NotPrivate as error:
            raise CannotVerify(f"no quarantine can be made, nothing was moved: {error.what}") from error
        except (OSError, RegistryError) as error:
            raise CannotVerify(f"no quarantine can be made, nothing was moved: {_reason(error)}") from error

    def _make(self, findings: list[Finding]) -> None:
        # A directory that is not durable could disappear with the files that were moved there.
        self._held.open(locked=False)
        self._private.check()
        self._private.prepare()
        self._staging.sync_folder(self._held.folder)
        with self._private.open_in(self._held.folder, PRIVATE_FOLDER) as private:
            with suppress(FileExistsError):
                self._system.mkdir(within(private, QUARANTINE))
            self._staging.sync_folder(private)
            with self._private.open_in(private, QUARANTINE) as quarantine:
                self._system.mkdir(within(quarantine, self._stamp))
                self._staging.sync_folder(quarantine)
        with self._own() as own:
            lines = [json.dumps(_line(finding)) + "\n" for finding in findings]
            self._staging.install(own, self._staging.write_temp_file(own, "".join(lines).encode()), "report.jsonl")
            self._staging.sync_folder(own)

    @contextmanager
    def _own(self) -> Iterator[Folder]:
        with self._private.open(QUARANTINE) as quarantine, self._private.open_in(quarantine, self._stamp) as own:
            yield own

    def _move_model(self, name: str, findings: list[Finding]) -> Iterator[QuarantinedFinding]:
        moved: set[str] = set()
        left: dict[Finding, str] = {}
        remark = ""
        try:
            with self._own() as own, self._held.open_folder(name) as opened:
                folder = ModelFolder(name, opened)
                left |= {finding: why for finding in findings if (why := self._why_left(folder, finding))}
                self._move(folder, [finding for finding in findings if finding not in left], own, moved)
        except (OSError, RegistryError) as error:
            remark = f"left: {_reason(error)}"
        for finding in findings:
            files = [file for file in _all_files(finding) if file in moved]
            new_paths = [os.path.join(self.path, name, file) for file in files]
            yield QuarantinedFinding(finding, new_paths, left.get(finding) or remark or _REMARKS.get(finding.kind, ""))

    def _why_left(self, folder: ModelFolder, finding: Finding) -> str:
        # If a disk was away while the archive was read, everything on it seemed unreadable, and is intact.
        if not finding.is_unread or finding.kind is Kind.FOLDER:
            return ""
        try:
            self._read_through(within(folder.path, os.path.basename(finding.path)))
        except Malformed:
            return ""
        except OSError as error:
            return "" if is_bad_medium(error) else f"left: {unreadable(error)}, and it may be intact"
        return "left: it can be read again; verify the archive again"

    def _read_through(self, path: str) -> None:
        descriptor, _ = open_file(self._system, path)
        try:
            while read_up_to(self._system, descriptor, _BLOCK_BYTES):
                pass
        finally:
            close_quietly(self._system, descriptor)

    def _move(self, folder: ModelFolder, findings: list[Finding], own: Folder, moved: set[str]) -> None:
        names = list(dict.fromkeys(name for finding in findings for name in _all_files(finding)))
        self._system.mkdir(within(own, folder.name))
        self._staging.sync_folder(own)
        with self._private.open_in(own, folder.name) as target:
            self._raise_mark(folder, findings, target, moved)
            self._move_aliases(folder, findings, target, moved)
            rest = [name for name in names if name not in _KEPT and not name.endswith((".data", ".yaml"))]
            data = [name for name in names if name.endswith(".data")]
            yaml = [name for name in names if name.endswith(".yaml")]
            for batch in (rest, data, yaml):
                if self._move_all(folder, batch, target, moved):
                    self._staging.sync_folder(target)
                    self._staging.sync_folder(folder.handle)

    def _move_aliases(self, folder: ModelFolder, findings: list[Finding], target: Folder, moved: set[str]) -> None:
        if any(finding.kind is Kind.ALIASES for finding in findings):
            quarantine_aliases(self._staging, folder, target)
            moved.add(ALIASES)
        if any(finding.version_number is not None and finding.kind is not Kind.ANNOTATIONS for finding in findings):
            settle_aliases(self._staging, self._journals, folder)

    def _move_all(self, folder: ModelFolder, names: list[str], target: Folder, moved: set[str]) -> bool:
        for name in names:
            path = within(folder.path, name)
            if lexists(self._system, path):
                self._system.rename(path, within(target, name))
                moved.add(name)
        return not moved.isdisjoint(names)

    def _raise_mark(self, folder: ModelFolder, findings: list[Finding], target: Folder, moved: set[str]) -> None:
        highest = max(version_files(folder.name, self._system.listdir(folder.path)).numbers, default=0)
        is_damaged = any(finding.kind is Kind.HIGH_WATER_MARK for finding in findings)
        try:
            mark = self._marks.get_in(folder)
        except StorageUnavailable as error:
            if not is_damaged:
                raise
            mark = self._marks.guess(folder, error.reason)
        if is_damaged:
            self._quarantine_mark(folder, target, moved)
        if is_damaged or any(finding.version_number == highest for finding in findings):
            # The mark is written even if it seems high enough: it may be a guess, because it could not be read.
            self._marks.set_in(folder, max(mark, highest))

    def _quarantine_mark(self, folder: ModelFolder, target: Folder, moved: set[str]) -> None:
        # A hard link leaves the first name in place: without the mark, a number might be used twice.
        new_path = within(target, HIGH_WATER_MARK)
        try:
            self._system.link(folder.high_water_mark, new_path)
        except OSError:
            # A directory, for example, cannot have two names.
            self._system.rename(folder.high_water_mark, new_path)
        moved.add(HIGH_WATER_MARK)
        self._staging.sync_folder(target)


def _line(finding: Finding) -> dict[str, object]:
    name = finding.path.partition(os.sep)[0]
    return {
        "kind": finding.kind.value,
        "model_id": finding.model_id,
        "version_number": finding.version_number,
        "path": finding.path,
        "reason": finding.reason,
        "files": [os.path.join(name, file) for file in _files(finding)],
    }


def _files(finding: Finding) -> list[str]:
    """
    Return the names of a finding's files in the model's directory.
    """
    folder, number = ModelFolder(finding.path.partition(os.sep)[0], ""), finding.version_number
    if finding.kind is Kind.MODEL_YAML:
        return [folder.yaml_name]
    if finding.kind in (Kind.HIGH_WATER_MARK, Kind.ALIASES, Kind.RETENTION, Kind.ANNOTATIONS):
        return [os.path.basename(finding.path)]
    return [] if number is None else [folder.version_data_name(number), folder.version_yaml_name(number)]


def _all_files(finding: Finding) -> list[str]:
    """
    Return the same, with the annotations of a damaged version, which may have none.
    """
    folder, files = ModelFolder(finding.path.partition(os.sep)[0], ""), _files(finding)
    if finding.version_number is None or finding.kind is Kind.ANNOTATIONS:
        return files
    return [*files, folder.annotations_name(finding.version_number)]


def _reason(error: OSError | RegistryError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EXDEV:
        return "its directory is on another file system; move or remove its files by hand"
    return reason_of(error) if isinstance(error, OSError) else str(error)


_REMARKS = {
    Kind.MODEL_YAML: "the model is damaged until CreateOrUpdateModel gives it new metadata; its versions stay",
    Kind.ALIASES: "the moves that can be read stay; look at where the aliases are",
    Kind.RETENTION: "until a policy is set again, that of a prefix applies, or none",
    Kind.FOLDER: "left: a directory that cannot be read cannot be moved",
}
