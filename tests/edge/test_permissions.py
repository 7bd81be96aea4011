"""
Tests of access control on the wire: every method with every role.
"""

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import grpc
from attrs import frozen
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.access import Grants, NamedTokens, grant
from tests.support.calls import code_of
from tests.support.client import DEADLINE_SECONDS, body, header
from twisted_registry.access.callers import Callers
from twisted_registry.contracts.archive import IArchive
from twisted_registry.domain.access import ROLES, Action
from twisted_registry.protocol.messages import POOL, api, common, v1
from twisted_registry.testing.server import InProcessRegistry

_REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_COGMENT, _V1 = "cogmentAPI.ModelRegistrySP", "twisted_registry.v1.Registry"


@frozen
class Case:
    """
    A call, and the permissions that it needs on the model that it is about.

    Attributes:
        request: returns the request about a model, or the messages of a stream.
        actions: what a caller needs.
        anywhere: whether it suffices to have them on any model.
        on_prefix: whether the call is about all models whose ids begin with the model's.
    """

    path: str
    request: Callable[[str], Any]
    actions: frozenset[Action]
    anywhere: bool = False
    on_prefix: bool = False


def cogment(method: str, request: Callable[[str], Any], *actions: Action, anywhere: bool = False) -> Case:
    """
    Return a case of Cogment's service.
    """
    return Case(f"/{_COGMENT}/{method}", request, frozenset(actions), anywhere)


def v1_case(
    method: str, request: Callable[[str], Any], *actions: Action, anywhere: bool = False, on_prefix: bool = False
) -> Case:
    """
    Return a case of ``twisted_registry.v1``.
    """
    return Case(f"/{_V1}/{method}", request, frozenset(actions), anywhere, on_prefix)


def v1_header(model_id: str, **fields: Any) -> list[Any]:
    """
    Return the stream of a creation of an empty version.
    """
    return [v1.CreateVersionRequest(header=v1.CreateVersionHeader(model_id=model_id, **fields))]


_READ, _PUBLISH, _DESCRIBE = Action.READ, Action.PUBLISH, Action.DESCRIBE
_ARCHIVE, _ALIAS, _DELETE, _STATUS = Action.ARCHIVE, Action.ALIAS, Action.DELETE, Action.STATUS

