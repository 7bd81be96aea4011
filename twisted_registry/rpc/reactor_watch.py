"""
The watch over the reactor, from the thread of the gRPC server.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.logger import Logger

_log = Logger()

STALL_SECONDS = 10.0
"""
A reactor that has not run for so long is stalled: all that it does takes far less, even on a busy machine.
"""

_INTERVAL_SECONDS = 2.0


async def watch_reactor(
    call_from_thread: Callable[[Callable[[], Any]], Any],
    changed: Callable[[bool], None],
    stall_seconds: float = STALL_SECONDS,
    interval_seconds: float = _INTERVAL_SECONDS,
) -> None:
    """
    Ask the reactor for a sign of life, again and again, until this is cancelled.

    Args:
        call_from_thread: calls a function in the reactor's thread.
        changed: called in this loop when the reactor is stalled, and when it runs again.
        stall_seconds: how long the reactor may take to answer.
        interval_seconds: the time from an answer to the next question.
    """
    loop = asyncio.get_running_loop()
    while True:
        answered = asyncio.Event()
        call_from_thread(partial(_answer, loop, answered))
        try:
            # Not wait_for, which may swallow a cancellation in Python 3.11.
            async with asyncio.timeout(stall_seconds):
                await answered.wait()
        except TimeoutError:
            _log.critical(
                "the reactor has not run for {seconds:g} s: nothing can be committed; health checks of writes return "
                "NOT_SERVING until it runs again; look for a disk that hangs, or a busy machine",
                seconds=stall_seconds,
            )
            changed(True)
            await answered.wait()
            _log.info("the reactor runs again")
            changed(False)
        await asyncio.sleep(interval_seconds)


def _answer(loop: asyncio.AbstractEventLoop, answered: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(answered.set)
