"""
What a call brings, while there is patience for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted_registry.domain.errors import InvalidRequest, Stalled

T = TypeVar("T")

_LEAST_BYTES = 64 * 1024
"""Who brings less than this in the time allowed brings next to nothing."""

_MOST_BETWEEN_LOOKS_SECONDS = 1.0


def _ignore(context: Any) -> None:
    return None


class Patience:
    """
    Ends what has been waited for too long: one look at all of them now and then costs less than a timer for each.

    Attributes:
        listen: called with a call's context when it begins to wait for its first message.
        heard: called with it when that has come.
    """

    listen: Callable[[Any], None] = staticmethod(_ignore)
    heard: Callable[[Any], None] = staticmethod(_ignore)

    def __init__(self, seconds: float, now_seconds: Callable[[], float] = time.monotonic) -> None:
        self.now_seconds = now_seconds
        self._seconds = seconds
        self._since: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._looking = False

    def waiting(self, since: float) -> "_Waiting":
        """
        Wait for the length of a context.

        Args:
            since: when it began, by ``now_seconds``.

        Raises:
            Stalled: it took too long.
        """
        return _Waiting(self, since)

    def begin(self, since: float) -> "asyncio.Task[Any]":
        """
        The current task begins to wait.
        """
        task = asyncio.current_task()
        assert task is not None, "a call runs in a task"
        self._since[task] = since
        if not self._looking:
            self._look_later()
        return task

    def end(self, task: "asyncio.Task[Any]") -> bool:
        """
        A task waits no longer.

        Returns:
            whether that is because it took too long.
        """
        if self._since.pop(task, None) is not None:
            return False
        self._overdue.discard(task)
        return True

    def stalled(self) -> Stalled:
        """
        Tell of who took too long.
        """
        return Stalled(self._seconds)

    def _look_later(self) -> None:
        self._looking = True
        pause = min(_MOST_BETWEEN_LOOKS_SECONDS, self._seconds / 4)
        asyncio.get_running_loop().call_later(pause, self._look)

    def _look(self) -> None:
        self._looking = False
        latest = self.now_seconds() - self._seconds
        overdue = [task for task, since in self._since.items() if since <= latest]
        for task in overdue:
            del self._since[task]
            self._overdue.add(task)
            task.cancel()
        if self._since:
            self._look_later()


class _Waiting:
    """
    The context of a wait.  Each message passes it, so it is no generator: that would cost three times as much.
    """

    __slots__ = ("_patience", "_since", "_task")

    def __init__(self, patience: Patience, since: float) -> None:
        self._patience = patience
        self._since = since

    def __enter__(self) -> None:
        self._task = self._patience.begin(self._since)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        overdue = self._patience.end(self._task)
        if overdue and isinstance(error, asyncio.CancelledError):
            raise self._patience.stalled() from None


class Incoming:
    """
    The messages of one call, in their order.  Only the time in which the client is waited for counts: that in which its
    messages are stored is the server's.
    """

    def __init__(self, context: Any, patience: Patience) -> None:
        self._context = context
        self._patience = patience
        self._waited_seconds = 0.0
        self._bytes = 0
        self._is_heard = False
        patience.listen(context)

    async def read(self) -> bytes | None:
        """
        Give the next message; ``None`` when there are no more, or when the client has gone.

        Raises:
            Stalled: nothing came for too long, or next to nothing.
        """
        began = self._patience.now_seconds()
        with self._patience.waiting(began - self._waited_seconds):
            message = await self._context.read()
        if not isinstance(message, bytes):
            return None
        if not self._is_heard:
            self._is_heard = True
            self._patience.heard(self._context)
        self._waited_seconds += self._patience.now_seconds() - began
        self._bytes += len(message)
        if self._bytes >= _LEAST_BYTES:
            self._waited_seconds, self._bytes = 0.0, 0
        return message


def asked(handler: Callable[[bytes, Any], Awaitable[T]], patience: Patience) -> Callable[[Any, Any], Awaitable[T]]:
    """
    Make the handler of a call that brings one request.  To gRPC its request streams.

    Args:
        handler: takes the request and the call's context.
    """

    async def call(_: Any, context: Any) -> T:
        raw = await Incoming(context, patience).read()
        if raw is None:
            await asyncio.sleep(0)  # a client that has gone is noticed here
            raise InvalidRequest("the call brought no message; send one request")
        return await handler(raw, context)

    return call