CASES = (
    cogment(
        "CreateOrUpdateModel",
        lambda it: api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id=it)),
        _DESCRIBE,
    ),
    cogment("DeleteModel", lambda it: api.DeleteModelRequest(model_id=it), _DELETE),
    cogment("RetrieveModels", lambda it: api.RetrieveModelsRequest(model_ids=[it]), _READ),
    cogment("RetrieveModels", lambda it: api.RetrieveModelsRequest(), _READ, anywhere=True),
    cogment("CreateVersion", lambda it: [header(it, 0), body(b"")], _PUBLISH),
    cogment("CreateVersion", lambda it: [header(it, 0, archived=True), body(b"")], _PUBLISH, _ARCHIVE),
    cogment("RetrieveVersionInfos", lambda it: api.RetrieveVersionInfosRequest(model_id=it), _READ),
    cogment("RetrieveVersionData", lambda it: api.RetrieveVersionDataRequest(model_id=it, version_number=1), _READ),
    cogment("VersionUpdate", lambda it: api.VersionUpdateRequest(model_id=it), _READ),
    cogment("Version", lambda it: common.VersionRequest()),
    cogment("Status", lambda it: common.StatusRequest(), _STATUS, anywhere=True),
    v1_case("CreateModel", lambda it: v1.CreateModelRequest(model={"model_id": it}), _DESCRIBE),
    v1_case(
        "CreateModel",
        lambda it: v1.CreateModelRequest(model={"model_id": it}, allow_existing=True),
        _DESCRIBE,
        _READ,
    ),
    v1_case("GetModel", lambda it: v1.GetModelRequest(model_id=it), _READ),
    v1_case("UpdateModel", lambda it: v1.UpdateModelRequest(model={"model_id": it}), _DESCRIBE, _READ),
    v1_case("DeleteModel", lambda it: v1.DeleteModelRequest(model_id=it), _DELETE),
    v1_case("DeleteModel", lambda it: v1.DeleteModelRequest(model_id=it, etag="0"), _DELETE, _READ),
    v1_case("ListModels", lambda it: v1.ListModelsRequest(), _READ, anywhere=True),
    v1_case("CreateVersion", v1_header, _PUBLISH),
    v1_case("CreateVersion", lambda it: v1_header(it, archived=True), _PUBLISH, _ARCHIVE),
    v1_case(
        "CreateVersion", lambda it: v1_header(it, archived=True, aliases=["production"]), _PUBLISH, _ARCHIVE, _ALIAS
    ),
    v1_case("GetUpload", lambda it: v1.GetUploadRequest(model_id=it, idempotency_key="a" * 16), _PUBLISH),
    v1_case(
        "CopyVersion", lambda it: v1.CopyVersionRequest(reference="open/m@1", model_id=it, transient=True), _PUBLISH
    ),
    v1_case("CopyVersion", lambda it: v1.CopyVersionRequest(reference="open/m@1", model_id=it), _PUBLISH, _ARCHIVE),
    v1_case(
        "CopyVersion",
        lambda it: v1.CopyVersionRequest(reference="open/m@1", model_id=it, aliases=["production"]),
        _PUBLISH,
        _ARCHIVE,
        _ALIAS,
    ),
    v1_case(
        "CopyVersion",
        lambda it: v1.CopyVersionRequest(reference=f"{it}@1", model_id="copies/m", transient=True),
        _READ,
    ),
    v1_case("GetVersion", lambda it: v1.GetVersionRequest(reference=f"{it}@1"), _READ),
    v1_case("ListVersions", lambda it: v1.ListVersionsRequest(model_id=it), _READ),
    v1_case("ListMetrics", lambda it: v1.ListMetricsRequest(model_id=it), _READ),
    v1_case("GetMetricSeries", lambda it: v1.GetMetricSeriesRequest(model_id=it, metrics=["a"]), _READ),
    v1_case(
        "UpdateVersion",
        lambda it: v1.UpdateVersionRequest(reference=f"{it}@1", version={}),
        _DESCRIBE,
        _READ,
    ),
    v1_case("ArchiveVersion", lambda it: v1.ArchiveVersionRequest(reference=f"{it}@1"), _ARCHIVE, _READ),
    v1_case("DeleteVersion", lambda it: v1.DeleteVersionRequest(reference=f"{it}@1"), _DELETE),
    v1_case("ReadVersion", lambda it: v1.ReadVersionRequest(reference=f"{it}@1"), _READ),
    v1_case("SetAlias", lambda it: v1.SetAliasRequest(reference=f"{it}@1", alias="production"), _ALIAS, _READ),
    v1_case("DeleteAlias", lambda it: v1.DeleteAliasRequest(model_id=it, alias="production"), _ALIAS),
    v1_case(
        "DeleteAlias",
        lambda it: v1.DeleteAliasRequest(model_id=it, alias="production", expected_number=0),
        _ALIAS,
        _READ,
    ),
    v1_case("ListAliases", lambda it: v1.ListAliasesRequest(model_id=it), _READ),
    v1_case("ListAliasEvents", lambda it: v1.ListAliasEventsRequest(model_id=it), _READ),
    v1_case("SetRetention", lambda it: v1.SetRetentionRequest(retention={"model_id": it}), _DELETE),
    v1_case("SetRetention", lambda it: v1.SetRetentionRequest(retention={"prefix": it}), _DELETE, on_prefix=True),
    v1_case("GetRetention", lambda it: v1.GetRetentionRequest(model_id=it), _READ),
    v1_case("GetRetention", lambda it: v1.GetRetentionRequest(prefix=it), _READ, on_prefix=True),
    v1_case("Prune", lambda it: v1.PruneRequest(model_id=it, dry_run=True), _DELETE, _READ),
    v1_case("Prune", lambda it: v1.PruneRequest(prefix=it, dry_run=True), _DELETE, _READ, on_prefix=True),
    v1_case("WatchEvents", lambda it: v1.WatchEventsRequest(model_id=it), _READ),
    v1_case("WatchEvents", lambda it: v1.WatchEventsRequest(), _READ, anywhere=True),
    v1_case("ListFollowers", lambda it: v1.ListFollowersRequest(model_id=it), _STATUS, _READ),
    v1_case("ListFollowers", lambda it: v1.ListFollowersRequest(), _STATUS, _READ, anywhere=True),
    v1_case("GetServerStatus", lambda it: v1.GetServerStatusRequest(), _STATUS, anywhere=True),
    v1_case("GetCaller", lambda it: v1.GetCallerRequest(model_id=it)),
    Case("/grpc.health.v1.Health/Check", lambda it: health_pb2.HealthCheckRequest(), frozenset({Action.NONE})),
    Case("/grpc.health.v1.Health/Watch", lambda it: health_pb2.HealthCheckRequest(), frozenset({Action.NONE})),
    Case(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        lambda it: [reflection_pb2.ServerReflectionRequest(list_services="")],
        frozenset(),
    ),
)


