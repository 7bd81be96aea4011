"""
Changes of labels and metrics as they are sent.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from twisted_registry.client._transport.requests import sendable_metadata, sendable_metrics, sendable_names
from twisted_registry.domain.annotations import Annotations, check_annotations
from twisted_registry.domain.masks import mask_key
from twisted_registry.protocol.messages import v1


def annotations_request(
    reference: str,
    labels: Mapping[str, str] | None,
    metrics: Mapping[str, float] | None,
    remove_labels: Iterable[str],
    remove_metrics: Iterable[str],
    replace: bool,
) -> Any:
    """
    Return the request that sets some labels and metrics, and removes some.

    Args:
        replace: whether all others are removed.

    Raises:
        InvalidRequest: a key or a value is not allowed.
    """
    without_labels, without_metrics = _names(remove_labels), _names(remove_metrics)
    given = check_annotations(
        Annotations(
            {key: label for key, label in sendable_metadata(labels, "labels").items() if key not in without_labels},
            {name: number for name, number in sendable_metrics(metrics).items() if name not in without_metrics},
        )
    )
    request = v1.UpdateVersionRequest(reference=reference)
    request.version.labels.update(given.labels)
    request.version.metrics.update(given.metrics)
    if replace:
        # Of damaged ones, the server needs both masks.
        request.update_mask.paths.extend(["labels", "metrics"])
    elif without_labels or without_metrics:
        paths = [f"labels.{mask_key(key)}" for key in (*given.labels, *without_labels)]
        paths += [f"metrics.{mask_key(name)}" for name in (*given.metrics, *without_metrics)]
        request.update_mask.paths.extend(paths)
    return request


def _names(names: Iterable[str]) -> tuple[str, ...]:
    found = sendable_names(names)
    # They are checked like the keys that are set.
    check_annotations(Annotations(dict.fromkeys(found, "")))
    return found
