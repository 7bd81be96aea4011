"""
Folder names where the file system folds case: exFAT, SMB, bind mounts of macOS and Windows, ext4's casefold.

There ids that differ in case alone would share a folder, and one would overwrite the other's versions.  So an id of
anything but small letters, digits, dashes and underscores has a folder that begins with ``%_``, in which each other
byte is escaped, in small letters as well, because some of those file systems do not keep the case of a name at all:
``Walker`` lies in ``%_%57alker``.  All names are ASCII, so that it does not matter how else a file system compares
them.

Such a name is understood on every file system, so that an archive can be moved.  A model that already has a folder is
found under the name that lies there; where that differs from a usual name in case alone, the model with the usual name
gets one in which every byte is escaped.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from twisted_registry.domain.errors import InvalidModelId
from twisted_registry.domain.models import check_model_id
from twisted_registry.storage.filesystem.calls import close_quietly, lexists
from twisted_registry.storage.filesystem.layout import (
    LONGEST_ESCAPED,
    PRIVATE_FOLDER,
    folder_of,
    hashed_name,
    model_id_of,
)
from twisted_registry.storage.filesystem.system import Folder, System, within

_PROBE = ".probe-case"
_MARK = "%_"
_LOWER = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_PLAIN = re.compile(r"[a-z][a-z0-9_-]*")
_ESCAPED = re.compile(r"%_(?:[a-z0-9_-]|%[0-9a-f]{2})+")


def folded_name(model_id: str) -> str:
    """
    Return the name of a model's folder where case is folded.  No two ids have names that differ in case alone.
    """
    usual = folder_of(model_id)
    return usual if usual == model_id and _PLAIN.fullmatch(model_id) else _marked(model_id, _LOWER)


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
    if not _ESCAPED.fullmatch(folder):
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
