"""
Train a policy, and publish it about every second.  The trainer goes on until Ctrl-C, also where the registry goes away.
"""

import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted_registry.client import Client
from twisted_registry.errors import CreationUncertain, Unavailable

from cartpole import Evolution
from score import Score
from script import NOTICE_SECONDS, parser, run, say

T = TypeVar("T")

GENERATIONS = 2
"""So many make a version."""


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
        await insist(client, lambda: client.save_model(arguments.model, {"task": "cart-pole", "format": "npz"}))
        while done != arguments.versions:
            period = asyncio.create_task(asyncio.sleep(arguments.period))
            # In a thread, so that the client can answer the server meanwhile.
            score = await asyncio.to_thread(improve, evolution)
            await publish(client, arguments.model, evolution, score)
            done += 1
            await period


def improve(evolution: Evolution) -> Score:
    """
    Train for a while, and tell what came of it.
    """
    for _ in range(GENERATIONS):
        evolution.advance()
    return Score.of(evolution.policy)


async def publish(client: Client, model_id: str, evolution: Evolution, score: Score) -> None:
    """
    Publish the policy, with its score.
    """
    data = evolution.policy.to_bytes()
    user_data = {**score.to_user_data(), "generation": str(evolution.generation)}
    try:
        info = await insist(client, lambda: client.publish(model_id, data, user_data))
    except CreationUncertain as error:
        say(f"trainer: {error}")  # there or not: the next one comes soon
        return
    say(f"trainer: version {info.version_number}, score {score.mean:.1f}")


async def insist(client: Client, act: Callable[[], Awaitable[T]]) -> T:
    """
    Do something, however long the registry is away.  The client alone gives up after half a minute.
    """
    while True:
        notice = f"trainer: waiting for the registry at {client.address}"
        reminder = asyncio.get_running_loop().call_later(NOTICE_SECONDS, say, notice)
        try:
            return await act()
        except Unavailable:
            continue
        finally:
            reminder.cancel()


if __name__ == "__main__":
    run(main, "start the trainer again")
