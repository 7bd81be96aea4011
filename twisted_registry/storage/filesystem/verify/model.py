"""
A model's folder, looked through: all of it but the data of its versions.
"""

import os
from collections.abc import Iterator

from attrs import evolve, field, frozen

from twisted_registry.storage.filesystem.failures import Malformed, is_absent, is_process_limit, read_failure, reason_of
from twisted_registry.storage.filesystem.layout import (
    DELETED,
    ModelFolder,
    VersionFiles,
    can_be_named,
    is_hashed_name,
    is_temp_file,
    model_id_of_any_form,
    version_files,
)
from twisted_registry.storage.filesystem.metadata import parse_model
from twisted_registry.storage.filesystem.model_folders import LINKED_FOLDER
from twisted_registry.storage.filesystem.pinned_directory import LinkedFolder, pin_folder
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, within
from twisted_registry.storage.filesystem.verify.findings import Finding, Kind
from twisted_registry.storage.filesystem.verify.version import Unread, Watched, described, seems_named
from twisted_registry.storage.filesystem.versions import MAX_HIGH_WATER_MARK_BYTES, parse_high_water_mark


@frozen
class Look:
    """
    What a look into a folder brought.

    Attributes:
        model: the model, whose descriptor is to be closed; ``None`` where there is none.
        numbers: its versions, rising.
    """

    model: Watched | None = None
    numbers: list[int] = field(factory=list)
    findings: list[Finding] = field(factory=list)


def look_into(system: System, root: Folder, name: str) -> Look:
    """
    Look through a folder that has the name of a model's.

    Raises:
        StorageUnavailable: this process lacks something.
    """
    place = within(root, name)
    try:
        opened = pin_folder(system, place)
    except LinkedFolder:
        return Look(findings=[Finding(Kind.FOLDER, model_id_of_any_form(name), None, name, LINKED_FOLDER)])
    except OSError as error:
        return Look(findings=_unreadable(name, error))
    model = Watched(ModelFolder(name, opened), model_id_of_any_form(name), system, place)
    look = Look()
    try:
        look = _look(model, system.listdir(opened))
    except OSError as error:
        look = Look(findings=_unreadable(name, error))
    finally:
        if look.model is None:
            close_quietly(system, opened.descriptor)
    return look


def _unreadable(name: str, error: OSError) -> list[Finding]:
    if is_absent(error):  # It was deleted since the root was listed.
        return []
    if is_process_limit(error):
        raise read_failure(error) from error
    reason = f"its folder cannot be read: {reason_of(error)}"
    return [Finding(Kind.FOLDER, model_id_of_any_form(name), None, name, reason, is_unread=True)]


def _look(model: Watched, names: list[str]) -> Look:
    listed = version_files(model.folder.name, names)
    files = _settled(model, listed)
    if not seems_named(model.system, model.folder.yaml):
        if DELETED in names:
            reason = "its model is deleted; the next start removes what is left of it"
            return Look(findings=[Finding(Kind.LEFT_OVER, None, None, model.folder.name, reason)])
        if not (files.numbers or files.out_of_range):
            return Look(findings=_foreign_folder(model))
    model, findings = _own_file(model)
    if any(finding.is_damage for finding in findings):
        model, findings = _own_file(model)  # It may have been mended, or removed, just now.
    findings += _reserved(model)
    findings += _single_files(model, files)
    findings += _foreign_files(model, listed, names)
    if any(finding.is_damage for finding in findings) and model.is_gone():
        return Look()
    return Look(model, files.numbers, findings)


def _settled(model: Watched, files: VersionFiles) -> VersionFiles:
    # Names are listed one after another: a .yaml may have got its name behind the listing's back.
    single = [*files.orphans, *files.uncommitted]
    late = {number for number in single if seems_named(model.system, model.folder.version_yaml(number))}
    return evolve(
        files,
        numbers=sorted({*files.numbers, *late}) if late else files.numbers,
        orphans=[number for number in files.orphans if number not in late],
        uncommitted=[number for number in files.uncommitted if number not in late],
    )


def _foreign_folder(model: Watched) -> list[Finding]:
    if model.is_gone():
        return []
    reason = "it holds neither a model's .yaml nor a version's"
    return [Finding(Kind.FOREIGN, None, None, model.folder.name, reason)]


def _own_file(model: Watched) -> tuple[Watched, list[Finding]]:
    path, hidden = model.folder.yaml, is_hashed_name(model.folder.name)
    content = described(model.system, path)
    if isinstance(content, Unread):
        reason, is_unread = f"the model's .yaml: {content.reason}", not content.is_damage
        return model, [model.finding(Kind.MODEL_YAML, None, path, reason, is_unread=is_unread)]
    try:
        if content is None:
            raise Malformed("it is missing")
        told = parse_model(content).model_id
        if hidden and not (told and can_be_named(told, model.folder.name)):
            raise Malformed("it does not tell the model's id, which it alone knows")
    except Malformed as error:
        return model, [model.finding(Kind.MODEL_YAML, None, path, f"the model's .yaml: {error.reason}")]
    if hidden:
        return evolve(model, model_id=told), []
    if told and told != model.model_id:
        return model, [model.finding(Kind.CLAIM, None, path, "the model's .yaml speaks of another model")]
    return model, []


def _reserved(model: Watched) -> list[Finding]:
    path = model.folder.high_water_mark
    content, what = described(model.system, path, MAX_HIGH_WATER_MARK_BYTES), "the memory of the numbers given out"
    if isinstance(content, Unread):
        reason, is_unread = f"{what}: {content.reason}", not content.is_damage
        return [model.finding(Kind.HIGH_WATER_MARK, None, path, reason, is_unread=is_unread)]
    try:
        if content is not None:
            parse_high_water_mark(content)
    except Malformed as error:
        return [model.finding(Kind.HIGH_WATER_MARK, None, path, f"{what}: {error.reason}")]
    return []


def _single_files(model: Watched, files: VersionFiles) -> Iterator[Finding]:
    folder = model.folder
    for number in files.out_of_range:
        path = folder.version_yaml(number)
        yield model.finding(Kind.NUMBER, number, path, "no version can have this number")
    for number in files.orphans:
        yield model.finding(Kind.ORPHAN, number, folder.version_data(number), "its .yaml is lost")
    for number in files.uncommitted:
        reason = "it has no .yaml: a commit under way, or what a crash left"
        yield model.finding(Kind.UNFINISHED, number, folder.version_data(number), reason)


def _foreign_files(model: Watched, listed: VersionFiles, names: list[str]) -> Iterator[Finding]:
    folder = model.folder
    known = {os.path.basename(path) for path in (folder.yaml, folder.high_water_mark)}
    described_numbers = (*listed.numbers, *listed.out_of_range)
    known.update(os.path.basename(folder.version_yaml(number)) for number in described_numbers)
    for number in (*described_numbers, *listed.orphans, *listed.uncommitted):
        known.add(os.path.basename(folder.version_data(number)))
    for name in names:
        if is_temp_file(name):
            reason = "being written, or what a crash left; it is swept when the model is first used"
            yield model.finding(Kind.LEFT_OVER, None, name, reason)
        elif name not in known:
            yield model.finding(Kind.FOREIGN, None, name, "it is no part of a model")
