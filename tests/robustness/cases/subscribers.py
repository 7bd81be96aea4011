"""
Subscribers that come and go in every way there is, while a trainer publishes.
"""

import asyncio
import random
import subprocess
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.oracles.acts import CreateVersion, SaveModel
from tests.robustness.oracles.promises import Promises, Subscriber
from tests.robustness.wire.async_client import AsyncClient
from tests.robustness.wire.readings import make_data, sent_version, version_of
from tests.robustness.wire.served import Served
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment

_ROOT = Path(__file__).parents[3]
_MODEL_IDS = ["one", "two"]
_A_ROUND = 100
_CONNECTIONS = 4
_STAYING = 6
_APART = 30
_APART_EVERY_ROUNDS = 8
_PUBLISHED_BYTES = 2000
_FLAGS = ("--version-cache-max-items", "20")

_MORE_THREADS = 10
"""gRPC's own few come and go."""

_GROWTH_BYTES = 48 * 1024 * 1024
"""More than this in the second half of a run is a leak: an allocator's leftovers come to less."""

_CLIENT = """
import sys, time
from tests.support.client import Client

client = Client(sys.argv[1])
streams = [client.updates("one") for _ in range(int(sys.argv[2]))]
for stream in streams:
    next(stream)
print("subscribed", flush=True)
time.sleep(600)
"""


async def _read(subscriber: Subscriber, call: Any) -> None:
    """
    Read for as long as there is something.
    """
    async for reply in call:
        subscriber.receive(version_of(reply.version_info))


@define
class _Publishing:
    """
    A trainer that publishes until it is stopped.
    """

    client: AsyncClient
    promises: Promises
    published: int = 0
    _over: asyncio.Event = field(factory=asyncio.Event)

    async def begin(self) -> None:
        """
        Create the models.
        """
        for model_id in _MODEL_IDS:
            begun = self.promises.begin(model_id, SaveModel())
            await self.client.save_model(model_id)
            self.promises.acknowledge(begun)
            await self.create(model_id, True)

    async def create(self, model_id: str, archived: bool) -> int:
        """
        Publish a version, and return its number.
        """
        self.published += 1
        data = make_data(f"published {self.published}", _PUBLISHED_BYTES)
        begun = self.promises.begin(model_id, CreateVersion(sent_version(data, archived)))
        created = version_of(await self.client.create(model_id, data, archived))
        self.promises.acknowledge(begun, created)
        return created.number

    async def publish(self) -> None:
        """
        Publish to each model in turn.
        """
        while not self._over.is_set():
            for model_id in _MODEL_IDS:
                await self.create(model_id, self.published % 10 == 0)
            await asyncio.sleep(0.005)

    def end(self) -> None:
        """
        Publish no more.
        """
        self._over.set()


