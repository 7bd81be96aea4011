"""
Tests of the events that the registry publishes.
"""

from types import SimpleNamespace
from typing import Any

from tests.support.registry import BUDGET
from tests.unit.test_registry_models import FaultyRegistryCase, FaultyWriter
from twisted_registry.domain.errors import StorageFailure, StorageFull, UnknownModel
from twisted_registry.domain.events import (
    Event,
    ModelDeleted,
    ModelSaved,
    Rank,
    StorageFailed,
    VersionCommitted,
    VersionDeleted,
    VersionEvicted,
)
from twisted_registry.domain.models import Chunk, ModelInfo, VersionHeader, VersionInfo
from twisted_registry.registry.lost_models import LostModel

KINDS = (VersionCommitted, VersionEvicted, VersionDeleted, ModelSaved, ModelDeleted, StorageFailed)


def _rank(number: int, latest: VersionInfo) -> Rank:
    return "latest" if number == latest.version_number else "superseded"


class EventTests(FaultyRegistryCase):
    """
    A listener learns of every change, in order, when it can be seen.
    """

    def setUp(self) -> None:
        """
        Listen to all kinds of events.
        """
        super().setUp()
        self.events: list[Any] = []
        self.registry.subscribe(self.events.append, *KINDS)

    def take(self) -> list[Any]:
        """
        Return the events since the last call.
        """
        events = self.events[:]
        self.events.clear()
        return events

    def test_models(self) -> None:
        """
        A model that is saved or deleted is published; a failed deletion is not.
        """
        info = ModelInfo("m", {"a": "b"})
        self.save()
        self.save(a="b")
        incarnation = self.snapshot().incarnation
        self.assertEqual(
            self.take(), [ModelSaved(ModelInfo("m"), incarnation, True), ModelSaved(info, incarnation, False)]
        )
        self.archive.faults["delete_model"] = error = StorageFailure("I/O error")
        self.fails(self.registry.delete_model("m"), StorageFailure)
        self.assertEqual(self.take(), [StorageFailed("delete model", "m", error)])
        del self.archive.faults["delete_model"]
        self.done(self.registry.delete_model("m"))
        self.assertEqual(self.take(), [ModelDeleted("m", incarnation)])

    def test_commits_can_be_seen(self) -> None:
        """
        A version is published when its snapshot shows it, transient or archived.
        """
        self.save()
        self.take()
        seen: list[bool] = []

        def look(event: VersionCommitted) -> None:
            seen.append(event.key.version_number in self.snapshot().numbers)

        self.registry.subscribe(look, VersionCommitted)
        infos = [self.create(archived=archived) for archived in (False, True)]
        key = self.snapshot().key
        self.assertEqual(self.take(), [VersionCommitted(key(info.version_number), info) for info in infos])
        self.assertEqual(seen, [True, True])
        self.registry.unsubscribe(look)
        self.create()
        self.assertEqual(len(seen), 2)

    def test_commits_keep_their_order(self) -> None:
        """
        Commits that wait for each other are published in the order of their numbers.
        """
        self.save()
        self.take()
        commits = [self.upload(archived=number == 0).commit() for number in range(4)]
        for commit in commits:
            self.done(commit)
        numbers = [event.key.version_number for event in self.take() if isinstance(event, VersionCommitted)]
        self.assertEqual(numbers, [1, 2, 3, 4])

    def test_evictions(self) -> None:
        """
        A transient version that is evicted is published after the version that took its place; a copy is not.
        """
        self.save()
        self.create(b"copy", archived=True)
        for _ in range(BUDGET.max_items):
            self.create(b"data")
        self.take()
        info = self.create(b"data")
        key = self.snapshot().key
        self.assertEqual(
            self.take(),
            [VersionCommitted(key(info.version_number), info), VersionEvicted(key(2), 4, "superseded", "items")],
        )
        self.save("n")
        self.take()
        large = self.create(b"x" * BUDGET.max_bytes, "n")
        self.assertIsInstance(self.events[0], VersionCommitted)
        evicted = self.take()[1:]
        numbers = [info.version_number - 3, info.version_number - 2, info.version_number - 1, info.version_number]
        self.assertEqual(evicted, [VersionEvicted(key(number), 4, _rank(number, info), "bytes") for number in numbers])
        self.assertEqual(large.model_id, "n")

    def test_failed_commit(self) -> None:
        """
        A commit that fails because of the medium is published as such.
        """
        self.save()
        self.take()
        error = StorageFull("no room")
        upload: Any = self.upload(archived=True)
        upload.archive_writer = FaultyWriter(error)
        self.fails(upload.commit(), StorageFull)
        self.assertEqual(self.take(), [StorageFailed("create version", "m", error)])

    def test_failed_write(self) -> None:
        """
        Data that cannot be written is published once, before any commit.
        """
        self.save()
        self.take()
        error = StorageFull("no room")
        upload: Any = self.registry.upload(VersionHeader("m", True, 8), self.snapshot())

        def fail(*_: object) -> None:
            raise error

        upload.archive_writer = SimpleNamespace(write=fail, finish=fail)
        for future in (upload.write(Chunk(b"some")), upload.write(Chunk(b"data")), upload.finish()):
            with self.assertRaises(StorageFull):
                self.settle(future)
        self.assertEqual(self.take(), [StorageFailed("create version", "m", error)])

    def test_listener_that_fails(self) -> None:
        """
        The commit succeeds, whatever a listener does.
        """
        self.save()

        def fail(event: Event) -> None:
            raise ZeroDivisionError

        self.registry.subscribe(fail, VersionCommitted)
        self.assertEqual([self.create().version_number, self.create(archived=True).version_number], [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_lost_model(self) -> None:
        """
        A model whose folder has disappeared is published as lost, and as new if it is saved again.
        """
        self.save()
        incarnation = self.snapshot().incarnation
        self.take()
        self.archive.delete_model("m")
        self.save()
        again = self.snapshot().incarnation
        self.assertEqual(
            self.take(), [ModelDeleted("m", incarnation, is_lost=True), ModelSaved(ModelInfo("m"), again, True)]
        )

    def test_lost_model_edited(self) -> None:
        """
        An edit that may create a model creates a lost one again; another one fails with the loss.
        """
        self.save(key="value")
        self.open()
        self.archive.delete_model("m")

        def update(present: ModelInfo | None) -> ModelInfo:
            if present is None:
                raise UnknownModel("m")
            return present

        self.fails(self.registry.edit_model("m", update), LostModel)
        info = ModelInfo("m", {"new": "yes"})
        self.assertEqual(self.done(self.registry.edit_model("m", lambda present: present or info)), info)
        self.assertEqual(self.done(self.registry.edit_model("m", update)), info)
        self.assertEqual(self.create(archived=True).version_number, 1)
