"""
A service of a second proto package, as it would be added to the server.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from twisted_registry.domain.access import Action
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.protocol.messages import add_files, message_classes
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Method, Service

PROTO_ROOT = Path(__file__).parents[1] / "data"
PROTO = "toys/v1/toys.proto"


def _compile() -> list[bytes]:
    with TemporaryDirectory() as directory:
        target = Path(directory, "descriptors.binpb")
        assert protoc.main(["protoc", f"--proto_path={PROTO_ROOT}", f"--descriptor_set_out={target}", PROTO]) == 0
        return [file.SerializeToString() for file in FileDescriptorSet.FromString(target.read_bytes()).file]


# The build does this for a package under protos/.
add_files(_compile())

toys: Any = message_classes(PROTO)


async def _play(request: Any, call: CallContext) -> Any:
    if request.toy == "lost":
        raise UnknownModel(request.toy)
    if request.toy == "broken":
        raise ZeroDivisionError("a secret")
    return toys.PlayReply(sound=f"{request.toy}!")


def toys_service() -> Service:
    """
    Return the service.
    """
    play = Method(
        "Play",
        _play,
        Action.READ,
        resource=lambda request: str(request.toy),
        request=toys.PlayRequest,
        reply=toys.PlayReply,
    )
    return Service("toys.v1.Toys", [play])
