"""
The contract of a client, for each face: what happens to versions after their creation.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from tests.support.client import data_hash
from tests.support.edge import SharedEdgeTestCase
from tests.support.styles import Style
from twisted_registry.client import Event, Reference, errors


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
            for name in ("get", "archive", "delete_version", "annotate"):
                with self.assertRaises(error):
                    self.registry.call(name, named)

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
