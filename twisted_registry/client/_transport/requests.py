"""
Values as they are sent; values that the wire cannot carry are refused.
"""

from collections.abc import Mapping

from twisted_registry.domain.errors import InvalidRequest, UnknownModel, UnknownVersion
from twisted_registry.domain.models import MAX_VERSION_NUMBER

_FIRST_NS, _LAST_NS = 1, 2**64 - 1


def sendable_model_id(model_id: str) -> str:
    """
    Return a model's id, if a model can have it.

    Raises:
        UnknownModel: no model can.
    """
    if not _is_unicode(model_id):
        raise UnknownModel(model_id)
    return model_id


def sendable_selector(model_id: str, selector: int) -> int:
    """
    Return the selector of a version, if a version can have it.

    Raises:
        UnknownVersion: no version can.
    """
    if not -MAX_VERSION_NUMBER <= selector <= MAX_VERSION_NUMBER:
        raise UnknownVersion(model_id, selector)
    return selector


def sendable_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """
    Return metadata as a dictionary of text.

    Raises:
        InvalidRequest: a key or a value is not text.
    """
    pairs = dict(metadata or {})
    for key, value in pairs.items():
        if not (_is_text(key) and _is_text(value)):
            raise InvalidRequest(f"metadata must map text to text; {key!r}: {value!r} does not")
    return pairs


def sendable_created_ns(created_ns: int) -> int:
    """
    Return a time of creation, in nanoseconds since the Unix epoch.

    Raises:
        InvalidRequest: it is out of range.
    """
    if not _FIRST_NS <= created_ns <= _LAST_NS:
        raise InvalidRequest(f"created_ns is {created_ns}; it must be from 1 to 2**64 - 1, or None for now")
    return created_ns


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _is_unicode(value)


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # it has half of a surrogate pair
        return False
    return True
