"""
Labels and metrics: what may be added to a version, and changed, after it was created.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from math import isnan
from typing import TypeVar

from attrs import evolve, field, frozen

from twisted_registry.domain.errors import InvalidRequest, shown
from twisted_registry.domain.masks import decode_key

MAX_LABELS = 256
MAX_METRICS = 256
MAX_KEY_BYTES = 128
MAX_VALUE_BYTES = 4096
MAX_ANNOTATIONS_BYTES = 64 * 1024
"""The most bytes of UTF-8 that all keys and labels of a version may have together."""

_MAX_PATHS = 1024
_FIELDS = ("labels", "metrics")

Value = TypeVar("Value")


@frozen
class Annotations:
    """
    The labels and metrics of a version.

    Attributes:
        labels: key-value pairs.
        metrics: numbers by name.  They may be infinite, but are never NaN.
    """

    labels: Mapping[str, str] = field(factory=dict)
    metrics: Mapping[str, float] = field(factory=dict)


NO_ANNOTATIONS = Annotations()


def check_annotations(annotations: Annotations) -> Annotations:
    """
    Return annotations, if they are allowed.

    A version may have 256 labels and 256 metrics.  A key has 1 to 128 bytes of UTF-8 without control characters, and a
    label at most 4 KiB.  All keys and labels together have at most 64 KiB.  A metric is any number, also an infinite
    one: the loss of a model that diverged is infinite.  NaN is refused, because it cannot be ordered.

    Raises:
        InvalidRequest: they are not allowed.
    """
    for kind, pairs, limit in (
        ("labels", annotations.labels, MAX_LABELS),
        ("metrics", annotations.metrics, MAX_METRICS),
    ):
        if len(pairs) > limit:
            raise InvalidRequest(f"a version may have {limit} {kind}, not {len(pairs)}; remove some")
    size_bytes = sum(_key_bytes(key) for pairs in (annotations.labels, annotations.metrics) for key in pairs)
    size_bytes += sum(_label_bytes(key, value) for key, value in annotations.labels.items())
    if size_bytes > MAX_ANNOTATIONS_BYTES:
        raise InvalidRequest(
            f"the labels and the names of the metrics have {size_bytes} bytes together; at most "
            f"{MAX_ANNOTATIONS_BYTES} are allowed: shorten or remove some"
        )
    for name, number in annotations.metrics.items():
        if isnan(number):
            raise InvalidRequest(f"metric {shown(name)} is NaN, which cannot be compared; leave it out")
    return annotations


def _key_bytes(key: str) -> int:
    size_bytes = _utf8_bytes(key, "the key")
    if not 1 <= size_bytes <= MAX_KEY_BYTES:
        raise InvalidRequest(
            f"a key of a label or metric must have 1 to {MAX_KEY_BYTES} bytes; {shown(key)} has {size_bytes}"
        )
    if any(unicodedata.category(character) == "Cc" for character in key):
        raise InvalidRequest(f"the key {shown(key)} contains a control character; leave it out")
    return size_bytes


def _label_bytes(key: str, value: str) -> int:
    size_bytes = _utf8_bytes(value, f"label {shown(key)}")
    if size_bytes > MAX_VALUE_BYTES:
        raise InvalidRequest(
            f"label {shown(key)} has {size_bytes} bytes; at most {MAX_VALUE_BYTES} are allowed: shorten it"
        )
    return size_bytes


def _utf8_bytes(text: str, subject: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"{subject} is not Unicode text: {shown(text)}") from None


@frozen
class AnnotationUpdate:
    """
    A change of a version's labels and metrics.

    Attributes:
        labels: the labels to set, by key; ``None`` to remove one.
        metrics: the metrics to set, by name; ``None`` to remove one.
        replaces_labels: whether all other labels are removed.
        replaces_metrics: whether all other metrics are removed.
    """

    labels: Mapping[str, str | None] = field(factory=dict)
    metrics: Mapping[str, float | None] = field(factory=dict)
    replaces_labels: bool = False
    replaces_metrics: bool = False

    @classmethod
    def from_mask(cls, given: Annotations, paths: Sequence[str] = ()) -> "AnnotationUpdate":
        """
        Return the update that a field mask describes.

        ``labels`` and ``metrics`` replace all of them, ``*`` both.  ``labels.KEY`` and ``metrics.KEY`` set a key, or
        remove it if the given annotations lack it; see ``masks`` for how a key is written.  What the mask does not name
        is ignored.

        Args:
            given: the new values.
            paths: the paths of the mask; if it is empty, all given keys are set and the others stay.

        Raises:
            InvalidRequest: the mask names something else.
        """
        if len(paths) > _MAX_PATHS:
            raise InvalidRequest(f"the update mask has {len(paths)} paths; at most {_MAX_PATHS} are allowed")
        if not paths:
            return cls(dict(given.labels), dict(given.metrics))
        masked: dict[str, list[str]] = {name: [] for name in _FIELDS}
        replaced = set(_FIELDS) if "*" in paths else {path for path in paths if path in _FIELDS}
        for path in paths:
            if path != "*" and path not in _FIELDS:
                name, key = _split(path)
                masked[name].append(key)
        return cls(
            dict(given.labels) if "labels" in replaced else {key: given.labels.get(key) for key in masked["labels"]},
            dict(given.metrics)
            if "metrics" in replaced
            else {key: given.metrics.get(key) for key in masked["metrics"]},
            "labels" in replaced,
            "metrics" in replaced,
        )

    @property
    def replaces_all(self) -> bool:
        """
        Return whether the result does not depend on what the version has now.
        """
        return self.replaces_labels and self.replaces_metrics

    def apply(self, present: Annotations = NO_ANNOTATIONS) -> Annotations:
        """
        Return the changed annotations.

        Args:
            present: what the version has now.

        Raises:
            InvalidRequest: the result is not allowed.
        """
        return check_annotations(
            evolve(
                present,
                labels=_changed({} if self.replaces_labels else present.labels, self.labels),
                metrics=_changed({} if self.replaces_metrics else present.metrics, self.metrics),
            )
        )


def _split(path: str) -> tuple[str, str]:
    name, dot, key = path.partition(".")
    if name not in _FIELDS or not dot or not key:
        raise InvalidRequest(
            f"the update mask contains {shown(path)}; only labels, labels.KEY, metrics, metrics.KEY and * can change"
        )
    return name, decode_key(key)


def _changed(present: Mapping[str, Value], changes: Mapping[str, Value | None]) -> dict[str, Value]:
    merged = {**present, **changes}
    return {key: value for key, value in merged.items() if value is not None}
