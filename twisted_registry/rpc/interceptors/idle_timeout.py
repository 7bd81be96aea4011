"""
The interceptor that receives requests, and ends calls whose client is idle.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from twisted_registry.domain.errors import InvalidRequest, Stalled
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Handler, Method
from twisted_registry.rpc.parsing import parse

_PROGRESS_BYTES = 64 * 1024
"""A client that sends less than this within the timeout counts as idle."""

_SWEEP_SECONDS_MAX = 1.0


def _ignore(call: CallContext) -> None:
    return None


class Sweep:
    """
    A periodic check while something waits: that costs less than a timer for each wait.
    """

    def __init__(self, timeout_seconds: float, check: Callable[[], bool]) -> None:
        """

        Args:
            timeout_seconds: the timeout of the waits that are checked; sweeps are more frequent.
            check: checks all of them, and returns whether any still wait.
        """
        self._pause_seconds = min(_SWEEP_SECONDS_MAX, timeout_seconds / 4)
        self._check = check
        self.is_scheduled = False

    def start(self) -> None:
        """
        Begin to sweep, unless that has begun.
        """
        if not self.is_scheduled:
            self.is_scheduled = True
            asyncio.get_running_loop().call_later(self._pause_seconds, self._run)

    def _run(self) -> None:
        self.is_scheduled = False
        if self._check():
            self.start()


class IdleTimeout:
    """
    The interceptor that ends calls that wait too long for their client.
    """

    def __init__(
        self,
        seconds: float,
        on_wait: Callable[[CallContext], None] = _ignore,
        on_request: Callable[[CallContext], None] = _ignore,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """

        Args:
            seconds: the timeout, in seconds.
            on_wait: called when a call begins to wait for its first message.
            on_request: called when that message has arrived.
        """
        self.now_seconds = now_seconds
        self.on_wait = on_wait
        self.on_request = on_request
        self._seconds = seconds
        self._since_seconds: dict[asyncio.Task[Any], float] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        self._sweep = Sweep(seconds, self._expire)

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that it gets its request: the message, or a stream of them.
        """

        async def handle_stream(_: Any, call: CallContext) -> Any:
            return await handler(RequestStream(call, self), call)

        async def handle_message(_: Any, call: CallContext) -> Any:
            request = await RequestStream(call, self).read()
            if request is None:
                await asyncio.sleep(0)  # if the client has left, this raises CancelledError
                raise InvalidRequest("the call had no message; send one request")
            return await handler(request, call)

        return handle_stream if method.streams_requests else handle_message

    def begin(self, since_seconds: float) -> "asyncio.Task[Any]":
        """
        Begin a wait of the current task.

        Args:
            since_seconds: when the wait began, by ``now_seconds``.
        """
        task = asyncio.current_task()
        assert task is not None, "a call runs in a task"
        self._since_seconds[task] = since_seconds
        if not self._sweep.is_scheduled:
            self._sweep.start()
        return task

    def end(self, task: "asyncio.Task[Any]") -> bool:
        """
        End the wait of a task.

        Returns:
            ``True`` if it ended because it took too long.
        """
        if self._since_seconds.pop(task, None) is not None:
            return False
        self._expired.discard(task)
        return True

    def error(self) -> Stalled:
        """
        Return the error of a call that waited too long.
        """
        return Stalled(self._seconds)

    def _expire(self) -> bool:
        """
        Cancel the calls that have waited too long.

        Returns:
            whether any still wait.
        """
        latest = self.now_seconds() - self._seconds
        for task in [task for task, since in self._since_seconds.items() if since <= latest]:
            del self._since_seconds[task]
            self._expired.add(task)
            task.cancel()
        return bool(self._since_seconds)


class RequestStream:
    """
    The messages of one call, in order.  The idle timeout covers only the time spent waiting for the client, not the
    time in which the server handles a message.

    Attributes:
        received_bytes: the length of the messages that were read.
    """

    def __init__(self, call: CallContext, timeout: IdleTimeout) -> None:
        self._call = call
        self._timeout = timeout
        self._type = call.method.request
        self._read_header = call.method.read_header
        self._header: Any = None
        self._waited_seconds = 0.0
        self.received_bytes = 0
        self._progress_bytes = _PROGRESS_BYTES
        self._has_begun = False
        call.requests = self
        timeout.on_wait(call)

    async def read(self) -> Any:
        """
        Return the next message; ``None`` if the client sends no more, or has left.

        Raises:
            Stalled: nothing came for too long, or next to nothing.
            InvalidRequest: the message cannot be parsed.
        """
        timeout = self._timeout
        began = timeout.now_seconds()
        # A context manager would cost time for each message.
        task = timeout.begin(began - self._waited_seconds)
        try:
            message = await self._call.read()
        except asyncio.CancelledError:
            if timeout.end(task):
                raise timeout.error() from None
            raise
        except BaseException:
            timeout.end(task)
            raise
        timeout.end(task)
        if not isinstance(message, bytes):
            return None
        if not self._has_begun:
            self._has_begun = True
            timeout.on_request(self._call)
        self._waited_seconds += timeout.now_seconds() - began
        self.received_bytes += len(message)
        if self.received_bytes >= self._progress_bytes:
            self._waited_seconds, self._progress_bytes = 0.0, self.received_bytes + _PROGRESS_BYTES
        return message if self._type is None else parse(self._type, message)

    async def header(self) -> Any:
        """
        Return the first message, as ``Method.read_header`` reads it; ``None`` if the client sends no message.  The
        message is read once, however often it is asked for.

        Raises:
            Stalled: nothing came for too long.
            InvalidRequest: the message is not valid.
        """
        if self._header is None:
            message = await self.read()
            self._header = message if message is None or self._read_header is None else self._read_header(message)
        return self._header

    @property
    def known_header(self) -> Any:
        """
        The first message as ``header`` returns it; ``None`` if nobody has asked for it.
        """
        return self._header

    async def __aiter__(self) -> AsyncIterator[Any]:
        """
        Iterate over the messages.
        """
        while (message := await self.read()) is not None:
            yield message
