"""
The journal of a model's aliases, as a copy takes it over: only whole lines that count.
"""

from attrs import field, frozen

from twisted_registry.domain.aliases import AliasMove, apply_move
from twisted_registry.domain.idempotency import version_facts
from twisted_registry.storage.filesystem.alias_lines import Line, parse_line
from twisted_registry.storage.filesystem.failures import Malformed, is_absent, is_process_limit, read_failure
from twisted_registry.storage.filesystem.layout import ALIASES
from twisted_registry.storage.filesystem.metadata import parse_version
from twisted_registry.storage.filesystem.pinned_directory import open_file, read_up_to
from twisted_registry.storage.filesystem.system import close_quietly, within
from twisted_registry.storage.filesystem.verify.version import PinnedModel, read_small_file

_MAX_ATTEMPTS = 5


@frozen
class Journal:
    """
    The content of a journal.

    Attributes:
        content: its bytes.
        named: the versions that aliases name.
    """

    content: bytes = b""
    named: frozenset[int] = field(factory=frozenset)


def read_journal(model: PinnedModel) -> Journal:
    """
    Read the journal of a model, without a last line that does not count: the moves of a commit that has not happened,
    or a line that is being written.  The journal is empty if there is none, or none that can be read.

    Raises:
        StorageUnavailable: this process has reached a limit, such as that on open files.
    """
    content, lines = b"", list[Line]()
    for _ in range(_MAX_ATTEMPTS):
        before, content = content, _read(model)
        lines = _lines(content)
        # If a daemon cut off a line meanwhile, and added another, the content may be a mixture.
        if not any(line.damage for line in lines[:-1]) or content == before:
            break
    if lines and not _counts(model, lines[-1]):
        content = content[: lines.pop().start]
    aliases: dict[str, AliasMove] = {}
    for line in lines:
        for move in line.moves:
            apply_move(move, aliases)
    return Journal(content, frozenset(move.to_number for move in aliases.values()))


def _read(model: PinnedModel) -> bytes:
    try:
        descriptor, size_bytes = open_file(model.system, within(model.folder.path, ALIASES))
    except Malformed:
        return b""
    except OSError as error:
        return _nothing(error)
    try:
        return read_up_to(model.system, descriptor, size_bytes)
    except OSError as error:
        return _nothing(error)
    finally:
        close_quietly(model.system, descriptor)


def _nothing(error: OSError) -> bytes:
    # What cannot be read is reported when the model's folder is inspected.
    if is_process_limit(error) and not is_absent(error):
        raise read_failure(error) from error
    return b""


def _lines(content: bytes) -> list[Line]:
    lines, start = [], 0
    while start < len(content):
        end = content.find(b"\n", start) + 1 or len(content)
        lines.append(parse_line(start, content[start:end]))
        start = end
    return lines


def _counts(model: PinnedModel, line: Line) -> bool:
    if line.is_torn:
        return False
    if line.version is None:
        return True
    number, facts = line.version
    content = read_small_file(model.system, model.folder.version_yaml(number))
    if not isinstance(content, bytes):
        return content is not None
    try:
        return version_facts(parse_version(content, "", number)) == facts
    except Malformed:
        return True  # the version is damaged, and was committed
