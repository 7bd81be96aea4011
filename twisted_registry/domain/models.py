"""
Models, versions and chunks, and the rules for ids and numbers.
"""

import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from attrs import field, frozen

from twisted_registry.domain.errors import InvalidModelId

MAX_MODEL_ID_BYTES = 200
MAX_USER_DATA_BYTES = 256 * 1024
MAX_CREATED_BY_BYTES = 512
MAX_VERSION_NUMBER = 2**31 - 1
"""The wire format selects versions by int32."""

MAX_ENTRIES = 100_000
"""The most models or versions that one request may name."""


def check_model_id(model_id: str) -> str:
    """
    Return a model id if it is allowed: 1 to 200 bytes of UTF-8 without control characters (Unicode category Cc).

    Raises:
        InvalidModelId: the id is not allowed.
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
        raise InvalidModelId(model_id, "it contains a control character; remove it")
    return model_id


@frozen
class ModelInfo:
    """
    A model without its versions.

    Attributes:
        model_id: the model's id.
        metadata: key-value pairs; ``user_data`` on the wire.
    """

    model_id: str
    metadata: Mapping[str, str] = field(factory=dict)


@frozen
class VersionHeader:
    """
    A new version as its creator declares it, before its data arrives.

    Attributes:
        model_id: the model's id.
        archived: whether the version is archived; otherwise it is transient.
        size_bytes: size of the data in bytes.
        sha256: SHA-256 of the data in standard base64; empty if not declared.
        created_ns: creation time in nanoseconds since the Unix epoch; 0 for the time of the commit.
        metadata: key-value pairs; ``user_data`` on the wire.
    """

    model_id: str
    archived: bool
    size_bytes: int
    sha256: str = ""
    created_ns: int = 0
    metadata: Mapping[str, str] = field(factory=dict)


def creator(actor: str) -> str:
    """
    Return a caller's name as versions have it, cut to 512 bytes of UTF-8: names of callers may be longer.
    """
    encoded = actor.encode("utf-8", "replace")
    return actor if len(encoded) <= MAX_CREATED_BY_BYTES else encoded[:MAX_CREATED_BY_BYTES].decode("utf-8", "ignore")


@frozen
class VersionInfo:
    """
    A committed version without its data.

    Attributes:
        model_id: the model's id.
        version_number: 1 to 2**31 - 1.
        created_ns: creation time in nanoseconds since the Unix epoch, below 2**64.
        archived: whether the version is archived; otherwise it is transient.
        sha256: SHA-256 of the data in standard base64.
        size_bytes: size of the data in bytes.
        metadata: key-value pairs; ``user_data`` on the wire.
        xxh3: XXH3-128 of the data in hexadecimal; empty if it is not known.  It is not part of the info that travels,
            and two infos may be equal without it.
        created_by: who created it, such as ``token:ci``; empty without access control, and for the same reason.
    """

    model_id: str
    version_number: int
    created_ns: int
    archived: bool
    sha256: str
    size_bytes: int
    metadata: Mapping[str, str] = field(factory=dict)
    xxh3: str = field(default="", eq=False, repr=False)
    created_by: str = field(default="", eq=False)


class VersionKey(NamedTuple):
    """
    A version's identity within one process.

    Attributes:
        model_id: the model's id.
        incarnation: distinguishes a model from a deleted one with the same id.
        version_number: the version's number.
    """

    model_id: str
    incarnation: int
    version_number: int


@frozen
class Chunk:
    """
    A piece of a version's data, in a buffer that may begin with other bytes.

    The protocol edge keeps data in the frame in which it will be sent; only the edge knows the bytes before the data.

    Attributes:
        buffer: the whole buffer.
        data_offset: where the data begins.
    """

    buffer: bytes
    data_offset: int = 0

    @property
    def data(self) -> memoryview:
        """
        A view of the data, without a copy.
        """
        return memoryview(self.buffer)[self.data_offset :]

    @property
    def size_bytes(self) -> int:
        """
        Size of the data in bytes.
        """
        return len(self.buffer) - self.data_offset
