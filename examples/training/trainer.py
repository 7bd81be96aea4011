"""
Train a policy, and publish it about every second.  The trainer goes on until Ctrl-C, also where the registry goes away,
or cannot write to its disk for a while.
"""

import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted_registry.client import Client
from twisted_registry.client.errors import (
    CorruptModel,
    CreationUncertain,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    Unavailable,
)

from cartpole import Evolution
from score import Score
from script import NOTICE_SECONDS, parser, run, say

T = TypeVar("T")

GENERATIONS = 2
"""So many make a version."""

STORAGE_PAUSE_SECONDS = 1.0
"""A disk that is full says so at once: after so long it is tried again."""


def main() -> None:
    """
    Read the arguments, and train.
    """
    arguments = parser(__doc__)
    arguments.add_argument("--versions", type=int, help="how many to publish (no end)")
    arguments.add_argument("--period", type=float, default=1.0, help="seconds from one to the next (%(default)s)")
    arguments.add_argument("--seed", type=int, default=0, help="the same seed trains the same policies (%(default)s)")
    asyncio.run(train(arguments.parse_args()))


async def train(arguments: Namespace) -> None:
    """
    Train and publish, by turns.
    """
    evolution = Evolution(arguments.seed)
    done = 0
    async with Client(arguments.server) as client:
        patience = Patience(client.address)
        await patience.insist(lambda: make_model(client, arguments.model))
        while done != arguments.versions:
            period = asyncio.create_task(asyncio.sleep(arguments.period))
            # In a thread, so that the client can answer the server meanwhile.
            score = await asyncio.to_thread(improve, evolution)
            await publish(client, patience, arguments.model, evolution, score)
            done += 1
            await period


async def make_model(client: Client, model_id: str) -> None:
    """
    Make the model if there is none.  What others have written of it stays, unless it cannot be read any more.
    """
    metadata = {"task": "cart-pole", "format": "npz"}
    try:
        await client.ensure_model(model_id, metadata)
    except CorruptModel:
        await client.save_model(model_id, metadata)


def improve(evolution: Evolution) -> Score:
    """
    Train for a while, and tell what came of it.
    """
    for _ in range(GENERATIONS):
        evolution.advance()
    return Score.of(evolution.policy)


async def publish(client: Client, patience: "Patience", model_id: str, evolution: Evolution, score: Score) -> None:
    """
    Publish the policy, with its score.
    """
    data = evolution.policy.to_bytes()
    metadata = {**score.to_metadata(), "generation": str(evolution.generation)}
    try:
        info = await patience.insist(lambda: client.publish(model_id, data, metadata))
    except CreationUncertain as error:
        say(f"trainer: {error}")  # there or not: the next one comes soon
        return
    say(f"trainer: version {info.version_number}, score {score.mean:.1f}")


class Patience:
    """
    Waits for the registry, and says once for what: until something has succeeded.
    """

    def __init__(self, address: str) -> None:
        self._notice = f"trainer: waiting for the registry at {address}"
        self._said: set[type] = set()

    async def insist(self, act: Callable[[], Awaitable[T]]) -> T:
        """
        Do something, however long the registry is away.  The client alone gives up after half a minute.
        """
        loop = asyncio.get_running_loop()
        while True:
            reminder = loop.call_later(NOTICE_SECONDS, self._say_once, Unavailable, self._notice)
            try:
                done = await act()
            except Unavailable:
                continue
            # Versions that are not archived need the disk as well, now and then: no number may be given out twice, not
            # even after a crash, so the registry writes down which ones are taken, a hundred at a time.
            except (StorageFull, StorageReadOnly, StorageFailure) as error:
                self._say_once(type(error), f"{self._notice}: {error}")
            else:
                self._said.clear()
                return done
            finally:
                reminder.cancel()
            await asyncio.sleep(STORAGE_PAUSE_SECONDS)

    def _say_once(self, kind: type, notice: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            say(notice)


if __name__ == "__main__":
    run(main, "start the trainer again")
