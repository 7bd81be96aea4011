"""
The names of an archive's folders and files.

The layout is version 1 of the archives of the existing Cogment model registry, the only version so far::

    <root>/
        <folder>/                          a model; <folder> is its id, escaped if necessary
            <folder>.yaml                  the model: model_id, user_data
            <folder>-v000001.yaml          a version: see ``twisted_registry.storage.filesystem.metadata``
            <folder>-v000001.data          its data
            .reserved                      the high-water mark of the version numbers: decimal, checksum, line feed
            .key-<facts>                   a key: see ``twisted_registry.storage.filesystem.idempotency``
            .annotations-000001            labels and metrics: see ``twisted_registry.storage.filesystem.annotations``
            .aliases                       all moves: see ``twisted_registry.storage.filesystem.alias_journal``
            .retention                     a policy: see ``twisted_registry.storage.filesystem.retention``
            .new-<unique>                  a temp file
            .upload-<id>-<unique>          data: see ``twisted_registry.storage.filesystem.unfinished``
            .deleted                       the model is deleted, and the rest of it is being removed
            .deleted-000001                the .yaml of a version that is deleted: the rest of it is being removed
            .promoting-000002              a version is being committed whose number may be below others
        .0/                                the private folder; the existing registry takes any folder with a letter in
            tmp/<unique>                   its name for a model, so this name has none
            trash/<unique>
            identity                       the archive's id: see ``twisted_registry.storage.filesystem.identity``
            retention                      policies for prefixes of ids
            uploads/<id>                   an unfinished upload: see ``twisted_registry.storage.filesystem.unfinished``
            claim                          the archive's owner: see ``twisted_registry.storage.filesystem.claim``

A version exists from the moment its .yaml has its final name.  The folder's name determines the model's id, and the
file's name the version's number.  The same facts in the files are for people to read.

If a file system folds case (exFAT, SMB, bind mounts of macOS and Windows, ext4 with casefold), ids that differ only
in case would share a folder, and one model's versions would overwrite the other's.  There, only an id of lower-case
letters, digits, dashes and underscores is its own folder's name.  The folder of any other id starts with ``%_`` and
escapes every other byte, in lower case, because some of these file systems do not keep case: ``Walker`` is in
``%_%57alker``.  All names are ASCII, so other rules of comparison do not matter.  Such names are understood on every
file system, so an archive can be moved.  A model is found under the name that its folder has.  If that name differs
only in case from the usual name of another model, the other model's folder has every byte escaped.
"""

import hashlib
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from attrs import frozen

from twisted_registry.domain.errors import InvalidModelId
from twisted_registry.domain.models import MAX_MODEL_ID_BYTES, MAX_VERSION_NUMBER, check_model_id
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, lexists, within

PRIVATE_FOLDER = ".0"
"""Hidden, and without a letter; see above."""

IDENTITY = "identity"
"""The file with the archive's id, in the private folder."""

CLAIM = "claim"
"""The file with the mark of the archive's owner, in the private folder."""

BACKUP = "backup"
"""The file that marks a copy of an archive, in the private folder.  No daemon opens an archive that has it."""

QUARANTINE = "quarantine"
"""The folder for damaged files, in the private folder.  It is no longer a part of the archive."""

HIGH_WATER_MARK = ".reserved"
"""The file with the high-water mark, in a model's folder."""

TEMP_PREFIX = ".new-"
"""
The beginning of the names of temp files.  The existing registry ignores names with neither ``-v`` nor ``.yaml`` in
them.
"""

UPLOAD_PREFIX = ".upload-"
"""The beginning of the name of a temp file that may outlive the process, because its upload may go on."""

UPLOADS = "uploads"
"""The folder with the descriptions of unfinished uploads, in the private folder."""

DELETED = ".deleted"
"""The file that marks a model as deleted, in a model's folder that cannot be moved to the trash."""

ALIASES = ".aliases"
"""The journal of the moves of a model's aliases, in the model's folder."""

RETENTION = ".retention"
"""The file with a model's retention policy, in the model's folder."""

RETENTION_PREFIXES = "retention"
"""The file with the retention policies of prefixes, in the private folder."""

ANNOTATIONS_PREFIX = ".annotations-"
"""The beginning of the name of the file with a version's labels and metrics, in the model's folder."""

