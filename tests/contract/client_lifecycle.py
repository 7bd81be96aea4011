"""
The contract of a client, for each face: what happens to versions after their creation.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from attrs import evolve

from tests.support.client import data_hash
from tests.support.edge import SharedEdgeTestCase
from tests.support.styles import Style
from twisted_registry.client import (
    Event,
    KeepBest,
    MetricSeries,
    MetricSummary,
    Pruned,
    PrunedModel,
    Reference,
    Retention,
    RetentionPolicy,
    errors,
)
from twisted_registry.domain.filter_syntax import MAX_DEPTH


class LifecycleCase(SharedEdgeTestCase):
    """
    A model with an archived version and a transient one, and a client of each style.
    """

    style: ClassVar[Any]

    def setUp(self) -> None:
        """
        Make the client and the versions.
        """
        super().setUp()
        self.registry: Style = self.style(self.daemon.address)
        self.addCleanup(self.registry.close)
        self.registry.call("save_model", self.model_id)
        self.stored = self.registry.call("store", self.model_id, b"stored", {"step": "1"})
        self.published = self.registry.call("publish", self.model_id, b"published")

    def at(self, version: object) -> str:
        """
        Return a reference to a version of the model.
        """
        return f"{self.model_id}@{version}"


class LifecycleContract(LifecycleCase):
    """
    Run for each style.
    """

    # Models

    def test_model_record(self) -> None:
        """
        A model's record has its metadata, the number of its versions, and its aliases.
        """
        self.registry.call("set_alias", self.at(1), "production")
        self.registry.call("update_model", self.model_id, {"task": "walk"})
        record = self.registry.call("model_record", self.model_id)
        self.assertEqual((record.model_id, record.metadata), (self.model_id, {"task": "walk"}))
        self.assertEqual((record.latest_number, record.version_count, record.archived_count), (2, 2, 1))
        self.assertEqual(record.aliases, {"production": 1})
        self.assertRaises(errors.UnknownModel, self.registry.call, "model_record", f"{self.model_id}-2")

    def test_update_of_what_was_read(self) -> None:
        """
        With an etag, a model is updated only if nobody has changed it since.
        """
        read = self.registry.call("model_record", self.model_id)
        updated = self.registry.call("update_model", self.model_id, {"production": "1"}, etag=read.etag)
        self.assertEqual(updated.metadata, {"production": "1"})
        with self.assertRaises(errors.EtagChanged) as caught:
            self.registry.call("update_model", self.model_id, {"production": "2"}, etag=read.etag)
        present = self.registry.call("model_record", self.model_id)
        self.assertEqual((caught.exception.present_etag, present.metadata), (present.etag, {"production": "1"}))
        self.registry.call("update_model", self.model_id, remove="production", etag=present.etag)
        self.assertEqual(self.registry.call("model_record", self.model_id).etag, read.etag)

    # Versions by reference

    def test_version_by_reference(self) -> None:
        """
        A version is found by each form of a reference, by its info, and by its record.
        """
        self.registry.call("set_alias", self.stored, "production")
        for named in (
            self.at(1),
            self.at("v1"),
            self.at("production"),
            self.at(-2),
            self.stored,
            Reference.parse(self.at(1)),
        ):
            record = self.registry.call("get", named)
            self.assertEqual((record.info, record.aliases), (self.stored, ("production",)))
            self.assertEqual(self.registry.call("get", record), record)
        for named in (self.model_id, self.at("latest"), self.at(-1)):
            self.assertEqual(self.registry.call("get", named).info, self.published)

    def test_data_by_reference(self) -> None:
        """
        Data is retrieved by each form of a reference, by an info, and by a record, however it is retrieved.
        """
        self.registry.call("set_alias", self.stored, "production")
        record = self.registry.call("get", self.at("production"))
        path = Path(self.mktemp())
        for named in (self.at(1), self.at("production"), self.at(-2), self.stored, record, Reference(self.model_id, 1)):
            self.assertEqual(self.registry.call("retrieve", named), b"stored")
            self.assertEqual(b"".join(self.registry.iterate("retrieve_chunks", named)), b"stored")
            self.assertEqual(self.registry.call("retrieve_file", named, path), self.stored)
            self.assertEqual(path.read_bytes(), b"stored")
        for named in (self.model_id, self.at("latest"), self.at(-1), Reference(self.model_id), self.published):
            self.assertEqual(self.registry.call("retrieve", named), b"published")
        self.assertEqual(self.registry.call("retrieve", self.model_id, record), b"stored")

    def test_data_of_a_record_from_elsewhere(self) -> None:
        """
        Data that does not have the hash of the caller's info or record is refused.
        """
        record = self.registry.call("get", self.at(1))
        wrong = evolve(record, info=evolve(self.stored, sha256=data_hash(b"other!")))
        for named in ((wrong,), (wrong.info,), (self.model_id, wrong)):
            self.assertRaises(errors.CorruptTransfer, self.registry.call, "retrieve", *named)

    def test_data_of_a_model_with_at_sign(self) -> None:
        """
        Beside a version, the id of a model is taken as it is; in a reference, its ``@`` is written ``%40``.
        """
        model_id = f"{self.model_id}@eu"
        self.registry.call("save_model", model_id)
        self.registry.call("store", model_id, b"data")
        for named in ((model_id, 1), (model_id, -1), (f"{self.model_id}%40eu",), (f"{self.model_id}%40eu@1",)):
            self.assertEqual(self.registry.call("retrieve", *named), b"data")
        with self.assertRaises(errors.UnknownAlias):
            self.registry.call("retrieve", model_id)

    def test_version_to_retrieve_is_named_once(self) -> None:
        """
        A reference beside a version is refused, unless it could be the id of a model.
        """
        with self.assertRaises(errors.InvalidRequest):
            self.registry.call("retrieve", self.stored, 1)
        with self.assertRaises(errors.UnknownModel):
            self.registry.call("retrieve", self.at(1), 1)

    def test_unknown_references(self) -> None:
        """
        A reference to what does not exist, or cannot, raises an error that says which.
        """
        for named, error in (
            (self.at(99), errors.UnknownVersion),
            (self.at("production"), errors.UnknownAlias),
            (f"{self.model_id}-2@1", errors.UnknownModel),
            (self.at("two words"), errors.InvalidRequest),
            ("", errors.InvalidModelId),
        ):
            for name in ("get", "archive", "delete_version", "annotate", *(["retrieve"] if named else [])):
                with self.assertRaises(error):
                    self.registry.call(name, named)

    def test_key_in_backquotes(self) -> None:
        """
        A key in backquotes is not the key within them.
        """
        self.registry.call("update_model", self.model_id, {"a": "1", "`a`": "2"})
        self.registry.call("update_model", self.model_id, {"`a`": "3"})
        metadata = self.registry.call("model", self.model_id).metadata
        self.assertEqual((metadata["a"], metadata["`a`"]), ("1", "3"))

    def test_model_id_with_at_sign(self) -> None:
        """
        An ``@`` of a model's id is written ``%40`` in a reference, and stays as it is elsewhere.
        """
        model_id = f"{self.model_id}@eu"
        self.registry.call("save_model", model_id)
        info = self.registry.call("store", model_id, b"data")
        self.assertEqual(self.registry.call("get", f"{self.model_id}%40eu@1").info, info)
        self.assertEqual(self.registry.call("set_alias", info, "production").to_number, 1)
        self.assertEqual(list(self.registry.call("aliases", model_id)), ["production"])

    def test_created_with_details(self) -> None:
        """
        Labels, metrics and aliases are set in the commit of a version, of small data and of data that is read once.
        """
        annotated: dict[str, Any] = {"labels": {"task": "walk"}, "metrics": {"return": 7, "loss": float("inf")}}
        aliased: dict[str, Any] = {"aliases": ["production", "canary"], "reason": "passed"}
        for data, size in ((b"small", None), (iter([b"sma", b"ll"]), 5)):
            info = self.registry.call("publish", self.model_id, data, {"step": "2"}, size_bytes=size, **annotated)
            record = self.registry.call("get", info)
            self.assertEqual((info.archived, info.metadata, info.sha256), (False, {"step": "2"}, data_hash(b"small")))
            self.assertEqual((record.info, record.labels, record.aliases), (info, {"task": "walk"}, ()))
            self.assertEqual(record.metrics, {"return": 7.0, "loss": float("inf")})
        info = self.registry.call("store", self.model_id, b"small", **annotated, **aliased)
        record = self.registry.call("get", self.at("production"))
        self.assertEqual((record.info, record.aliases), (info, ("canary", "production")))
        self.assertEqual((record.labels, len(record.metrics)), ({"task": "walk"}, 2))
        moves = list(self.registry.iterate("alias_moves", self.model_id))
        self.assertEqual([(move.to_number, move.reason) for move in moves], [(info.version_number, "passed")] * 2)

    def test_details_that_are_not_allowed(self) -> None:
        """
        Details that are not allowed, or given with a time of creation, are refused before anything is sent.
        """
        for refused in (
            {"labels": {"": "empty"}},
            {"labels": {"step": 1}},
            {"metrics": {"return": float("nan")}},
            {"metrics": {"return": "7"}},
            {"aliases": ["3"]},
            {"aliases": ["a", "a"]},
            {"aliases": "production", "created_ns": 7},
        ):
            with self.assertRaises(errors.InvalidRequest):
                self.registry.call("store", self.model_id, b"data", **refused)
        self.assertEqual(self.registry.call("model_record", self.model_id).latest_number, 2)

    def test_annotations(self) -> None:
        """
        Labels and metrics are set and removed one by one; the others stay.
        """
        annotate = self.registry.call
        record = annotate("annotate", self.at(1), labels={"env": "walker", "team": "blue"}, metrics={"return": 1})
        self.assertEqual((record.labels, record.metrics), ({"env": "walker", "team": "blue"}, {"return": 1.0}))
        record = annotate(
            "annotate",
            self.stored,
            labels={"a.b": "`c`"},
            metrics={"loss": float("inf")},
            remove_labels=["team", "nothing"],
            remove_metrics="return",
        )
        self.assertEqual((record.labels, record.metrics), ({"env": "walker", "a.b": "`c`"}, {"loss": float("inf")}))
        self.assertEqual(self.registry.call("get", self.at(1)), record)
        self.assertEqual(annotate("annotate", self.at(1)), record)

    def test_keys_of_annotations(self) -> None:
        """
        Keys with dots and backquotes are set and removed as they are.
        """
        keys = ("`", "``", "`a`", "a.b", "labels.a", "*")
        record = self.registry.call("annotate", self.at(1), labels=dict.fromkeys(keys, "x"), remove_labels=["other"])
        self.assertEqual(record.labels, dict.fromkeys(keys, "x"))
        self.assertEqual(self.registry.call("annotate", self.at(1), remove_labels=keys).labels, {})

    def test_annotations_of_latest(self) -> None:
        """
        A model's id means its latest version.
        """
        record = self.registry.call("annotate", self.model_id, metrics={"return": 2})
        self.assertEqual(record.info, self.published)

    def test_impossible_annotations(self) -> None:
        """
        Values that cannot be labels or metrics are refused before anything changes.
        """
        for wrong in (
            {"metrics": {"return": float("nan")}},
            {"metrics": {"return": "1"}},
            {"metrics": {1: 1}},
            {"labels": {"env": 1}},
            {"labels": {"": "x"}},
            {"remove_labels": [""]},
        ):
            with self.assertRaises(errors.InvalidRequest):
                self.registry.call("annotate", self.at(1), **wrong)
        self.assertEqual(self.registry.call("get", self.at(1)).labels, {})

    def test_creation_with_key(self) -> None:
        """
        The same idempotency key again returns the version that was created with it.
        """
        for create in ("publish", "store"):
            infos = [self.registry.call(create, self.model_id, b"x", idempotency_key=create) for _ in range(2)]
            self.assertEqual(infos[0].version_number, infos[1].version_number)
            self.assertRaises(
                errors.InvalidRequest, self.registry.call, create, self.model_id, b"y", idempotency_key=create
            )
        with self.assertRaises(errors.InvalidRequest):
            self.registry.call("publish", self.model_id, b"x", idempotency_key="")

    def test_archived_version(self) -> None:
        """
        A transient version is archived with its number and data; an archived one stays as it is.
        """
        archived = self.registry.call("archive", self.published)
        self.assertTrue(archived.archived)
        self.assertEqual((archived.number, archived.sha256), (2, data_hash(b"published")))
        self.assertEqual(self.registry.call("archive", self.at(2)), archived)
        self.assertEqual(self.registry.call("retrieve", self.model_id, 2), b"published")

    def test_deleted_version(self) -> None:
        """
        A deleted version no longer exists, and its number does not come again.
        """
        for info in (self.stored, self.published):
            self.registry.call("delete_version", info)
        self.assertEqual(list(self.registry.iterate("versions", self.model_id)), [])
        with self.assertRaises(errors.UnknownVersion):
            self.registry.call("delete_version", self.stored)
        self.assertEqual(self.registry.call("publish", self.model_id, b"next").version_number, 3)

    def test_all_annotations_are_replaced(self) -> None:
        """
        With ``replace``, the labels and metrics that are not given are removed.
        """
        self.registry.call("annotate", self.stored, labels={"a": "1", "b": "2"}, metrics={"return": 1, "loss": 2})
        record = self.registry.call("annotate", self.stored, labels={"b": "3"}, metrics={"loss": 4}, replace=True)
        self.assertEqual((record.labels, record.metrics), ({"b": "3"}, {"loss": 4.0}))
        record = self.registry.call("annotate", self.stored, replace=True)
        self.assertEqual((record.labels, record.metrics), ({}, {}))

    def test_copy_with_a_key(self) -> None:
        """
        The same copy with the same key returns the version that it made; another one with the key is refused.
        """
        key = f"{self.model_id}-{self.style.__name__}"
        self.registry.call("save_model", f"{self.model_id}-2")
        copies = [
            self.registry.call("copy", self.stored, f"{self.model_id}-2", idempotency_key=key).info for _ in range(2)
        ]
        self.assertEqual((copies[0].version_number, copies[0]), (1, copies[1]))
        for source, keywords in ((self.published, {}), (self.stored, {"transient": True})):
            with self.assertRaises(errors.InvalidRequest):
                self.registry.call("copy", source, f"{self.model_id}-2", idempotency_key=key, **keywords)
        with self.assertRaises(errors.InvalidRequest):
            self.registry.call("copy", self.stored, f"{self.model_id}-2", idempotency_key="")

    def test_model_is_not_a_version_to_delete(self) -> None:
        """
        A deletion names its version: a forgotten number does not delete the latest one.
        """
        with self.assertRaises(errors.InvalidRequest):
            self.registry.call("delete_version", self.model_id)
        self.registry.call("delete_version", self.at("latest"))
        self.assertEqual(len(list(self.registry.iterate("versions", self.model_id))), 1)

    def test_aliased_version_is_not_deleted(self) -> None:
        """
        A version that an alias names is deleted only after the alias.
        """
        self.registry.call("set_alias", self.at(1), "production")
        with self.assertRaises(errors.AliasedVersion) as caught:
            self.registry.call("delete_version", self.at(1))
        self.assertEqual(caught.exception.alias, "production")
        self.registry.call("delete_alias", self.model_id, "production")
        self.registry.call("delete_version", self.at(1))

    # Aliases

    def test_set_alias(self) -> None:
        """
        An alias names a version; a transient version is archived first.
        """
        move = self.registry.call("set_alias", self.model_id, "production", reason="the first")
        self.assertEqual((move.alias, move.from_number, move.to_number), ("production", 0, 2))
        self.assertEqual((move.reason, move.sequence), ("the first", 1))
        self.assertTrue(self.registry.call("get", self.at("production")).archived)
        self.assertEqual(self.registry.call("aliases", self.model_id), {"production": move})

    def test_alias_moves_from_expected_version(self) -> None:
        """
        An alias moves only from the version that is expected, if one is.
        """
        self.registry.call("set_alias", self.at(1), "production", expected_number=0)
        with self.assertRaises(errors.AliasMoved) as caught:
            self.registry.call("set_alias", self.at(2), "production", expected_number=0)
        self.assertEqual(caught.exception.present_number, 1)
        move = self.registry.call("set_alias", self.at(2), "production", expected_number=1)
        self.assertEqual((move.from_number, move.to_number), (1, 2))
        with self.assertRaises(errors.AliasMoved):
            self.registry.call("delete_alias", self.model_id, "production", expected_number=1)

    def test_impossible_aliases(self) -> None:
        """
        A name that no alias can have, and a number that no version can have, are refused.
        """
        for arguments in (("latest", {}), ("v3", {}), ("two words", {}), ("a", {"expected_number": -1})):
            with self.assertRaises(errors.InvalidRequest):
                self.registry.call("set_alias", self.at(1), arguments[0], **arguments[1])
        self.assertEqual(self.registry.call("aliases", self.model_id), {})

    def test_deleted_alias(self) -> None:
        """
        A deleted alias names nothing, and its history stays.
        """
        first = self.registry.call("set_alias", self.at(1), "production")
        self.registry.call("delete_alias", self.model_id, "production", expected_number=1, reason="no longer used")
        with self.assertRaises(errors.UnknownAlias):
            self.registry.call("get", self.at("production"))
        with self.assertRaises(errors.UnknownAlias):
            self.registry.call("delete_alias", self.model_id, "production")
        deleted, set_before = self.registry.iterate("alias_moves", self.model_id, "production")
        self.assertEqual((deleted.from_number, deleted.to_number, deleted.reason), (1, 0, "no longer used"))
        self.assertEqual(set_before, first)

    def test_alias_moves_are_listed_in_pages_nobody_sees(self) -> None:
        """
        All moves are listed, the newest first, also if there are more than go on a page.
        """
        moves = [
            self.registry.call("set_alias", self.at(1 + number // 2 % 2), f"a{number % 2}") for number in range(205)
        ]
        self.assertEqual(list(self.registry.iterate("alias_moves", self.model_id)), moves[::-1])
        self.assertEqual(list(self.registry.iterate("alias_moves", self.model_id, "a1")), moves[::-1][1::2])

    # Searches

    def annotate(self, metrics: dict[int, float]) -> None:
        """
        Set a metric of some versions.
        """
        for number, value in metrics.items():
            self.registry.call("annotate", self.at(number), metrics={"return": value, 'a."b"\\': -value})

    def numbers(self, *arguments: str) -> list[int]:
        """
        Return the numbers of the versions that a search finds.
        """
        return [record.number for record in self.registry.iterate("search", self.model_id, *arguments)]

    def test_search(self) -> None:
        """
        Versions are found by a filter, in an order, with all that is known of them.
        """
        self.registry.call("store", self.model_id, b"third")
        self.annotate({1: 1, 2: 30, 3: 4})
        self.assertEqual(self.numbers(), [1, 2, 3])
        self.assertEqual(self.numbers("archived", "metrics.return desc"), [3, 1])
        self.assertEqual(self.numbers("metrics.return > 100"), [])
        self.registry.call("set_alias", self.at(3), "production")
        (record,) = self.registry.iterate("search", self.model_id, "aliases:production")
        self.assertEqual(record, self.registry.call("get", self.at(3)))

    def test_search_in_pages_nobody_sees(self) -> None:
        """
        All versions are found, also if there are more than go on a page.
        """
        for _ in range(205):
            self.client.create(self.model_id, b"x", archived=True)
        self.assertEqual(self.numbers("", "number desc"), list(range(207, 0, -1)))
        found = self.registry.iterate("search", self.model_id, "archived", "number desc", skip=150)
        self.assertEqual([record.number for record in found], [*range(57, 2, -1), 1])
        self.assertEqual(self.registry.call("count_versions", self.model_id), 207)
        self.assertEqual(self.registry.call("count_versions", self.model_id, "number > 200 OR NOT archived"), 8)
        self.assertEqual(self.registry.call("count_versions", self.model_id, "labels:pin"), 0)
        with self.assertRaises(errors.InvalidRequest):
            list(self.registry.iterate("search", self.model_id, skip=-1))

    def test_metrics(self) -> None:
        """
        The values of metrics are returned over the numbers of the versions, and the metrics are listed.
        """
        self.annotate({1: 5, 2: float("inf")})
        found = self.registry.call("metric_series", self.model_id, "return", "other")
        self.assertEqual(found["return"], MetricSeries("return", (1, 2), (5.0, float("inf")), 2))
        self.assertEqual(found["other"], MetricSeries("other", (), (), 0))
        found = self.registry.call("metric_series", self.model_id, "return", first_number=2, max_points=4)
        self.assertEqual(found["return"].numbers, (2,))
        listed = list(self.registry.iterate("metrics", self.model_id))
        self.assertEqual([(each.name, each.version_count) for each in listed], [('a."b"\\', 2), ("return", 2)])
        self.assertEqual(listed[1], MetricSummary("return", 2, 2, float("inf"), 5.0, float("inf")))
        for wrong in ({"max_points": -1}, {"first_number": -1}, {"max_points": 3}):
            with self.assertRaises(errors.InvalidRequest):
                self.registry.call("metric_series", self.model_id, "return", **wrong)

    def test_server(self) -> None:
        """
        The state of the server, its followers and the caller are returned.
        """
        status = self.registry.call("server_status")
        self.assertGreaterEqual(status.model_count, 1)
        self.assertGreater(status.uptime_seconds, 0)
        self.assertEqual((status.archive_problem, status.write_problem), ("", ""))
        caller = self.registry.call("caller", self.model_id)
        self.assertEqual((caller.subject, caller.ends_ns, "delete" in caller.actions), ("", None, True))
        stream = self.client.updates(self.model_id)
        next(stream)
        (follower,) = self.registry.iterate("followers", self.model_id)
        self.assertEqual(
            (follower.model_id, follower.stream, follower.last_number), (self.model_id, "VersionUpdate", 2)
        )
        self.assertGreaterEqual(follower.last_ns, follower.started_ns)
        stream.cancel()

    def test_mistakes_in_searches(self) -> None:
        """
        A mistake in a filter or an order is an error that says where it is.
        """
        for arguments in (("archived AND",), ("", "metrics.return upwards"), ("size > 3",)):
            with self.assertRaises(errors.InvalidFilter):
                self.numbers(*arguments)
        with self.assertRaises(errors.UnknownModel):
            list(self.registry.iterate("search", f"{self.model_id}-2"))

    def test_best_version(self) -> None:
        """
        The best version has the highest value of a metric, or the lowest.
        """
        self.registry.call("store", self.model_id, b"without metrics")
        self.annotate({1: 1, 2: float("inf")})
        best = self.registry.call
        self.assertEqual(best("best", self.model_id, "return").number, 2)
        self.assertEqual(best("best", self.model_id, "return", lowest=True).number, 1)
        self.assertEqual(best("best", self.model_id, "return", filter="NOT archived OR number = 1").number, 2)
        self.assertEqual(best("best", self.model_id, "return", filter="archived").number, 1)
        self.assertEqual(best("best", self.model_id, 'a."b"\\').number, 1)
        self.annotate({1: 5, 2: 5, 3: 4})
        self.assertEqual(best("best", self.model_id, "return").number, 2, "the newest of equal ones")
        self.annotate({1: 4})
        self.assertEqual(best("best", self.model_id, "return", lowest=True).number, 3, "the newest of equal ones")
        for metric, keywords in (("loss", {}), ("return", {"filter": "number > 3"})):
            with self.assertRaises(errors.NoMatchingVersion):
                self.registry.call("best", self.model_id, metric, **keywords)

    def test_best_version_filters(self) -> None:
        """
        The filter for the best version is checked alone: an error has the column in it.
        """
        for matching, column in (
            ("number = 1) OR (number = 2", 11),
            ("(archived", 10),
            ("archived AND number = x", 23),
            ("number", 7),
            ("labels.env = 'a'", 14),
        ):
            with self.assertRaises(errors.InvalidFilter) as caught:
                self.registry.call("best", self.model_id, "return", filter=matching)
            self.assertEqual((caught.exception.parameter, caught.exception.column), ("filter", column), matching)
        self.annotate({1: 1, 2: 2})
        deep = f"{'(' * MAX_DEPTH}number = 9 OR number = 1{')' * MAX_DEPTH}"
        for matching in ("number = 9 OR number = 1", "number = 1 AND number < 2 OR number = 9", deep):
            self.assertEqual(self.registry.call("best", self.model_id, "return", filter=matching).number, 1, matching)

    def test_mistakes_in_the_filter_of_the_best(self) -> None:
        """
        A mistake is reported at its column in the caller's filter.
        """
        for matching in ("archived AND", "sise > 3", "number >"):
            columns = []
            for name, *arguments in (("best", "return"), ("search",)):
                with self.assertRaises(errors.InvalidFilter) as caught:
                    if name == "best":
                        self.registry.call(name, self.model_id, *arguments, filter=matching)
                    else:
                        self.numbers(matching)
                columns.append(caught.exception.column)
            self.assertEqual(columns[0], columns[1], matching)

    def test_search_for_models(self) -> None:
        """
        Models are found by a filter, in an order.
        """
        ids = [f"{self.model_id}-{number:03}" for number in range(105)]
        for model_id in ids:
            self.client.save_model(model_id, search=self.model_id)
        found = self.registry.iterate("search_models", f'metadata.search = "{self.model_id}"', "model_id desc")
        self.assertEqual([record.model_id for record in found], ids[::-1])
        mine = f'metadata.search = "{self.model_id}"'
        found = self.registry.iterate("search_models", mine, skip=103)
        self.assertEqual([record.model_id for record in found], ids[103:])
        self.assertEqual(self.registry.call("count_models", mine), 105)
        (record,) = self.registry.iterate("search_models", f'model_id = "{self.model_id}"')
        self.assertEqual(record, self.registry.call("model_record", self.model_id))

    # Retention

    def test_retention(self) -> None:
        """
        A policy is set for a model or a prefix, and removed.
        """
        policy = RetentionPolicy(3, (KeepBest("return", 2), KeepBest("loss", 1, lowest=True)), 10, 3600.5)
        self.registry.call("set_retention", self.model_id, policy=policy)
        self.assertEqual(self.registry.call("retention", self.model_id), Retention(policy, self.model_id))
        prefix, of_prefix = self.model_id[:-1], RetentionPolicy(keep_last=1)
        self.registry.call("set_retention", policy=of_prefix, prefix=prefix)
        self.registry.call("set_retention", self.model_id, policy=None)
        for scope in ({"model_id": self.model_id}, {"prefix": prefix}):
            self.assertEqual(self.registry.call("retention", **scope), Retention(of_prefix, prefix=prefix))
        self.registry.call("set_retention", prefix=prefix, policy=None)
        self.assertIsNone(self.registry.call("retention", self.model_id).policy)

    def test_prune(self) -> None:
        """
        Versions that a policy does not keep are reported, or deleted.
        """
        self.registry.call("store", self.model_id, b"third")
        keep_one = RetentionPolicy(keep_last=1)
        would_be = self.registry.call("prune", self.model_id, policy=keep_one, dry_run=True)
        self.assertEqual(would_be, Pruned((PrunedModel(self.model_id, (1, 2), 15),), 2, 15))
        self.assertEqual(self.numbers(), [1, 2, 3])
        self.assertEqual(self.registry.call("prune", prefix=self.model_id, policy=keep_one), would_be)
        self.assertEqual(self.numbers(), [3])
        self.assertEqual(self.registry.call("prune", self.model_id), Pruned((), 0, 0))

    def test_impossible_retention(self) -> None:
        """
        A policy that is not allowed, and a scope that is not one, are refused.
        """
        for arguments, keywords in (
            ((self.model_id,), {"policy": RetentionPolicy(keep_last=-1)}),
            ((), {"policy": None}),
            ((self.model_id,), {"policy": None, "prefix": ""}),
        ):
            with self.assertRaises(errors.InvalidRequest):
                self.registry.call("set_retention", *arguments, **keywords)
        for name in ("retention", "prune"):
            self.assertRaises(errors.InvalidRequest, self.registry.call, name)
            self.assertRaises(errors.UnknownModel, self.registry.call, name, f"{self.model_id}-2")

    # Events

    def events(self, **keywords: Any) -> Iterator[Event]:
        """
        Follow the model's events, from now on.
        """
        events: Iterator[Event] = self.registry.iterate("events", self.model_id, **keywords)
        self.assertEqual(next(events).kind, "started")
        return events

    def test_events(self) -> None:
        """
        Everything that happens to a model is announced, with what it happened to.
        """
        events = self.events()
        published = self.registry.call("publish", self.model_id, b"more")
        created = next(events)
        self.assertEqual((created.kind, created.model_id), ("version_created", self.model_id))
        self.assertEqual(created.version and created.version.info, published)
        annotated = self.registry.call("annotate", published, metrics={"return": 1})
        updated = next(events)
        self.assertEqual((updated.kind, updated.version), ("version_updated", annotated))
        move = self.registry.call("set_alias", published, "production")
        archived, moved = next(events), next(events)
        self.assertEqual((archived.kind, archived.version and archived.version.archived), ("version_archived", True))
        self.assertEqual((moved.kind, moved.move), ("alias_moved", move))
        self.registry.call("delete_version", self.published)
        deleted = next(events)
        self.assertEqual(deleted.kind, "version_deleted")
        self.assertEqual(deleted.removed and (deleted.removed.number, deleted.removed.size_bytes), (2, 9))
        self.registry.call("save_model", self.model_id, {"task": "walk"})
        saved = next(events)
        self.assertEqual((saved.kind, saved.model and saved.model.metadata), ("model_updated", {"task": "walk"}))
        self.registry.call("delete_model", self.model_id)
        self.assertEqual((next(events)).kind, "model_deleted")

    def test_events_after_cursor(self) -> None:
        """
        Events go on after a cursor, and only those of the wanted kinds.
        """
        events = self.events()
        self.registry.call("publish", self.model_id, b"more")
        cursor = next(events).cursor
        moves = [self.registry.call("set_alias", self.at(number), "production") for number in (1, 2)]
        events = self.registry.iterate("events", prefix=self.model_id[:-1], kinds=["alias_moved"], cursor=cursor)
        self.assertEqual(next(events).cursor, cursor)
        self.assertEqual([next(events).move, next(events).move], moves)

    def test_impossible_events(self) -> None:
        """
        A kind of event that does not exist, and a cursor that is not one or has expired, are refused.
        """
        for keywords, error in (
            ({"kinds": ["birthday"]}, errors.InvalidRequest),
            ({"cursor": "yesterday"}, errors.InvalidRequest),
            ({"cursor": "another-1"}, errors.CursorExpired),
        ):
            with self.assertRaises(error):
                next(self.registry.iterate("events", self.model_id, **keywords))
