"""
The samples of the messages of ``twisted_registry.v1`` in JSON, one file for each message.

A file has one sample, or several if the message has a oneof.  After a change of the API, write them again::

    python -m tests.support.json_samples
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass

from twisted_registry.protocol.messages import POOL

SAMPLES = Path(__file__).parents[1] / "data" / "registry_v1_json"

_SHA256 = bytes(range(224, 256))
_TEXTS = {
    "model_id": "walker",
    "reference": "walker@production",
    "prefix": "team/",
    "alias": "production",
    "filter": "archived AND metrics.return > 200",
    "order_by": "metrics.return desc",
    "metric": "return",
    "metrics": "return",
    "name": "return",
    "encoding": "identity",
    "kinds": "alias_moved",
    "actions": "read",
    "stream": "WatchEvents",
    "peer": "ipv4:192.0.2.7:51234",
}
_NUMBERS = {
    FieldDescriptor.TYPE_UINT64: 2**53 + 1,
    FieldDescriptor.TYPE_UINT32: 4_000_000_000,
    FieldDescriptor.TYPE_INT32: 100,
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_DOUBLE: 212.5,
}
_MAPS: Mapping[str, Mapping[str, Any]] = {
    "metadata": {"git_commit": "4f2a"},
    "labels": {"env.name": "Walker"},
    "metrics": {"my_return": 212.5, "loss": float("inf")},
    "aliases": {"production": 3},
}
_WELL_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "google.protobuf.Timestamp": {"seconds": 1_769_860_800, "nanos": 123_456_789},
    "google.protobuf.Duration": {"seconds": 90, "nanos": 500_000_000},
    "google.protobuf.FieldMask": {"paths": ["labels", "metrics.`my%5freturn`"]},
}


def message_types() -> Mapping[str, Any]:
    """
    Return the descriptors of all messages of the package, by name.
    """
    types: Mapping[str, Any] = POOL.FindFileByName("twisted_registry/v1/registry.proto").message_types_by_name
    return types


def samples_of(descriptor: Any) -> Iterator[Any]:
    """
    Make samples of a message that have all fields between them.
    """
    for number in range(max((len(oneof.fields) for oneof in descriptor.oneofs), default=1)):
        message = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            oneof = field.containing_oneof
            if oneof is None or oneof.fields[number % len(oneof.fields)] is field:
                _set(message, field)
        yield message


def _set(message: Any, field: Any) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name).update(_MAPS[field.name])
    elif field.message_type is not None:
        value = _message(field.message_type)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            getattr(message, field.name).CopyFrom(value)
    elif field.is_repeated:
        getattr(message, field.name).append(_scalar(field))
    else:
        setattr(message, field.name, _scalar(field))


def _message(descriptor: Any) -> Any:
    if descriptor.full_name in _WELL_KNOWN:
        return GetMessageClass(descriptor)(**_WELL_KNOWN[descriptor.full_name])
    return next(samples_of(descriptor))


def _scalar(field: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _TEXTS.get(field.name, field.name.replace("_", " "))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _SHA256 if field.name == "sha256" else b"\xfb\xff\x00"
    return _NUMBERS[field.type]


def text_of(descriptor: Any) -> str:
    """
    Return the content of a message's file.
    """
    return json.dumps([MessageToDict(message) for message in samples_of(descriptor)], indent=2, sort_keys=True) + "\n"


def path_of(name: str) -> Path:
    """
    Return where the samples of a message are.
    """
    return SAMPLES / f"{name}.json"


if __name__ == "__main__":
    SAMPLES.mkdir(exist_ok=True)
    for name, descriptor in message_types().items():
        path_of(name).write_text(text_of(descriptor), encoding="utf-8")
