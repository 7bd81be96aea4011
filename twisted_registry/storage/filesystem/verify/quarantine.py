"""
Putting damage aside, so that the rest of an archive is whole again.

What is damaged goes to a folder of its own, which no reader of the layout looks into and no start sweeps::

    <root>/.0/quarantine/<UTC time>/
        report.jsonl            what was found, and which files were to go: a JSON object a line
        <folder>/               the files, under their names

Everything is renamed, nothing is copied and nothing removed; so at any moment, also at one where the power fails, a
file is where it was or here.  A model's data goes, and is at rest, before any .yaml does: data alone above the highest
number would pass for what a crash left, and be swept.  And before the highest number goes, it is remembered as given
out.
"""

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from attrs import frozen

from twisted_registry.domain.errors import RegistryError, StorageUnavailable
from twisted_registry.storage.filesystem.claim import Claim, keep_renewed
from twisted_registry.storage.filesystem.failures import Malformed, is_bad_medium, reason_of, unreadable
from twisted_registry.storage.filesystem.layout import (
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
from twisted_registry.storage.filesystem.verify.findings import CannotVerify, Finding, Kind
from twisted_registry.storage.filesystem.versions import HighWaterMarks

_BLOCK_BYTES = 1024 * 1024
_STAMP = "%Y%m%dT%H%M%S.%fZ"


@frozen
class PutAside:
    """
    What became of one finding.

    Attributes:
        files: where its files are now, relative to the archive.
        remark: why it was left, or what is still to be done; empty where nothing is.
    """

    finding: Finding
    files: list[str]
    remark: str = ""


@contextmanager
def locked(root: str, system: System | None = None) -> Iterator[None]:
    """
    Hold the lock of an archive, as a daemon does.

    Raises:
        CannotVerify: another process has it, or the archive cannot be used.
    """
    held = PinnedDirectory(os.path.abspath(root), system or System())
    staging = StagingArea(held)
    claim = Claim(staging)
    try:
        try:
            held.open()
            # Where there is no private folder, no daemon has it.
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
    Puts damage aside.  The lock of the archive must be held.
    """

    def __init__(self, root: str, system: System | None = None) -> None:
        self._root = os.path.abspath(root)
        self._system = system or System()
        self._held = PinnedDirectory(self._root, self._system)
        self._staging = StagingArea(self._held)
        self._private = self._staging.private
        self._marks = HighWaterMarks(self._staging, ModelFolders(self._staging))
        self._stamp = datetime.now(UTC).strftime(_STAMP)

    @property
    def path(self) -> str:
        """
        The folder that things are put into, relative to the archive.
        """
        return os.path.join(PRIVATE_FOLDER, QUARANTINE, self._stamp)

    def put_aside(self, findings: Iterable[Finding]) -> Iterator[PutAside]:
        """
        Move the files of what is damaged.

        Returns:
            what became of each.

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
                yield from self._put_aside(name, of_model)
        finally:
            self._held.close()

    # The folder.

    def _prepare(self, findings: list[Finding]) -> None:
        try:
            self._make(findings)
        except NotPrivate as error:
            raise CannotVerify(f"no quarantine can be made, nothing was moved: {error.what}") from error
        except (OSError, RegistryError) as error:
            raise CannotVerify(f"no quarantine can be made, nothing was moved: {_reason(error)}") from error

    def _make(self, findings: list[Finding]) -> None:
        # A quarantine that is not at rest could take with it what was moved there.
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

    # A model.

    def _put_aside(self, name: str, findings: list[Finding]) -> Iterator[PutAside]:
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
            files = [file for file in _files(finding) if file in moved]
            aside = [os.path.join(self.path, name, file) for file in files]
            yield PutAside(finding, aside, left.get(finding) or remark or _REMARKS.get(finding.kind, ""))

    def _why_left(self, folder: ModelFolder, finding: Finding) -> str:
        # Where a disk was away while the archive was read, all that is on it seems unreadable, and is whole.
        if not finding.is_unread or finding.kind is Kind.FOLDER:
            return ""
        try:
            self._read_through(within(folder.path, os.path.basename(finding.path)))
        except Malformed:
            return ""
        except OSError as error:
            return "" if is_bad_medium(error) else f"left: {unreadable(error)}, and it may be whole"
        return "left: it can be read again, verify once more"

    def _read_through(self, path: str) -> None:
        descriptor, _ = open_file(self._system, path)
        try:
            while read_up_to(self._system, descriptor, _BLOCK_BYTES):
                pass
        finally:
            close_quietly(self._system, descriptor)

    def _move(self, folder: ModelFolder, findings: list[Finding], own: Folder, moved: set[str]) -> None:
        names = list(dict.fromkeys(name for finding in findings for name in _files(finding)))
        self._system.mkdir(within(own, folder.name))
        self._staging.sync_folder(own)
        with self._private.open_in(own, folder.name) as target:
            self._remember_numbers(folder, findings, target, moved)
            data = [name for name in names if name.endswith(".data")]
            yaml = [name for name in names if name.endswith(".yaml")]
            for batch in (data, yaml):
                if self._move_all(folder, batch, target, moved):
                    self._staging.sync_folder(target)
                    self._staging.sync_folder(folder.handle)

    def _move_all(self, folder: ModelFolder, names: list[str], target: Folder, moved: set[str]) -> bool:
        for name in names:
            path = within(folder.path, name)
            if lexists(self._system, path):
                self._system.rename(path, within(target, name))
                moved.add(name)
        return not moved.isdisjoint(names)

    # Numbers.

    def _remember_numbers(self, folder: ModelFolder, findings: list[Finding], target: Folder, moved: set[str]) -> None:
        highest = max(version_files(folder.name, self._system.listdir(folder.path)).numbers, default=0)
        is_damaged = any(finding.kind is Kind.HIGH_WATER_MARK for finding in findings)
        try:
            reserved = self._marks.get_in(folder)
        except StorageUnavailable as error:
            if not is_damaged:
                raise
            reserved = self._marks.guess(folder, error.reason)
        if is_damaged:
            self._set_mark_aside(folder, target, moved)
        if is_damaged or any(finding.version_number == highest for finding in findings):
            # Also where it seems to be remembered already: that may be a guess, for what could not be read just now.
            self._marks.set_in(folder, max(reserved, highest))

    def _set_mark_aside(self, folder: ModelFolder, target: Folder, moved: set[str]) -> None:
        # It gets a second name, so that the first one is never without a file: a number might be used twice.
        aside = within(target, HIGH_WATER_MARK)
        try:
            self._system.link(folder.high_water_mark, aside)
        except OSError:
            # A folder, say: it cannot have two names.
            self._system.rename(folder.high_water_mark, aside)
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
    Return the names of a finding's files in the model's folder.
    """
    folder = ModelFolder(finding.path.partition(os.sep)[0], "")
    if finding.kind is Kind.MODEL_YAML:
        return [folder.yaml_name]
    if finding.kind is Kind.HIGH_WATER_MARK:
        return [HIGH_WATER_MARK]
    if finding.version_number is None:
        return []
    return [folder.version_data_name(finding.version_number), folder.version_yaml_name(finding.version_number)]


def _reason(error: OSError | RegistryError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EXDEV:
        return "its folder lies on another file system; move its files by hand, or remove them"
    return reason_of(error) if isinstance(error, OSError) else str(error)


_REMARKS = {
    Kind.MODEL_YAML: "the model is damaged until CreateOrUpdateModel gives it new user data; its versions stay",
    Kind.FOLDER: "left: what cannot be looked into cannot be moved",
}
