"""
The method table of ``cogmentAPI.ModelRegistrySP``.
"""

from collections.abc import Iterable, Mapping, Sequence
from platform import python_version

import grpc
import twisted

import twisted_registry
from twisted_registry.application.commands import Commands
from twisted_registry.application.downloads import Downloads
from twisted_registry.application.followers import Followers
from twisted_registry.application.pagination import Lists, ModelsQuery
from twisted_registry.application.queries import Queries
from twisted_registry.application.replies import ListReplies, ReplyCache
from twisted_registry.application.status import ServerStatus
from twisted_registry.application.subscriptions import Subscriptions
from twisted_registry.application.uploads import Uploads
from twisted_registry.application.validation import check_entries
from twisted_registry.config.limits import Limits
from twisted_registry.domain.access import Action, Need, Scope
from twisted_registry.domain.models import VersionHeader
from twisted_registry.protocol.messages import SERVICE_NAME
from twisted_registry.rpc.budgets import ListSlots, ReplyBudget, UploadBudget
from twisted_registry.rpc.methods import Method, Service
from twisted_registry.rpc.services.cogment import codec
from twisted_registry.rpc.services.cogment.handlers import Handlers


def cogment_service(
    queries: Queries,
    subscriptions: Subscriptions,
    followers: Followers,
    status: ServerStatus,
    limits: Limits,
    reply_budget: ReplyBudget,
    upload_budget: UploadBudget,
    chunk_bytes: int,
) -> Service:
    """
    Return the service to add to a server.

    Args:
        chunk_bytes: the length of the data in each chunk sent, except a version's last.
    """
    handlers = Handlers(
        Commands(queries.registry, queries.runtime),
        Lists(queries),
        ListReplies(ListSlots()),
        ReplyCache(queries.registry),
        Uploads(queries, upload_budget, chunk_bytes, limits.version_max_bytes),
        Downloads(queries, chunk_bytes),
        subscriptions,
        followers,
        status,
        _versions(),
        reply_budget,
    )
    return Service(SERVICE_NAME, _table(handlers))


def _table(calls: Handlers) -> Sequence[Method]:
    read, publish = Action.READ, Action.PUBLISH
    return (
        Method(
            "CreateOrUpdateModel",
            calls.create_or_update_model,
            Action.DESCRIBE,
            lambda raw: codec.model_to_save(raw).model_id,
        ),
        Method("DeleteModel", calls.delete_model, Action.DELETE, codec.model_to_delete),
        Method(
            "RetrieveModels",
            calls.retrieve_models,
            read,
            further_needs=_named_models,
            read_request=codec.models_query,
        ),
        Method(
            "CreateVersion",
            calls.create_version,
            publish,
            lambda header: header.model_id,
            further_needs=_archived,
            upload_bytes=lambda header: header.size_bytes,
            read_header=codec.version_header,
        ),
        Method(
            "RetrieveVersionInfos", calls.retrieve_version_infos, read, lambda raw: codec.versions_query(raw).model_id
        ),
        Method(
            "RetrieveVersionData",
            calls.retrieve_version_data,
            read,
            lambda raw: codec.version_reference(raw).model_id,
            reference=lambda raw: str(codec.version_reference(raw)),
        ),
        Method("VersionUpdate", calls.version_update, read, codec.model_to_follow, lasts=True),
        # Clients find out with these which archive is served.
        Method("Version", calls.version, Action.IDENTIFY, any_archive=True),
        Method("Status", calls.status, Action.STATUS, any_archive=True),
    )


async def _named_models(query: ModelsQuery) -> Iterable[Need]:
    """
    Return the needs of a list of models that the request names, each made when it is asked for.
    """
    check_entries(len(query.model_ids))
    return (Need(Action.READ, Scope(model_id)) for model_id in query.model_ids)


async def _archived(header: VersionHeader) -> Iterable[Need]:
    """
    Return the further need of the creation of an archived version.
    """
    return (Need(Action.ARCHIVE, Scope(header.model_id)),) if header.archived else ()


def _versions() -> Mapping[str, str]:
    return {
        "twisted-registry": twisted_registry.__version__,
        "grpc": grpc.__version__,
        "python": python_version(),
        "twisted": twisted.__version__,
    }
