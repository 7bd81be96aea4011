"""
Tests that the messages and calls of ``twisted_registry.v1`` stay what clients were built with.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.protocol.messages import POOL, REGISTRY_SERVICE_NAME

RELEASED = Path(__file__).parents[1] / "data" / "registry_v1.txt"
"""The released API: a line for each field and each call.  Lines are only ever added."""


def _lines() -> Iterator[str]:
    file = POOL.FindFileByName("twisted_registry/v1/registry.proto")
    for message in file.message_types_by_name.values():
        for field in message.fields:
            yield f"{message.name}.{field.name} = {field.number}: {_type(field)}"
    for method in POOL.FindServiceByName(REGISTRY_SERVICE_NAME).methods:
        request = f"stream {method.input_type.name}" if method.client_streaming else method.input_type.name
        reply = f"stream {method.output_type.name}" if method.server_streaming else method.output_type.name
        yield f"{method.name}({request}) -> {reply}"


def _type(field: Any) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return f"map of {_type(key)} to {_type(value)}"
    name = field.message_type.full_name if field.message_type is not None else _NAMES[field.type]
    kind = f"repeated {name}" if field.is_repeated else name
    return f"{kind} in {field.containing_oneof.name}" if field.containing_oneof is not None else kind


_NAMES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


class ReleasedTests(SynchronousTestCase):
    """
    Clients that were built with an earlier version are served.
    """

    def test_unchanged(self) -> None:
        """
        Every field and every call that was released has the same number and type.
        """
        released = set(RELEASED.read_text(encoding="ascii").splitlines())
        present = set(_lines())
        self.assertEqual(released - present, set(), "these would break clients")
        self.assertEqual(present - released, set(), f"add these lines to {RELEASED.name}")

    def test_numbers_are_unique(self) -> None:
        """
        No line stands twice.
        """
        lines = RELEASED.read_text(encoding="ascii").splitlines()
        self.assertEqual(len(lines), len(set(lines)))
