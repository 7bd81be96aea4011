"""
What gRPC's poller raises where a process has several event loops.
"""

import asyncio
from typing import Any

import grpc

_FIRST_QUIET_VERSION = (1, 80)

_IS_QUIET = tuple(map(int, grpc.__version__.split(".")[:2])) >= _FIRST_QUIET_VERSION


class _Handler:
    """
    Handles the errors of an event loop: ignores those of the poller, and leaves all others to the handler before it.
    """

    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        is_of_poller = "PollerCompletionQueue._handle_events" in context.get("message", "")
        if is_of_poller and isinstance(context.get("exception"), BlockingIOError):
            return
        if self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)


def ignore_empty_polls(loop: asyncio.AbstractEventLoop, is_quiet: bool = _IS_QUIET) -> None:
    """
    Ignore what the poller raises in a loop.

    Before 1.80 gRPC wakes every loop that has a channel for each event of any, and all but one find nothing to read.
    That does no harm, but asyncio would log it, thousands of times.

    @param is_quiet: whether this version of gRPC raises nothing.
    """
    before = loop.get_exception_handler()
    if not is_quiet and not isinstance(before, _Handler):
        loop.set_exception_handler(_Handler(before))
