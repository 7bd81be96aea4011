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

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from attrs import frozen

from twisted_registry.errors import RegistryError, StorageUnavailable
from twisted_registry.storage._calls import close_quietly, is_there
from twisted_registry.storage._durable import Workbench
from twisted_registry.storage._failures import Malformed, is_bad_medium, reason_of, unreadable
from twisted_registry.storage._layout import PRIVATE_FOLDER, ModelFolder, version_files
from twisted_registry.storage._lock import NotHeld, take_lock
from twisted_registry.storage._models import ModelFolders
from twisted_registry.storage._reader import open_file, read_up_to
from twisted_registry.storage._reserve import NumberReserve
from twisted_registry.storage._system import System
from twisted_registry.storage.findings import CannotVerify, Finding, Kind
from twisted_registry.storage.scrub import QUARANTINE

_BLOCK_BYTES = 1024 * 1024
_STAMP = "%Y%m%dT%H%M%S.%fZ"


@frozen
class PutAside:
    """
    What became of one finding.

    @ivar files: where its files are now, relative to the archive.
    @ivar remark: why it was left, or what is still to be done; empty where nothing is.
    """

    finding: Finding
    files: list[str]
    remark: str = ""


@contextmanager
def locked(root: str, system: System | None = None) -> Iterator[None]:
    """
    Hold the lock of an archive, as a daemon does.

    @raise CannotVerify: another process has it, or the archive cannot be used.
    """
    system = system or System()
    try:
        descriptor = take_lock(system, os.path.abspath(root))
    except NotHeld as error:
        raise CannotVerify(error.reason) from error
    try:
        yield
    finally:
        close_quietly(system, descriptor)