DELETED_PREFIX = ".deleted-"
"""The beginning of the name that a version's .yaml gets when the version is deleted."""

PROMOTING_PREFIX = ".promoting-"
"""The beginning of the name of an empty file that marks the commit of a version whose number may be below others."""

LONGEST_ESCAPED = 220
"""
The longest escaped id.  With ``-v2147483647.yaml`` after it, a name stays within the 255 bytes that usual file systems
allow.
"""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ESCAPED = re.compile(r"(?:[A-Za-z0-9_-]|%[0-9A-F]{2})+")
_NUMBER = re.compile(r"[0-9]{6}|[1-9][0-9]{6,}")
_NUMBERS_AT_ONCE = 5000
_DIGEST = re.compile(r"%%[0-9a-f]{64}")
_UNESCAPED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


# --- Models: ids and folders -----------------------------------------------------------------------------------------


def folder_of(model_id: str) -> str:
    """
    Return the usual name of a model's folder.  No two ids share one, and it contains neither a separator nor a dot.
    """
    if _PLAIN.fullmatch(model_id) and len(model_id) <= LONGEST_ESCAPED:
        return model_id
    return hashed_name(model_id, _escape(model_id.encode("utf-8")))


def _escape(text: bytes) -> str:
    escaped = "".join(chr(byte) if byte in _UNESCAPED else f"%{byte:02X}" for byte in text)
    # An id such as '9abc' has nothing to escape, and yet it cannot be the folder's name.
    return escaped if "%" in escaped else f"%{text[0]:02X}{escaped[1:]}"


def hashed_name(model_id: str, escaped: str) -> str:
    """
    Return the escaped form of an id, or the id's SHA-256 if that form is too long.
    """
    if len(escaped) <= LONGEST_ESCAPED:
        return escaped
    return f"%%{hashlib.sha256(model_id.encode('utf-8')).hexdigest()}"


def model_id_of(folder: str) -> str | None:
    """
    Return the id of the model whose folder has this usual name; ``None`` if it is not one, or if only the model's
    .yaml holds the id.
    """
    if _PLAIN.fullmatch(folder):
        return folder if len(folder) <= MAX_MODEL_ID_BYTES else None
    if not _ESCAPED.fullmatch(folder):
        return None
    try:
        model_id = check_model_id(unquote_to_bytes(folder).decode("utf-8"))
    except (UnicodeDecodeError, InvalidModelId):
        return None
    return model_id if folder_of(model_id) == folder else None


def is_hashed_name(folder: str) -> bool:
    """
    Return whether a folder's name is the SHA-256 of an id, so that only the model's .yaml holds the id.
    """
    return _DIGEST.fullmatch(folder) is not None


def is_temp_file(name: str) -> bool:
    """
    Return whether a name is that of a temp file.
    """
    return name.startswith((TEMP_PREFIX, UPLOAD_PREFIX))


@frozen
class ModelFolder:
    """
    The paths of a model's files.

    Attributes:
        name: the folder's name, with which the names of its files begin.
        path: the folder's path; an open ``Folder`` if the files are to be found through its descriptor.
    """

    name: str
    path: str

    @property
    def handle(self) -> Folder:
        """
        The open folder.
        """
        assert isinstance(self.path, Folder), self.path
        return self.path

    @property
    def yaml_name(self) -> str:
        """
        The name of the model's .yaml file.
        """
        return f"{self.name}.yaml"

    @property
    def yaml(self) -> str:
        """
        The path of the model's .yaml file.
        """
        return within(self.path, self.yaml_name)

    @property
    def high_water_mark(self) -> str:
        """
        The path of the file with the high-water mark.
        """
        return within(self.path, HIGH_WATER_MARK)

    def version_yaml_name(self, number: int) -> str:
        """
        Return the name of a version's .yaml file.
        """
        return f"{self.name}-v{number:06d}.yaml"

    def version_data_name(self, number: int) -> str:
        """
        Return the name of a version's data file.
        """
        return f"{self.name}-v{number:06d}.data"

    def annotations_name(self, number: int) -> str:
        """
        Return the name of the file with a version's labels and metrics.
        """
        return f"{ANNOTATIONS_PREFIX}{number:06d}"

    def deleted_name(self, number: int) -> str:
        """
        Return the name of the .yaml file of a deleted version.
        """
        return f"{DELETED_PREFIX}{number:06d}"

    def promoting_name(self, number: int) -> str:
        """
        Return the name of the file that marks the promotion of a version.
        """
        return f"{PROMOTING_PREFIX}{number:06d}"

    def version_yaml(self, number: int) -> str:
        """
        Return the path of a version's .yaml file.  The version exists if this file does.
        """
        return within(self.path, self.version_yaml_name(number))

    def version_data(self, number: int) -> str:
        """
        Return the path of a version's data file.
        """
        return within(self.path, self.version_data_name(number))


