"""
Tests of access control on the wire: single actions, numbers that clients have seen, and uploads of several callers.
"""

from collections.abc import Iterable
from queue import SimpleQueue
from typing import Any

import grpc

from tests.edge.test_permissions import CASES, Case, PermissionsCase
from twisted_registry.domain.access import GRANTABLE, ROLES, Action, Grant, Scope
from twisted_registry.protocol.call_metadata import SEEN_KEY
from twisted_registry.protocol.messages import api, v1

_MIB = 2**20
_DENIED = grpc.StatusCode.PERMISSION_DENIED
_CREATE, _GET_UPLOAD = "/twisted_registry.v1.Registry/CreateVersion", "/twisted_registry.v1.Registry/GetUpload"
_CREATE_MODEL = "/twisted_registry.v1.Registry/CreateModel"
_FOLLOWERS = "/twisted_registry.v1.Registry/ListFollowers"
_WATCH = "/twisted_registry.v1.Registry/WatchEvents"
_UPDATES = "/cogmentAPI.ModelRegistrySP/VersionUpdate"


class ActionTests(PermissionsCase):
    """
    Every method, with single actions.
    """

    def setUp(self) -> None:
        """
        Add a caller.
        """
        super().setUp()
        self.tokens.names["own"] = None

    def code_with(self, case: Case, actions: Iterable[Action], model_id: str) -> grpc.StatusCode:
        """
        Make a call with some actions within ``a/``, and what a copy needs elsewhere.
        """
        self.policy.by_subject["token:own"] = [
            Grant(frozenset(actions), Scope.parse("a/*")),
            Grant(frozenset({Action.READ}), Scope("open/m")),
            Grant(frozenset({Action.PUBLISH}), Scope("copies/m")),
        ]
        self.policy.change()
        return self.code(case.path, case.request(model_id), "own")

    def test_exact_actions(self) -> None:
        """
        A call needs exactly the actions of its case: those suffice, and all others do not replace one of them.
        """
        for case in CASES:
            if Action.NONE in case.actions or case.anywhere:
                continue
            model_id = "a/" if case.on_prefix else "a/none"
            self.assertNotEqual(self.code_with(case, case.actions, model_id), _DENIED, case.path)
            for action in case.actions:
                code = self.code_with(case, GRANTABLE - {action}, model_id)
                self.assertEqual(code, _DENIED, (case.path, action))

    def test_empty_id(self) -> None:
        """
        A request that names no model is not one about any model.
        """
        for case in CASES:
            if case.anywhere or not case.actions or Action.NONE in case.actions or case.path in (_WATCH, _FOLLOWERS):
                continue  # without an id they are about all models
            for role in ROLES:
                code = self.code(case.path, case.request(""), role)
                self.assertIn(code, (_DENIED, grpc.StatusCode.INVALID_ARGUMENT), (case.path, role))


class PageTests(PermissionsCase):
    """
    Pages of what may be read, between many models that may not.
    """

    def setUp(self) -> None:
        """
        Make models inside and outside the scope.
        """
        super().setUp()
        self.readable = ["a/1", "a/2", "a/3", "open/m"]
        for model_id in [*self.readable, *(f"b/{number}" for number in range(30)), "zz"]:
            self.code(_CREATE_MODEL, v1.CreateModelRequest(model={"model_id": model_id}), "all")

    def searched(self, order: str, page_size: int, filter: str = "") -> list[str]:
        """
        Search the models page by page.
        """
        found: list[str] = []
        token = None
        while token != "":
            request = v1.ListModelsRequest(order_by=order, page_size=page_size, page_token=token, filter=filter)
            raw = next(self.begin("/twisted_registry.v1.Registry/ListModels", request, "reader"))
            reply = v1.ListModelsResponse.FromString(raw)
            found += [model.model_id for model in reply.models]
            token = reply.next_page_token
        return found

    def test_searches(self) -> None:
        """
        Pages of any size, in both directions and with a filter, have each model once.
        """
        for size in (1, 2, 3, 100):
            self.assertEqual(self.searched("", size), self.readable)
            self.assertEqual(self.searched("model_id desc", size), self.readable[::-1])
            self.assertEqual(self.searched("model_id desc", size, "version_count = 0"), self.readable[::-1])

    def test_lists(self) -> None:
        """
        Handles count what may be read; past its end there is nothing.
        """
        for size in (1, 3, 20):
            found: list[str] = []
            handle = "0"
            while True:
                request = api.RetrieveModelsRequest(models_count=size, model_handle=handle)
                raw = next(self.begin("/cogmentAPI.ModelRegistrySP/RetrieveModels", request, "reader"))
                reply = api.RetrieveModelsReply.FromString(raw)
                if not reply.model_infos:
                    break
                found += [info.model_id for info in reply.model_infos]
                handle = reply.next_model_handle
            self.assertEqual((found, handle), (self.readable, "4"))


