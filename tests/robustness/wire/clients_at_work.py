"""
Clients that write to a daemon at the same time, and note what they were promised.
"""

import copy
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
from attrs import define, field

from tests.robustness.disk.knowledge import Found
from tests.support.client import Client, data_hash

_LARGEST_BYTES = 30_000


@define
class Promised:
    """
    The promises of a daemon about a model.

    Attributes:
        is_there: whether the model must exist; ``None`` if it may, and then whole.
        archived: the hashes of the versions that must exist, by number.
        begun: the hashes of all versions that may exist.
        highest: the highest number in a reply.
    """

    is_there: bool | None = None
    archived: dict[int, str] = field(factory=dict)
    begun: set[str] = field(factory=set)
    highest: int = 0

    def differences(self, found: Found | None) -> Iterator[str]:
        """
        Return which promises were not kept.
        """
        if found is None or self.is_there is False:
            if found is not None:
                yield "the model is back"
            elif self.is_there:
                yield "the model is gone"
            return
        for number, promised in self.archived.items():
            if number not in found.versions:
                yield f"version {number} is lost"
            elif found.versions[number].sha256 != promised:
                yield f"version {number} is another than was acknowledged"
        for number, info in found.versions.items():
            if info.sha256 not in self.begun:
                yield f"version {number} from nowhere"
        if found.last < self.highest:
            yield f"number {self.highest} was given out, and numbers go on after {found.last}"


@define(eq=False)
class Clients:
    """
    Two models with two writers each, and one that comes and goes.

    Attributes:
        acknowledged: how many versions were.
    """

    address: str
    seed: int
    acknowledged: int = 0
    wrong: list[str] = field(factory=list)
    _promised: dict[str, Promised] = field(factory=dict)
    _lock: threading.Lock = field(factory=threading.Lock)
    _over: threading.Event = field(factory=threading.Event)

    def promised(self) -> dict[str, Promised]:
        """
        Return the promises so far.
        """
        with self._lock:
            return copy.deepcopy(self._promised)

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
            for position, work in enumerate([*works, (self._come_and_go, "c")])
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
            self.wrong.append(f"a call failed: {error}")
        finally:
            client.close()

    def _save(self, client: Client, model_id: str) -> None:
        promised = Promised()
        with self._lock:
            self._promised[model_id] = promised
        client.save_model(model_id)
        with self._lock:
            promised.is_there = True

    def _write(self, client: Client, chance: random.Random, model_id: str) -> None:
        data = chance.randbytes(chance.randint(16, _LARGEST_BYTES))
        with self._lock:
            promised = self._promised[model_id]
            promised.begun.add(data_hash(data))
        info = client.create(model_id, data, piece_bytes=8192, archived=chance.random() < 0.8)
        with self._lock:
            self.acknowledged += 1
            promised.highest = max(promised.highest, info.version_number)
            if info.archived:
                promised.archived[info.version_number] = info.data_hash

    def _come_and_go(self, client: Client, chance: random.Random, model_id: str) -> None:
        self._save(client, model_id)
        for _ in range(chance.randint(0, 8)):
            self._write(client, chance, model_id)
        with self._lock:
            promised = self._promised[model_id]
            promised.is_there = None
        client.delete_model(model_id)
        with self._lock:
            promised.is_there = False
