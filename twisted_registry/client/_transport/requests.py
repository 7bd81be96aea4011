"""
What is refused before it is sent, for the wire cannot carry it.
"""

from collections.abc import Mapping

from twisted_registry.domain.errors import InvalidRequest, UnknownModel, UnknownVersion
from twisted_registry.domain.models import MAX_VERSION_NUMBER

_FIRST_NS, _LAST_NS = 1, 2**64 - 1


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _is_unicode(value)


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # it holds a half of a pair of surrogates
        return False
    return True


def sendable_model_id(model_id: str) -> str:
    """
    Give the id of a model that there may be.

    Raises:
        UnknownModel: no model can have it.
    """
    if not _is_unicode(model_id):
        raise UnknownModel(model_id)
    return model_id


def sendable_selector(model_id: str, selector: int) -> int:
    """
    Give the selector of a version that there may be.

    Raises:
        UnknownVersion: no version can have it.
    """
    if not -MAX_VERSION_NUMBER <= selector <= MAX_VERSION_NUMBER:
        raise UnknownVersion(model_id, selector)
    return selector


def sendable_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """
    Give user data as it is sent.

    Raises:
        InvalidRequest: it holds something else than text.
    """
    pairs = dict(metadata or {})
    for key, value in pairs.items():
        if not (_is_text(key) and _is_text(value)):
            raise InvalidRequest(f"user data is text under names that are text, which {key!r}: {value!r} is not")
    return pairs


def sendable_created_ns(created_ns: int) -> int:
    """
    Give a time of creation as it is sent.

    Raises:
        InvalidRequest: it is before, or far after, what the wire can say.
    """
    if not _FIRST_NS <= created_ns <= _LAST_NS:
        raise InvalidRequest(f"created_ns is {created_ns}; it is to be from 1 to 2**64 - 1, or None for now")
    return created_ns
