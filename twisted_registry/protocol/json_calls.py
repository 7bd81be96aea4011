"""
The calls of ``twisted_registry.v1`` in JSON: requests from JSON, replies and errors to JSON.

Messages have the form of protobuf's JSON mapping (https://protobuf.dev/programming-guides/json/), and errors that of
the Connect protocol (https://connectrpc.com/docs/protocol/#error-end-stream).
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.protocol.error_map import KEY, Metadatum
from twisted_registry.protocol.messages import POOL, REGISTRY_SERVICE_NAME

_TYPE_PREFIX = "type.googleapis.com/"

_NESTING_MAX = 32
"""No request has more levels."""


@frozen
class JsonMethod:
    """
    A call whose request is one message.

    Attributes:
        name: its name, such as ``GetModel``.
        path: its full name, such as ``/twisted_registry.v1.Registry/GetModel``.
        is_reading: whether it changes nothing.
        streams_replies: whether there is any number of replies.
        request_type: the type of the request.
        reply_type: the type of each reply.
    """

    name: str
    path: str
    is_reading: bool
    streams_replies: bool
    request_type: Any
    reply_type: Any

    def request_from_json(self, body: bytes) -> bytes:
        """
        Return a request, serialized.

        Args:
            body: a JSON object; empty for a request without fields.

        Raises:
            InvalidRequest: it is not valid.
        """
        request = self.request_type()
        try:
            if body:
                json_format.Parse(body, request, descriptor_pool=POOL, max_recursion_depth=_NESTING_MAX)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"the request is not a {self.request_type.DESCRIPTOR.name} in JSON: {error}") from None
        return bytes(request.SerializeToString())

    def request_from_query(self, query: Mapping[str, Sequence[str]]) -> bytes:
        """
        Return a request, serialized.

        Args:
            query: the values of its fields, as texts.

        Raises:
            InvalidRequest: it is not valid.
        """
        fields = {}
        for name, values in query.items():
            descriptor = self._field(name)
            texts = [_TRUTHS.get(text, text) if descriptor.type == descriptor.TYPE_BOOL else text for text in values]
            if not descriptor.is_repeated and len(texts) > 1:
                raise InvalidRequest(f"the query has several values of {name!r}; pass one")
            fields[name] = texts if descriptor.is_repeated else texts[0]
        return self.request_from_json(json.dumps(fields).encode())

    def _field(self, name: str) -> Any:
        descriptor = self.request_type.DESCRIPTOR
        found = descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)
        if found is None:
            names = ", ".join(sorted(descriptor.fields_by_name)) or "none"
            raise InvalidRequest(f"{self.name} has no field {name!r}; it has {names}")
        return found

    def reply_to_json(self, reply: bytes) -> str:
        """
        Return a serialized reply in JSON, on one line.
        """
        message = self.reply_type.FromString(reply)
        return json_format.MessageToJson(message, indent=None, descriptor_pool=POOL, ensure_ascii=True)


_TRUTHS = {"true": True, "false": False}


def _json_methods() -> Iterable[JsonMethod]:
    for method in POOL.FindServiceByName(REGISTRY_SERVICE_NAME).methods:
        if not method.client_streaming:
            yield JsonMethod(
                name=method.name,
                path=f"/{REGISTRY_SERVICE_NAME}/{method.name}",
                is_reading=method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS,
                streams_replies=method.server_streaming,
                request_type=GetMessageClass(method.input_type),
                reply_type=GetMessageClass(method.output_type),
            )


METHODS: Mapping[str, JsonMethod] = {method.name: method for method in _json_methods()}
"""The calls by name: all but those whose client streams."""


def cursor_of(event: bytes) -> str:
    """
    Return the cursor of a serialized ``Event``.
    """
    return str(METHODS["WatchEvents"].reply_type.FromString(event).cursor)


def error_to_json(code: str, text: str, trailing: Iterable[Metadatum] = ()) -> str:
    """
    Return an error in JSON, on one line.

    Args:
        code: the name of its status code, such as ``NOT_FOUND``.
        trailing: the trailing metadata of the call.
    """
    error: dict[str, Any] = {"code": code.lower().replace("cancelled", "canceled"), "message": text}
    details = [_detail(detail) for detail in _details(trailing)]
    if details:
        error["details"] = details
    return json.dumps(error)


def retry_after_seconds(trailing: Iterable[Metadatum]) -> float:
    """
    Return after how many seconds a call may be repeated; 0 if its error does not say.
    """
    for detail in _details(trailing):
        info = RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToNanoseconds()) / 10**9
    return 0.0


def _details(trailing: Iterable[Metadatum]) -> Sequence[Any]:
    for key, value in trailing:
        if key == KEY and isinstance(value, bytes):
            try:
                details: Sequence[Any] = Status.FromString(value).details
                return details
            except DecodeError:
                break
    return ()


def _detail(detail: Any) -> Mapping[str, Any]:
    described = json_format.MessageToDict(detail)
    described.pop("@type", None)
    return {
        "type": detail.type_url.removeprefix(_TYPE_PREFIX),
        "value": base64.b64encode(detail.value).decode().rstrip("="),
        "debug": described,
    }
