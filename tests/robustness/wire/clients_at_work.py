"""
Clients that write to a daemon at the same time, and record what they were promised.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
from attrs import define, field

from tests.robustness.oracles.acts import CreateVersion, DeleteModel, SaveModel
from tests.robustness.oracles.promises import Promises
from tests.robustness.wire.readings import sent_version, version_of
from tests.robustness.wire.version_acts import Permits, VersionActs, VersionChoices
from tests.support.client import Client
from tests.support.registry_v1 import RegistryV1

_LARGEST_BYTES = 30_000


@define(eq=False)
class Clients:
    """
    Two models with two writers each, whose versions are also archived, deleted, annotated and named by another client,
    and one that comes and goes.
    """

    address: str
    seed: int
    promises: Promises = field(factory=Promises)
    _over: threading.Event = field(factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """
        Run the clients.
        """
        client = Client(self.address)
        for model_id in ("a", "b"):
            self._save(client, model_id)
        works: list[tuple[Callable[[Client, random.Random, str], None], str]] = [(self._write, name) for name in "aabb"]
        threads = [
            threading.Thread(target=self._until_over, args=(position, *work))
            for position, work in enumerate([*works, (self._change_versions, "a"), (self._come_and_go, "c")])
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
            client.close()

    def _until_over(self, position: int, work: Callable[[Client, random.Random, str], None], model_id: str) -> None:
        client, chance = Client(self.address), random.Random(f"{self.seed} {position}")
        try:
            while not self._over.is_set():
                work(client, chance, model_id)
        except grpc.RpcError as error:
            self.promises.wrong.append(f"a call failed: {error}")
        finally:
            client.close()

    def _save(self, client: Client, model_id: str) -> None:
        begun = self.promises.begin(model_id, SaveModel())
        client.save_model(model_id)
        self.promises.acknowledge(begun)

    def _write(self, client: Client, chance: random.Random, model_id: str) -> None:
        data, archived = chance.randbytes(chance.randint(16, _LARGEST_BYTES)), chance.random() < 0.8
        begun = self.promises.begin(model_id, CreateVersion(sent_version(data, archived)))
        info = client.create(model_id, data, piece_bytes=8192, archived=archived)
        self.promises.acknowledge(begun, version_of(info))

    def _change_versions(self, client: Client, chance: random.Random, model_id: str) -> None:
        choices = VersionChoices(chance, f"{chance.random()}")
        acts = VersionActs(RegistryV1(client.channel), self.promises, Permits(), choices)
        for _ in range(20):
            acts.act(model_id)

    def _come_and_go(self, client: Client, chance: random.Random, model_id: str) -> None:
        self._save(client, model_id)
        for _ in range(chance.randint(0, 8)):
            self._write(client, chance, model_id)
        begun = self.promises.begin(model_id, DeleteModel())
        client.delete_model(model_id)
        self.promises.acknowledge(begun)
