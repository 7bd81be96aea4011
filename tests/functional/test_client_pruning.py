"""
Prunes whose answers are lost or divided.
"""

from collections.abc import Iterator
from typing import Any

from tests.functional.test_client_lifecycle import LOST, FakeRegistryCase
from tests.support.fake_server import in_turn, streamed
from twisted_registry.client import Pruned, PrunedModel, SkippedModel, errors
from twisted_registry.protocol.messages import v1


class PruneTests(FakeRegistryCase):
    """
    A client that prunes.
    """

    def test_prune_is_not_repeated(self) -> None:
        """
        A prune that is interrupted is not repeated, and its progress is known; a dry run is repeated.
        """
        models = [{"model_id": "walker", "numbers": [1, 2], "size_bytes": 9}]
        part = v1.PruneResponse(models=models, version_count=2, size_bytes=9)
        answers = streamed(part, then=LOST), streamed(part)
        client = self.connect(v1_Prune=in_turn(*answers))
        seen: list[PrunedModel] = []
        with self.assertRaises(errors.Unavailable):
            client.prune("walker", progress=seen.append)
        self.assertEqual(seen, [PrunedModel("walker", (1, 2), 9)])
        client = self.connect(v1_Prune=in_turn(*answers))
        pruned = client.prune("walker", dry_run=True)
        self.assertEqual((pruned.models, pruned.version_count), (tuple(seen), 2))

    def test_prune_only(self) -> None:
        """
        The versions of a dry run are sent in requests that are not too large; without any, none is sent.
        """
        requests: list[Any] = []

        def prune(request: bytes, context: Any) -> Iterator[Any]:
            requests.append(v1.PruneRequest.FromString(request))
            models = requests[-1].only
            count = sum(len(model.numbers) for model in models)
            yield v1.PruneResponse(models=models, version_count=count, size_bytes=count)

        client = self.connect(v1_Prune=prune)
        self.assertEqual(client.prune("walker", only=Pruned((), 0, 0)), Pruned((), 0, 0))
        numbers = tuple(range(1, 450_001))
        only = Pruned((PrunedModel("walker", numbers, 0),), len(numbers), 0)
        self.assertEqual(client.prune("walker", only=only).models[0].numbers, numbers)
        self.assertEqual([len(request.only[0].numbers) for request in requests], [200_000, 200_000, 50_000])
        several = [PrunedModel(f"walker-{index}", (1, 2), 0) for index in range(2001)]
        self.assertEqual(client.prune(prefix="walker", only=Pruned(tuple(several), 4002, 0)).version_count, 4002)
        self.assertEqual([len(request.only) for request in requests[3:]], [2000, 1])

    def test_left_out(self) -> None:
        """
        Models that the server left out are in the result.
        """
        skipped = [{"model_id": "walker", "reason": "UNKNOWN_MODEL", "message": "it is gone"}]
        client = self.connect(v1_Prune=streamed(v1.PruneResponse(skipped=skipped)))
        self.assertEqual(client.prune(prefix="w").skipped, (SkippedModel("walker", "UNKNOWN_MODEL", "it is gone"),))