@define
class _Crowd:
    """
    Subscribers of one daemon.
    """

    served: Served
    chance: random.Random
    client: AsyncClient
    promises: Promises = field(factory=Promises)
    gone: int = 0
    threads: list[int] = field(factory=list)
    resident_bytes: list[int] = field(factory=list)
    ways: Counter[str] = field(factory=Counter)
    wrong: list[str] = field(factory=list)

    async def come_and_go(self, count: int, trial: Trial) -> None:
        """
        Come and go in rounds; publishing goes on all the time.
        """
        async with self._published() as publishing, self._stayed(publishing):
            rounds = 0
            while self.gone < count and not self.wrong:  # what is wrong once takes long to be so again
                if rounds % _APART_EVERY_ROUNDS == 0:
                    await self._killed_apart()
                await self._round(max(1, min(_A_ROUND, count - self.gone)))
                await self._wait_for_subscribers(_STAYING)
                self._measure()
                rounds += 1
                trial.progress(self.gone)
        if not self.wrong:
            await self._wait_for_subscribers(0)
        self._measure()
        self._judge()

    @asynccontextmanager
    async def _published(self) -> AsyncIterator[_Publishing]:
        publishing = _Publishing(self.client, self.promises)
        await publishing.begin()
        task = asyncio.create_task(publishing.publish())
        try:
            yield publishing
        finally:
            publishing.end()
            await task

    @asynccontextmanager
    async def _stayed(self, publishing: _Publishing) -> AsyncIterator[None]:
        client = AsyncClient(self.served.address)
        staying = [Subscriber(self.promises, _MODEL_IDS[index % len(_MODEL_IDS)]) for index in range(_STAYING)]
        calls = [client.updates(one.model_id) for one in staying]
        tasks = [asyncio.create_task(_read(one, call)) for one, call in zip(staying, calls, strict=True)]
        try:
            await self._wait_for_subscribers(_STAYING)
            self._measure()
            yield
            await self._see_the_last(publishing, staying)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()

    async def _see_the_last(self, publishing: _Publishing, staying: list[Subscriber]) -> None:
        publishing.end()
        for model_id in _MODEL_IDS:
            last = await publishing.create(model_id, False)
            following = [one for one in staying if one.model_id == model_id]
            if not await _becomes(partial(_all_saw, following, last)):
                self.wrong.append(f"{model_id!r} is at {last}, and subscribers at {[one.last for one in following]}")
        self.wrong += self.promises.wrong

    async def _round(self, count: int) -> None:
        clients = [AsyncClient(self.served.address) for _ in range(_CONNECTIONS)]
        calls = [self.chance.choice(clients).updates(self.chance.choice(_MODEL_IDS)) for _ in range(count)]
        await asyncio.gather(*(self._leave(call) for call in calls))
        for client in clients:  # takes along who is still there
            await client.close()
        self.gone += count

    async def _leave(self, call: Any) -> None:
        way = self.chance.choice(["read, then cancel", "cancel at once", "never read", "disconnect", "read on"])
        self.ways[way] += 1
        try:
            if way in ("read, then cancel", "disconnect", "read on"):
                await call.read()
            if way == "read on":
                await call.read()
        except grpc.aio.AioRpcError as error:
            self.wrong.append(f"a subscriber was refused: {error.code()} {error.details()}")
        if way in ("read, then cancel", "cancel at once", "read on"):
            call.cancel()

    async def _killed_apart(self) -> None:
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _CLIENT, self.served.address, str(_APART)),
            cwd=_ROOT,
            env=clean_environment({"PYTHONPATH": str(_ROOT)}),
            stdout=subprocess.PIPE,
        )
        try:
            await self._wait_until_subscribed(client)
        finally:
            client.kill()
            await client.communicate()
        self.ways["killed"] += _APART
        self.gone += _APART

    async def _wait_until_subscribed(self, client: Process) -> None:
        assert client.stdout is not None
        said = await asyncio.wait_for(client.stdout.readline(), TIMEOUT_SECONDS)
        if said != b"subscribed\n":
            self.wrong.append(f"a process of subscribers said {said!r}")

    async def _wait_for_subscribers(self, count: int) -> None:
        async def there() -> bool:
            return (await self.client.statuses())["subscribers"] == str(count)

        if not await _becomes(there):
            statuses = await self.client.statuses()
            self.wrong.append(f"after {self.gone} have gone there should be {count} subscribers: {statuses}")

    def _measure(self) -> None:
        status = Path(f"/proc/{self.served.daemon.process.pid}/status").read_text()
        reported = dict(line.split(":", 1) for line in status.splitlines())
        self.threads.append(int(reported["Threads"]))
        self.resident_bytes.append(int(reported["VmRSS"].split()[0]) * 1024)

    def _judge(self) -> None:
        if self.threads[-1] > self.threads[0] + _MORE_THREADS:
            self.wrong.append(f"the daemon's threads, round by round: {self.threads}")
        half = len(self.resident_bytes) // 2
        before, after = min(self.resident_bytes[half:]), self.resident_bytes[-1]
        if after > max(before, *self.resident_bytes[: half + 1]) + _GROWTH_BYTES:
            self.wrong.append(f"the daemon's memory grows, round by round: {self.resident_bytes}")


async def _all_saw(subscribers: list[Subscriber], number: int) -> bool:
    return all(one.last >= number for one in subscribers)


async def _becomes(condition: Callable[[], Awaitable[bool]]) -> bool:
    """
    Wait for something to come true; ``False`` if it never does.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not await condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        return False
    return True


async def _run(served: Served, trial: Trial) -> _Crowd:
    client = AsyncClient(served.address)
    crowd = _Crowd(served, random.Random(trial.seed), client)
    try:
        await crowd.come_and_go(trial.count, trial)
    finally:
        await client.close()
    return crowd


def run(trial: Trial) -> Outcome:
    """
    Let subscribers come and go.
    """
    with Served(trial.directory, *_FLAGS) as served:
        served.start()
        crowd = asyncio.run(_run(served, trial))
    figures = {
        **crowd.ways,
        "MiB resident at first": crowd.resident_bytes[0] >> 20,
        "MiB resident after half": crowd.resident_bytes[len(crowd.resident_bytes) // 2] >> 20,
        "MiB resident at last": crowd.resident_bytes[-1] >> 20,
        "threads at first": crowd.threads[0],
        "threads at last": crowd.threads[-1],
    }
    return Outcome(crowd.gone, [*crowd.wrong, *served.problems], figures)


CASE = Case(
    name="subscribers",
    counts="subscribers come and gone",
    promise="Subscribers that leave, in any way, leave nothing behind; those that stay receive the last version.",
    short=600,
    long=10_000,
    run=run,
)
