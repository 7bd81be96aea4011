"""
Very many creations at once, and models that come and go meanwhile.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.oracles.acts import CreateVersion, ReadData, SaveModel, State
from tests.robustness.oracles.promises import Promises
from tests.robustness.wire.async_client import LOST, AsyncClient
from tests.robustness.wire.readings import make_data, sent_version, version_of, versions_of
from tests.robustness.wire.served import Served
from tests.support.client import data_hash

_CONNECTIONS = 6
_READS_IN_FLIGHT = 4
"""The model of the promises considers all orders in which the acts under way may happen."""

_IN_FLIGHT = 300
_CREATES_A_DAEMON = 2500
_MODEL_IDS = ["one", "one", "one", "two", "three", "4/4"]
"""Most creations are of one model."""

_RACERS = 40
_RACED_IDS = ["raced", "..", "raced too"]
_RACED_CODES = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ABORTED})
_SIZES_BYTES = (0, 10, 100, 1000, 1000, 30_000)
_READ_SHARE = 0.3
_FLAGS = ("--version-cache-max-items", "100000")


@define
class _Wave:
    """
    Creations and races against one daemon.
    """

    clients: list[AsyncClient]
    chance: random.Random
    archive: Path
    promises: Promises = field(factory=Promises)
    raced: Counter[str] = field(factory=Counter)
    _serial: int = 0

    async def run(self, count: int) -> None:
        """
        Create a number of versions, and check the results.
        """
        for model_id in sorted({*_MODEL_IDS}):
            begun = self.promises.begin(model_id, SaveModel())
            await self.clients[0].save_model(model_id)
            self.promises.acknowledge(begun)
        in_flight = asyncio.Semaphore(_IN_FLIGHT)
        races = [self._race(random.Random(self.chance.randrange(2**32)), count // _RACERS) for _ in range(_RACERS)]
        await asyncio.gather(*(self._create_one(in_flight) for _ in range(count)), *races)
        for model_id in sorted({*_MODEL_IDS}):
            await self._check(model_id)
        await self._check_raced()

    async def _create_one(self, in_flight: asyncio.Semaphore) -> None:
        async with in_flight:
            model_id = self.chance.choice(_MODEL_IDS)
            size_bytes, archived = self.chance.choice(_SIZES_BYTES), self.chance.random() < 0.3
            self._serial += 1
            data, by = make_data(str(self._serial), size_bytes), str(self._serial)
            client = self.chance.choice(self.clients)
            begun = self.promises.begin(model_id, CreateVersion(sent_version(data, archived, {"by": by})))
            try:
                self.promises.acknowledge(begun, version_of(await client.create(model_id, data, archived, by=by)))
            except grpc.aio.AioRpcError as error:
                self.promises.complain(model_id, f"a creation was refused: {error.code()} {error.details()}")

    async def _check(self, model_id: str) -> None:
        numbers = sorted(self.promises.life(model_id).given)
        if numbers != list(range(1, len(numbers) + 1)):
            self.promises.complain(model_id, f"creations were given {numbers}")
        versions = versions_of(await self.clients[0].infos(model_id))
        self.promises.compare(model_id, State(True, (), versions))
        chosen = [one.number for one in versions if one.archived or self.chance.random() < _READ_SHARE]
        in_flight = asyncio.Semaphore(_READS_IN_FLIGHT)
        await asyncio.gather(*(self._check_data(model_id, number, in_flight) for number in chosen))

    async def _check_data(self, model_id: str, number: int, in_flight: asyncio.Semaphore) -> None:
        async with in_flight:
            await self._read(model_id, number)

    async def _read(self, model_id: str, number: int) -> None:
        client = self.chance.choice(self.clients)
        begun = self.promises.begin(model_id, ReadData(number))
        try:
            self.promises.acknowledge(begun, data_hash(await client.data(model_id, number)))
        except grpc.aio.AioRpcError as error:
            self.promises.complain(model_id, f"version {number}: {error.code()} {error.details()}")

    async def _race(self, chance: random.Random, acts: int) -> None:
        client = chance.choice(self.clients)
        does: dict[str, Callable[[str], Awaitable[Any]]] = {
            "create": lambda model_id: client.create(model_id, b"raced", chance.random() < 0.5),
            "save": client.save_model,
            "delete": client.delete_model,
            "list": client.infos,
            "list models": lambda model_id: client.models(),
        }
        for _ in range(acts):
            name = chance.choice(["create", "create", "create", "save", "save", "delete", "list", "list models"])
            try:
                await does[name](chance.choice(_RACED_IDS))
                self.raced["raced calls done"] += 1
            except grpc.aio.AioRpcError as error:
                if error.details() == LOST:
                    continue
                self.raced["raced calls refused as they may be"] += 1
                if error.code() not in _RACED_CODES or (error.code() is grpc.StatusCode.ABORTED and name != "create"):
                    self.promises.wrong.append(f"{name} in a race: {error.code()} {error.details()}")

    async def _check_raced(self) -> None:
        there = {info.model_id for info in (await self.clients[0].models()).model_infos}
        for model_id in sorted(there & {*_RACED_IDS}):
            numbers = [info.version_number for info in (await self.clients[0].infos(model_id)).version_infos]
            if numbers != list(range(1, len(numbers) + 1)):
                self.promises.complain(model_id, f"raced for, it has versions {numbers}")
        folders = [path for path in self.archive.glob("[!.]*") if path.is_dir()]
        self.promises.wrong += [f"{path} has no .yaml" for path in folders if not (path / f"{path.name}.yaml").exists()]
        if len(folders) != len(there):
            self.promises.wrong.append(
                f"there are models {sorted(there)} and folders {sorted(path.name for path in folders)}"
            )


async def _run_wave(served: Served, chance: random.Random, count: int) -> _Wave:
    clients = [AsyncClient(served.address) for _ in range(_CONNECTIONS)]
    wave = _Wave(clients, chance, served.archive)
    try:
        await wave.run(count)
    finally:
        for client in clients:
            await client.close()
    return wave


def run(trial: Trial) -> Outcome:
    """
    Create versions, some hundred at once.
    """
    done = waves = 0
    wrong: list[str] = []
    figures: Counter[str] = Counter()
    while done < trial.count:
        waves += 1
        count = min(_CREATES_A_DAEMON, trial.count - done)
        with Served(trial.directory / str(waves), *_FLAGS) as served:
            served.start()
            wave = asyncio.run(_run_wave(served, random.Random(f"{trial.seed} {waves}"), count))
        done += count
        wrong += [*wave.promises.wrong, *served.problems]
        figures.update(wave.raced)
        figures["archived"] += sum(one.archived for life in wave.promises.lives() for one in life.given.values())
        trial.progress(done)
    return Outcome(done, wrong, {**figures, "in flight at once": _IN_FLIGHT})


CASE = Case(
    name="creates",
    counts="concurrent creates",
    promise="Numbers given to hundreds at once are distinct, without a gap and in order, and all data is whole.",
    short=500,
    long=10_000,
    run=run,
)