def model_folder(root: str, model_id: str) -> ModelFolder:
    """
    Return the paths of a model's files, whether or not they exist.
    """
    name = folder_of(model_id)
    return ModelFolder(name, os.path.join(root, name))


# --- Versions: numbers and files -------------------------------------------------------------------------------------


@frozen
class VersionFiles:
    """
    The versions in a model's folder, by the names of its files.

    Attributes:
        numbers: the versions, ascending.
        uncommitted: data of versions that were never committed, ascending: above all ``numbers``, or with the mark of
            a promotion.
        orphans: data below the highest number that has lost its .yaml, ascending.
        deleted: data of deleted versions that is still to be removed, ascending.
        out_of_range: numbers of .yaml files that no version can have.
    """

    numbers: list[int]
    uncommitted: list[int]
    orphans: list[int]
    deleted: list[int]
    out_of_range: list[int]


def version_files(folder: str, names: Sequence[str]) -> VersionFiles:
    """
    Sort the names in a model's folder.  Names that differ in any way from those written here are ignored.
    """
    yaml_numbers, data_numbers = (_numbers(_between(names, f"{folder}-v", tail)) for tail in (".yaml", ".data"))
    committed, stored = _sorted_numbers(yaml_numbers), _sorted_numbers(data_numbers)
    first, end = bisect_right(committed, 0), bisect_right(committed, MAX_VERSION_NUMBER)
    possible = committed[first:end]
    highest = possible[-1] if possible else 0
    without_yaml = [] if stored == committed else sorted(set(stored).difference(committed))
    deleted, promoting = (_marked(names, without_yaml, prefix) for prefix in (DELETED_PREFIX, PROMOTING_PREFIX))
    unmarked = [number for number in without_yaml if number not in deleted]
    return VersionFiles(
        numbers=possible,
        uncommitted=[n for n in unmarked if n in promoting or highest < n <= MAX_VERSION_NUMBER],
        orphans=[number for number in unmarked if number < highest and number not in promoting],
        deleted=sorted(deleted),
        out_of_range=[*committed[:first], *committed[end:]],
    )


def _marked(names: Sequence[str], without_yaml: list[int], prefix: str) -> set[int]:
    # There is seldom any data without its .yaml, so the names are seldom looked through.
    return set(marked_numbers(names, prefix)).intersection(without_yaml) if without_yaml else set()


def marked_numbers(names: Sequence[str], prefix: str) -> list[int]:
    """
    Return the numbers of the versions that files of a kind mark, in no order.

    Args:
        names: the names in a model's folder.
        prefix: the beginning of the names of these files, before the number.
    """
    start = len(prefix)
    return _numbers([name[start:] for name in names if name[:start] == prefix])


# These run over the hundreds of thousands of names that a long training leaves.  Slices are faster than calls, but a
# single call into C blocks all other threads.


def _between(names: Sequence[str], head: str, tail: str) -> list[str]:
    start, end = len(head), -len(tail)
    return [name[start:end] for name in names if name[end:] == tail and name[:start] == head]


def _numbers(texts: Sequence[str]) -> list[int]:
    numbers: list[int] = []
    for start in range(0, len(texts), _NUMBERS_AT_ONCE):
        numbers.extend(map(int, filter(_NUMBER.fullmatch, texts[start : start + _NUMBERS_AT_ONCE])))
    return numbers


def _sorted_numbers(numbers: list[int]) -> list[int]:
    # No number occurs twice, so a range without gaps does not need sorting.  Most models have no gaps.
    lowest, highest = min(numbers, default=0), max(numbers, default=-1)
    if highest - lowest + 1 == len(numbers):
        return list(range(lowest, highest + 1))
    return sorted(numbers)


