"""
Tests of moves of aliases that are repeated after their registry was killed.
"""

from uuid import uuid4

from tests.support.registry_case import RegistryTestCase
from tests.support.registry_v1 import RegistryV1


class KilledTests(RegistryTestCase):
    """
    A request id is as durable as the move.
    """

    def test_repeated(self) -> None:
        """
        After a kill, a repeated request returns its move, and leaves alone what others have done since.
        """
        registry = RegistryV1(self.client.channel)
        registry.CreateModel(model={"model_id": "m"})
        for data in (b"one", b"two"):
            self.client.create("m", data, archived=True)
        request = {"reference": "m@1", "alias": "production", "reason": "first", "request_id": str(uuid4())}
        removal = {"model_id": "m", "alias": "old", "request_id": str(uuid4())}
        registry.SetAlias(reference="m@1", alias="old")
        registry.DeleteAlias(**removal)
        registry.SetAlias(reference="m@2", alias="old")
        first = registry.SetAlias(**request)
        registry.SetAlias(reference="m@2", alias="production", reason="second")
        self.crash()
        registry = RegistryV1(self.client.channel)
        self.assertEqual(registry.SetAlias(**request), first)
        registry.DeleteAlias(**removal)
        aliases = registry.ListAliases(model_id="m").aliases
        self.assertEqual({each.alias: each.number for each in aliases}, {"old": 2, "production": 2})
        self.assertEqual(len(registry.ListAliasEvents(model_id="m").events), 5)
