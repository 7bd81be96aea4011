"""
Act with the newest version of a policy, and tell how well it does.  The actor goes on until Ctrl-C, also where the
registry goes away.
"""

import asyncio
from argparse import Namespace

from twisted_registry.client import Client, Version

from cartpole import NotAPolicy, Policy, play
from script import NOTICE_SECONDS, actor_parser, run, say


def main() -> None:
    """
    Read the arguments, and act.
    """
    asyncio.run(act(actor_parser(__doc__).parse_args()))


async def act(arguments: Namespace) -> None:
    """
    Play with each new version.  What comes while the actor plays it is not told one by one: it gets the newest.
    """
    async with Client(arguments.server) as client:
        tracker = client.track(arguments.model, data=True, wait=True)
        notice = f"{arguments.name}: waiting for model {arguments.model} at {client.address}"
        reminder = asyncio.get_running_loop().call_later(NOTICE_SECONDS, say, notice)
        async with tracker:
            reminder.cancel()
            async for version in tracker:
                # In a thread, so that the client hears of new versions meanwhile.
                say(await asyncio.to_thread(report, version, arguments))
                if is_last(version, arguments):
                    return


def report(version: Version, arguments: Namespace) -> str:
    """
    Play with a version, and tell how it went.
    """
    told = f"{arguments.name}: version {version.info.version_number}"
    try:
        policy = Policy.from_bytes(version.data)
    except NotAPolicy as error:
        return f"{told} is passed over: {error}"
    return f"{told}, mean return {play(policy, arguments.episodes, arguments.seed).mean():.1f}"


def is_last(version: Version, arguments: Namespace) -> bool:
    """
    Say whether the actor has done all that was asked of it.
    """
    return arguments.until is not None and version.info.version_number >= arguments.until


if __name__ == "__main__":
    run(main)