# --- Case-folding file systems ---------------------------------------------------------------------------------------

_PROBE = ".probe-case"
_FOLDED_PREFIX = "%_"
_LOWER = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_PLAIN_LOWER = re.compile(r"[a-z][a-z0-9_-]*")
_ESCAPED_FOLDED = re.compile(r"%_(?:[a-z0-9_-]|%[0-9a-f]{2})+")


def folded_name(model_id: str) -> str:
    """
    Return the name of a model's folder on a case-folding file system.  No two ids have names that differ only in case.
    """
    usual = folder_of(model_id)
    return usual if usual == model_id and _PLAIN_LOWER.fullmatch(model_id) else _escape_folded(model_id, _LOWER)


def full_name(model_id: str) -> str:
    """
    Return the name of a model's folder with every byte escaped.
    """
    return _escape_folded(model_id, frozenset())


def _escape_folded(model_id: str, unescaped: frozenset[int]) -> str:
    escaped = "".join(chr(byte) if byte in unescaped else f"%{byte:02x}" for byte in model_id.encode("utf-8"))
    return hashed_name(model_id, f"{_FOLDED_PREFIX}{escaped}")


def can_be_named(model_id: str, folder: str) -> bool:
    """
    Return whether a model's folder has this name on some file system.
    """
    return folder in (folder_of(model_id), folded_name(model_id), full_name(model_id))


def model_id_of_any_form(folder: str) -> str | None:
    """
    Return the id of the model whose folder has this name on some file system; ``None`` if there is no such id, or if
    only the model's .yaml holds the id.
    """
    if not folder.startswith(_FOLDED_PREFIX):
        return model_id_of(folder)
    if not _ESCAPED_FOLDED.fullmatch(folder):
        return None
    try:
        model_id = check_model_id(unquote_to_bytes(folder.removeprefix(_FOLDED_PREFIX)).decode("utf-8"))
    except (UnicodeDecodeError, InvalidModelId):
        return None
    return model_id if can_be_named(model_id, folder) else None


def folds_case(system: System, root: Folder) -> bool:
    """
    Return whether an open folder's names are case-insensitive.  Creates a file and looks for it in upper case.

    Raises:
        OSError: this cannot be determined.
    """
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        close_quietly(system, system.open(within(root, _PROBE), flags))
    except OSError:
        # The folder is read-only.  Look for the archive's private folders, which exist unless it is empty.
        return lexists(system, within(root, f"{PRIVATE_FOLDER}/TMP"))
    try:
        return lexists(system, within(root, _PROBE.upper()))
    finally:
        with suppress(OSError):  # the next start removes it
            system.unlink(within(root, _PROBE))


def _may_be_unusual(name: str) -> bool:
    # On a case-sensitive file system, all other names are usual ones.  A start looks at thousands of them.
    return name.startswith(_FOLDED_PREFIX) or len(name) > LONGEST_ESCAPED


class FolderNames:
    """
    The names of the models' folders in one archive.

    Attributes:
        is_folding: whether the file system folds case.
    """

    def __init__(self) -> None:
        self.is_folding = False
        self._existing: dict[str, str] = {}
        self._unusual: set[str] = set()

    def read(self, names: Iterable[str], *, is_folding: bool) -> None:
        """
        Replace what is known of the archive's folders.

        Args:
            names: all names in the archive's root.
            is_folding: whether the file system folds case.
        """
        self.is_folding = is_folding
        self._existing = {}
        self._unusual = set()
        existing = set(names)
        for name in existing if is_folding else filter(_may_be_unusual, existing):
            model_id = model_id_of_any_form(name)
            if model_id is not None and name != self._usual(model_id):
                if self._usual(model_id) not in existing:
                    self._existing[model_id] = name
                self._unusual.add(name.lower())

    def _usual(self, model_id: str) -> str:
        return folded_name(model_id) if self.is_folding else folder_of(model_id)

    def of(self, model_id: str) -> str:
        """
        Return the name of a model's folder.  No two ids share one, and it contains neither a separator nor a dot.
        """
        if not self._unusual and not self.is_folding:
            return folder_of(model_id)
        existing = self._existing.get(model_id)
        if existing is not None:
            return existing
        usual = self._usual(model_id)
        return full_name(model_id) if self.is_folding and usual.lower() in self._unusual else usual
