"""
Facts about replies that are kept.
"""

from typing import Any

from attrs import evolve, field, frozen
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import UnknownModel
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.rpc.replies import Replies


@frozen
class Snapshots:
    """
    Stands in for the registry.

    Attributes:
        known: the models' snapshots; ``None`` where a model's is not read yet.
    """

    known: dict[str, ModelSnapshot | None] = field(factory=dict)

    def snapshot(self, model_id: str) -> ModelSnapshot | None:
        """
        Give a model's snapshot.
        """
        if model_id not in self.known:
            raise UnknownModel(model_id)
        return self.known[model_id]


class RepliesTests(SynchronousTestCase):
    """
    ``Replies`` gives a reply again as long as it would be made the same.
    """

    def setUp(self) -> None:
        """
        Keep the reply to a request.
        """
        self.snapshot = ModelSnapshot("m", 1)
        self.registry = Snapshots({"m": self.snapshot})
        snapshots: Any = self.registry
        self.replies = Replies(snapshots)
        self.replies.keep(b"request", self.snapshot, b"reply")

    def test_the_same_model(self) -> None:
        """
        While the model does not change, the reply is given again, to that very request.
        """
        found = [self.replies.find(raw) for raw in (b"request", b"request", b"other")]
        self.assertEqual(found, [b"reply", b"reply", None])

    def test_changed_model(self) -> None:
        """
        Once the model has changed it is not, whatever has become of the old snapshot.
        """
        self.registry.known["m"] = evolve(self.snapshot)
        self.assertIsNone(self.replies.find(b"request"))
        self.assertIsNone(self.replies.find(b"request"))

    def test_model_gone(self) -> None:
        """
        A request of a model that is gone is refused.
        """
        del self.registry.known["m"]
        self.assertRaises(UnknownModel, self.replies.find, b"request")

    def test_model_made_again(self) -> None:
        """
        Of a model that was made again, and is not read yet, nothing is known, though the old snapshot is gone too.
        """
        self.registry.known["m"] = None
        del self.snapshot
        self.assertIsNone(self.replies.find(b"request"))

    def test_large_ones(self) -> None:
        """
        Large requests and large replies are not kept.
        """
        for raw, reply in ((b"r" * 2000, b""), (b"r", bytes(70_000))):
            self.replies.keep(raw, self.snapshot, reply)
            self.assertIsNone(self.replies.find(raw))

    def test_budget(self) -> None:
        """
        The oldest go first, once there are too many.
        """
        raws = [number.to_bytes(4, "big") for number in range(100)]
        for raw in raws:
            self.replies.keep(raw, self.snapshot, bytes(60_000))
        kept = [raw for raw in raws if self.replies.find(raw) is not None]
        self.assertEqual(kept, raws[-len(kept) :])
        self.assertTrue(60 < len(kept) < 75, len(kept))
