"""
The descriptions of unfinished uploads, in ``.0/uploads``.

A description has the name of the file with the data, without its prefix: ``<id>-<unique>``.  So each belongs to one
writer, and nobody else writes or removes it.
"""

import os
import re

from attrs import asdict, frozen

from twisted_registry.domain.creation import UploadFacts
from twisted_registry.storage.filesystem.documents import format_document, parse_document
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.layout import PRIVATE_FOLDER, UPLOAD_PREFIX, UPLOADS
from twisted_registry.storage.filesystem.pinned_directory import read_metadata, remove
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import close_quietly, within

_DATA = re.compile(re.escape(UPLOAD_PREFIX) + "[0-9a-f]{64}-[0-9a-f]{8}")


@frozen
class Description:
    """
    The content of a description.

    Attributes:
        location: the name of the file with the data.
        boot: the id of the boot in which the data was written.
    """

    model_id: str
    key_sha256: str
    facts: UploadFacts
    location: str
    boot: str

    def format(self) -> bytes:
        """
        Return the content of the file.
        """
        return format_document(asdict(self))

    @classmethod
    def parse(cls, content: bytes) -> "Description":
        """
        Parse the content of the file.

        Raises:
            Malformed: it is damaged.
        """
        values = parse_document(content)
        try:
            description = cls(facts=UploadFacts(**values.pop("facts")), **values)
        except (TypeError, KeyError, AttributeError):
            raise Malformed("it does not describe an upload") from None
        if not _DATA.fullmatch(description.location):
            raise Malformed("it names a file that is not an upload's")
        return description


def description_name(location: str) -> str:
    """
    Return the name of the description of an upload.

    Args:
        location: the name of the file with the data.
    """
    return location.removeprefix(UPLOAD_PREFIX)


class UploadDescriptions:
    """
    The files with the descriptions.  Methods raise ``OSError``.
    """

    def __init__(self, staging: StagingArea) -> None:
        self._staging = staging
        self._system = staging.system

    def names(self) -> list[str]:
        """
        Return the names of all descriptions.
        """
        try:
            with self._staging.private.open_in(self._staging.root.folder, PRIVATE_FOLDER) as private:
                return self._system.listdir(within(private, UPLOADS))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> Description:
        """
        Read a description.

        Raises:
            Malformed: it is damaged.
        """
        with self._staging.private.open(UPLOADS) as folder:
            description = Description.parse(read_metadata(self._system, within(folder, name)))
        if description_name(description.location) != name:
            raise Malformed("it has the name of another upload")
        return description

    def write(self, description: Description) -> None:
        """
        Write a description.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with self._staging.private.open(UPLOADS) as folder:
            descriptor = self._system.open(within(folder, description_name(description.location)), flags)
            try:
                self._staging.write_all(descriptor, memoryview(description.format()))
            finally:
                close_quietly(self._system, descriptor)

    def remove(self, name: str) -> None:
        """
        Remove a description, if it exists.
        """
        with self._staging.private.open(UPLOADS) as folder:
            remove(self._system, within(folder, name))