MODELS = {"a/none": True, "a/": True, "b/none": False, "ab": False, "a": False}
"""Models, and whether they are within ``a/*``."""


class PermissionsCase(SynchronousTestCase):
    """
    A registry with access control.
    """

    def setUp(self) -> None:
        """
        Start it with a caller for each role, within ``a/`` and on ``open/m``.
        """
        names = [*ROLES, "nobody", "all"]
        self.clock = Clock()
        self.tokens = NamedTokens(names=dict.fromkeys(names))
        self.policy = Grants(
            by_subject={
                **{
                    f"token:{role}": [grant(role, "a/*"), grant("reader", "open/m"), grant("publisher", "copies/m")]
                    for role in ROLES
                },
                "token:all": [grant("admin", "*")],
            }
        )
        access = Callers([self.tokens], self.policy, self.clock.seconds)
        self.registry = InProcessRegistry(self.make_archive(), access=access)
        self.registry.start()
        self.addCleanup(self.registry.stop)
        self.channel = grpc.insecure_channel(self.registry.address)
        self.addCleanup(self.channel.close)

    def make_archive(self) -> IArchive | None:
        """
        Return the archive; ``None`` for one in memory.
        """
        return None

    def begin(
        self,
        path: str,
        request: Any,
        token: str = "",
        further: Sequence[tuple[str, str]] = (),
        channel: grpc.Channel | None = None,
        timeout_seconds: float = DEADLINE_SECONDS,
    ) -> Any:
        """
        Begin a call, and return its iterator of replies.

        Args:
            further: metadata to send in addition to the token.
            channel: the connection; by default, the one that most calls share.
        """
        messages = request if isinstance(request, list | Iterator) else [request]
        metadata = (*((("authorization", f"Bearer {token}"),) if token else ()), *further)
        channel = self.channel if channel is None else channel
        stream: Any = channel.stream_stream(path, lambda message: message.SerializeToString(), bytes)
        return stream(iter(messages), metadata=metadata, timeout=timeout_seconds)

    def code(self, path: str, request: Any, token: str = "") -> grpc.StatusCode:
        """
        Make a call, and return its code; OK once a stream has sent a message.
        """
        return code_of(self.begin(path, request, token))


class MatrixTests(PermissionsCase):
    """
    Every method, with every role, inside and outside its scope.
    """

    def test_all_methods(self) -> None:
        """
        The cases contain every method of every service, so a new one cannot be forgotten.
        """
        described = {
            f"/{service}/{method.name}"
            for service in (_COGMENT, _V1, "grpc.health.v1.Health")
            for method in POOL.FindServiceByName(service).methods
        }
        served = {case.path for case in CASES if "reflection" not in case.path} | {"/grpc.health.v1.Health/List"}
        self.assertEqual(served, described)

    def test_roles(self) -> None:
        """
        A call is refused unless the role has what it needs on the model that it is about.
        """
        for case in CASES:
            if Action.NONE in case.actions:
                continue
            for role, permitted in ROLES.items():
                for model_id, inside in MODELS.items():
                    refused = not (case.actions <= permitted and (inside or case.anywhere or not case.actions))
                    code = self.code(case.path, case.request(model_id), role)
                    expected = grpc.StatusCode.PERMISSION_DENIED if refused else None
                    self.assertEqual(code if code in _REFUSALS else None, expected, (case.path, role, model_id, code))

    def test_credentials(self) -> None:
        """
        Without valid credentials every call is refused but those of health.
        """
        self.tokens.names["revoked"] = None
        self.tokens.revoke("revoked")
        for case in CASES:
            is_open = Action.NONE in case.actions
            for token in ("", "wrong", "revoked"):
                code = self.code(case.path, case.request("a/none"), token)
                self.assertEqual(code is grpc.StatusCode.UNAUTHENTICATED, not is_open, (case.path, token, code))
            if not is_open:
                code = self.code(case.path, case.request("a/none"), "nobody")
                self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED)


