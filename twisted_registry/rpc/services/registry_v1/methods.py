"""
The method table of ``twisted_registry.v1.Registry``.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any

from google.protobuf.message import Message

from twisted_registry.application.aliases import Aliases
from twisted_registry.application.copies import Copies
from twisted_registry.application.creations import Creations
from twisted_registry.application.downloads import Downloads
from twisted_registry.application.metrics import Metrics
from twisted_registry.application.models import Models
from twisted_registry.application.queries import Queries
from twisted_registry.application.reads import Reads
from twisted_registry.application.replies import ListReplies
from twisted_registry.application.retention import RetentionRules
from twisted_registry.application.search import Searches
from twisted_registry.application.search_work import SearchWork
from twisted_registry.application.version_records import VersionRecords
from twisted_registry.application.versions import Versions
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.access import Action, Need, Scope
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.messages import REGISTRY_SERVICE_NAME, Empty, v1
from twisted_registry.rpc.budgets import ListSlots
from twisted_registry.rpc.methods import Handler, Method, Service
from twisted_registry.rpc.numbers import ServerNumbers
from twisted_registry.rpc.options import ServerOptions
from twisted_registry.rpc.services.registry_v1.handlers import AliasCalls, EventCalls, ModelCalls, VersionCalls
from twisted_registry.rpc.services.registry_v1.metrics import MetricCalls
from twisted_registry.rpc.services.registry_v1.retention import RetentionCalls, scope_of
from twisted_registry.rpc.services.registry_v1.search import SearchCalls
from twisted_registry.rpc.services.registry_v1.server import FollowerCalls, ServerCalls, follower_needs
from twisted_registry.rpc.services.registry_v1.transfers import TransferCalls, creation_header

FurtherNeeds = Callable[[Any], Awaitable[Iterable[Need]]]


def registry_service(
    queries: Queries,
    numbers: ServerNumbers,
    archive_status: ArchiveStatus,
    options: ServerOptions,
) -> Service:
    """
    Return the service to add to a server.

    Args:
        numbers: the budgets and the streams of the server.
    """
    limits, chunk_bytes = options.limits, options.network.chunk_size_bytes
    upload_budget, reply_budget = numbers.uploads, numbers.replies
    versions = Versions(queries)
    reads = Reads(queries, versions, Downloads(queries, chunk_bytes), chunk_bytes)
    creations = Creations(queries, versions, upload_budget, numbers.kept_uploads, chunk_bytes, limits.version_max_bytes)
    search_work = SearchWork(queries, ListSlots.for_searches())
    list_replies = ListReplies(ListSlots())
    metrics = Metrics(queries, search_work, VersionRecords(queries))
    copies = Copies(queries, versions, reads, upload_budget, chunk_bytes, limits.version_max_bytes)
    methods = (
        *_model_methods(ModelCalls(Models(queries))),
        *_version_methods(VersionCalls(versions)),
        *_search_methods(
            SearchCalls(Searches(queries, search_work), list_replies, reply_budget),
            MetricCalls(metrics, list_replies, reply_budget),
        ),
        *_transfer_methods(TransferCalls(reads, creations, copies, reply_budget)),
        *_alias_methods(AliasCalls(Aliases(queries))),
        *_retention_methods(RetentionCalls(RetentionRules(queries), reply_budget)),
        *_following_methods(
            EventCalls(numbers.feed, numbers.followers, queries, reply_budget, options.tracer),
            FollowerCalls(numbers.followers, queries),
        ),
        *_server_methods(ServerCalls(queries, archive_status, numbers, options)),
    )
    return Service(REGISTRY_SERVICE_NAME, methods)


def _model_methods(calls: ModelCalls) -> Sequence[Method]:
    return (
        _method(
            "CreateModel",
            calls.create,
            Action.DESCRIBE,
            _given_model_id,
            v1.CreateModelRequest,
            v1.Model,
            _existing_model,
        ),
        _method("GetModel", calls.get, Action.READ, _model_id, v1.GetModelRequest, v1.Model),
        _method(
            "UpdateModel",
            calls.update,
            Action.DESCRIBE,
            _given_model_id,
            v1.UpdateModelRequest,
            v1.Model,
            _shown(_given_model_id),
        ),
        _method(
            "DeleteModel",
            calls.delete,
            Action.DELETE,
            _model_id,
            v1.DeleteModelRequest,
            Empty,
            _compared(lambda request: bool(request.etag)),
        ),
    )


def _version_methods(calls: VersionCalls) -> Sequence[Method]:
    method = partial(_method, resource=_referenced_model_id)
    changing = partial(method, reply=v1.Version, further_needs=_shown(_referenced_model_id))
    return (
        method("GetVersion", calls.get, Action.READ, request=v1.GetVersionRequest, reply=v1.Version),
        changing("UpdateVersion", calls.update, Action.DESCRIBE, request=v1.UpdateVersionRequest),
        changing("ArchiveVersion", calls.archive, Action.ARCHIVE, request=v1.ArchiveVersionRequest),
        method("DeleteVersion", calls.delete, Action.DELETE, request=v1.DeleteVersionRequest, reply=Empty),
    )


def _search_methods(calls: SearchCalls, metrics: MetricCalls) -> Sequence[Method]:
    return (
        Method("ListModels", calls.models, Action.READ, request=v1.ListModelsRequest),
        Method("ListVersions", calls.versions, Action.READ, _model_id, request=v1.ListVersionsRequest),
        Method("ListMetrics", metrics.list, Action.READ, _model_id, request=v1.ListMetricsRequest),
        Method("GetMetricSeries", metrics.series, Action.READ, _model_id, request=v1.GetMetricSeriesRequest),
    )


def _transfer_methods(calls: TransferCalls) -> Sequence[Method]:
    publish = Action.PUBLISH
    return (
        Method("ReadVersion", calls.read, Action.READ, _referenced_model_id, request=v1.ReadVersionRequest),
        Method(
            "CreateVersion",
            calls.create,
            publish,
            _model_id,
            _created,
            reply=v1.Version,
            upload_bytes=lambda header: max(0, int(header.size_bytes) - int(header.offset)),
            read_header=creation_header,
        ),
        Method(
            "GetUpload",
            calls.get_upload,
            publish,
            _model_id,
            request=v1.GetUploadRequest,
            reply=v1.Upload,
            changes_nothing=True,
        ),
        Method("CopyVersion", calls.copy, publish, _model_id, _copied, v1.CopyVersionRequest, v1.Version),
    )


def _alias_methods(calls: AliasCalls) -> Sequence[Method]:
    return (
        _method(
            "SetAlias",
            calls.set,
            Action.ALIAS,
            _referenced_model_id,
            v1.SetAliasRequest,
            v1.Alias,
            _shown(_referenced_model_id),
        ),
        _method(
            "DeleteAlias",
            calls.delete,
            Action.ALIAS,
            _model_id,
            v1.DeleteAliasRequest,
            Empty,
            _compared(lambda request: request.HasField("expected_number")),
        ),
        _method("ListAliases", calls.list, Action.READ, _model_id, v1.ListAliasesRequest, v1.ListAliasesResponse),
        _method(
            "ListAliasEvents",
            calls.history,
            Action.READ,
            _model_id,
            v1.ListAliasEventsRequest,
            v1.ListAliasEventsResponse,
        ),
    )


def _retention_methods(calls: RetentionCalls) -> Sequence[Method]:
    def method(
        name: str, handler: Handler, actions: Sequence[Action], scoped: Callable[[Any], Any], request: Any, reply: Any
    ) -> Method:
        async def on_scope(message: Any) -> Iterable[Need]:
            scope = scope_of(scoped(message))
            reach = Scope(scope.prefix, is_prefix=True) if scope.model_id is None else Scope(scope.model_id)
            return [Need(action, reach) for action in actions]

        return Method(name, handler, actions[0], None, on_scope, request, reply)

    read, delete = Action.READ, Action.DELETE
    return (
        method("SetRetention", calls.set, [delete], lambda it: it.retention, v1.SetRetentionRequest, v1.Retention),
        method("GetRetention", calls.get, [read], lambda it: it, v1.GetRetentionRequest, v1.Retention),
        method("Prune", calls.prune, [delete, read], lambda it: it, v1.PruneRequest, None),
    )


def _following_methods(events: EventCalls, followers: FollowerCalls) -> Sequence[Method]:
    return (
        Method(
            "WatchEvents",
            events.watch,
            Action.READ,
            lambda request: request.model_id or None,
            request=v1.WatchEventsRequest,
            lasts=True,
        ),
        Method(
            "ListFollowers",
            followers.list,
            Action.STATUS,
            None,
            follower_needs,
            v1.ListFollowersRequest,
            v1.ListFollowersResponse,
        ),
    )


def _server_methods(calls: ServerCalls) -> Sequence[Method]:
    # Clients find out with these which archive is served, and who they are for it.
    return (
        Method(
            "GetServerStatus",
            calls.status,
            Action.STATUS,
            request=v1.GetServerStatusRequest,
            reply=v1.ServerStatus,
            any_archive=True,
        ),
        Method(
            "GetCaller", calls.caller, Action.IDENTIFY, request=v1.GetCallerRequest, reply=v1.Caller, any_archive=True
        ),
    )


def _shown(resource: Callable[[Any], str]) -> FurtherNeeds:
    """
    Return the further need of a call whose reply shows more than the request: to read the model.
    """

    async def needs(request: Any) -> Iterable[Need]:
        return (Need(Action.READ, Scope(resource(request))),)

    return needs


def _compared(is_conditional: Callable[[Any], bool]) -> FurtherNeeds:
    """
    Return the further need of a call whose refusal may show the present state: to read the model.

    Args:
        is_conditional: returns whether a request has a condition on that state.
    """

    async def needs(request: Any) -> Iterable[Need]:
        return (Need(Action.READ, Scope(_model_id(request))),) if is_conditional(request) else ()

    return needs


async def _existing_model(request: Any) -> Iterable[Need]:
    """
    Return the further need of the creation of a model, whose reply may be a model that exists.
    """
    return (Need(Action.READ, Scope(_given_model_id(request))),) if request.allow_existing else ()


async def _created(header: Any) -> Iterable[Need]:
    """
    Return the further needs of a creation.
    """
    return _stored(header.model_id, header.archived, header.aliases)


async def _copied(request: Any) -> Iterable[Need]:
    """
    Return the further needs of a copy, which also reads the version that its reference names.
    """
    source = Scope(_referenced_model_id(request))
    return (Need(Action.READ, source), *_stored(request.model_id, not request.transient, request.aliases))


def _stored(model_id: str, archived: bool, aliases: Sequence[str]) -> Iterable[Need]:
    scope = Scope(model_id)
    return (
        *((Need(Action.ARCHIVE, scope),) if archived else ()),
        *((Need(Action.ALIAS, scope),) if aliases else ()),
    )


def _method(
    name: str,
    handler: Handler,
    action: Action,
    resource: Callable[[Any], str],
    request: type[Message],
    reply: type[Message],
    further_needs: FurtherNeeds | None = None,
) -> Method:
    return Method(name, handler, action, resource, further_needs, request, reply)


def _model_id(request: Any) -> str:
    return str(request.model_id)


def _given_model_id(request: Any) -> str:
    return str(request.model.model_id)


def _referenced_model_id(request: Any) -> str:
    return Reference.parse(request.reference).model_id
