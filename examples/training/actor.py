"""
Play with the newest version of a policy, and print its mean return.  The actor runs until Ctrl-C, also while the
registry is away.
"""

import asyncio
from argparse import Namespace

from twisted_registry.client import Client, Version

from cartpole import NotAPolicy, Policy, play
from script import NOTICE_SECONDS, actor_parser, run, say


def main() -> None:
    """
    Read the arguments and act.
    """
    asyncio.run(act(actor_parser(__doc__).parse_args()))


async def act(arguments: Namespace) -> None:
    """
    Play with each new version.  Versions that are published while the actor plays are skipped, except for the newest.
    """
    async with Client(arguments.server) as client:
        tracker = client.track(arguments.model, data=True, wait=True)
        notice = f"{arguments.name}: waiting for model {arguments.model} at {client.address}"
        reminder = asyncio.get_running_loop().call_later(NOTICE_SECONDS, say, notice)
        async with tracker:
            reminder.cancel()
            async for version in tracker:
                # In a thread, so that the client receives new versions meanwhile.
                say(await asyncio.to_thread(report, version, arguments))
                if is_last(version, arguments):
                    return


def report(version: Version, arguments: Namespace) -> str:
    """
    Play with a version, and return a line about it.
    """
    label = f"{arguments.name}: version {version.info.version_number}"
    try:
        policy = Policy.from_bytes(version.data)
    except NotAPolicy as error:
        return f"{label} is skipped: {error}"
    return f"{label}, mean return {play(policy, arguments.episodes, arguments.seed).mean():.1f}"


def is_last(version: Version, arguments: Namespace) -> bool:
    """
    Return whether this is the last version to play with.
    """
    return arguments.until is not None and version.info.version_number >= arguments.until


if __name__ == "__main__":
    run(main)
