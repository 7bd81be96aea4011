"""
Tests of the calls of ``twisted_registry.v1.Registry`` about retention.
"""

from typing import Any

import grpc

from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_v1 import RegistryV1
from twisted_registry.registry.pruning import VERSIONS_AT_ONCE


class RetentionTests(SharedEdgeTestCase):
    """
    A model with four archived versions.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        self.v1.CreateModel(model={"model_id": self.model_id})
        for _ in range(4):
            self.client.create(self.model_id, b"data", archived=True)

    def set_policy(self, policy: dict[str, Any] | None, **scope: str) -> Any:
        """
        Set a policy.
        """
        return self.v1.SetRetention(retention={**(scope or {"model_id": self.model_id}), "policy": policy})

    def test_set_and_get(self) -> None:
        """
        A policy comes back as it was set, with the scope where it is set, until it is removed.
        """
        policy = {
            "keep_last": 10,
            "keep_best": [{"metric": "return", "count": 3}, {"metric": "loss", "count": 1, "lowest": True}],
            "keep_every": 100,
            "keep_younger_than": {"seconds": 3600, "nanos": 500_000_000},
        }
        own = self.set_policy(policy)
        self.assertEqual(self.v1.GetRetention(model_id=self.model_id), own)
        of_prefix = self.set_policy({"keep_last": 1}, prefix=self.model_id[:-1])
        self.assertEqual(self.v1.GetRetention(model_id=self.model_id), own)
        self.set_policy(None)
        self.assertEqual(self.v1.GetRetention(model_id=self.model_id), of_prefix)
        self.assertEqual(self.v1.GetRetention(prefix=self.model_id[:-1]), of_prefix)
        self.set_policy(None, prefix=self.model_id[:-1])
        reply = self.v1.GetRetention(model_id=self.model_id)
        self.assertEqual((reply.model_id, reply.HasField("policy")), (self.model_id, False))

    def test_prune(self) -> None:
        """
        A dry run and a real one report the same numbers and bytes; cogmentAPI sees what is left.
        """
        self.set_policy({"keep_last": 2})
        dry = list(self.v1.Prune(model_id=self.model_id, dry_run=True))
        (model,) = dry[0].models
        self.assertEqual((model.model_id, list(model.numbers), model.size_bytes), (self.model_id, [1, 2], 8))
        self.assertEqual([(part.version_count, part.size_bytes) for part in dry], [(2, 8)])
        self.assertEqual(list(self.v1.Prune(prefix=self.model_id)), dry)
        self.assertEqual(self.numbers(), [3, 4])
        (part,) = self.v1.Prune(model_id=self.model_id, policy={"keep_last": 1})
        self.assertEqual([list(each.numbers) for each in part.models], [[3]])
        self.assertEqual(list(self.v1.Prune(model_id=self.model_id)), [])

    def numbers(self) -> list[int]:
        """
        Return the numbers of the model's versions, as clients of cogmentAPI see them.
        """
        return [info.version_number for info in self.client.infos(self.model_id).version_infos]

    def test_prune_only(self) -> None:
        """
        With the numbers of a dry run, no others are deleted.
        """
        only = [{"model_id": self.model_id, "numbers": [1]}, {"model_id": self.model_id, "numbers": [3]}]
        parts = self.v1.Prune(prefix=self.model_id, policy={"keep_last": 1}, only=only)
        self.assertEqual([list(model.numbers) for part in parts for model in part.models], [[1, 3]])
        self.assertEqual(self.numbers(), [2, 4])

    def test_many_parts(self) -> None:
        """
        Each step is a part, and they count up.
        """
        self.v1.CreateModel(model={"model_id": f"{self.model_id}-many"})
        for _ in range(VERSIONS_AT_ONCE + 2):
            self.client.create(f"{self.model_id}-many", b"12", archived=True)
        parts = list(self.v1.Prune(prefix=self.model_id, policy={"keep_last": 1}))
        counts = [3, VERSIONS_AT_ONCE + 3, VERSIONS_AT_ONCE + 4]
        self.assertEqual([part.version_count for part in parts], counts)
        self.assertEqual([part.size_bytes for part in parts], [12 + 2 * (count - 3) for count in counts])
        numbers = [number for part in parts[1:] for number in part.models[0].numbers]
        self.assertEqual(numbers, list(range(1, VERSIONS_AT_ONCE + 2)))

    def test_damaged_model(self) -> None:
        """
        A model of several that is damaged is left out, with the reason.
        """
        self.v1.CreateModel(model={"model_id": f"{self.model_id}-lost"})
        (self.archive / f"{self.model_id}-lost" / ".retention").write_text("damaged")
        self.set_policy({"keep_last": 3})
        pruned, skipped = self.v1.Prune(prefix=self.model_id)
        self.assertEqual(list(pruned.models[0].numbers), [1])
        (left_out,) = skipped.skipped
        self.assertEqual((left_out.model_id, left_out.reason), (f"{self.model_id}-lost", "CORRUPT_RETENTION"))
        self.assertEqual(skipped.version_count, 1)

    def test_events(self) -> None:
        """
        Each version that is pruned is an event.
        """
        watch = iter(self.v1.WatchEvents(model_id=self.model_id, kinds=["version_deleted"]))
        next(watch)
        list(self.v1.Prune(model_id=self.model_id, policy={"keep_last": 3}))
        event = next(watch)
        self.assertEqual((event.version_deleted.number, event.version_deleted.size_bytes), (1, 4))

    def test_refused(self) -> None:
        """
        Requests that make no sense are refused, and say why.
        """
        invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
        for name, fields, code in (
            ("SetRetention", {"retention": {"policy": {"keep_last": 1}}}, invalid),
            ("SetRetention", {"retention": {"model_id": "", "policy": {}}}, invalid),
            ("SetRetention", {"retention": {"prefix": "x" * 300, "policy": {}}}, invalid),
            ("SetRetention", {"retention": {"prefix": "x", "policy": {"keep_best": [{"count": 1}]}}}, invalid),
            ("SetRetention", {"retention": {"prefix": "x", "policy": {"keep_younger_than": {"seconds": -1}}}}, invalid),
            ("SetRetention", {"retention": {"model_id": "no such", "policy": {}}}, missing),
            ("GetRetention", {}, invalid),
            ("GetRetention", {"model_id": "no such"}, missing),
            ("Prune", {}, invalid),
            ("Prune", {"model_id": "no such"}, missing),
            ("Prune", {"prefix": "x", "policy": {"keep_best": [{"metric": "m"}]}}, invalid),
        ):
            self.assertEqual(self.v1.fails(name, **fields), code, (name, fields))