class ListTests(PermissionsCase):
    """
    Lists show what may be read.
    """

    def setUp(self) -> None:
        """
        Make models inside and outside the scope of the roles.
        """
        super().setUp()
        for model_id in ("a/1", "b/1", "a/2", "b/2", "a/3", "open/m"):
            self.code(f"/{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": model_id}), "all")

    def models(self, count: int = 0, handle: str = "", token: str = "reader") -> Any:
        """
        List all models with Cogment's API.
        """
        request = api.RetrieveModelsRequest(models_count=count, model_handle=handle)
        return api.RetrieveModelsReply.FromString(next(self.begin(f"/{_COGMENT}/RetrieveModels", request, token)))

    def test_all(self) -> None:
        """
        A list of all models has those that the caller may read, and pages count only these.
        """
        self.assertEqual([it.model_id for it in self.models().model_infos], ["a/1", "a/2", "a/3", "open/m"])
        first = self.models(2)
        second = self.models(2, first.next_model_handle)
        self.assertEqual([it.model_id for it in second.model_infos], ["a/3", "open/m"])
        self.assertEqual(len(self.models(token="all").model_infos), 6)

    def test_named(self) -> None:
        """
        A list that names a forbidden model is refused, and the refusal is the same if there is no such model.
        """
        texts = []
        for forbidden in ("b/1", "b/9"):
            request = api.RetrieveModelsRequest(model_ids=["a/1", forbidden])
            call = self.begin(f"/{_COGMENT}/RetrieveModels", request, "reader")
            error: Any = self.assertRaises(grpc.RpcError, next, call)
            self.assertEqual(error.code(), grpc.StatusCode.PERMISSION_DENIED)
            texts.append(error.details().replace(forbidden, "MODEL"))
        self.assertEqual(len(set(texts)), 1)

    def test_search(self) -> None:
        """
        A search of the models finds those that the caller may read, in any order.
        """
        for order in ("", "model_id desc", "latest_number desc"):
            request = v1.ListModelsRequest(order_by=order)
            reply = v1.ListModelsResponse.FromString(next(self.begin(f"/{_V1}/ListModels", request, "reader")))
            self.assertEqual({it.model_id for it in reply.models}, {"a/1", "a/2", "a/3", "open/m"})

    def test_events(self) -> None:
        """
        A watch of all models gets the events of those that the caller may read.
        """
        watch = self.begin(f"/{_V1}/WatchEvents", v1.WatchEventsRequest(), "reader")
        next(watch)
        for model_id in ("b/3", "a/4"):
            self.code(f"/{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": model_id}), "all")
        event = v1.Event.FromString(next(watch))
        self.assertEqual(event.model_created.model_id, "a/4")
        watch.cancel()


class ActorTests(PermissionsCase):
    """
    The history of aliases names who moved them.
    """

    def moves(self, model_id: str) -> list[tuple[str, int, str]]:
        """
        Return the alias, the number and the actor of all moves of a model's aliases, the oldest first.
        """
        request = v1.ListAliasEventsRequest(model_id=model_id)
        reply = v1.ListAliasEventsResponse.FromString(next(self.begin(f"/{_V1}/ListAliasEvents", request, "all")))
        return [(it.alias, it.to_number, it.actor) for it in reversed(reply.events)]

    def test_moves(self) -> None:
        """
        Every call that moves an alias records its caller.
        """
        self.policy.by_subject["token:releaser"] = self.policy.by_subject["token:all"]
        self.tokens.names["releaser"] = None
        for model_id in ("a/m", "a/n"):
            self.code(f"/{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": model_id}), "all")
        calls = (
            ("CreateVersion", v1_header("a/m", archived=True, aliases=["x"]), "all"),
            ("SetAlias", v1.SetAliasRequest(reference="a/m@1", alias="y"), "releaser"),
            ("DeleteAlias", v1.DeleteAliasRequest(model_id="a/m", alias="x"), "releaser"),
            ("CopyVersion", v1.CopyVersionRequest(reference="a/m@1", model_id="a/n", aliases=["z"]), "releaser"),
        )
        for method, request, token in calls:
            self.assertEqual(self.code(f"/{_V1}/{method}", request, token), grpc.StatusCode.OK, method)
        expected = [("x", 1, "token:all"), ("y", 1, "token:releaser"), ("x", 0, "token:releaser")]
        self.assertEqual(self.moves("a/m"), expected)
        self.assertEqual(self.moves("a/n"), [("z", 1, "token:releaser")])


