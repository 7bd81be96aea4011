"""
Train a policy and publish it about every second.  The trainer runs until Ctrl-C, also while the registry is away or
cannot write to its disk.
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
from score import METRIC, Score
from script import NOTICE_SECONDS, parser, run, say

T = TypeVar("T")

GENERATIONS = 2
"""The number of generations per version."""

STORAGE_PAUSE_SECONDS = 1.0
"""The pause before a retry after an error of the disk, in seconds."""


def main() -> None:
    """
    Read the arguments and train.
    """
    arguments = parser(__doc__)
    arguments.add_argument("--versions", type=int, help="versions to publish (no limit)")
    arguments.add_argument("--period", type=float, default=1.0, help="seconds between versions (%(default)s)")
    arguments.add_argument("--seed", type=int, default=0, help="the same seed trains the same policies (%(default)s)")
    asyncio.run(train(arguments.parse_args()))


async def train(arguments: Namespace) -> None:
    """
    Train and publish alternately.
    """
    evolution = Evolution(arguments.seed)
    done = 0
    async with Client(arguments.server) as client:
        retries = Retries(client.address)
        await retries.run(lambda: make_model(client, arguments.model))
        while done != arguments.versions:
            period = asyncio.create_task(asyncio.sleep(arguments.period))
            # In a thread, so that the client can answer the server meanwhile.
            score = await asyncio.to_thread(improve, evolution)
            await publish(client, retries, arguments.model, evolution, score)
            done += 1
            await period


async def make_model(client: Client, model_id: str) -> None:
    """
    Create the model if it does not exist.  Existing metadata stays, unless it is damaged.
    """
    metadata = {"task": "cart-pole", "format": "npz"}
    try:
        await client.ensure_model(model_id, metadata)
    except CorruptModel:
        await client.save_model(model_id, metadata)


def improve(evolution: Evolution) -> Score:
    """
    Train for some generations and return the score.
    """
    for _ in range(GENERATIONS):
        evolution.advance()
    return Score.of(evolution.policy)


async def publish(client: Client, retries: "Retries", model_id: str, evolution: Evolution, score: Score) -> None:
    """
    Publish the policy with its score: in the metadata, with all that is needed to measure it again, and as a metric, by
    which the best version is found.
    """
    data = evolution.policy.to_bytes()
    metadata = {**score.to_metadata(), "generation": str(evolution.generation)}
    try:
        info = await retries.run(lambda: client.publish(model_id, data, metadata, metrics={METRIC: score.mean}))
    except CreationUncertain as error:
        say(f"trainer: {error}")  # the next version follows soon in any case
        return
    say(f"trainer: version {info.version_number}, score {score.mean:.1f}")


class Retries:
    """
    Endless retries, with one notice for each kind of error until a call succeeds.
    """

    def __init__(self, address: str) -> None:
        self._notice = f"trainer: waiting for the registry at {address}"
        self._said: set[type] = set()

    async def run(self, act: Callable[[], Awaitable[T]]) -> T:
        """
        Run a call until it succeeds, even if the registry is away longer than the client itself retries.
        """
        loop = asyncio.get_running_loop()
        while True:
            reminder = loop.call_later(NOTICE_SECONDS, self._say_once, Unavailable, self._notice)
            try:
                done = await act()
            except Unavailable:
                continue
            # Transient versions sometimes need the disk as well: to use no number twice, even after a crash, the
            # registry stores a high-water mark for every hundred versions.
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
