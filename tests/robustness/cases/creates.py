"""
Very many creations at once, and models that come and go meanwhile.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from attrs import define, field, frozen

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.oracles.ledger import make_data
from tests.robustness.wire.async_client import LOST, AsyncClient
from tests.robustness.wire.served import Served

_CONNECTIONS = 6
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


@frozen
class _Created:
    """
    A creation that was acknowledged.
    """

    model_id: str
    token: str
    size_bytes: int
    archived: bool
    begun_ns: int
    ended_ns: int
    number: int


@define
class _Wave:
    """
    Creations and races against one daemon.
    """

    clients: list[AsyncClient]
    chance: random.Random
    archive: Path
    created: list[_Created] = field(factory=list)
    raced: Counter[str] = field(factory=Counter)
    wrong: list[str] = field(factory=list)
    _serial: int = 0

    async def run(self, count: int) -> None:
        """
        Create a number of versions, and check the results.
        """
        for model_id in sorted({*_MODEL_IDS}):
            await self.clients[0].save_model(model_id)
        in_flight = asyncio.Semaphore(_IN_FLIGHT)
        races = [self._race(random.Random(self.chance.randrange(2**32)), count // _RACERS) for _ in range(_RACERS)]
        await asyncio.gather(*(self._create_one(in_flight) for _ in range(count)), *races)
        for model_id in sorted({*_MODEL_IDS}):
            await self._check(model_id, [one for one in self.created if one.model_id == model_id])
        await self._check_raced()

    async def _create_one(self, in_flight: asyncio.Semaphore) -> None:
        async with in_flight:
            model_id = self.chance.choice(_MODEL_IDS)
            size_bytes, archived = self.chance.choice(_SIZES_BYTES), self.chance.random() < 0.3
            self._serial += 1
            token = str(self._serial)
            begun_ns = time.monotonic_ns()
            client = self.chance.choice(self.clients)
            try:
                number = await client.create(model_id, make_data(token, size_bytes), archived, by=token)
            except grpc.aio.AioRpcError as error:
                self.wrong.append(f"a creation was refused: {error.code()} {error.details()}")
                return
        ended_ns = time.monotonic_ns()
        self.created.append(_Created(model_id, token, size_bytes, archived, begun_ns, ended_ns, number))

    async def _check(self, model_id: str, created: list[_Created]) -> None:
        numbers = sorted(one.number for one in created)
        if numbers != list(range(1, len(created) + 1)):
            self.wrong.append(f"{len(created)} creations of {model_id!r} were given {numbers}")
        self._check_order(model_id, created)
        infos = (await self.clients[0].infos(model_id)).version_infos
        reported = [(info.version_number, info.user_data["by"], info.data_size, info.archived) for info in infos]
        expected = sorted((one.number, one.token, one.size_bytes, one.archived) for one in created)
        if reported != expected:
            self.wrong.append(f"versions of {model_id!r} are listed as {sorted({*reported} ^ {*expected})}")
        chosen = [one for one in created if one.archived or self.chance.random() < _READ_SHARE]
        await asyncio.gather(*(self._check_data(one) for one in chosen))

    def _check_order(self, model_id: str, created: list[_Created]) -> None:
        by_end = iter(sorted(created, key=lambda one: one.ended_ns))
        highest, ended = 0, next(by_end, None)
        for one in sorted(created, key=lambda one: one.begun_ns):
            while ended is not None and ended.ended_ns < one.begun_ns:
                highest, ended = max(highest, ended.number), next(by_end, None)
            if one.number < highest:
                self.wrong.append(f"{model_id!r}: number {one.number} was begun after {highest} was assigned")

    async def _check_data(self, one: _Created) -> None:
        client = self.chance.choice(self.clients)
        try:
            if await client.data(one.model_id, one.number) != make_data(one.token, one.size_bytes):
                self.wrong.append(f"version {one.number} of {one.model_id!r} has other data than was sent")
        except grpc.aio.AioRpcError as error:
            self.wrong.append(f"version {one.number} of {one.model_id!r}: {error.code()} {error.details()}")

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
                    self.wrong.append(f"{name} in a race: {error.code()} {error.details()}")

    async def _check_raced(self) -> None:
        there = {info.model_id for info in (await self.clients[0].models()).model_infos}
        for model_id in sorted(there & {*_RACED_IDS}):
            numbers = [info.version_number for info in (await self.clients[0].infos(model_id)).version_infos]
            if numbers != list(range(1, len(numbers) + 1)):
                self.wrong.append(f"{model_id!r}, raced for, has versions {numbers}")
        folders = [path for path in self.archive.glob("[!.]*") if path.is_dir()]
        self.wrong += [f"{path} has no .yaml" for path in folders if not (path / f"{path.name}.yaml").exists()]
        if len(folders) != len(there):
            self.wrong.append(f"there are models {sorted(there)} and folders {sorted(path.name for path in folders)}")


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
        wrong += [*wave.wrong, *served.problems]
        figures.update(wave.raced)
        figures["archived"] += sum(one.archived for one in wave.created)
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
