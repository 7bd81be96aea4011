"""
The check of a model's directory, except for the data of its versions.
"""

import os
from collections.abc import Iterator
from stat import S_ISREG

from attrs import evolve, field, frozen

from twisted_registry.storage.filesystem.failures import Malformed, is_absent, is_process_limit, read_failure, reason_of
from twisted_registry.storage.filesystem.high_water_marks import MAX_HIGH_WATER_MARK_BYTES, parse_high_water_mark
from twisted_registry.storage.filesystem.idempotency import parse_key_file_name
from twisted_registry.storage.filesystem.layout import (
    ALIASES,
    ANNOTATIONS_PREFIX,
    DELETED,
    DELETED_PREFIX,
    PROMOTING_PREFIX,
    RETENTION,
    UPLOAD_PREFIX,
    ModelFolder,
    VersionFiles,
    can_be_named,
    is_hashed_name,
    is_temp_file,
    marked_numbers,
    model_id_of_any_form,
    version_files,
)
from twisted_registry.storage.filesystem.metadata import parse_model
from twisted_registry.storage.filesystem.model_folders import LINKED_FOLDER
from twisted_registry.storage.filesystem.pinned_directory import LinkedFolder, pin_folder
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, within
from twisted_registry.storage.filesystem.verify.findings import Finding, Kind
from twisted_registry.storage.filesystem.verify.lifecycle import lifecycle_findings
from twisted_registry.storage.filesystem.verify.version import PinnedModel, Unreadable, may_exist, read_small_file


@frozen
class Inspection:
    """
    The result of inspecting a directory.

    Attributes:
        model: the model, whose descriptor the caller must close; ``None`` if there is none.
        numbers: the numbers of its versions, in ascending order.
        findings: what was found.
    """

    model: PinnedModel | None = None
    numbers: list[int] = field(factory=list)
    findings: list[Finding] = field(factory=list)


def inspect_folder(system: System, root: Folder, name: str) -> Inspection:
    """
    Inspect a directory that has the name of a model's directory.

    Raises:
        StorageUnavailable: this process has reached a limit, such as that on open files.
    """
    place = within(root, name)
    try:
        opened = pin_folder(system, place)
    except LinkedFolder:
        return Inspection(findings=[Finding(Kind.FOLDER, model_id_of_any_form(name), None, name, LINKED_FOLDER)])
    except OSError as error:
        return Inspection(findings=_unreadable(name, error))
    model = PinnedModel(ModelFolder(name, opened), model_id_of_any_form(name), system, place)
    inspection = Inspection()
    try:
        inspection = _inspect(model, system.listdir(opened))
    except OSError as error:
        inspection = Inspection(findings=_unreadable(name, error))
    finally:
        if inspection.model is None:
            close_quietly(system, opened.descriptor)
    return inspection


def _unreadable(name: str, error: OSError) -> list[Finding]:
    if is_absent(error):  # the model was deleted since the root was listed
        return []
    if is_process_limit(error):
        raise read_failure(error) from error
    reason = f"its directory cannot be read: {reason_of(error)}"
    return [Finding(Kind.FOLDER, model_id_of_any_form(name), None, name, reason, is_unread=True)]


def _inspect(model: PinnedModel, names: list[str]) -> Inspection:
    listed = version_files(model.folder.name, names)
    files = _settled(model, listed)
    if not may_exist(model.system, model.folder.yaml):
        if DELETED in names:
            reason = "its model is deleted; the next start removes the rest"
            return Inspection(findings=[Finding(Kind.LEFT_OVER, None, None, model.folder.name, reason)])
        if not (files.numbers or files.out_of_range):
            return Inspection(findings=_foreign_folder(model))
    model, findings = _own_file(model)
    if any(finding.is_damage for finding in findings):
        model, findings = _own_file(model)  # it may have been repaired or removed just now
    findings += _high_water_mark(model)
    findings += _single_files(model, files)
    findings += lifecycle_findings(model, names)
    findings += _foreign_files(model, listed, names)
    if any(finding.is_damage for finding in findings) and model.is_gone():
        return Inspection()
    return Inspection(model, files.numbers, findings)


def _settled(model: PinnedModel, files: VersionFiles) -> VersionFiles:
    # Listing a directory is not atomic: a .yaml may have got its name after that part of the listing.
    single = [*files.orphans, *files.uncommitted]
    late = {number for number in single if may_exist(model.system, model.folder.version_yaml(number))}
    return evolve(
        files,
        numbers=sorted({*files.numbers, *late}) if late else files.numbers,
        orphans=[number for number in files.orphans if number not in late],
        uncommitted=[number for number in files.uncommitted if number not in late],
    )


def _foreign_folder(model: PinnedModel) -> list[Finding]:
    if model.is_gone():
        return []
    reason = "it holds neither a model's .yaml nor a version's"
    return [Finding(Kind.FOREIGN, None, None, model.folder.name, reason)]


