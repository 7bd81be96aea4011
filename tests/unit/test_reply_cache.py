"""
Tests of the reply cache.
"""

from typing import Any

from attrs import evolve, field, frozen
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.application.replies import ReplyCache
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.domain.snapshot import ModelSnapshot


@frozen
class Snapshots:
    """
    The snapshots of a registry.

    Attributes:
        known: the models' snapshots; ``None`` if a model is not read yet.
    """

    known: dict[str, ModelSnapshot | None] = field(factory=dict)

    def snapshot(self, model_id: str) -> ModelSnapshot | None:
        """
        Return a model's snapshot.
        """
        if model_id not in self.known:
            raise UnknownModel(model_id)
        return self.known[model_id]


class ReplyCacheTests(SynchronousTestCase):
    """
    ``ReplyCache`` returns a reply as long as it would be made the same again.
    """

    def setUp(self) -> None:
        """
        Keep the reply to a request.
        """
        self.snapshot = ModelSnapshot("m", 1)
        self.registry = Snapshots({"m": self.snapshot})
        snapshots: Any = self.registry
        self.cache = ReplyCache(snapshots)
        self.cache.keep(b"request", self.snapshot, b"reply")

    def test_the_same_model(self) -> None:
        """
        While the model does not change, the reply is returned for the same request.
        """
        found = [self.cache.find(raw) for raw in (b"request", b"request", b"other")]
        self.assertEqual(found, [b"reply", b"reply", None])

    def test_changed_model(self) -> None:
        """
        Once the model has changed, the reply no longer holds, even if the old snapshot still exists.
        """
        self.registry.known["m"] = evolve(self.snapshot)
        self.assertIsNone(self.cache.find(b"request"))
        self.assertIsNone(self.cache.find(b"request"))

    def test_model_gone(self) -> None:
        """
        A request about a deleted model is refused.
        """
        del self.registry.known["m"]
        self.assertRaises(UnknownModel, self.cache.find, b"request")

    def test_model_made_again(self) -> None:
        """
        The reply does not hold for a model that was created again and is not read yet, after the old snapshot is freed.
        """
        self.registry.known["m"] = None
        del self.snapshot
        self.assertIsNone(self.cache.find(b"request"))

    def test_large_ones(self) -> None:
        """
        Large requests and large replies are not kept.
        """
        for raw, reply in ((b"r" * 2000, b""), (b"r", bytes(70_000))):
            self.cache.keep(raw, self.snapshot, reply)
            self.assertIsNone(self.cache.find(raw))

    def test_budget(self) -> None:
        """
        The oldest replies are dropped first.
        """
        raws = [number.to_bytes(4, "big") for number in range(100)]
        for raw in raws:
            self.cache.keep(raw, self.snapshot, bytes(60_000))
        kept = [raw for raw in raws if self.cache.find(raw) is not None]
        self.assertEqual(kept, raws[-len(kept) :])
        self.assertTrue(60 < len(kept) < 75, len(kept))
