"""
The protobuf messages, from the descriptors that the build compiles out of ``protos/``.

They live in a ``DescriptorPool`` of their own.  Protobuf's default pool belongs to the whole process, and refuses a
second ``cogmentAPI.*``: a program that has the Cogment SDK beside this package could import only one of the two.

Type checkers see the stubs that ``make lint`` has protoc write.
"""

from importlib import resources
from types import SimpleNamespace
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

_DESCRIPTORS = "_descriptors.binpb"

_COMMON_FILE = "cogment/api/common.proto"
_MODEL_REGISTRY_FILE = "cogment/api/model_registry.proto"

SERVICE_NAME = "cogmentAPI.ModelRegistrySP"


def _compiled_files() -> list[FileDescriptorProto]:
    """
    Give the compiled .proto files, each after those it imports.
    """
    try:
        serialized = resources.files(__package__).joinpath(_DESCRIPTORS).read_bytes()
    except FileNotFoundError:
        raise ImportError(
            f"{_DESCRIPTORS} is missing, which the build compiles from protos/: run 'pip install -e .' in the checkout"
        ) from None
    return list(FileDescriptorSet.FromString(serialized).file)


def _make_pool() -> DescriptorPool:
    """
    Give a pool of all that the server speaks: reflection describes the services it finds in here.
    """
    pool = DescriptorPool()
    for file in _compiled_files():
        pool.AddSerializedFile(file.SerializeToString())
    for standard in (health_pb2, reflection_pb2):
        pool.AddSerializedFile(standard.DESCRIPTOR.serialized_pb)
    return pool


def _message_classes(file_name: str) -> SimpleNamespace:
    """
    Give the classes of a file's messages, by name, as the module would hold them that protoc writes.
    """
    messages = POOL.FindFileByName(file_name).message_types_by_name
    return SimpleNamespace(**{name: GetMessageClass(descriptor) for name, descriptor in messages.items()})


POOL = _make_pool()
SERVICE = POOL.FindServiceByName(SERVICE_NAME)
"""The service's descriptor: its methods with the types of their messages."""

if TYPE_CHECKING:
    from cogment.api import common_pb2 as common, model_registry_pb2 as api
else:
    common = _message_classes(_COMMON_FILE)
    api = _message_classes(_MODEL_REGISTRY_FILE)

__all__ = ["POOL", "SERVICE", "SERVICE_NAME", "api", "common"]
