"""
Values as they are sent; values that the wire cannot carry are refused.
"""

from collections.abc import Iterable, Mapping
from numbers import Real

from twisted_registry.client._types import AnyReference
from twisted_registry.domain.annotations import Annotations, check_annotations
from twisted_registry.domain.errors import InvalidRequest, UnknownModel, UnknownVersion
from twisted_registry.domain.models import MAX_VERSION_NUMBER, VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import LATEST, Reference

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


def reference_of(version: AnyReference) -> Reference:
    """
    Return the reference of a version.

    Raises:
        InvalidRequest: the text names a version that cannot exist.
        InvalidModelId: the text names a model that cannot exist.
    """
    if isinstance(version, Reference):
        return version
    if isinstance(version, VersionRecord):
        version = version.info
    if isinstance(version, VersionInfo):
        return Reference(version.model_id, version.version_number)
    return Reference.parse(version)


def selected(
    model: AnyReference, version: int | VersionInfo | VersionRecord | None
) -> tuple[Reference, VersionInfo | None]:
    """
    Return the reference of the version to retrieve, and its info if the caller has one.

    Args:
        model: the id of a model, if a version is given; otherwise a reference, or a version's info or record.
        version: the version's number, selector, info or record; ``None`` if ``model`` names the version.

    Raises:
        InvalidRequest: the version is named twice, or it cannot exist.
        InvalidModelId: the reference names a model that cannot exist.
    """
    if version is not None:
        if not isinstance(model, str):
            raise InvalidRequest("name the version once: leave out 'version', or pass the id of the model before it")
        if isinstance(version, int):
            return Reference(model, version), None
        info = version.info if isinstance(version, VersionRecord) else version
        return Reference(model, info.version_number), info
    if isinstance(model, str) and "@" not in model and "%" not in model:
        return Reference(model, LATEST), None  # other servers have ids that no reference may have
    if isinstance(model, VersionRecord):
        model = model.info
    return reference_of(model), model if isinstance(model, VersionInfo) else None


def sendable_metadata(metadata: Mapping[str, str] | None, name: str = "metadata") -> dict[str, str]:
    """
    Return metadata, or labels, as a dictionary of text.

    Args:
        metadata: the pairs; ``None`` for none.
        name: what they are, for the error.

    Raises:
        InvalidRequest: a key or a value is not text.
    """
    pairs = dict(metadata or {})
    for key, value in pairs.items():
        if not (_is_text(key) and _is_text(value)):
            raise InvalidRequest(f"{name} must map text to text; {key!r}: {value!r} does not")
    return pairs


def sendable_metrics(metrics: Mapping[str, float] | None) -> dict[str, float]:
    """
    Return metrics as a dictionary of numbers.

    Args:
        metrics: the metrics, such as numbers of NumPy's; ``None`` for none.

    Raises:
        InvalidRequest: a name is not text, or a value not a number.
    """
    return {name: _sendable_metric(name, number) for name, number in (metrics or {}).items()}


def _sendable_metric(name: object, number: object) -> float:
    if not isinstance(name, str) or not isinstance(number, Real):
        raise InvalidRequest(f"metrics must map text to numbers; {name!r}: {number!r} does not")
    return float(number)


def sendable_annotations(labels: Mapping[str, str] | None, metrics: Mapping[str, float] | None) -> Annotations:
    """
    Return labels and metrics.

    Raises:
        InvalidRequest: they are not allowed.
    """
    return check_annotations(Annotations(sendable_metadata(labels, "labels"), sendable_metrics(metrics)))


def sendable_names(names: Iterable[str]) -> tuple[str, ...]:
    """
    Return names: several, or one as text.
    """
    return (names,) if isinstance(names, str) else tuple(names)


def sendable_text(text: str, name: str) -> str:
    """
    Return text.

    Args:
        text: the text.
        name: what it is, for the error.

    Raises:
        InvalidRequest: it is not text.
    """
    if not _is_text(text):
        raise InvalidRequest(f"{name} must be Unicode text, not {text!r}")
    return text


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
