"""
The check of the files that hold labels and metrics, the moves of aliases, and retention policies.
"""

import os
from collections.abc import Callable, Iterator

from twisted_registry.domain.aliases import AliasMove, apply_move
from twisted_registry.storage.filesystem.alias_lines import read_lines
from twisted_registry.storage.filesystem.annotations import parse_annotations
from twisted_registry.storage.filesystem.failures import (
    Malformed,
    is_absent,
    is_link_loop,
    is_process_limit,
    read_failure,
    unreadable,
)
from twisted_registry.storage.filesystem.layout import (
    ALIASES,
    ANNOTATIONS_PREFIX,
    PRIVATE_FOLDER,
    RETENTION,
    RETENTION_PREFIXES,
    marked_numbers,
)
from twisted_registry.storage.filesystem.pinned_directory import open_file
from twisted_registry.storage.filesystem.retention import parse_policy, parse_prefixes
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, within
from twisted_registry.storage.filesystem.verify.findings import Finding, Kind
from twisted_registry.storage.filesystem.verify.version import PinnedModel, Unreadable, may_exist, read_small_file


def lifecycle_findings(model: PinnedModel, names: list[str]) -> Iterator[Finding]:
    """
    Check these files of a model.

    Args:
        names: the names in the model's folder.

    Raises:
        StorageUnavailable: this process has reached a limit, such as that on open files.
    """
    for number in sorted(marked_numbers(names, ANNOTATIONS_PREFIX)):
        yield from _annotations(model, number)
    if ALIASES in names:
        yield from _aliases(model)
    if RETENTION in names:
        found = _check(model.system, within(model.folder.path, RETENTION), parse_policy)
        if found is not None:
            yield _damage(model, Kind.RETENTION, None, RETENTION, "the retention policy", found)


def _annotations(model: PinnedModel, number: int) -> Iterator[Finding]:
    name = model.folder.annotations_name(number)
    if not may_exist(model.system, model.folder.version_yaml(number)):
        reason = "its version does not exist: a commit under way, or the rest of a crash; removed at the first use"
        yield model.finding(Kind.LEFT_OVER, number, name, reason)
        return
    found = _check(model.system, within(model.folder.path, name), parse_annotations)
    if found is not None:
        yield _damage(model, Kind.ANNOTATIONS, number, name, "its labels and metrics", found)


def _damage(model: PinnedModel, kind: Kind, number: int | None, name: str, subject: str, found: Unreadable) -> Finding:
    return model.finding(kind, number, name, f"{subject}: {found.reason}", is_unread=not found.is_damage)


def _check(system: System, path: str, parse: Callable[[bytes], object]) -> Unreadable | None:
    content = read_small_file(system, path)
    if content is None or isinstance(content, Unreadable):
        return content
    try:
        parse(content)
    except Malformed as error:
        return Unreadable(error.reason, is_damage=True)
    return None


def prefix_findings(system: System, root: Folder) -> Iterator[Finding]:
    """
    Check the retention policies of prefixes.

    Raises:
        StorageUnavailable: this process has reached a limit, such as that on open files.
    """
    path = os.path.join(PRIVATE_FOLDER, RETENTION_PREFIXES)
    found = _check(system, within(root, path), parse_prefixes)
    if found is not None:
        reason = f"the retention policies of prefixes: {found.reason}"
        yield Finding(Kind.RETENTION, None, None, path, reason, not found.is_damage)


def _aliases(model: PinnedModel) -> Iterator[Finding]:
    try:
        descriptor, _ = open_file(model.system, within(model.folder.path, ALIASES))
    except Malformed as error:
        yield model.finding(Kind.ALIASES, None, ALIASES, f"the moves of its aliases: {error.reason}")
        return
    except OSError as error:
        yield from _unread_aliases(model, error)
        return
    try:
        yield from _lines(model, descriptor)
    except OSError as error:
        yield from _unread_aliases(model, error)
    finally:
        close_quietly(model.system, descriptor)


def _unread_aliases(model: PinnedModel, error: OSError) -> Iterator[Finding]:
    if is_process_limit(error):
        raise read_failure(error) from error
    if not is_absent(error):
        reason, is_unread = f"the moves of its aliases: {unreadable(error)}", not is_link_loop(error)
        yield model.finding(Kind.ALIASES, None, ALIASES, reason, is_unread=is_unread)


def _lines(model: PinnedModel, descriptor: int) -> Iterator[Finding]:
    damaged, last = [], None
    aliases: dict[str, AliasMove] = {}
    for line in read_lines(model.system, descriptor):
        if line.damage:
            damaged.append(line)
        for move in line.moves:
            apply_move(move, aliases)
        last = line
    if last is not None and last.is_torn:
        damaged.remove(last)
        yield model.finding(Kind.LEFT_OVER, None, ALIASES, "its last line is cut off; the next move removes it")
    if damaged:
        reason = f"{len(damaged)} moves of its aliases cannot be read; the first, at byte {damaged[0].start}: "
        yield model.finding(Kind.ALIASES, None, ALIASES, reason + damaged[0].damage)
    for alias, number in sorted((alias, move.to_number) for alias, move in aliases.items()):
        is_conditional = last is not None and last.version is not None and last.version[0] == number
        if not is_conditional and not may_exist(model.system, model.folder.version_yaml(number)):
            reason = f"the alias {alias} names version {number}, which does not exist; move or delete the alias"
            yield model.finding(Kind.ALIAS, number, ALIASES, reason)