class StreamTests(PermissionsCase):
    """
    Long calls do not outlive their permission.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.code(f"/{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": "a/m"}), "all")

    def watch(self, token: str) -> Any:
        """
        Begin to watch a model.
        """
        call = self.begin(f"/{_V1}/WatchEvents", v1.WatchEventsRequest(model_id="a/m"), token)
        next(call)
        return call

    def ends_with(self, call: Any) -> grpc.StatusCode:
        """
        Wait for the end of a call, and return its code.
        """
        self.assertRaises(grpc.RpcError, next, call)
        code: grpc.StatusCode = call.code()
        return code

    def test_revoked(self) -> None:
        """
        A watch ends when its token is revoked; those of others go on.
        """
        other, call = self.watch("publisher"), self.watch("reader")
        self.tokens.revoke("reader")
        self.assertEqual(self.ends_with(call), grpc.StatusCode.UNAUTHENTICATED)
        update = v1.UpdateModelRequest(model={"model_id": "a/m", "metadata": {"a": "b"}})
        self.code(f"/{_V1}/UpdateModel", update, "all")
        next(other)
        other.cancel()

    def test_ended(self) -> None:
        """
        A watch ends when its token ends.
        """
        self.tokens.names["reader"] = 10.0
        call = self.watch("reader")
        self.clock.advance(10)
        del self.tokens.names["reader"]  # a token that has ended is not valid
        self.assertEqual(self.ends_with(call), grpc.StatusCode.UNAUTHENTICATED)

    def test_permission_withdrawn(self) -> None:
        """
        A watch ends when its caller may no longer read the model.
        """
        call = self.watch("reader")
        self.policy.by_subject["token:reader"] = [grant("reader", "b/*")]
        self.policy.change()
        self.assertEqual(self.ends_with(call), grpc.StatusCode.PERMISSION_DENIED)

    def test_narrowed(self) -> None:
        """
        A watch ends when permission on all models is narrowed to others.
        """
        call = self.watch("all")
        self.policy.by_subject["token:all"] = [grant("admin", "b/*")]
        self.policy.change()
        self.assertEqual(self.ends_with(call), grpc.StatusCode.PERMISSION_DENIED)

    def test_late_request(self) -> None:
        """
        A call whose request comes after its token was revoked has no effect.
        """
        messages: SimpleQueue[Any] = SimpleQueue()
        call = self.begin(f"/{_COGMENT}/DeleteModel", iter(messages.get, None), "all")
        self.tokens.names["other"] = None
        self.policy.by_subject["token:other"] = [grant("admin", "*")]
        self.code(f"/{_V1}/GetModel", v1.GetModelRequest(model_id="a/m"), "other")
        self.tokens.revoke("all")
        messages.put(api.DeleteModelRequest(model_id="a/m"))
        self.assertEqual(self.ends_with(call), grpc.StatusCode.UNAUTHENTICATED)
        messages.put(None)
        code = self.code(f"/{_V1}/GetModel", v1.GetModelRequest(model_id="a/m"), "other")
        self.assertEqual(code, grpc.StatusCode.OK)

    def test_upload(self) -> None:
        """
        An upload ends in the middle when its token is revoked, and leaves no version.
        """
        messages: SimpleQueue[Any] = SimpleQueue()
        messages.put(header("a/m", 6))
        messages.put(body(b"abc"))
        call = self.begin(f"/{_COGMENT}/CreateVersion", iter(messages.get, None), "publisher")
        self.tokens.revoke("publisher")
        self.assertEqual(self.ends_with(call), grpc.StatusCode.UNAUTHENTICATED)
        messages.put(None)
        request = api.RetrieveVersionInfosRequest(model_id="a/m")
        reply = next(self.begin(f"/{_COGMENT}/RetrieveVersionInfos", request, "all"))
        self.assertEqual(len(api.RetrieveVersionInfosReply.FromString(reply).version_infos), 0)
