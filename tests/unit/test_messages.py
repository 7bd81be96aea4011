"""
Tests for ``twisted_registry.protocol.messages``: the messages against a table, and their pool.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.protocol.messages import POOL, SERVICE, SERVICE_NAME, api, common
from twisted_registry.rpc.services.reflection import reflection_service

FILES = {
    "cogment/api/common.proto": ["VersionRequest", "VersionInfo", "StatusRequest", "StatusReply"],
    "cogment/api/model_registry.proto": [
        "ModelInfo",
        "ModelVersionInfo",
        "CreateOrUpdateModelRequest",
        "CreateOrUpdateModelReply",
        "DeleteModelRequest",
        "DeleteModelReply",
        "RetrieveModelsRequest",
        "RetrieveModelsReply",
        "CreateVersionRequestChunk",
        "CreateVersionReply",
        "RetrieveVersionInfosRequest",
        "RetrieveVersionInfosReply",
        "RetrieveVersionDataRequest",
        "RetrieveVersionDataReplyChunk",
        "VersionUpdateRequest",
        "VersionUpdateReply",
    ],
}

FIELDS = {
    "ModelInfo": ["model_id string=1", "user_data map<string,string>=2"],
    "ModelVersionInfo": [
        "model_id string=1",
        "version_number uint32=2",
        "creation_timestamp fixed64=3",
        "archived bool=4",
        "data_hash string=5",
        "data_size fixed64=6",
        "user_data map<string,string>=7",
    ],
    "CreateOrUpdateModelRequest": ["model_info ModelInfo=1"],
    "CreateOrUpdateModelReply": [],
    "DeleteModelRequest": ["model_id string=1"],
    "DeleteModelReply": [],
    "RetrieveModelsRequest": ["model_ids repeated string=1", "models_count uint32=3", "model_handle string=4"],
    "RetrieveModelsReply": ["model_infos repeated ModelInfo=1", "next_model_handle string=2"],
    "CreateVersionRequestChunk": [
        "header CreateVersionRequestChunk.Header=1 (msg)",
        "body CreateVersionRequestChunk.Body=2 (msg)",
    ],
    "CreateVersionRequestChunk.Header": ["version_info ModelVersionInfo=1"],
    "CreateVersionRequestChunk.Body": ["data_chunk bytes=1"],
    "CreateVersionReply": ["version_info ModelVersionInfo=1"],
    "RetrieveVersionInfosRequest": [
        "model_id string=1",
        "version_numbers repeated int32=2",
        "versions_count uint32=3",
        "version_handle string=4",
    ],
    "RetrieveVersionInfosReply": ["version_infos repeated ModelVersionInfo=1", "next_version_handle string=2"],
    "RetrieveVersionDataRequest": ["model_id string=1", "version_number int32=2"],
    "RetrieveVersionDataReplyChunk": ["data_chunk bytes=1"],
    "VersionUpdateRequest": ["model_id string=1"],
    "VersionUpdateReply": ["version_info ModelVersionInfo=1"],
    "VersionRequest": [],
    "VersionInfo": ["versions repeated VersionInfo.Version=1"],
    "VersionInfo.Version": ["name string=1", "version string=2"],
    "StatusRequest": ["names repeated string=1"],
    "StatusReply": ["statuses map<string,string>=1"],
}

METHODS = [
    "CreateOrUpdateModel(CreateOrUpdateModelRequest) CreateOrUpdateModelReply",
    "DeleteModel(DeleteModelRequest) DeleteModelReply",
    "RetrieveModels(RetrieveModelsRequest) RetrieveModelsReply",
    "CreateVersion(stream CreateVersionRequestChunk) CreateVersionReply",
    "RetrieveVersionInfos(RetrieveVersionInfosRequest) RetrieveVersionInfosReply",
    "RetrieveVersionData(RetrieveVersionDataRequest) stream RetrieveVersionDataReplyChunk",
    "VersionUpdate(VersionUpdateRequest) stream VersionUpdateReply",
    "Version(VersionRequest) VersionInfo",
    "Status(StatusRequest) StatusReply",
]

PACKAGE = "cogmentAPI."

TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_FIXED64: "fixed64",
}


def short(name: str) -> str:
    """
    Return a message's name without its package.
    """
    return name.removeprefix(PACKAGE)


def type_of(field: FieldDescriptor) -> str:
    """
    Return a field's type as in the table.
    """
    message = field.message_type
    if message is None:
        return TYPES[field.type]
    if message.GetOptions().map_entry:
        key, value = message.fields
        return f"map<{type_of(key)},{type_of(value)}>"
    return short(message.full_name)


def repeated(message: Descriptor) -> set[str]:
    """
    Return the names of a message's repeated fields, except maps.
    """
    # A descriptor's own way of saying this has changed between releases of protobuf; the message as data has not.
    proto = FileDescriptorProto().message_type.add()
    message.CopyToProto(proto)
    return {
        field.name
        for field in proto.field
        if field.label == field.LABEL_REPEATED and not type_of(message.fields_by_name[field.name]).startswith("map<")
    }


def row(message: Descriptor) -> list[str]:
    """
    Return a message's fields as in the table.
    """
    several = repeated(message)
    return [
        f"{field.name} {'repeated ' if field.name in several else ''}{type_of(field)}={field.number}"
        + (f" ({field.containing_oneof.name})" if field.containing_oneof else "")
        for field in message.fields
    ]


def with_nested(message: Descriptor) -> list[Descriptor]:
    """
    Yield a message and its nested messages, except the entries of maps.
    """
    nested = [inner for inner in message.nested_types if not inner.GetOptions().map_entry]
    return [message, *nested]


class WireTests(SynchronousTestCase):
    """
    Names, numbers and types are those of existing clients.
    """

    maxDiff = None

    def test_files(self) -> None:
        """
        The files have their names, package, syntax and messages.
        """
        for name, messages in FILES.items():
            file = POOL.FindFileByName(name)
            proto = FileDescriptorProto()
            file.CopyToProto(proto)
            self.assertEqual((proto.package, proto.syntax), ("cogmentAPI", "proto3"))
            self.assertEqual(list(file.message_types_by_name), messages)

    def test_messages(self) -> None:
        """
        Each message has exactly its fields.
        """
        messages = [
            message
            for name in FILES
            for top in POOL.FindFileByName(name).message_types_by_name.values()
            for message in with_nested(top)
        ]
        self.assertEqual({short(message.full_name): row(message) for message in messages}, FIELDS)

    def test_service(self) -> None:
        """
        The service has the nine calls with their request and reply types.
        """
        self.assertEqual(SERVICE_NAME, "cogmentAPI.ModelRegistrySP")
        calls = [
            f"{method.name}({'stream ' if method.client_streaming else ''}{short(method.input_type.full_name)}) "
            f"{'stream ' if method.server_streaming else ''}{short(method.output_type.full_name)}"
            for method in SERVICE.methods
        ]
        self.assertEqual(calls, METHODS)

    def test_classes(self) -> None:
        """
        Every message has a class that serializes it.
        """
        for namespace, messages in zip((common, api), FILES.values(), strict=True):
            for name in messages:
                self.assertEqual(getattr(namespace, name).DESCRIPTOR.full_name, PACKAGE + name)
        chunk = api.CreateVersionRequestChunk
        body = chunk(body=chunk.Body(data_chunk=b"data"))
        self.assertEqual(body.SerializeToString(), b"\x12\x06\x0a\x04data")

    def test_standard_services(self) -> None:
        """
        The pool also describes health, and reflection once that is served.
        """
        reflection_service([])
        for name in ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"):
            self.assertEqual(POOL.FindServiceByName(name).full_name, name)


OTHER_PACKAGE = """
from google.protobuf import descriptor_pool, message_factory

