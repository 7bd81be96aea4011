"""
The values that travel between the rooms: models, versions, chunks, and the rules for ids and selectors.
"""

import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from attrs import field, frozen

from twisted_registry.domain.errors import InvalidModelId

MAX_MODEL_ID_BYTES = 200
MAX_USER_DATA_BYTES = 256 * 1024
MAX_VERSION_NUMBER = 2**31 - 1
"""The wire selects versions by int32."""

MAX_ENTRIES = 100_000
"""The most models or versions that one request may name."""


def check_model_id(model_id: str) -> str:
    """
    Give a model's id back, if it is allowed: 1 to 200 bytes of UTF-8 without control characters (Unicode Cc).

    Raises:
        InvalidModelId: it is not.
    """
    if not model_id:
        raise InvalidModelId(model_id, "it is empty; name the model")
    try:
        size_bytes = len(model_id.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidModelId(model_id, "it is not Unicode text") from None
    if size_bytes > MAX_MODEL_ID_BYTES:
        raise InvalidModelId(model_id, f"it has {size_bytes} bytes; at most {MAX_MODEL_ID_BYTES} are allowed")
    if any(unicodedata.category(character) == "Cc" for character in model_id):
        raise InvalidModelId(model_id, "it holds a control character; leave it out")
    return model_id


@frozen
class ModelInfo:
    """
    A model, without its versions.
    """

    model_id: str
    metadata: Mapping[str, str] = field(factory=dict)


@frozen
class VersionHeader:
    """
    What a creator declares of a version before its data comes.

    Attributes:
        created_ns: nanoseconds since the Unix epoch; 0 for the time of the commit.
        sha256: SHA-256 of the data in standard base64; empty where not declared.
        size_bytes: length of the data.
    """

    model_id: str
    archived: bool
    size_bytes: int
    sha256: str = ""
    created_ns: int = 0
    metadata: Mapping[str, str] = field(factory=dict)


@frozen
class VersionInfo:
    """
    A committed version, without its data.

    Attributes:
        version_number: 1 to 2**31 - 1.
        created_ns: nanoseconds since the Unix epoch, below 2**64.
        sha256: SHA-256 of the data in standard base64.
        xxh3: XXH3-128 of the data in hexadecimal, where the registry has it at hand; it is no part of the info that
            travels.
    """

    model_id: str
    version_number: int
    created_ns: int
    archived: bool
    sha256: str
    size_bytes: int
    metadata: Mapping[str, str] = field(factory=dict)
    xxh3: str = field(default="", eq=False, repr=False)


class VersionKey(NamedTuple):
    """
    Names a version for the time of one process.

    Attributes:
        incarnation: tells a model from an earlier one of the same id that was deleted.
    """

    model_id: str
    incarnation: int
    version_number: int


@frozen
class Chunk:
    """
    A piece of a version's data inside a buffer that may begin with other bytes.

    The protocol edge keeps the data in the very frame it will be sent in; nobody else needs to know.
    """

    buffer: bytes
    data_offset: int = 0

    @property
    def data(self) -> memoryview:
        """
        The data alone, not copied.
        """
        return memoryview(self.buffer)[self.data_offset :]

    @property
    def size_bytes(self) -> int:
        """
        Length of the data.
        """
        return len(self.buffer) - self.data_offset