def _own_file(model: PinnedModel) -> tuple[PinnedModel, list[Finding]]:
    path, hidden = model.folder.yaml, is_hashed_name(model.folder.name)
    content = read_small_file(model.system, path)
    if isinstance(content, Unreadable):
        reason, is_unread = f"the model's .yaml: {content.reason}", not content.is_damage
        return model, [model.finding(Kind.MODEL_YAML, None, path, reason, is_unread=is_unread)]
    try:
        if content is None:
            raise Malformed("it is missing")
        model_id = parse_model(content).model_id
        if hidden and not (model_id and can_be_named(model_id, model.folder.name)):
            raise Malformed("it does not contain the model's id, which nothing else does")
    except Malformed as error:
        return model, [model.finding(Kind.MODEL_YAML, None, path, f"the model's .yaml: {error.reason}")]
    if hidden:
        return evolve(model, model_id=model_id), []
    if model_id and model_id != model.model_id:
        return model, [model.finding(Kind.CLAIM, None, path, "the model's .yaml names another model")]
    return model, []


def _high_water_mark(model: PinnedModel) -> list[Finding]:
    path = model.folder.high_water_mark
    content, what = read_small_file(model.system, path, MAX_HIGH_WATER_MARK_BYTES), "the high-water mark of its numbers"
    if isinstance(content, Unreadable):
        reason, is_unread = f"{what}: {content.reason}", not content.is_damage
        return [model.finding(Kind.HIGH_WATER_MARK, None, path, reason, is_unread=is_unread)]
    try:
        if content is not None:
            parse_high_water_mark(content)
    except Malformed as error:
        return [model.finding(Kind.HIGH_WATER_MARK, None, path, f"{what}: {error.reason}")]
    return []


def _single_files(model: PinnedModel, files: VersionFiles) -> Iterator[Finding]:
    folder = model.folder
    for number in files.out_of_range:
        path = folder.version_yaml(number)
        yield model.finding(Kind.NUMBER, number, path, "no version can have this number")
    for number in files.orphans:
        yield model.finding(Kind.ORPHAN, number, folder.version_data(number), "its .yaml is lost")
    for number in files.uncommitted:
        reason = "it has no .yaml: a commit under way, or left by a crash"
        yield model.finding(Kind.UNFINISHED, number, folder.version_data(number), reason)


_MARKS = {
    DELETED_PREFIX: "its version is deleted; the rest of it is removed in a while, or when the model is first used",
    PROMOTING_PREFIX: "a commit under way, or the rest of a crash; it is removed when the model is first used",
}


def _marks(folder: ModelFolder, names: list[str]) -> dict[str, int]:
    deleted = {folder.deleted_name(number): number for number in marked_numbers(names, DELETED_PREFIX)}
    promoting = {folder.promoting_name(number): number for number in marked_numbers(names, PROMOTING_PREFIX)}
    return deleted | promoting


def _foreign_files(model: PinnedModel, listed: VersionFiles, names: list[str]) -> Iterator[Finding]:
    folder = model.folder
    known = {os.path.basename(path) for path in (folder.yaml, folder.high_water_mark)} | {ALIASES, RETENTION}
    known.update(map(folder.annotations_name, marked_numbers(names, ANNOTATIONS_PREFIX)))
    described_numbers = (*listed.numbers, *listed.out_of_range)
    known.update(os.path.basename(folder.version_yaml(number)) for number in described_numbers)
    for number in (*described_numbers, *listed.orphans, *listed.uncommitted, *listed.deleted):
        known.add(os.path.basename(folder.version_data(number)))
    marks = _marks(folder, names)
    for name in names:
        if name.startswith(UPLOAD_PREFIX):
            reason = "an unfinished upload, which its creator may go on with for a while"
            yield model.finding(Kind.LEFT_OVER, None, name, reason)
        elif is_temp_file(name):
            reason = "being written, or left by a crash; it is removed when the model is first used"
            yield model.finding(Kind.LEFT_OVER, None, name, reason)
        elif name in known:
            continue
        elif name in marks:
            yield model.finding(Kind.LEFT_OVER, marks[name], name, _MARKS[name[: name.index("-") + 1]])
        elif parse_key_file_name(name) is None:
            yield model.finding(Kind.FOREIGN, None, name, "it is not part of a model")
        elif not _is_empty_file(model.system, within(folder.path, name)):
            reason = "it counts as an idempotency key, and it is not an empty file; what it holds is never read"
            yield model.finding(Kind.FOREIGN, None, name, reason)


def _is_empty_file(system: System, path: str) -> bool:
    try:
        status = system.lstat(path)
    except OSError:
        return True  # it was removed meanwhile, or the file system does not say
    return S_ISREG(status.st_mode) and status.st_size == 0