FILES = {files!r}

pool = descriptor_pool.Default()
for serialized in FILES:
    pool.AddSerializedFile(serialized)
ModelInfo = message_factory.GetMessageClass(pool.FindMessageTypeByName("cogmentAPI.ModelInfo"))
"""

BOTH = """
{imports}
ours = api.ModelInfo(model_id="m", user_data={{"a": "b"}})
theirs = other_sdk.ModelInfo.FromString(ours.SerializeToString())
assert theirs.model_id == "m" and theirs.user_data["a"] == "b"
assert type(theirs) is not type(ours)
print("both")
"""


class DefaultPoolTests(SynchronousTestCase):
    """
    Another package may register ``cogmentAPI.*`` in protobuf's default pool.
    """

    def setUp(self) -> None:
        """
        Write such a package, with a different ``ModelInfo``, as in another release.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        files = []
        for name in FILES:
            file = FileDescriptorProto()
            POOL.FindFileByName(name).CopyToProto(file)
            for message in file.message_type:
                if message.name == "ModelInfo":
                    message.field.add(name="later", number=9, type=9, label=1)
            files.append(file.SerializeToString())
        Path(self.folder, "other_sdk.py").write_text(OTHER_PACKAGE.format(files=files))

    def run_with(self, *imports: str) -> str:
        """
        Import and use both in a separate process.
        """
        root = Path(__file__).parents[2]
        environ = os.environ | {"PYTHONPATH": os.pathsep.join([self.folder, str(root)])}
        script = BOTH.format(imports="\n".join(imports))
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environ, text=True, capture_output=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def test_other_first(self) -> None:
        """
        The other package may be imported before ours.
        """
        said = self.run_with("import other_sdk", "from twisted_registry.protocol.messages import api")
        self.assertEqual(said, "both\n")

    def test_ours_first(self) -> None:
        """
        The other package may be imported after ours.
        """
        said = self.run_with("from twisted_registry.protocol.messages import api", "import other_sdk")
        self.assertEqual(said, "both\n")
