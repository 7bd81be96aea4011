"""
An actor as a Twisted program: play with the newest version of a policy, and print its mean return.
"""

from argparse import Namespace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from twisted_registry.client import DeferredClient
from twisted_registry.client.errors import RegistryError

from actor import is_last, report
from script import INTERRUPTED, NOTICE_SECONDS, actor_parser, refusal, say


def main(reactor: Any, arguments: Namespace) -> "Deferred[None]":
    """
    Act until the last version, or until Ctrl-C stops the reactor.
    """
    acting = Deferred.fromCoroutine(act(reactor, arguments))

    def stop() -> "Deferred[None]":
        acting.cancel()
        return acting  # the reactor waits until the client is closed

    reactor.addSystemEventTrigger("before", "shutdown", stop)
    return acting


async def act(reactor: Any, arguments: Namespace) -> None:
    """
    Play with each new version.  An error of the registry ends the program with a line that says why.
    """
    client = DeferredClient(reactor, arguments.server)
    tracker = client.track(arguments.model, data=True, wait=True)
    notice = f"{arguments.name}: waiting for model {arguments.model} at {client.address}"
    try:
        await wait_with_notice(reactor, tracker.start(), notice)
        async for version in tracker:
            # In a thread, because the reactor must stay responsive.
            say(await deferToThread(report, version, arguments))
            if is_last(version, arguments):
                break
    except CancelledError:
        raise SystemExit(INTERRUPTED) from None  # the reactor stops
    except RegistryError as error:
        raise SystemExit(refusal(error)) from None
    finally:
        await client.close()


async def wait_with_notice(reactor: Any, waiting: "Deferred[None]", notice: str) -> None:
    """
    Wait, and print a notice if it takes long.
    """
    reminder = reactor.callLater(NOTICE_SECONDS, say, notice)
    try:
        await waiting
    finally:
        if reminder.active():
            reminder.cancel()


if __name__ == "__main__":
    react(main, [actor_parser(__doc__).parse_args()])
