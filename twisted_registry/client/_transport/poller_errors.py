"""
Harmless errors of gRPC's poller in processes with several event loops.
"""

import asyncio
from typing import Any

_POLLER = "PollerCompletionQueue._handle_events"


class _Handler:
    """
    The exception handler of an event loop, which ignores the poller's errors and passes others to the previous handler.
    """

    def __init__(self, previous: Any) -> None:
        self._previous = previous

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if _POLLER in context.get("message", "") and _is_harmless(context.get("exception")):
            return
        if self._previous is None:
            loop.default_exception_handler(context)
        else:
            self._previous(loop, context)


def _is_harmless(error: BaseException | None) -> bool:
    # Before 1.80 gRPC wakes every loop that has a channel for each event of any loop; all but one find nothing to read.
    # Every version may hand one loop an event of another one that has been closed.
    return isinstance(error, BlockingIOError) or (isinstance(error, RuntimeError) and "loop is closed" in str(error))


def ignore_errors_of_poller(loop: asyncio.AbstractEventLoop) -> None:
    """
    Ignore the poller's errors in a loop: asyncio would log thousands of them.
    """
    previous = loop.get_exception_handler()
    if not isinstance(previous, _Handler):
        loop.set_exception_handler(_Handler(previous))
