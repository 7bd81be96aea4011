"""
The high-water marks of models: numbers up to the mark may have been assigned.
"""

import re
import zlib

from twisted.logger import Logger

from twisted_registry.domain.errors import UnknownModel, shown
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.storage.filesystem.failures import (
    Malformed,
    is_absent,
    is_link_loop,
    read_failure,
    reading,
    unreadable,
    writing,
)
from twisted_registry.storage.filesystem.layout import HIGH_WATER_MARK, ModelFolder, version_files
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea

_log = Logger()

MAX_HIGH_WATER_MARK_BYTES = 64
"""The largest size of the file: more than the longest number with its checksum takes."""

_SAFETY_GAP = 1_000_000
_FORMAT = re.compile(rb"([0-9]{1,10})(?: crc32=([0-9a-f]{8}))?\n")


class HighWaterMarks:
    """
    The part of an archive that keeps high-water marks.  Its methods may be called in any thread.
    """

    def __init__(self, staging: StagingArea, models: ModelFolders) -> None:
        self._staging = staging
        self._models = models

    def set(self, model_id: str, version_number: int) -> None:
        """
        Write a model's mark; see ``IHighWaterMarks.set_high_water_mark``.
        """
        with writing(), self._models.open_existing(model_id) as folder:
            self.set_in(folder, version_number)

    def set_in(self, folder: ModelFolder, version_number: int) -> None:
        """
        Write the mark in an open folder, without checking that it holds a model.

        Raises:
            StorageFull: the medium is full.
            StorageReadOnly: the medium is read-only.
            StorageFailure: the medium failed.
        """
        with writing():
            self._staging.replace_file(folder.handle, HIGH_WATER_MARK, format_high_water_mark(version_number))

    def get(self, model_id: str) -> int:
        """
        Read a model's mark; see ``IHighWaterMarks.high_water_mark``.
        """
        try:
            with reading(f"the high-water mark of model {shown(model_id)}"), self._models.open(model_id) as folder:
                return self.get_in(folder)
        except UnknownModel:
            return 0

    def get_in(self, folder: ModelFolder) -> int:
        """
        Read the mark in an open folder.  If the file is damaged, return a number that is certainly not lower.

        Raises:
            StorageUnavailable: the file cannot be read now.
        """
        try:
            return parse_high_water_mark(
                read_metadata(self._staging.system, folder.high_water_mark, MAX_HIGH_WATER_MARK_BYTES)
            )
        except Malformed as error:
            return self.guess(folder, error.reason)
        except OSError as error:
            if is_absent(error):
                return 0
            if is_link_loop(error):
                return self.guess(folder, unreadable(error))
            raise read_failure(error, f"the high-water mark in {shown(folder.name)}") from error

    def guess(self, folder: ModelFolder, reason: str) -> int:
        """
        Return a number that is certainly not lower than a lost mark.

        Args:
            reason: how the mark was lost.

        Raises:
            StorageUnavailable: the folder cannot be read now.
        """
        # A gap in the numbers is harmless.  A number that is used twice is not, because clients cache by it.
        with reading(f"the high-water mark in {shown(folder.name)}"):
            numbers = version_files(folder.name, self._staging.system.listdir(folder.path)).numbers
        guess = min(max(numbers, default=0) + _SAFETY_GAP, MAX_VERSION_NUMBER)
        _log.warn(
            "{path}: {reason}; numbers go on after {guess}", path=folder.high_water_mark, reason=reason, guess=guess
        )
        return guess


def format_high_water_mark(number: int) -> bytes:
    """
    Return the content of the file for a mark, with a checksum.
    """
    # One flipped bit can turn 900 into 100, and numbers would be used twice.
    digits = b"%d" % number
    return b"%s crc32=%08x\n" % (digits, zlib.crc32(digits))


def parse_high_water_mark(content: bytes) -> int:
    """
    Parse the content of the file.

    Raises:
        Malformed: it is damaged.
    """
    match = _FORMAT.fullmatch(content)
    if match is None:
        raise Malformed("it does not hold a version number")
    digits, crc32 = match.groups()
    if crc32 is not None and int(crc32, 16) != zlib.crc32(digits):
        raise Malformed("its checksum does not match")
    number = int(digits)
    if number > MAX_VERSION_NUMBER:
        raise Malformed("it does not hold a version number")
    return number
