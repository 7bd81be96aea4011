"""
Checks of what clients send, the same for each protocol.
"""

from collections.abc import Mapping

from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.errors import ArchiveChanged, InvalidRequest, TooLarge
from twisted_registry.domain.models import MAX_ENTRIES, MAX_USER_DATA_BYTES

_LEAST_PAIR_BYTES = 6
"""A pair of metadata, encoded: a tag and a length for itself, for its key and for its value."""


def checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """
    Return a copy of metadata that is not too large.

    Raises:
        InvalidRequest: it is larger than ``MAX_USER_DATA_BYTES``, encoded.
    """
    copy: dict[str, str] = {}
    size_bytes = _LEAST_PAIR_BYTES * len(metadata)
    if size_bytes <= MAX_USER_DATA_BYTES:  # else the copy alone would hold up other calls
        copy = dict(metadata)
        size_bytes = metadata_bytes(copy)
    if size_bytes > MAX_USER_DATA_BYTES:
        raise InvalidRequest(
            f"the metadata (user_data) has {size_bytes} bytes when encoded; at most {MAX_USER_DATA_BYTES} are allowed: "
            "store large data as versions"
        )
    return copy


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """
    Return the size of metadata as protobuf encodes it.  The limit on metadata refers to this size in every protocol.

    Raises:
        InvalidRequest: it is not Unicode text.
    """
    try:
        return sum(_field_bytes(_text_bytes(key) + _text_bytes(value)) for key, value in metadata.items())
    except UnicodeEncodeError:
        raise InvalidRequest("the metadata is not Unicode text") from None


def _text_bytes(text: str) -> int:
    return _field_bytes(len(text) if text.isascii() else len(text.encode()))


def _field_bytes(length: int) -> int:
    # A tag of one byte, the length in groups of 7 bits, and the content.
    return length + 2 if length < 0x80 else length + 1 + (length.bit_length() + 6) // 7


def check_entries(count: int) -> None:
    """
    Check how many entries a request names.

    Raises:
        TooLarge: there are more than ``MAX_ENTRIES``, which would take too long to answer.
    """
    if count > MAX_ENTRIES:
        raise TooLarge(f"the request names {count} entries; ask for at most {MAX_ENTRIES} in one call")


def check_archive(status: ArchiveStatus, expected_id: str) -> None:
    """
    Check that a call is meant for the archive that is served.  An archive whose id cannot be read passes.

    Args:
        expected_id: the archive that the client has worked with.

    Raises:
        ArchiveChanged: it is another one.
    """
    served = status.identity.archive_id
    if served is not None and served != expected_id:
        raise ArchiveChanged(expected_id, served)
