"""
What gRPC's poller raises where a process has several event loops.
"""

import asyncio
from typing import Any

_POLLER = "PollerCompletionQueue._handle_events"


class _Handler:
    """
    Handles the errors of an event loop: ignores those of the poller, and leaves all others to the handler before it.
    """

    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if _POLLER in context.get("message", "") and _is_harmless(context.get("exception")):
            return
        if self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)


def _is_harmless(error: BaseException | None) -> bool:
    # Before 1.80 gRPC wakes every loop that has a channel for each event of any, and all but one find nothing to read.
    # Every version may give one loop what was meant for another, which has been closed meanwhile.
    return isinstance(error, BlockingIOError) or (isinstance(error, RuntimeError) and "loop is closed" in str(error))


def ignore_errors_of_poller(loop: asyncio.AbstractEventLoop) -> None:
    """
    Ignore what the poller raises in a loop beside others.  It does no harm, but asyncio would log it, thousands of
    times.
    """
    before = loop.get_exception_handler()
    if not isinstance(before, _Handler):
        loop.set_exception_handler(_Handler(before))
