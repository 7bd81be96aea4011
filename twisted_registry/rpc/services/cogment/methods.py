"""
The method table of ``cogmentAPI.ModelRegistrySP``.
"""

from collections.abc import Callable, Sequence
from typing import Any

from twisted_registry.config.limits import Limits
from twisted_registry.protocol.messages import SERVICE_NAME, api
from twisted_registry.rpc.about import AboutCalls
from twisted_registry.rpc.admission import Admission
from twisted_registry.rpc.create import CreateCalls
from twisted_registry.rpc.infos import InfoCalls
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.methods import Action, Method, Service
from twisted_registry.rpc.models import ModelCalls
from twisted_registry.rpc.outgoing import Outgoing
from twisted_registry.rpc.pages import LongLists
from twisted_registry.rpc.retrieve import DataCalls
from twisted_registry.rpc.sockets import disconnect
from twisted_registry.rpc.updates import Hub, UpdateCalls
from twisted_registry.rpc.wire import data_asked, parse, version_header


def cogment_service(lookup: Lookup, hub: Hub, about: AboutCalls, limits: Limits, chunk_bytes: int) -> Service:
    """
    Return the service to add to a server.

    All handlers take and return raw bytes: some requests are checked before they are parsed, and a version's data does
    not pass through protobuf.

    Args:
        chunk_bytes: the length of the data in each chunk sent, except a version's last.
    """
    outgoing = Outgoing(limits, disconnect)
    lists = LongLists(outgoing)
    models, infos, updates = ModelCalls(lookup, lists), InfoCalls(lookup, lists), UpdateCalls(lookup, hub, outgoing)
    creates = CreateCalls(lookup, Admission(limits), outgoing, chunk_bytes)
    data = DataCalls(lookup, outgoing, chunk_bytes)
    return Service(SERVICE_NAME, _table(models, infos, creates, data, updates, about))


def _table(
    models: ModelCalls,
    infos: InfoCalls,
    creates: CreateCalls,
    data: DataCalls,
    updates: UpdateCalls,
    about: AboutCalls,
) -> Sequence[Method]:
    read, publish = Action.READ, Action.PUBLISH
    return (
        Method("CreateOrUpdateModel", models.create_or_update_model, publish, _saved_model_id),
        Method("DeleteModel", models.delete_model, Action.ADMIN, _model_id(api.DeleteModelRequest)),
        Method("RetrieveModels", models.retrieve_models, read),
        Method("CreateVersion", creates.create_version, publish, lambda raw: version_header(raw).model_id),
        Method("RetrieveVersionInfos", infos.retrieve_version_infos, read, _model_id(api.RetrieveVersionInfosRequest)),
        Method("RetrieveVersionData", data.retrieve_version_data, read, lambda raw: data_asked(raw)[0]),
        Method("VersionUpdate", updates.version_update, read, _model_id(api.VersionUpdateRequest)),
        # Clients find out with these which archive is served.
        Method("Version", about.version, Action.NONE, any_archive=True),
        Method("Status", about.status, read, any_archive=True),
    )


def _saved_model_id(raw: bytes) -> str:
    return parse(api.CreateOrUpdateModelRequest, raw).model_info.model_id


def _model_id(request: Any) -> Callable[[bytes], str]:
    def find(raw: bytes) -> str:
        return str(parse(request, raw).model_id)

    return find
