"""
The proto packages that both ends speak: their descriptors, and the message classes of Cogment's API and of the
registry's own.

The build compiles all .proto files under ``protos/`` to one set of descriptors.  To add a package, put its files there
and name its messages here, as ``api`` and ``common``.

The descriptors live in a private ``DescriptorPool``.  Protobuf's default pool belongs to the whole process and refuses
a second ``cogmentAPI.*``: a program that has the Cogment SDK too could import only one of the two.

Type checkers see the stubs that ``make lint`` has protoc write.  It moves those of ``twisted_registry/`` to
``registry_api/``, so that they don't hide this package.
"""

from collections.abc import Iterable
from importlib import resources
from types import SimpleNamespace
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2

_DESCRIPTORS = "_descriptors.binpb"

SERVICE_NAME = "cogmentAPI.ModelRegistrySP"

POOL = DescriptorPool()
"""All that the server speaks: reflection describes the services it finds here."""


def add_files(files: Iterable[bytes]) -> None:
    """
    Add compiled .proto files to the pool.

    Args:
        files: serialized ``FileDescriptorProto``, each after those it imports.
    """
    for file in files:
        POOL.AddSerializedFile(file)


def message_classes(file_name: str) -> SimpleNamespace:
    """
    Return the classes of a file's messages by name, like the module that protoc would write.
    """
    messages = POOL.FindFileByName(file_name).message_types_by_name
    return SimpleNamespace(**{name: GetMessageClass(descriptor) for name, descriptor in messages.items()})


def _compiled_files() -> Iterable[bytes]:
    try:
        serialized = resources.files(__package__).joinpath(_DESCRIPTORS).read_bytes()
    except FileNotFoundError:
        raise ImportError(
            f"{_DESCRIPTORS} is missing; the build compiles it from protos/: run 'pip install -e .' in the checkout"
        ) from None
    return [file.SerializeToString() for file in FileDescriptorSet.FromString(serialized).file]


add_files(_compiled_files())
add_files([health_pb2.DESCRIPTOR.serialized_pb])

SERVICE = POOL.FindServiceByName(SERVICE_NAME)
"""The descriptor of Cogment's service: its methods with the types of their messages."""

REGISTRY_SERVICE_NAME = "twisted_registry.v1.Registry"

WRITES_NAME = "twisted_registry.writes"
"""The name under which health checks report whether versions can be stored.  No service has it."""

if TYPE_CHECKING:
    from cogment.api import common_pb2 as common, model_registry_pb2 as api
    from google.protobuf.empty_pb2 import Empty
    from registry_api.v1 import registry_pb2 as v1
else:
    Empty = GetMessageClass(POOL.FindMessageTypeByName("google.protobuf.Empty"))
    v1 = message_classes("twisted_registry/v1/registry.proto")
    common = message_classes("cogment/api/common.proto")
    api = message_classes("cogment/api/model_registry.proto")

__all__ = [
    "POOL",
    "REGISTRY_SERVICE_NAME",
    "SERVICE",
    "SERVICE_NAME",
    "WRITES_NAME",
    "Empty",
    "add_files",
    "api",
    "common",
    "message_classes",
    "v1",
]