class SeenTests(PermissionsCase):
    """
    A client that has seen a higher number moves the next one only if it may publish.
    """

    def setUp(self) -> None:
        """
        Make a model, and restart the registry: only then the archive may have gone back.
        """
        super().setUp()
        self.code(_CREATE_MODEL, v1.CreateModelRequest(model={"model_id": "a/m"}), "all")
        self.create("publisher")
        self.registry.stop()
        self.registry.start()

    def create(self, token: str, seen: int = 0) -> int:
        """
        Create a version, and return its number.
        """
        request = [v1.CreateVersionRequest(header=v1.CreateVersionHeader(model_id="a/m"))]
        reply = v1.Version.FromString(next(self.begin(_CREATE, request, token, self.metadata(seen))))
        return int(reply.number)

    def metadata(self, seen: int) -> list[tuple[str, str]]:
        """
        Return the metadata of a client that has seen a number.
        """
        return [(SEEN_KEY, str(seen))] if seen else []

    def follow(self, token: str) -> None:
        """
        Watch the model, and follow its versions, as a client that has seen version 900.
        """
        watch = self.begin(_WATCH, v1.WatchEventsRequest(model_id="a/m"), token, self.metadata(900))
        updates = self.begin(_UPDATES, api.VersionUpdateRequest(model_id="a/m"), token, self.metadata(900))
        next(watch)  # begins after the number was noted
        self.create("all")
        next(updates)
        for call in (watch, updates):
            call.cancel()

    def test_reader(self) -> None:
        """
        A number that a caller has seen is ignored if it may only read.
        """
        self.follow("reader")
        self.assertLess(self.create("publisher"), 900)

    def test_publisher(self) -> None:
        """
        A number that a publisher has seen counts, in each of the calls.
        """
        self.follow("publisher")
        self.assertGreater(self.create("publisher"), 900)
        self.registry.stop()
        self.registry.start()
        self.assertEqual(self.create("publisher", seen=7000), 7001)


class UploadTests(PermissionsCase):
    """
    Uploads that can go on belong to their caller.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.code(_CREATE_MODEL, v1.CreateModelRequest(model={"model_id": "a/m"}), "all")
        self.messages: SimpleQueue[Any] = SimpleQueue()

    def received(self, token: str) -> int:
        """
        Return how much of the upload is there for a caller.
        """
        request = v1.GetUploadRequest(model_id="a/m", idempotency_key="key")
        return int(v1.Upload.FromString(next(self.begin(_GET_UPLOAD, request, token))).received_bytes)

    def begin_upload(self, token: str, *, archived: bool = False) -> Any:
        """
        Send two thirds of a version, and wait until they have arrived.
        """
        header = v1.CreateVersionHeader(model_id="a/m", size_bytes=3 * _MIB, idempotency_key="key", archived=archived)
        self.messages = SimpleQueue()
        self.messages.put(v1.CreateVersionRequest(header=header))
        self.messages.put(v1.CreateVersionRequest(chunk=bytes(2 * _MIB)))
        call = self.begin(_CREATE, iter(self.messages.get, None), token)
        while self.received(token) < 2 * _MIB:
            self.assertTrue(call.is_active(), "the upload ended")
        return call

    def go_on(self, token: str) -> grpc.StatusCode:
        """
        Send the last third, and return the code of the call.
        """
        header = v1.CreateVersionHeader(model_id="a/m", size_bytes=3 * _MIB, idempotency_key="key", offset=2 * _MIB)
        messages = [v1.CreateVersionRequest(header=header), v1.CreateVersionRequest(chunk=bytes(_MIB))]
        return self.code(_CREATE, messages, token)

    def test_other_caller(self) -> None:
        """
        Another caller that may publish neither sees an upload, nor goes on with it, nor interrupts it.
        """
        call = self.begin_upload("publisher")
        self.assertEqual(self.received("maintainer"), 0)
        self.assertEqual(self.go_on("maintainer"), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertTrue(call.is_active())
        call.cancel()
        self.messages.put(None)
        self.assertEqual(self.received("maintainer"), 0)
        self.assertEqual(self.go_on("maintainer"), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(self.go_on("publisher"), grpc.StatusCode.OK)

    def test_same_key(self) -> None:
        """
        Callers that happen to use the same key create their own versions; a caller that repeats its creation gets its
        version.
        """
        header = v1.CreateVersionHeader(model_id="a/m", idempotency_key="key")
        request = [v1.CreateVersionRequest(header=header)]
        tokens = ("publisher", "maintainer", "publisher", "maintainer")
        numbers = [v1.Version.FromString(next(self.begin(_CREATE, request, token))).number for token in tokens]
        self.assertEqual(numbers, [1, 2, 1, 2])

    def test_revoked(self) -> None:
        """
        Nothing is kept of an upload that ended because its caller may no longer make it.
        """
        for archived in (False, True):
            call = self.begin_upload("maintainer", archived=archived)
            self.tokens.revoke("maintainer")
            self.assertRaises(grpc.RpcError, next, call)
            self.assertEqual(call.code(), grpc.StatusCode.UNAUTHENTICATED)
            self.messages.put(None)
            self.tokens.names["maintainer"] = None
            self.tokens.change()
            self.assertEqual(self.received("maintainer"), 0)
