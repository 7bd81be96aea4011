"""
A client that knows the messages only from the server's description, like grpcurl.
"""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import grpc
from attrs import define, field
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.client import DEADLINE_SECONDS


def json_values(text: str) -> Iterator[Any]:
    """
    Yield the JSON values in a text, as grpcurl reads the messages of a client stream.
    """
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        text = text[end:]
        yield value


@define
class ReflectedClient:
    """
    A client that calls any method that a server describes, with JSON.
    """

    channel: grpc.Channel
    database: ProtoReflectionDescriptorDatabase = field(init=False)
    pool: DescriptorPool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)

    def describe(self, service: str) -> dict[str, str]:
        """
        Return the methods of a service as in a .proto file.
        """
        return {
            method.name: "({}{}) ({}{})".format(
                "stream " if method.client_streaming else "",
                method.input_type.full_name,
                "stream " if method.server_streaming else "",
                method.output_type.full_name,
            )
            for method in self.pool.FindServiceByName(service).methods
        }

    def call(self, path: str, text: str, most_replies: int | None = None) -> list[Any]:
        """
        Make a call with JSON, and return its replies as JSON values.

        Args:
            most_replies: the number of replies after which to cancel; ``None`` for a call that ends by itself.
        """
        service, name = path.split("/")
        method = self.pool.FindServiceByName(service).methods_by_name[name]
        request_class, reply_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        requests = [
            json_format.ParseDict(value, request_class(), descriptor_pool=self.pool) for value in json_values(text)
        ]
        # To gRPC a call without streams is one whose streams hold one message each.
        replies = self.channel.stream_stream(f"/{path}", request_class.SerializeToString, reply_class.FromString)(
            iter(requests), timeout=DEADLINE_SECONDS
        )
        found = [
            json_format.MessageToDict(reply, preserving_proto_field_name=True, descriptor_pool=self.pool)
            for reply in islice(replies, most_replies)
        ]
        replies.cancel()
        return found
