"""
Tests for the API through reflection alone, as grpcurl uses it: the messages are known only from the daemon.
"""

from typing import Any, ClassVar

from tests.support.edge import EdgeTestCase
from tests.support.reflected import ReflectedClient

REGISTRY = "cogmentAPI.ModelRegistrySP"
HEALTH = "grpc.health.v1.Health"

VERSION_1: dict[str, Any] = {
    "model_id": "cartpole",
    "version_number": 1,
    "creation_timestamp": "1767225600000000000",
    "archived": True,
    "data_hash": "mhKQONmgCu0M9qfqBZylCoE0SQYauHhIzxoT6v3zOyw=",
    "data_size": "7",
    "user_data": {"score": "195"},
}

# The JSON that grpcurl takes with -d, and the replies it prints; a streaming call is cancelled after the last of them.
EXAMPLES: list[tuple[str, str, list[dict[str, Any]]]] = [
    (
        f"{REGISTRY}/CreateOrUpdateModel",
        """{"model_info": {"model_id": "cartpole", "user_data": {"algorithm": "ppo"}}}""",
        [{}],
    ),
    (
        f"{REGISTRY}/CreateVersion",
        """
        {"header": {"version_info": {"model_id": "cartpole", "archived": true, "data_size": 7,
            "creation_timestamp": "1767225600000000000", "user_data": {"score": "195"}}}}
        {"body": {"data_chunk": "d2VpZw=="}}
        {"body": {"data_chunk": "aHRz"}}
        """,
        [{"version_info": VERSION_1}],
    ),
    (
        f"{REGISTRY}/RetrieveModels",
        """{}""",
        [{"model_infos": [{"model_id": "cartpole", "user_data": {"algorithm": "ppo"}}], "next_model_handle": "1"}],
    ),
    (
        f"{REGISTRY}/RetrieveModels",
        """{"model_ids": ["cartpole"], "models_count": 10}""",
        [{"model_infos": [{"model_id": "cartpole", "user_data": {"algorithm": "ppo"}}], "next_model_handle": "1"}],
    ),
    (
        f"{REGISTRY}/RetrieveVersionInfos",
        """{"model_id": "cartpole", "version_numbers": [-1]}""",
        [{"version_infos": [VERSION_1], "next_version_handle": "2"}],
    ),
    (
        f"{REGISTRY}/RetrieveVersionInfos",
        """{"model_id": "cartpole", "versions_count": 10}""",
        [{"version_infos": [VERSION_1], "next_version_handle": "2"}],
    ),
    (
        f"{REGISTRY}/RetrieveVersionData",
        """{"model_id": "cartpole", "version_number": 1}""",
        [{"data_chunk": "d2VpZ2h0cw=="}],
    ),
    (
        f"{REGISTRY}/VersionUpdate",
        """{"model_id": "cartpole"}""",
        [{"version_info": VERSION_1}],
    ),
    (
        f"{REGISTRY}/Status",
        """{"names": ["versions_in_memory", "bytes_in_memory"]}""",
        [{"statuses": {"versions_in_memory": "1", "bytes_in_memory": "7"}}],
    ),
    (
        f"{REGISTRY}/DeleteModel",
        """{"model_id": "cartpole"}""",
        [{}],
    ),
    (
        f"{HEALTH}/Check",
        """{}""",
        [{"status": "SERVING"}],
    ),
    (
        f"{HEALTH}/Check",
        """{"service": "cogmentAPI.ModelRegistrySP"}""",
        [{"status": "SERVING"}],
    ),
]


class ReflectionApiTests(EdgeTestCase):
    """
    The API, seen through reflection.
    """

    flags: ClassVar = ["--grpc-reflection"]

    def setUp(self) -> None:
        """
        Ask the daemon for its description.
        """
        super().setUp()
        self.reflected = ReflectedClient(self.client.channel)

    def test_services(self) -> None:
        """
        All services are listed: the registry with both its APIs, health and reflection.
        """
        self.assertEqual(
            set(self.reflected.database.get_services()),
            {REGISTRY, "twisted_registry.v1.Registry", HEALTH, "grpc.reflection.v1alpha.ServerReflection"},
        )

    def test_methods(self) -> None:
        """
        The registry's nine calls are described with their request and reply types.
        """
        self.assertEqual(
            self.reflected.describe(REGISTRY),
            {
                "CreateOrUpdateModel": "(cogmentAPI.CreateOrUpdateModelRequest) (cogmentAPI.CreateOrUpdateModelReply)",
                "DeleteModel": "(cogmentAPI.DeleteModelRequest) (cogmentAPI.DeleteModelReply)",
                "RetrieveModels": "(cogmentAPI.RetrieveModelsRequest) (cogmentAPI.RetrieveModelsReply)",
                "CreateVersion": "(stream cogmentAPI.CreateVersionRequestChunk) (cogmentAPI.CreateVersionReply)",
                "RetrieveVersionInfos": (
                    "(cogmentAPI.RetrieveVersionInfosRequest) (cogmentAPI.RetrieveVersionInfosReply)"
                ),
                "RetrieveVersionData": (
                    "(cogmentAPI.RetrieveVersionDataRequest) (stream cogmentAPI.RetrieveVersionDataReplyChunk)"
                ),
                "VersionUpdate": "(cogmentAPI.VersionUpdateRequest) (stream cogmentAPI.VersionUpdateReply)",
                "Version": "(cogmentAPI.VersionRequest) (cogmentAPI.VersionInfo)",
                "Status": "(cogmentAPI.StatusRequest) (cogmentAPI.StatusReply)",
            },
        )

    def test_health_methods(self) -> None:
        """
        The calls of the health service are described too.
        """
        self.assertLessEqual({"Check", "Watch"}, set(self.reflected.describe(HEALTH)))

    def test_file_names(self) -> None:
        """
        The .proto files have the names that clients know.
        """
        service = self.reflected.pool.FindServiceByName(REGISTRY)
        self.assertEqual(service.file.name, "cogment/api/model_registry.proto")
        version = service.methods_by_name["Version"].output_type
        self.assertEqual(version.file.name, "cogment/api/common.proto")

    def test_unknown_symbol(self) -> None:
        """
        An unknown symbol is reported as missing.
        """
        with self.assertRaises(KeyError):
            self.reflected.database.FindFileContainingSymbol("cogmentAPI.Nonsense")

    def test_examples(self) -> None:
        """
        The life of a model in JSON: each call accepts the request and returns the replies of the examples.
        """
        for path, requests, replies in EXAMPLES:
            most_replies = len(replies) if path == f"{REGISTRY}/VersionUpdate" else None
            self.assertEqual(self.reflected.call(path, requests, most_replies), replies, path)

    def test_version(self) -> None:
        """
        Version, whose reply is not constant, takes an empty request and names what runs.
        """
        (reply,) = self.reflected.call(f"{REGISTRY}/Version", "{}")
        self.assertEqual(reply["versions"][0]["name"], "twisted-registry")

    def test_all_are_called(self) -> None:
        """
        The examples and Version cover all nine calls.
        """
        called = {path for path, *_ in EXAMPLES} | {f"{REGISTRY}/Version"}
        self.assertLessEqual({f"{REGISTRY}/{name}" for name in self.reflected.describe(REGISTRY)}, called)
