"""
The names on disk.

The layout is that of the archives of the existing Cogment model registry (version 1 of its layout, the only one there
has been)::

    <root>/
        <folder>/                          a model; <folder> is its id, escaped where it has to be
            <folder>.yaml                  the model: model_id, user_data
            <folder>-v000001.yaml          a version: see ``twisted_registry.storage.filesystem.metadata``
            <folder>-v000001.data          its bytes
            .reserved                      up to which number versions may have been given out: decimal,
                                           its checksum, line feed
            .new-<unique>                  a file being written
            .deleted                       the model is deleted, and what is left of it is on its way out
        .0/                                what is not under its name yet, or no longer; no letter in the name, because
            tmp/<unique>                   the existing server takes any folder with a letter in its name for a model
            trash/<unique>
            identity                       which archive it is: see ``twisted_registry.storage.filesystem.identity``
            claim                          who has it open: see ``twisted_registry.storage.filesystem.claim``

A version exists from the moment its .yaml has its name.  The folder's name is the authority on the model's id, the
file's name on the version's number; what the files themselves say of those is for people to read.
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
"""Hidden, and without a letter: see above."""

IDENTITY = "identity"
"""In the private folder: the file that says which archive it is."""

CLAIM = "claim"
"""In the private folder: the file that says who has the archive open."""

QUARANTINE = "quarantine"
"""The folder within the private one where damage is put aside; no part of the archive any more."""

HIGH_WATER_MARK = ".reserved"
"""The file in a model's folder that remembers the numbers given out."""

TEMP_PREFIX = ".new-"
"""
How the names of files begin that are being written.  The existing server passes over what has neither ``-v`` nor
``.yaml`` in its name.
"""

DELETED = ".deleted"
"""The file in a model's folder that says that there is no model any more, where the folder cannot go at one stroke."""

