"""
A daemon that applies retention policies by itself, and archives latest versions instead of evicting them.
"""

from collections.abc import Sequence
from typing import ClassVar

from tests.support.registry_case import RegistryTestCase
from tests.support.registry_v1 import RegistryV1


class RetentionTests(RegistryTestCase):
    """
    A daemon with memory for four versions.
    """

    flags: ClassVar[Sequence[str]] = ("--version-cache-max-items", "4", "--archive-evicted-latest")

    def numbers(self, model_id: str) -> list[int]:
        """
        Return the numbers of a model's versions.
        """
        return [info.version_number for info in self.client.infos(model_id).version_infos]

    def test_applied(self) -> None:
        """
        A policy is applied in the background, and again after a kill, with a line in the log.
        """
        self.client.save_model("walker")
        for _ in range(5):
            self.client.create("walker", b"data", archived=True)
        retention = {"prefix": "", "policy": {"keep_last": 2}}
        RegistryV1(self.client.channel).SetRetention(retention=retention)
        self.wait_until_true(lambda: self.numbers("walker") == [4, 5], "versions are deleted")
        self.wait_until_logged("deleted 3 versions of 'walker'")
        for _ in range(3):
            self.client.create("walker", b"data", archived=True)
        self.crash()
        self.wait_until_true(lambda: self.numbers("walker") == [7, 8], "versions are deleted after a kill")
        self.assertEqual(self.client.create("walker", b"data", archived=True).version_number, 9)

    def test_archived_instead(self) -> None:
        """
        With more models than memory, each keeps its latest version.
        """
        model_ids = [f"model-{number}" for number in range(8)]
        for model_id in model_ids:
            self.client.save_model(model_id)
            self.client.create(model_id, model_id.encode())
        self.assertEqual([self.numbers(model_id) for model_id in model_ids], [[1]] * 8)
        self.wait_until_true(
            lambda: (
                [self.client.infos(each).version_infos[0].archived for each in model_ids] == [True] * 4 + [False] * 4
            ),
            "the first four are archived",
        )
        self.assertEqual([self.client.data(each, 1) for each in model_ids], [each.encode() for each in model_ids])
        self.assertEqual(self.client.statuses("evicted_latest"), {"evicted_latest": "0"})
