"""
Tests of events as lines and as JSON.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.cli.event_text import event_object, event_text
from twisted_registry.client import AliasMove, Event, ModelRecord, RemovedVersion, VersionInfo, VersionRecord
from twisted_registry.domain.annotations import Annotations

_NS = 5_000_000_001
_TIME = "1970-01-01 00:00:05Z"
_INFO = VersionInfo("m", 3, _NS, True, "hash", 2000)


def event(kind: str, **facts: Any) -> Event:
    """
    Make an event about the model ``m``.
    """
    return Event(kind, "c1", _NS, **{"model_id": "m", **facts})


class EventTests(SynchronousTestCase):
    """
    Each kind of event.
    """

    def test_lines(self) -> None:
        """
        A line has the time, what the event is about, and what happened to it.
        """
        record = VersionRecord(_INFO, Annotations({"env": "a b"}, {"return": 2.0}))
        for each, expected in (
            (event("version_created", version=VersionRecord(_INFO)), "m@3  created  2.0 kB  archived"),
            (event("version_updated", version=record), "m@3  updated  2.0 kB  archived  env='a b'  return=2"),
            (event("version_deleted", removed=RemovedVersion(3, 2000, False)), "m@3  deleted  2.0 kB"),
            (
                event("version_evicted", removed=RemovedVersion(3, 2000, True)),
                "m@3  evicted  2.0 kB  was the latest",
            ),
            (event("alias_moved", move=AliasMove("a", 0, 3, _NS, reason="so")), "m@a  moved  - -> 3  so"),
            (event("alias_moved", move=AliasMove("a", 3, 0, _NS)), "m@a  moved  3 -> -"),
            (event("model_updated", model=ModelRecord("m", {"k": "v"})), "m  updated  k=v"),
            (event("model_deleted"), "m  deleted"),
            (event("model_deleted", is_lost=True), "m  deleted  its folder disappeared"),
        ):
            self.assertEqual(event_text(each), f"{_TIME}  {expected}")

    def test_start(self) -> None:
        """
        The start of the stream is not a line, but it is an object with a cursor.
        """
        started = event("started", model_id="")
        self.assertEqual(event_text(started), "")
        self.assertEqual(
            event_object(started),
            {
                "kind": "started",
                "cursor": "c1",
                "happened": "1970-01-01T00:00:05.000000001Z",
                "happened_ns": _NS,
                "model_id": None,
            },
        )

    def test_objects(self) -> None:
        """
        An object has what the event is about below its own key.
        """
        created = event_object(event("version_created", version=VersionRecord(_INFO)))["version"]
        self.assertEqual((created["version_number"], created["labels"], created["metrics"]), (3, {}, {}))
        self.assertNotIn("aliases", created)
        removed = event_object(event("version_evicted", removed=RemovedVersion(3, 2000, True)))["removed"]
        self.assertEqual(removed, {"version_number": 3, "size_bytes": 2000, "was_latest": True})
        move = event_object(event("alias_moved", move=AliasMove("a", 0, 3, _NS)))["move"]
        self.assertEqual((move["alias"], move["from_number"], move["to_number"]), ("a", None, 3))
        model = event_object(event("model_created", model=ModelRecord("m", {"k": "v"})))["model"]
        self.assertEqual(model, {"model_id": "m", "user_data": {"k": "v"}})
        self.assertIs(event_object(event("model_deleted", is_lost=True))["lost"], True)

    def test_hostile_text(self) -> None:
        """
        A line is plain ASCII whatever the registry sends.
        """
        evil = "\x1b]0;x\x07\n\u202e"
        text = event_text(event("alias_moved", model_id=evil, move=AliasMove(evil, 1, 2, _NS, evil, evil)))
        self.assertTrue(text.isascii() and text.isprintable(), text)