LONGEST_ESCAPED = 220
"""With ``-v2147483647.yaml`` behind it a name stays well within the 255 bytes of all usual file systems."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ESCAPED = re.compile(r"(?:[A-Za-z0-9_-]|%[0-9A-F]{2})+")
_NUMBER = re.compile(r"[0-9]{6}|[1-9][0-9]{6,}")
_AT_ONCE = 5000
_DIGEST = re.compile(r"%%[0-9a-f]{64}")
_KEPT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


# --- Models: ids and folders -----------------------------------------------------------------------------------------


def folder_of(model_id: str) -> str:
    """
    Give the name of a model's folder.  No two ids share one, and none has a separator or a dot in it.
    """
    if _PLAIN.fullmatch(model_id) and len(model_id) <= LONGEST_ESCAPED:
        return model_id
    return hashed_name(model_id, _escape(model_id.encode("utf-8")))


def _escape(text: bytes) -> str:
    escaped = "".join(chr(byte) if byte in _KEPT else f"%{byte:02X}" for byte in text)
    # An id such as '9abc' holds nothing to escape and still is not its own folder's name.
    return escaped if "%" in escaped else f"%{text[0]:02X}{escaped[1:]}"


def hashed_name(model_id: str, escaped: str) -> str:
    """
    Return the escaped form of an id, or its digest where that would be too long.
    """
    if len(escaped) <= LONGEST_ESCAPED:
        return escaped
    return f"%%{hashlib.sha256(model_id.encode('utf-8')).hexdigest()}"


def model_id_of(folder: str) -> str | None:
    """
    Give the id whose folder has this name; ``None`` where there is none, or where only the model's .yaml knows it.
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
    Tell whether a folder has the name of a model whose escaped id would be too long, so that only its .yaml knows it.
    """
    return _DIGEST.fullmatch(folder) is not None


def is_temp_file(name: str) -> bool:
    """
    Tell whether a name is that of a file being written.
    """
    return name.startswith(TEMP_PREFIX)


@frozen
class ModelFolder:
    """
    Where a model's files are.

    Attributes:
        name: the folder's name, with which the names of all files in it begin.
        path: the folder; where it is open (``Folder``), the files are found in what was opened.
    """

    name: str
    path: str

    @property
    def handle(self) -> Folder:
        """
        The folder, which is open.
        """
        assert isinstance(self.path, Folder), self.path
        return self.path

    @property
    def yaml_name(self) -> str:
        """
        The name of the model's own file.
        """
        return f"{self.name}.yaml"

    @property
    def yaml(self) -> str:
        """
        The model's own file.
        """
        return within(self.path, self.yaml_name)

    @property
    def high_water_mark(self) -> str:
        """
        The file that remembers the numbers given out.
        """
        return within(self.path, HIGH_WATER_MARK)

    def version_yaml_name(self, number: int) -> str:
        """
        The name of the file that makes a version exist.
        """
        return f"{self.name}-v{number:06d}.yaml"

    def version_data_name(self, number: int) -> str:
        """
        The name of the file with a version's bytes.
        """
        return f"{self.name}-v{number:06d}.data"

    def version_yaml(self, number: int) -> str:
        """
        The file whose name makes a version exist.
        """
        return within(self.path, self.version_yaml_name(number))

    def version_data(self, number: int) -> str:
        """
        The file with a version's bytes.
        """
        return within(self.path, self.version_data_name(number))


def model_folder(root: str, model_id: str) -> ModelFolder:
    """
    Say where a model's files are, whether or not there are any.
    """
    name = folder_of(model_id)
    return ModelFolder(name, os.path.join(root, name))


# --- Versions: numbers and files -------------------------------------------------------------------------------------


@frozen
class VersionFiles:
    """
    What a model's folder holds, by the names in it.

    Attributes:
        numbers: the versions, rising.
        uncommitted: data of versions that were never committed: above all numbers, rising.
        orphans: data below the highest number that has lost its .yaml, rising.
        out_of_range: numbers in the names of .yaml files that no version can have.
    """

    numbers: list[int]
    uncommitted: list[int]
    orphans: list[int]
    out_of_range: list[int]


def version_files(folder: str, names: Sequence[str]) -> VersionFiles:
    """
    Sort the names in a model's folder.  Passes over every name that is not exactly as it is written here.
    """
    described, stored = (_numbers(_between(names, f"{folder}-v", tail)) for tail in (".yaml", ".data"))
    committed, kept = _rising(described), _rising(stored)
    first, end = bisect_right(committed, 0), bisect_right(committed, MAX_VERSION_NUMBER)
    possible = committed[first:end]
    highest = possible[-1] if possible else 0
    single = [] if kept == committed else sorted(set(kept).difference(committed))
    return VersionFiles(
        numbers=possible,
        uncommitted=[number for number in single if highest < number <= MAX_VERSION_NUMBER],
        orphans=[number for number in single if number < highest],
        out_of_range=[*committed[:first], *committed[end:]],
    )


# They go over the hundreds of thousands of names that a long training leaves.  Slices are faster than calls; but what C
# does in one go keeps all other threads waiting.


def _between(names: Sequence[str], head: str, tail: str) -> list[str]:
    start, end = len(head), -len(tail)
    return [name[start:end] for name in names if name[end:] == tail and name[:start] == head]


def _numbers(texts: Sequence[str]) -> list[int]:
    numbers: list[int] = []
    for start in range(0, len(texts), _AT_ONCE):
        numbers.extend(map(int, filter(_NUMBER.fullmatch, texts[start : start + _AT_ONCE])))
    return numbers


def _rising(numbers: list[int]) -> list[int]:
    # None is there twice, and most models have lost none: then there is nothing to sort.
    lowest, highest = min(numbers, default=0), max(numbers, default=-1)
    if highest - lowest + 1 == len(numbers):
        return list(range(lowest, highest + 1))
    return sorted(numbers)


# --- Where case is folded --------------------------------------------------------------------------------------------

_PROBE = ".probe-case"
_MARK = "%_"
_LOWER = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_PLAIN_SMALL = re.compile(r"[a-z][a-z0-9_-]*")
_ESCAPED_FULLY = re.compile(r"%_(?:[a-z0-9_-]|%[0-9a-f]{2})+")


def folded_name(model_id: str) -> str:
    """
    Return the name of a model's folder where case is folded.  No two ids have names that differ in case alone.
    """
    usual = folder_of(model_id)
    return usual if usual == model_id and _PLAIN_SMALL.fullmatch(model_id) else _marked(model_id, _LOWER)


def full_name(model_id: str) -> str:
    """
    Return the name of a model's folder with every byte escaped.
    """
    return _marked(model_id, frozenset())


def _marked(model_id: str, kept: frozenset[int]) -> str:
    escaped = "".join(chr(byte) if byte in kept else f"%{byte:02x}" for byte in model_id.encode("utf-8"))
    return hashed_name(model_id, f"{_MARK}{escaped}")


def may_be_named(model_id: str, folder: str) -> bool:
    """
    Tell whether a model's folder may have this name, on one file system or another.
    """
    return folder in (folder_of(model_id), folded_name(model_id), full_name(model_id))


def model_id_of_any_form(folder: str) -> str | None:
    """
    Return the id of the model whose folder may have this name, on one file system or another; ``None`` where there is
    none, or where only the model's .yaml knows it.
    """
    if not folder.startswith(_MARK):
        return model_id_of(folder)
    if not _ESCAPED_FULLY.fullmatch(folder):
        return None
    try:
        model_id = check_model_id(unquote_to_bytes(folder.removeprefix(_MARK)).decode("utf-8"))
    except (UnicodeDecodeError, InvalidModelId):
        return None
    return model_id if may_be_named(model_id, folder) else None


def folds_case(system: System, root: Folder) -> bool:
    """
    Look whether names in an open folder that differ in case alone are the same: make one, and look for it in capitals.

    Raises:
        OSError: that cannot be told.
    """
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        close_quietly(system, system.open(within(root, _PROBE), flags))
    except OSError:
        # It cannot be written.  The archive's own folders are there, unless nothing ever was.
        return lexists(system, within(root, f"{PRIVATE_FOLDER}/TMP"))
    try:
        return lexists(system, within(root, _PROBE.upper()))
    finally:
        with suppress(OSError):  # the next start removes it
            system.unlink(within(root, _PROBE))


def _may_be_unusual(name: str) -> bool:
    # Where case is told apart, all other names of models' folders are the usual ones: a start looks at thousands.
    return name.startswith(_MARK) or len(name) > LONGEST_ESCAPED


class FolderNames:
    """
    The names that models' folders have in one archive.

    Attributes:
        is_folding: whether names that differ in case alone are the same there.
    """

    def __init__(self) -> None:
        self.is_folding = False
        self._there: dict[str, str] = {}
        self._unusual: set[str] = set()

    def learn(self, names: Iterable[str], *, is_folding: bool) -> None:
        """
        Take up what is in the archive.

        Args:
            names: all names in its folder.
        """
        self.is_folding = is_folding
        self._there = {}
        self._unusual = set()
        there = set(names)
        for name in there if is_folding else filter(_may_be_unusual, there):
            model_id = model_id_of_any_form(name)
            if model_id is not None and name != self._usual(model_id):
                if self._usual(model_id) not in there:
                    self._there[model_id] = name
                self._unusual.add(name.lower())

    def _usual(self, model_id: str) -> str:
        return folded_name(model_id) if self.is_folding else folder_of(model_id)

    def of(self, model_id: str) -> str:
        """
        Return the name of a model's folder.  No two ids share one, and none has a separator or a dot in it.
        """
        if not self._unusual and not self.is_folding:
            return folder_of(model_id)
        there = self._there.get(model_id)
        if there is not None:
            return there
        usual = self._usual(model_id)
        return full_name(model_id) if self.is_folding and usual.lower() in self._unusual else usual
