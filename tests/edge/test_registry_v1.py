"""
Tests of ``twisted_registry.v1.Registry``: models, versions, aliases and events.
"""

from typing import Any
from uuid import uuid4

import grpc

from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_v1 import RegistryV1


class RegistryV1Case(SharedEdgeTestCase):
    """
    A model with one archived version and one transient one.
    """

    def setUp(self) -> None:
        """
        Make the model and its versions, with both APIs in use.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        self.v1.CreateModel(model={"model_id": self.model_id, "metadata": {"team": "blue"}})
        self.client.create(self.model_id, b"one", archived=True, user_data={"step": "1"})
        self.client.create(self.model_id, b"two")

    def at(self, version: object) -> str:
        """
        Return a reference to a version of the test's model.
        """
        return f"{self.model_id}@{version}"


class ModelTests(RegistryV1Case):
    """
    Calls about single models.
    """

    def test_get(self) -> None:
        """
        A model has its metadata, and what is known of its versions; both APIs see the same one.
        """
        self.v1.SetAlias(reference=self.at(1), alias="production")
        model = self.v1.GetModel(model_id=self.model_id)
        self.assertEqual(dict(model.metadata), {"team": "blue"})
        self.assertEqual((model.latest_number, model.version_count, model.archived_count), (2, 2, 1))
        self.assertEqual(dict(model.aliases), {"production": 1})
        self.assertEqual(dict(self.client.models(self.model_id).model_infos[0].user_data), {"team": "blue"})

    def test_create(self) -> None:
        """
        A model is created once; an existing one is returned unchanged if the request allows it.
        """
        given = {"model_id": self.model_id, "metadata": {"team": "red"}}
        self.assertEqual(self.v1.fails("CreateModel", model=given), grpc.StatusCode.ALREADY_EXISTS)
        model = self.v1.CreateModel(model=given, allow_existing=True)
        self.assertEqual(dict(model.metadata), {"team": "blue"})

    def test_update(self) -> None:
        """
        Keys are merged, masked or replaced.
        """
        for mask, metadata, expected in (
            ([], {"a": "1"}, {"team": "blue", "a": "1"}),
            (["metadata.team", "metadata.b"], {"b": "2"}, {"a": "1", "b": "2"}),
            (["metadata"], {"c": "3"}, {"c": "3"}),
        ):
            given = {"model_id": self.model_id, "metadata": metadata}
            model = self.v1.UpdateModel(model=given, update_mask={"paths": mask})
            self.assertEqual(dict(model.metadata), expected)

    def test_etag(self) -> None:
        """
        With the etag of another state, a model is neither changed nor deleted.
        """
        etag = self.v1.GetModel(model_id=self.model_id).etag
        given = {"model_id": self.model_id, "metadata": {"a": "1"}, "etag": etag}
        self.assertNotEqual(self.v1.UpdateModel(model=given).etag, etag)
        self.assertEqual(self.v1.fails("UpdateModel", model=given), grpc.StatusCode.ABORTED)
        self.assertEqual(self.v1.fails("DeleteModel", model_id=self.model_id, etag=etag), grpc.StatusCode.ABORTED)
        present = self.v1.GetModel(model_id=self.model_id).etag
        self.v1.DeleteModel(model_id=self.model_id, etag=present)
        self.assertEqual(self.v1.fails("GetModel", model_id=self.model_id), grpc.StatusCode.NOT_FOUND)

    def test_missing(self) -> None:
        """
        An update creates a missing model only if the request allows it.
        """
        given = {"model_id": f"{self.model_id}-new"}
        self.assertEqual(self.v1.fails("UpdateModel", model=given), grpc.StatusCode.NOT_FOUND)
        self.assertEqual(self.v1.UpdateModel(model=given, allow_missing=True).version_count, 0)

    def test_missing_with_etag(self) -> None:
        """
        With an etag, an update never creates a model, whatever the etag is.
        """
        empty = self.v1.UpdateModel(model={"model_id": self.model_id}, update_mask={"paths": ["metadata"]}).etag
        missing = f"{self.model_id}-new"
        for etag in (empty, "0123456789abcdef"):
            for allow_missing in (True, False):
                given = {"model_id": missing, "metadata": {"a": "1"}, "etag": etag}
                code = self.v1.fails("UpdateModel", model=given, allow_missing=allow_missing)
                self.assertEqual(code, grpc.StatusCode.NOT_FOUND, (etag, allow_missing))
        self.assertEqual(self.v1.fails("GetModel", model_id=missing), grpc.StatusCode.NOT_FOUND)


class VersionTests(RegistryV1Case):
    """
    Calls about single versions.
    """

    def test_get(self) -> None:
        """
        A version is found by each form of reference.
        """
        self.v1.SetAlias(reference=self.at(1), alias="production")
        for reference, number in (
            (self.model_id, 2),
            (self.at(1), 1),
            (self.at("v1"), 1),
            (self.at(-2), 1),
            (self.at("latest"), 2),
            (self.at("production"), 1),
        ):
            self.assertEqual(self.v1.GetVersion(reference=reference).number, number, reference)
        version = self.v1.GetVersion(reference=self.at(1))
        info = self.client.infos(self.model_id, 1).version_infos[0]
        self.assertEqual(version.create_time.ToNanoseconds(), info.creation_timestamp)
        self.assertEqual((version.archived, version.size_bytes, len(version.sha256)), (True, 3, 32))
        self.assertEqual((dict(version.metadata), list(version.aliases)), ({"step": "1"}, ["production"]))

    def test_unknown(self) -> None:
        """
        A reference that names nothing is NOT_FOUND, and a malformed one is INVALID_ARGUMENT.
        """
        for reference, code in (
            (self.at(7), grpc.StatusCode.NOT_FOUND),
            (self.at("canary"), grpc.StatusCode.NOT_FOUND),
            (f"{self.model_id}-no", grpc.StatusCode.NOT_FOUND),
            ("", grpc.StatusCode.INVALID_ARGUMENT),
            (self.at("a.b"), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            for name in ("GetVersion", "UpdateVersion", "ArchiveVersion", "DeleteVersion"):
                self.assertEqual(self.v1.fails(name, reference=reference), code, (name, reference))

    def test_update(self) -> None:
        """
        Labels and metrics change, and cogmentAPI does not see them.
        """
        given = {"labels": {"env": "walker"}, "metrics": {"return": 3.5}}
        for number in (1, 2):
            version = self.v1.UpdateVersion(reference=self.at(number), version=given)
            self.assertEqual((dict(version.labels), dict(version.metrics)), ({"env": "walker"}, {"return": 3.5}))
            version = self.v1.UpdateVersion(reference=self.at(number), update_mask={"paths": ["labels.env"]})
            self.assertEqual((dict(version.labels), dict(version.metrics)), ({}, {"return": 3.5}))
            self.assertEqual(self.v1.GetVersion(reference=self.at(number)), version)

    def test_archive(self) -> None:
        """
        A transient version is archived, as cogmentAPI sees as well.
        """
        before = self.client.infos(self.model_id, 2).version_infos[0]
        version = self.v1.ArchiveVersion(reference=self.at(2))
        self.assertTrue(version.archived)
        info = self.client.infos(self.model_id, 2).version_infos[0]
        self.assertTrue(info.archived)
        self.assertEqual(info.data_hash, before.data_hash)
        self.assertEqual(self.client.data(self.model_id, 2), b"two")

    def test_delete(self) -> None:
        """
        A version is deleted, for both APIs, unless an alias names it.
        """
        self.v1.SetAlias(reference=self.at(1), alias="production")
        self.assertEqual(self.v1.fails("DeleteVersion", reference=self.at(1)), grpc.StatusCode.FAILED_PRECONDITION)
        self.v1.DeleteVersion(reference=self.at("latest"))
        infos = self.client.infos(self.model_id).version_infos
        self.assertEqual([info.version_number for info in infos], [1])
        self.assertEqual(self.client.create(self.model_id, b"three").version_number, 3)


class AliasTests(RegistryV1Case):
    """
    Calls about aliases.
    """

    def test_moved(self) -> None:
        """
        An alias is set, moved with compare-and-set, listed and deleted; its history stays.
        """
        alias = self.v1.SetAlias(reference=self.at(1), alias="production", expected_number=0, reason="first")
        self.assertEqual((alias.number, alias.move.from_number, alias.move.reason), (1, 0, "first"))
        request = {"reference": self.at(2), "alias": "production", "reason": "better"}
        self.assertEqual(self.v1.fails("SetAlias", expected_number=2, **request), grpc.StatusCode.ABORTED)
        self.v1.SetAlias(expected_number=1, **request)
        self.assertTrue(self.client.infos(self.model_id, 2).version_infos[0].archived)
        self.assertEqual([a.number for a in self.v1.ListAliases(model_id=self.model_id).aliases], [2])
        self.v1.DeleteAlias(model_id=self.model_id, alias="production", expected_number=2)
        self.assertEqual(list(self.v1.ListAliases(model_id=self.model_id).aliases), [])
        events = self.v1.ListAliasEvents(model_id=self.model_id).events
        self.assertEqual([(event.from_number, event.to_number) for event in events], [(2, 0), (1, 2), (0, 1)])
        self.assertEqual([event.reason for event in events], ["", "better", "first"])

    def test_repeated(self) -> None:
        """
        A repeated request with its id returns the first answer, and undoes nothing; another one with it is refused.
        """
        request = {"reference": self.at(1), "alias": "production", "request_id": str(uuid4()), "expected_number": 0}
        first = self.v1.SetAlias(**request)
        self.v1.SetAlias(reference=self.at(2), alias="production")
        self.assertEqual(self.v1.SetAlias(**request), first)
        self.assertEqual([a.number for a in self.v1.ListAliases(model_id=self.model_id).aliases], [2])
        code = self.v1.fails("SetAlias", **{**request, "reference": self.at(2)})
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
        removal = {"model_id": self.model_id, "alias": "production", "request_id": str(uuid4())}
        self.v1.DeleteAlias(**removal)
        self.v1.SetAlias(reference=self.at(1), alias="production")
        self.v1.DeleteAlias(**removal)
        self.assertEqual([a.number for a in self.v1.ListAliases(model_id=self.model_id).aliases], [1])
        code = self.v1.fails("SetAlias", reference=self.at(1), alias="production", request_id="1")
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)

    def test_refused(self) -> None:
        """
        A name that is not allowed, a version and an alias that do not exist are refused.
        """
        for name in ("latest", "v3", "", "a b", "9"):
            code = self.v1.fails("SetAlias", reference=self.at(1), alias=name)
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT, name)
        code = self.v1.fails("SetAlias", reference=self.at(7), alias="a")
        self.assertEqual(code, grpc.StatusCode.NOT_FOUND)
        self.assertEqual(self.v1.fails("DeleteAlias", model_id=self.model_id, alias="a"), grpc.StatusCode.NOT_FOUND)

    def test_pages(self) -> None:
        """
        The history comes in pages, of one alias or of all.
        """
        for number in (1, 2, 1, 2, 1):
            self.v1.SetAlias(reference=self.at(number), alias="a")
            self.v1.SetAlias(reference=self.at(number), alias="b")
        for alias, count in (("", 10), ("b", 5)):
            events: list[Any] = []
            token = ""
            while True:
                request = {"model_id": self.model_id, "alias": alias, "page_size": 3, "page_token": token}
                page = self.v1.ListAliasEvents(**request)
                events.extend(page.events)
                token = page.next_page_token
                if not token:
                    break
            self.assertEqual(len(events), count)
            sequences = [event.sequence for event in events]
            self.assertEqual(sequences, sorted(sequences, reverse=True))
        request = {"model_id": self.model_id, "page_token": "x"}
        self.assertEqual(self.v1.fails("ListAliasEvents", **request), grpc.StatusCode.INVALID_ARGUMENT)


class EventTests(RegistryV1Case):
    """
    Events as they happen.
    """

    def watch(self, **request: Any) -> Any:
        """
        Watch the test's model, and return the stream after its first message.
        """
        stream = self.v1.WatchEvents(model_id=self.model_id, **request)
        self.addCleanup(stream.cancel)
        self.assertEqual(next(stream).WhichOneof("kind"), "started")
        return stream

    def test_events(self) -> None:
        """
        Each change of the model is sent, in order.
        """
        stream = self.watch()
        self.client.create(self.model_id, b"three")
        self.v1.UpdateVersion(reference=self.at(3), version={"metrics": {"return": 1.0}})
        self.v1.SetAlias(reference=self.at(3), alias="production", reason="good")
        self.v1.DeleteVersion(reference=self.at(2))
        self.v1.UpdateModel(model={"model_id": self.model_id, "metadata": {"a": "b"}})
        self.v1.DeleteModel(model_id=self.model_id)
        kinds = ["version_created", "version_updated", "version_archived", "alias_moved", "version_deleted"]
        events = [next(stream) for _ in range(len(kinds) + 2)]
        self.assertEqual([event.WhichOneof("kind") for event in events], [*kinds, "model_updated", "model_deleted"])
        self.assertEqual(dict(events[2].version_archived.metrics), {"return": 1.0})
        self.assertEqual(events[3].alias_moved.reason, "good")
        self.assertEqual((events[4].version_deleted.number, events[4].version_deleted.size_bytes), (2, 3))
        self.assertEqual({event.model_id for event in events}, {self.model_id})

    def test_resume(self) -> None:
        """
        With the cursor of the last event, a client goes on after it, and misses none.
        """
        stream = self.watch()
        self.client.create(self.model_id, b"three")
        cursor = next(stream).cursor
        stream.cancel()
        self.client.create(self.model_id, b"four")
        self.client.create(self.model_id, b"five")
        resumed = self.watch(cursor=cursor)
        self.assertEqual([next(resumed).version_created.number for _ in range(2)], [4, 5])

    def test_filter(self) -> None:
        """
        A client watches models by prefix, and the kinds that it names.
        """
        stream = self.v1.WatchEvents(prefix=self.model_id[:-1], kinds=["alias_moved"])
        self.addCleanup(stream.cancel)
        next(stream)
        self.client.create(self.model_id, b"three")
        self.v1.SetAlias(reference=self.at(3), alias="a")
        self.assertEqual(next(stream).WhichOneof("kind"), "alias_moved")

    def test_refused(self) -> None:
        """
        A cursor of another process is OUT_OF_RANGE.  A malformed cursor, an unknown kind, and a model together with a
        prefix are INVALID_ARGUMENT.
        """
        for request, code in (
            ({"cursor": "0123456789ab-7"}, grpc.StatusCode.OUT_OF_RANGE),
            ({"cursor": "x"}, grpc.StatusCode.INVALID_ARGUMENT),
            ({"kinds": ["none"]}, grpc.StatusCode.INVALID_ARGUMENT),
            ({"model_id": self.model_id, "prefix": self.model_id[:1]}, grpc.StatusCode.INVALID_ARGUMENT),
        ):
            self.assertEqual(self.v1.fails("WatchEvents", **request), code)
