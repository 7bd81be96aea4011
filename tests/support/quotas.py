"""
A registry with quotas, for tests, and its calls in both services.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from twisted.trial.unittest import SynchronousTestCase

from tests.support.access import Grants, NamedTokens, grant
from tests.support.client import DEADLINE_SECONDS, body, header
from twisted_registry.access.callers import Callers
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.transient import TransientBudget
from twisted_registry.domain.quotas import Quota
from twisted_registry.protocol.messages import api, v1
from twisted_registry.testing.server import BUDGET, InProcessRegistry

COGMENT, V1 = "/cogmentAPI.ModelRegistrySP", "/twisted_registry.v1.Registry"


def _cogment_stream(model_id: str, size_bytes: int, archived: bool) -> list[Any]:
    return [header(model_id, size_bytes, archived=archived), body(bytes(size_bytes))]


def _v1_stream(model_id: str, size_bytes: int, archived: bool) -> list[Any]:
    fields = v1.CreateVersionHeader(model_id=model_id, size_bytes=size_bytes, archived=archived)
    return [v1.CreateVersionRequest(header=fields), v1.CreateVersionRequest(chunk=bytes(size_bytes))]


CREATE: Mapping[str, Callable[[str, int, bool], list[Any]]] = {
    f"{COGMENT}/CreateVersion": _cogment_stream,
    f"{V1}/CreateVersion": _v1_stream,
}
"""The uploads of both services: each takes a model, the size of the data, and whether it is archived."""

READ: Mapping[str, Callable[[str, int], Any]] = {
    f"{COGMENT}/RetrieveVersionData": lambda it, n: api.RetrieveVersionDataRequest(model_id=it, version_number=n),
    f"{V1}/ReadVersion": lambda it, n: v1.ReadVersionRequest(reference=f"{it}@{n}"),
}
"""The downloads of both services: each takes a model and the number of a version."""


def facts_of(error: grpc.RpcError) -> dict[str, str]:
    """
    Return the facts of a refusal by a quota; empty for another error.
    """
    trailing: Any = error
    for key, value in trailing.trailing_metadata():
        if key == "grpc-status-details-bin":
            info = ErrorInfo()
            Status.FromString(value).details[0].Unpack(info)
            return dict(info.metadata) if info.reason == "QUOTA_EXCEEDED" else {}
    return {}


class QuotaCase(SynchronousTestCase):
    """
    A registry where each token may do anything, within quotas.

    Attributes:
        budget: the memory for versions.
    """

    budget: TransientBudget = BUDGET

    def serve(self, quotas: Sequence[Quota], archive: IArchive | None = None) -> InProcessRegistry:
        """
        Start a registry.

        Args:
            archive: its archive; ``None`` for a new one.
        """
        self.tokens = NamedTokens()
        access = Callers([self.tokens], Grants(by_subject={"anyone": [grant("admin", "*")]}))
        self.registry = InProcessRegistry(archive, self.budget, access=access, quotas=quotas)
        self.registry.start()
        self.addCleanup(self.registry.stop)
        self.channel = grpc.insecure_channel(self.registry.address)
        self.addCleanup(self.channel.close)
        return self.registry

    def begin(self, path: str, request: Any, token: str = "ann") -> Any:
        """
        Begin a call, and return its iterator of replies.
        """
        self.tokens.names[token] = None
        messages = request if isinstance(request, list | Iterator) else [request]
        stream: Any = self.channel.stream_stream(path, lambda message: message.SerializeToString(), bytes)
        return stream(iter(messages), metadata=(("authorization", f"Bearer {token}"),), timeout=DEADLINE_SECONDS)

    def replies(self, path: str, request: Any, token: str = "ann") -> list[bytes]:
        """
        Make a call, and return its replies.
        """
        return list(self.begin(path, request, token))

    def refusal(self, path: str, request: Any, token: str = "ann") -> dict[str, str] | None:
        """
        Make a call until its first reply, and return the facts of its refusal; ``None`` if no quota refused it.
        """
        call = self.begin(path, request, token)
        try:
            next(call)
        except StopIteration:
            return None
        except grpc.RpcError as error:
            return facts_of(error) or None
        call.cancel()
        return None

    def save(self, *model_ids: str) -> None:
        """
        Create models.
        """
        for model_id in model_ids:
            request = api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id=model_id))
            self.replies(f"{COGMENT}/CreateOrUpdateModel", request, "admin")

    def create(
        self, model_id: str, size_bytes: int, archived: bool = False, token: str = "ann", path: str = ""
    ) -> dict[str, str] | None:
        """
        Create a version, and return the facts of its refusal; ``None`` if no quota refused it.
        """
        path = path or f"{COGMENT}/CreateVersion"
        return self.refusal(path, CREATE[path](model_id, size_bytes, archived), token)

    def numbers(self, model_id: str) -> list[int]:
        """
        Return the numbers of a model's versions.
        """
        request = api.RetrieveVersionInfosRequest(model_id=model_id)
        (reply,) = self.replies(f"{COGMENT}/RetrieveVersionInfos", request, "admin")
        return [it.version_number for it in api.RetrieveVersionInfosReply.FromString(reply).version_infos]