class Quarantine:
    """
    Puts damage aside.  The lock of the archive must be held.
    """

    def __init__(self, root: str, system: System | None = None) -> None:
        self._root = os.path.abspath(root)
        self._system = system or System()
        self._bench = Workbench(self._root, self._system)
        self._reserve = NumberReserve(self._root, self._bench, ModelFolders(self._root, self._bench))
        self._stamp = datetime.now(UTC).strftime(_STAMP)
        self._own = os.path.join(self._root, PRIVATE_FOLDER, QUARANTINE, self._stamp)

    @property
    def path(self) -> str:
        """
        The folder that things are put into, relative to the archive.
        """
        return os.path.relpath(self._own, self._root)

    def put_aside(self, findings: Iterable[Finding]) -> Iterator[PutAside]:
        """
        Move the files of what is damaged.

        @return: what became of each.

        @raise CannotVerify: nothing can be moved at all.
        """
        damaged: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding.is_damage:
                damaged.setdefault(finding.path.partition(os.sep)[0], []).append(finding)
        if damaged:
            try:
                self._prepare([finding for of_model in damaged.values() for finding in of_model])
            except (OSError, RegistryError) as error:
                raise CannotVerify(f"no quarantine can be made, nothing was moved: {_reason(error)}") from error
        for name, of_model in damaged.items():
            yield from self._put_aside(ModelFolder(name, os.path.join(self._root, name)), of_model)

    # The folder.

    def _prepare(self, findings: list[Finding]) -> None:
        # A quarantine that is not at rest could take with it what was moved there.
        self._bench.prepare()
        self._sync(self._root)
        parent = os.path.dirname(self._own)
        if not is_there(self._system, parent):
            self._system.mkdir(parent)
        self._sync(os.path.dirname(parent))
        self._system.mkdir(self._own)
        self._sync(parent)
        lines = [json.dumps(self._line(finding)) + "\n" for finding in findings]
        self._bench.place(self._bench.draft("".join(lines).encode()), os.path.join(self._own, "report.jsonl"))
        self._sync(self._own)

    def _line(self, finding: Finding) -> dict[str, object]:
        folder = ModelFolder(*self._folder_of(finding))
        files = [os.path.relpath(path, self._root) for path in _files(folder, finding)]
        return {
            "kind": finding.kind.value,
            "model_id": finding.model_id,
            "version_number": finding.version_number,
            "path": finding.path,
            "reason": finding.reason,
            "files": files,
        }

    def _folder_of(self, finding: Finding) -> tuple[str, str]:
        name = finding.path.partition(os.sep)[0]
        return name, os.path.join(self._root, name)

    def _sync(self, path: str) -> None:
        with self._bench.opened_folder(path) as descriptor:
            self._bench.sync_folder(descriptor)

    # A model.

    def _put_aside(self, folder: ModelFolder, findings: list[Finding]) -> Iterator[PutAside]:
        moved: set[str] = set()
        left = {finding: why for finding in findings if (why := self._why_left(finding))}
        remark = ""
        try:
            self._move(folder, [finding for finding in findings if finding not in left], moved)
        except (OSError, RegistryError) as error:
            remark = f"left: {_reason(error)}"
        for finding in findings:
            files = [path for path in _files(folder, finding) if path in moved]
            aside = [os.path.join(self.path, os.path.relpath(path, self._root)) for path in files]
            yield PutAside(finding, aside, left.get(finding) or remark or _REMARKS.get(finding.kind, ""))

    def _why_left(self, finding: Finding) -> str:
        # Where a disk was away while the archive was read, all that is on it seems unreadable, and is whole.
        if not finding.is_unread or finding.kind is Kind.FOLDER:
            return ""
        try:
            self._read_through(os.path.join(self._root, finding.path))
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

    def _move(self, folder: ModelFolder, findings: list[Finding], moved: set[str]) -> None:
        target = os.path.join(self._own, folder.name)
        paths = list(dict.fromkeys(path for finding in findings for path in _files(folder, finding)))
        self._system.mkdir(target)
        self._sync(self._own)
        self._remember_numbers(folder, findings, target, moved)
        data = [path for path in paths if path.endswith(".data")]
        yaml = [path for path in paths if path.endswith(".yaml")]
        for batch in (data, yaml):
            if self._move_all(batch, target, moved):
                self._sync(target)
                self._sync(folder.path)

    def _move_all(self, paths: list[str], target: str, moved: set[str]) -> bool:
        for path in paths:
            if _is_there_itself(self._system, path):
                self._system.rename(path, os.path.join(target, os.path.basename(path)))
                moved.add(path)
        return not moved.isdisjoint(paths)

    # Numbers.

    def _remember_numbers(self, folder: ModelFolder, findings: list[Finding], target: str, moved: set[str]) -> None:
        highest = max(version_files(folder.name, self._system.listdir(folder.path)).numbers, default=0)
        is_damaged = any(finding.kind is Kind.RESERVED for finding in findings)
        try:
            reserved = self._reserve.reserved_in(folder)
        except StorageUnavailable as error:
            if not is_damaged:
                raise
            reserved = self._reserve.guess(folder, error.reason)
        if is_damaged:
            self._set_reserve_aside(folder, target, moved)
        if is_damaged or any(finding.version_number == highest for finding in findings):
            # Also where it seems to be remembered already: that may be a guess, for what could not be read just now.
            self._reserve.reserve_in(folder, max(reserved, highest))

    def _set_reserve_aside(self, folder: ModelFolder, target: str, moved: set[str]) -> None:
        # It gets a second name, so that the first one is never without a file: a number might be used twice.
        aside = os.path.join(target, os.path.basename(folder.reserved))
        try:
            self._system.link(folder.reserved, aside)
        except OSError:
            # A folder, say: it cannot have two names.
            self._system.rename(folder.reserved, aside)
        moved.add(folder.reserved)
        self._sync(target)


def _files(folder: ModelFolder, finding: Finding) -> list[str]:
    if finding.kind is Kind.MODEL_YAML:
        return [folder.yaml]
    if finding.kind is Kind.RESERVED:
        return [folder.reserved]
    if finding.version_number is None:
        return []
    return [folder.version_data(finding.version_number), folder.version_yaml(finding.version_number)]


def _is_there_itself(system: System, path: str) -> bool:
    """
    Tell whether anything has this very name, be it a link that leads nowhere.

    @raise OSError: that cannot be told.
    """
    try:
        system.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _reason(error: OSError | RegistryError) -> str:
    return reason_of(error) if isinstance(error, OSError) else str(error)


_REMARKS = {
    Kind.MODEL_YAML: "the model is damaged until CreateOrUpdateModel gives it new user data; its versions stay",
    Kind.FOLDER: "left: what cannot be looked into cannot be moved",
}
