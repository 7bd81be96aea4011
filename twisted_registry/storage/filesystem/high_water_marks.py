"""
The numbers given out, remembered on the file system.
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
from twisted_registry.storage.filesystem.reader import read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea

_log = Logger()

MAX_HIGH_WATER_MARK_BYTES = 64
"""More than the longest number and its checksum take."""

_SAFE_GAP = 1_000_000
_FORMAT = re.compile(rb"([0-9]{1,10})(?: crc32=([0-9a-f]{8}))?\n")


class HighWaterMarks:
    """
    The part of an archive that remembers numbers.  May be used in any thread.
    """

    def __init__(self, staging: StagingArea, models: ModelFolders) -> None:
        self._staging = staging
        self._models = models

    def set(self, model_id: str, version_number: int) -> None:
        """
        Remember a number; see ``IHighWaterMarks.set_high_water_mark``.
        """
        with writing(), self._models.open_existing(model_id) as folder:
            self.set_in(folder, version_number)

    def set_in(self, folder: ModelFolder, version_number: int) -> None:
        """
        Remember a number in an open folder, whoever's it is.

        Raises:
            StorageFull: there is no room.
            StorageReadOnly: nothing can be changed there.
            StorageFailure: the medium failed.
        """
        with writing():
            self._staging.replace_file(folder.handle, HIGH_WATER_MARK, format_high_water_mark(version_number))

    def get(self, model_id: str) -> int:
        """
        Give the number remembered; see ``IHighWaterMarks.high_water_mark``.
        """
        try:
            with reading(f"the numbers reserved of model {shown(model_id)}"), self._models.open(model_id) as folder:
                return self.get_in(folder)
        except UnknownModel:
            return 0

    def get_in(self, folder: ModelFolder) -> int:
        """
        Give the number remembered in an open folder; where what is remembered is damaged, one that is surely no less.

        Raises:
            StorageUnavailable: it cannot be read now.
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
            raise read_failure(error, f"the numbers reserved in {shown(folder.name)}") from error

    def guess(self, folder: ModelFolder, reason: str) -> int:
        """
        Return a number that is surely no less than the one that was remembered.

        Args:
            reason: why that is lost.

        Raises:
            StorageUnavailable: the folder cannot be read now.
        """
        # A gap in the numbers does no harm, a number that is used twice does: clients cache by it.
        with reading(f"the numbers reserved in {shown(folder.name)}"):
            numbers = version_files(folder.name, self._staging.system.listdir(folder.path)).numbers
        guess = min(max(numbers, default=0) + _SAFE_GAP, MAX_VERSION_NUMBER)
        _log.warn(
            "{path}: {reason}; numbers go on after {guess}", path=folder.high_water_mark, reason=reason, guess=guess
        )
        return guess


def format_high_water_mark(number: int) -> bytes:
    """
    Write a number, so that it can be told whether it is still the same.
    """
    # One bit makes 100 of 900, and numbers would be used twice.
    digits = b"%d" % number
    return b"%s crc32=%08x\n" % (digits, zlib.crc32(digits))


def parse_high_water_mark(content: bytes) -> int:
    """
    Read the number remembered.

    Raises:
        Malformed: it is damaged.
    """
    match = _FORMAT.fullmatch(content)
    if match is None:
        raise Malformed("it does not hold a version number")
    digits, checksum = match.groups()
    if checksum is not None and int(checksum, 16) != zlib.crc32(digits):
        raise Malformed("its number does not have its checksum")
    number = int(digits)
    if number > MAX_VERSION_NUMBER:
        raise Malformed("it does not hold a version number")
    return number
