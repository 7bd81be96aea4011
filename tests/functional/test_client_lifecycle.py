"""
Changes of versions and aliases whose answers are lost, and servers whose answers about them do not fit.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import islice
from threading import Event
from typing import Any
from uuid import UUID

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import data_hash
from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.fake_server import Answer, FakeServer, failure, in_turn, refusal, streamed
from twisted_registry.client import BlockingClient, errors
from twisted_registry.protocol.messages import Empty, api, v1

SHA256 = bytes(32)
LOST = refusal(grpc.StatusCode.UNAVAILABLE, "lost")


def version(number: int = 3, **facts: Any) -> Any:
    """
    Make a version as it is sent.
    """
    return v1.Version(**{"model_id": "walker", "number": number, "archived": True, "sha256": SHA256, **facts})


def move(to_number: int = 3, sequence: int = 1, **facts: Any) -> Any:
    """
    Make a move of an alias as it is sent.
    """
    right = {"model_id": "walker", "alias": "production", "to_number": to_number, "sequence": sequence}
    return v1.AliasEvent(**{**right, **facts})


def alias(moved: Any, **facts: Any) -> Any:
    """
    Make an alias as it is sent.
    """
    return v1.Alias(**{"model_id": "walker", "alias": moved.alias, "number": moved.to_number, "move": moved, **facts})


def always(message: Any) -> Answer:
    """
    Make an answer that is always the same.
    """
    return lambda request, context: message


def aliases(*moves: Any) -> Answer:
    """
    Make an answer with the aliases of a model.
    """
    return always(v1.ListAliasesResponse(aliases=map(alias, moves)))


def failing_stream_of(refused: Answer) -> Answer:
    """
    Make an answer that ends a call whose reply streams.
    """
    return lambda request, context: (refused(request, context) for _ in range(1))


def infos(*numbers: int) -> Answer:
    """
    Make an answer of Cogment's service with the infos of versions, one at a time.
    """
    sha256 = b64encode(SHA256).decode()
    found = [api.ModelVersionInfo(model_id="walker", version_number=number, data_hash=sha256) for number in numbers]
    return in_turn(*(always(api.RetrieveVersionInfosReply(version_infos=[info])) for info in found))


class FakeRegistryCase(SynchronousTestCase):
    """
    A server with the calls of ``twisted_registry.v1`` that a test needs.
    """

    def connect(self, retry_seconds: float = 60.0, **answers: Answer) -> BlockingClient:
        """
        Start a server, and return a client of it.
        """
        self.called: list[str] = []
        noted = {name: self._noted(name, answer) for name, answer in answers.items()}
        server = FakeServer(None, None, **noted)
        self.addCleanup(server.stop)
        client = BlockingClient(server.address, retry_seconds=retry_seconds)
        self.addCleanup(client.close)
        return client

    def _noted(self, name: str, answer: Answer) -> Answer:
        def noted(request: Any, context: grpc.ServicerContext) -> Any:
            self.called.append(name.removeprefix("v1_"))
            return answer(request, context)

        return noted


class LostAnswerTests(FakeRegistryCase):
    """
    A change whose answer is lost is made once.
    """

    def set_alias(self, client: BlockingClient, **keywords: Any) -> Any:
        """
        Set the alias, for a reason.
        """
        return client.set_alias("walker@3", "production", reason="ours", **keywords)

    def requests(self, kind: Any, *answers: Answer) -> tuple[Answer, list[Any]]:
        """
        Make an answer that is another one each time, and a list of the requests.
        """
        requests: list[Any] = []
        answer = in_turn(*answers)

        def noted(request: bytes, context: grpc.ServicerContext) -> Any:
            requests.append(kind.FromString(request))
            return answer(request, context)

        return noted, requests

    def assert_same(self, requests: list[Any], count: int) -> None:
        """
        Check that a request was sent some times unchanged, with an id.
        """
        self.assertEqual(len(requests), count)
        self.assertEqual(len({request.SerializeToString(deterministic=True) for request in requests}), 1)
        self.assertEqual(str(UUID(requests[0].request_id)), requests[0].request_id)

    def test_set_alias(self) -> None:
        """
        A move is repeated with the id of its first attempt, and the answer to that is its result.
        """
        first = always(alias(move(reason="ours", from_number=2)))
        answer, requests = self.requests(v1.SetAliasRequest, LOST, LOST, first)
        client = self.connect(v1_GetVersion=always(version()), v1_SetAlias=answer)
        self.assertEqual(self.set_alias(client, expected_number=2).from_number, 2)
        self.assertEqual(self.called, ["GetVersion", *["SetAlias"] * 3])
        self.assert_same(requests, 3)
        self.set_alias(client, expected_number=2)
        self.assertNotEqual(requests[3].request_id, requests[2].request_id)

    def test_refused_alias(self) -> None:
        """
        If the first attempt had no effect, and another client has moved the alias meanwhile, the call fails.
        """
        moved = failure(errors.AliasMoved("walker", "production", 2, 9))
        client = self.connect(v1_GetVersion=always(version()), v1_SetAlias=in_turn(LOST, moved))
        with self.assertRaises(errors.AliasMoved) as caught:
            self.set_alias(client, expected_number=2)
        self.assertEqual(caught.exception.present_number, 9)
        full = failure(errors.TooManyAliases("walker", 1000))
        client = self.connect(v1_GetVersion=always(version()), v1_SetAlias=full)
        with self.assertRaises(errors.TooManyAliases) as refused:
            self.set_alias(client)
        self.assertEqual(refused.exception.max_aliases, 1000)

    def test_deleted_alias(self) -> None:
        """
        A deletion is repeated with the id of its first attempt, too.
        """
        answer, requests = self.requests(v1.DeleteAliasRequest, LOST, always(Empty()))
        self.connect(v1_DeleteAlias=answer).delete_alias("walker", "production")
        self.assert_same(requests, 2)
        unknown = failure(errors.UnknownAlias("walker", "production"))
        self.assertRaises(
            errors.UnknownAlias, self.connect(v1_DeleteAlias=unknown).delete_alias, "walker", "production"
        )

    def test_deleted_version(self) -> None:
        """
        A version that no longer exists, or whose number belongs to another one, was deleted; the same one is deleted
        again.
        """
        present, gone = always(version()), failure(errors.UnknownVersion("walker", 3))
        other = always(version(sha256=bytes([1] * 32)))
        for found, deleted, called in (
            (in_turn(present, gone), LOST, ["GetVersion", "DeleteVersion", "GetVersion"]),
            (in_turn(present, other), LOST, ["GetVersion", "DeleteVersion", "GetVersion"]),
            (present, in_turn(LOST, always(Empty())), ["GetVersion", "DeleteVersion"] * 2),
            (
                in_turn(present, present, gone),
                in_turn(LOST, gone),
                ["GetVersion", "DeleteVersion"] * 2 + ["GetVersion"],
            ),
        ):
            client = self.connect(v1_GetVersion=found, v1_DeleteVersion=deleted)
            client.delete_version("walker@3")
            self.assertEqual(self.called, called)
        client = self.connect(v1_GetVersion=present, v1_DeleteVersion=gone)
        self.assertRaises(errors.UnknownVersion, client.delete_version, "walker@3")

    def test_deleted_damaged_version(self) -> None:
        """
        A damaged version is deleted again while a damaged version has its number.
        """
        damaged, gone = failure(errors.CorruptVersion("walker", 3, "x")), failure(errors.UnknownVersion("walker", 3))
        for found, called in (
            (in_turn(damaged, gone), ["GetVersion", "DeleteVersion", "GetVersion"]),
            (in_turn(damaged, always(version())), ["GetVersion", "DeleteVersion", "GetVersion"]),
            (damaged, ["GetVersion", "DeleteVersion"] * 2),
        ):
            client = self.connect(v1_GetVersion=found, v1_DeleteVersion=in_turn(LOST, always(Empty())))
            client.delete_version("walker@-1")
            self.assertEqual(self.called, called)

    def test_damage_of_another_version(self) -> None:
        """
        A server that reports the damage of another model deletes nothing.
        """
        client = self.connect(v1_GetVersion=failure(errors.CorruptVersion("runner", 3, "x")))
        self.assertRaises(errors.CorruptVersion, client.delete_version, "walker@3")
        self.assertEqual(self.called, ["GetVersion"])

    def test_latest_version_that_becomes_another(self) -> None:
        """
        A change of the latest version is repeated for the version that was the latest at first.
        """
        changed: list[str] = []

        def change(request: bytes, context: grpc.ServicerContext) -> Any:
            changed.append(v1.UpdateVersionRequest.FromString(request).reference)
            return (LOST if len(changed) == 1 else always(version()))(request, context)

        found = in_turn(always(version()), always(version(4)))
        client = self.connect(v1_GetVersion=found, v1_UpdateVersion=change)
        client.annotate("walker", labels={"a": "b"})
        self.assertEqual(changed, ["walker@3"] * 2)

    def test_copy_has_one_key(self) -> None:
        """
        A copy is repeated with the same idempotency key.
        """
        keys: list[str] = []

        def copy(request: bytes, context: grpc.ServicerContext) -> Any:
            keys.append(v1.CopyVersionRequest.FromString(request).idempotency_key)
            return (LOST if len(keys) == 1 else always(version(1, model_id="runner")))(request, context)

        client = self.connect(v1_GetVersion=always(version()), v1_CopyVersion=copy)
        self.assertEqual(client.copy("walker@3", "runner").number, 1)
        self.assertTrue(keys[0])
        self.assertEqual(keys[0], keys[1])

    def test_updated_model(self) -> None:
        """
        With an etag, a model that has the change was updated, also if the etag is another now.
        """
        changed = failure(errors.EtagChanged("walker", "new"))
        found = always(v1.Model(model_id="walker", metadata={"a": "1", "b": "2"}, etag="new"))
        client = self.connect(v1_UpdateModel=in_turn(LOST, changed), v1_GetModel=found)
        self.assertEqual(client.update_model("walker", {"a": "1"}, remove=["c"], etag="old").metadata["b"], "2")
        client = self.connect(v1_UpdateModel=in_turn(LOST, changed), v1_GetModel=found)
        self.assertRaises(errors.EtagChanged, client.update_model, "walker", {"a": "3"}, etag="old")

    def test_ensured_model(self) -> None:
        """
        If another client changes the model between the read and the write, the missing pairs are computed again.
        """
        models = [v1.Model(model_id="walker", metadata={"a": "1"} | more, etag=str(more)) for more in ({}, {"b": "9"})]
        done = always(v1.Model(model_id="walker", metadata={"a": "1", "b": "9", "c": "3"}))
        updates: list[Any] = []

        def update(request: bytes, context: grpc.ServicerContext) -> Any:
            updates.append(v1.UpdateModelRequest.FromString(request))
            changed = failure(errors.EtagChanged("walker", "new"))
            return (changed if len(updates) == 1 else done)(request, context)

        client = self.connect(v1_CreateModel=in_turn(*map(always, models)), v1_UpdateModel=update)
        client.ensure_model("walker", {"a": "x", "b": "2", "c": "3"})
        self.assertEqual([dict(update.model.metadata) for update in updates], [{"b": "2", "c": "3"}, {"c": "3"}])
        self.assertEqual([update.model.etag for update in updates], [model.etag for model in models])


class EventTests(FakeRegistryCase):
    """
    Events over several connections.
    """

    def stream(self, *events: Any) -> Answer:
        """
        Make an answer that sends events and ends; the cursor of the request is noted.
        """

        def answer(request: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
            self.cursors.append(v1.WatchEventsRequest.FromString(request).cursor)
            yield from events

        return answer

    def setUp(self) -> None:
        """
        Note the cursors.
        """
        self.cursors: list[str] = []

    @staticmethod
    def event(cursor: str, **facts: Any) -> Any:
        """
        Make an event as it is sent.
        """
        return v1.Event(**{"cursor": cursor, "model_id": "walker", **facts})

    def started(self, cursor: str) -> Any:
        """
        Make the first event of a stream.
        """
        return v1.Event(cursor=cursor, started=v1.Started())

    def test_cursor(self) -> None:
        """
        After a lost connection, events go on after the last one.
        """
        client = self.connect(
            v1_WatchEvents=in_turn(
                self.stream(self.started("a"), self.event("b", version_created=version())),
                self.stream(self.started("b"), self.event("c", alias_moved=move())),
            )
        )
        kinds = [event.kind for event in islice(client.events("walker"), 3)]
        self.assertEqual(kinds, ["started", "version_created", "alias_moved"])
        self.assertEqual(self.cursors, ["", "b"])

    def test_expired_cursor(self) -> None:
        """
        If the events after the last one are no longer kept, the iterator raises an error.
        """
        expired = failure(errors.CursorExpired("a"))
        gone = failing_stream_of(expired)
        events = self.connect(v1_WatchEvents=in_turn(self.stream(self.started("a")), gone)).events()
        self.assertEqual(next(events).kind, "started")
        self.assertRaises(errors.CursorExpired, next, events)

    def test_tracker(self) -> None:
        """
        The tracker of an alias goes on after the last event, too; it reads the alias again only if it cannot.
        """
        client = self.connect(
            v1_WatchEvents=in_turn(
                self.stream(self.started("a"), self.event("b", alias_moved=move(4, 2))),
                self.stream(self.started("b"), self.event("c", alias_moved=move(5, 3))),
                failing_stream_of(failure(errors.CursorExpired("c"))),
                self.stream(self.started("d"), self.event("e", alias_moved=move(0, 5, from_number=6))),
            ),
            v1_ListAliases=in_turn(aliases(move(3)), aliases(move(6, 4))),
            RetrieveVersionInfos=infos(3, 4, 5, 6),
        )
        tracker = client.track("walker@production")
        numbers = []
        with self.assertRaises(errors.UnknownAlias):
            for info in tracker:
                numbers.append(info.version_number)
        # A slow reader gets the newest version only.
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(self.cursors, ["", "b", ""])
        self.assertEqual(self.called.count("ListAliases"), 2)

    def test_tracker_of_damaged_version(self) -> None:
        """
        If the alias names a damaged version, the tracker raises an error once, and waits for the next move.
        """
        damaged = failure(errors.CorruptVersion("walker", 3, "damaged"))
        moved = Event()

        def watch(request: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
            yield self.started("a")
            moved.wait(TIMEOUT_SECONDS)
            yield self.event("b", alias_moved=move(4, 2))
            moved.wait(TIMEOUT_SECONDS)

        client = self.connect(
            v1_WatchEvents=watch, v1_ListAliases=aliases(move(3)), RetrieveVersionInfos=in_turn(damaged, infos(4))
        )
        tracker = client.track("walker@production")
        self.assertRaises(errors.CorruptVersion, next, tracker)
        moved.set()
        self.assertEqual(next(tracker).version_number, 4)
        self.assertEqual(tracker.latest(), client.version("walker", 4))

    def test_checkpoint(self) -> None:
        """
        A new cursor without an event is not returned, and events go on after it.
        """
        checkpoint = v1.Event(cursor="b", checkpoint=v1.Checkpoint())
        client = self.connect(
            v1_WatchEvents=in_turn(
                self.stream(self.started("a"), checkpoint),
                self.stream(self.started("b"), self.event("c", alias_moved=move())),
            )
        )
        events = islice(client.events("walker", kinds=["alias_moved"]), 2)
        self.assertEqual([event.kind for event in events], ["started", "alias_moved"])
        self.assertEqual(self.cursors, ["", "b"])

    def test_events_of_a_newer_server(self) -> None:
        """
        An event of an unknown kind is skipped.
        """
        client = self.connect(
            v1_WatchEvents=in_turn(
                self.stream(self.started("a"), self.event("b"), self.event("c", model_deleted=v1.ModelRemoved()))
            )
        )
        self.assertEqual([event.cursor for event in islice(client.events(), 2)], ["a", "c"])

    def test_wrong_events(self) -> None:
        """
        Events that were not asked for, or have impossible values, are refused.
        """
        for events in (
            [self.event("a", version_created=version())],
            [self.started("")],
            [self.started("a"), self.started("b")],
            [self.started("a"), self.event("b", model_id="runner", alias_moved=move(model_id="runner"))],
            [self.started("a"), self.event("b", version_created=version())],
            [self.started("a"), self.event("b", alias_moved=move(0))],
            [self.started("a"), self.event("b", alias_moved=move(model_id="runner"))],
        ):
            client = self.connect(0, v1_WatchEvents=self.stream(*events))
            with self.assertRaises(errors.BadReply):
                list(islice(client.events("walker", kinds=["alias_moved"]), 2))


class WrongAnswerTests(FakeRegistryCase):
    """
    Answers that do not fit the request are not used.
    """

    def assert_bad(self, act: Callable[[BlockingClient], object], **answers: Answer) -> None:
        """
        Check that an answer is refused.
        """
        with self.assertRaises(errors.BadReply):
            act(self.connect(0, **answers))

    def test_versions(self) -> None:
        """
        A version of another model or number, or with impossible values.
        """
        for wrong in (
            version(model_id="runner"),
            version(2),
            version(0),
            version(2**32 - 1),
            version(sha256=b"short"),
            version(size_bytes=2**63),
            version(create_time={"seconds": -1}),
            version(metrics={"return": float("nan")}),
            version(metadata={"a": "x" * 5_000_000}),
        ):
            self.assert_bad(lambda client: client.get("walker@3"), v1_GetVersion=always(wrong))
            self.assert_bad(lambda client: client.annotate("walker@3"), v1_UpdateVersion=always(wrong))
        found = always(version())
        for wrong in (version(archived=False), version(sha256=bytes([1] * 32))):
            self.assert_bad(
                lambda client: client.archive("walker@3"),
                v1_GetVersion=always(version(archived=False)),
                v1_ArchiveVersion=always(wrong),
            )
            self.assert_bad(
                lambda client: client.copy("walker@3", "walker"), v1_GetVersion=found, v1_CopyVersion=always(wrong)
            )

    def test_aliases(self) -> None:
        """
        An alias of another model, name or version, or with impossible values.
        """
        for wrong in (
            alias(move(), model_id="runner"),
            alias(move(model_id="runner")),
            alias(move(alias="canary")),
            alias(move(), number=2),
            alias(move(2)),
            alias(move(sequence=0)),
            alias(move(0, from_number=2)),
        ):
            self.assert_bad(
                lambda client: client.set_alias("walker@3", "production"),
                v1_GetVersion=always(version()),
                v1_SetAlias=always(wrong),
            )
        for wrong in ([alias(move())] * 2, [alias(move(model_id="runner"))]):
            response = always(v1.ListAliasesResponse(aliases=wrong))
            self.assert_bad(lambda client: client.aliases("walker"), v1_ListAliases=response)

    def test_models(self) -> None:
        """
        A model of another id, with impossible numbers, or without the change.
        """
        for wrong in (
            v1.Model(model_id="runner"),
            v1.Model(model_id="walker", latest_number=2**31),
            v1.Model(model_id="walker", archived_count=1),
            v1.Model(model_id="walker", aliases={"production": 2**31}),
        ):
            self.assert_bad(lambda client: client.model_record("walker"), v1_GetModel=always(wrong))
        unchanged = always(v1.Model(model_id="walker"))
        self.assert_bad(lambda client: client.update_model("walker", {"a": "1"}), v1_UpdateModel=unchanged)

    def test_pages(self) -> None:
        """
        Pages of the history of aliases that are too long, are not in order, or do not lead forward.
        """
        response = v1.ListAliasEventsResponse
        endless = in_turn(*(always(response(events=[move(sequence=n)], next_page_token=str(n))) for n in (9, 8)))
        for wrong in (
            always(response(events=[move(sequence=n) for n in range(101, 0, -1)])),
            always(response(events=[move(sequence=1), move(sequence=2)])),
            always(response(next_page_token="more")),
            always(response(events=[move(alias="canary")])),
            endless,
        ):
            self.assert_bad(lambda client: list(client.alias_moves("walker", "production")), v1_ListAliasEvents=wrong)

    def test_searches(self) -> None:
        """
        Pages of versions and models that are too long, do not lead forward, or were not asked for.
        """
        response = v1.ListVersionsResponse
        for wrong in (
            response(versions=[version(number) for number in range(1, 102)]),
            response(versions=[version(model_id="runner")]),
            response(versions=[version()], next_page_token="same"),
            response(next_page_token="more"),
        ):
            self.assert_bad(lambda client: list(client.search("walker")), v1_ListVersions=always(wrong))
        for wrong in (response(versions=[version(), version(4)]), response(versions=[version()])):
            self.assert_bad(lambda client: client.best("walker", "return"), v1_ListVersions=always(wrong))
        unnamed = always(v1.ListModelsResponse(models=[v1.Model()]))
        self.assert_bad(lambda client: list(client.search_models()), v1_ListModels=unnamed)

    def test_series(self) -> None:
        """
        Series of other metrics, or whose numbers and values do not fit together.
        """
        for wrong in (
            {"metric": "loss"},
            {"metric": "return", "numbers": [1, 2], "values": [1.0], "version_count": 2},
            {"metric": "return", "numbers": [2, 1], "values": [1.0, 1.0], "version_count": 2},
            {"metric": "return", "numbers": [1], "values": [float("nan")], "version_count": 1},
            {"metric": "return", "numbers": [1], "values": [1.0]},
        ):
            answer = always(v1.GetMetricSeriesResponse(series=[wrong]))
            self.assert_bad(lambda client: client.metric_series("walker", "return"), v1_GetMetricSeries=answer)

    def test_retention(self) -> None:
        """
        Policies and pruned versions of other models.
        """
        for wrong in (v1.Retention(), v1.Retention(model_id="runner"), v1.Retention(prefix="r")):
            self.assert_bad(lambda client: client.retention("walker"), v1_GetRetention=always(wrong))
        pruned = [{"model_id": "walker", "numbers": [1, 2]}]
        for answer in (
            v1.PruneResponse(models=[{"model_id": "runner", "numbers": [1]}], version_count=1),
            v1.PruneResponse(models=[{"model_id": "walker", "numbers": [0]}], version_count=1),
            v1.PruneResponse(models=pruned, version_count=3),
        ):
            self.assert_bad(lambda client: client.prune("walker"), v1_Prune=streamed(answer))


class OlderServerTests(FakeRegistryCase):
    """
    A server that ignores the newer fields of lists.
    """

    def test_skip_and_count(self) -> None:
        """
        It is not mistaken for one that has skipped or counted.
        """
        client = self.connect(
            v1_ListVersions=always(v1.ListVersionsResponse(versions=[version()])),
            v1_ListModels=always(v1.ListModelsResponse(models=[v1.Model(model_id="walker")])),
        )
        for act in (
            lambda: list(client.search("walker", skip=1)),
            lambda: client.count_versions("walker"),
            lambda: list(client.search_models(skip=1)),
            client.count_models,
        ):
            with self.assertRaises(errors.Unsupported) as caught:
                act()
            self.assertIn("cannot skip or count", str(caught.exception))


class OtherServerTests(FakeRegistryCase):
    """
    A server without ``twisted_registry.v1``.
    """

    def test_what_it_lacks(self) -> None:
        """
        The error says what the server lacks.
        """
        client = self.connect()
        for act in (
            lambda: client.get("walker"),
            lambda: client.retrieve("walker@production"),
            lambda: client.annotate("walker@3", labels={"a": "b"}),
            lambda: client.archive("walker"),
            lambda: client.delete_version("walker@1"),
            lambda: client.copy("walker", "runner"),
            lambda: client.set_alias("walker", "production"),
            lambda: client.delete_alias("walker", "production"),
            lambda: client.aliases("walker"),
            lambda: list(client.alias_moves("walker")),
            lambda: client.model_record("walker"),
            lambda: list(client.search("walker")),
            lambda: list(client.search_models()),
            lambda: client.best("walker", "return"),
            lambda: client.metric_series("walker", "return"),
            lambda: list(client.metrics("walker")),
            lambda: list(client.followers()),
            client.server_status,
            client.caller,
            lambda: client.set_retention("walker", policy=None),
            lambda: client.retention("walker"),
            lambda: client.prune("walker"),
            lambda: client.update_model("walker", {"a": "b"}, etag="x"),
            lambda: next(client.events()),
            lambda: next(client.track("walker@production", wait=True)),
        ):
            with self.assertRaises(errors.Unsupported) as caught:
                act()
            self.assertIn("which older and other servers lack", str(caught.exception))

    def test_data_by_numbers(self) -> None:
        """
        References by number, and to the latest version, need nothing that it lacks.
        """
        sha256 = data_hash(b"data")
        sent = api.ModelVersionInfo(model_id="walker", version_number=3, data_hash=sha256, data_size=4)
        client = self.connect(
            RetrieveVersionInfos=always(api.RetrieveVersionInfosReply(version_infos=[sent])),
            RetrieveVersionData=lambda request, context: iter([api.RetrieveVersionDataReplyChunk(data_chunk=b"data")]),
        )
        for named in ("walker@3", "walker@-1", "walker@latest", "walker"):
            self.assertEqual(client.retrieve(named), b"data")
