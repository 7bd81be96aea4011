"""
The interceptor that reports calls to an observer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from twisted_registry.contracts.observation import IEdgeObserver, Refusal
from twisted_registry.domain.errors import (
    NotAuthenticated,
    NotPermitted,
    Overloaded,
    QuotaExceeded,
    SignInsThrottled,
    Unavailable,
)
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Handler, Method

_KINDS: dict[type[Exception], Refusal] = {
    NotAuthenticated: "unauthenticated",
    NotPermitted: "denied",
    QuotaExceeded: "quota",
    Overloaded: "overloaded",
    SignInsThrottled: "throttled",
    Unavailable: "unavailable",
}

Serializer = Callable[[Any], bytes]

_LAG_INTERVAL_SECONDS = 1.0


async def watch_lag(
    lagged: Callable[[float], None], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """
    Report once a second by how much a timer of the running event loop fired too late, until cancelled.

    Args:
        lagged: called with the seconds.
        sleep: waits for so many seconds.
    """
    now_seconds = asyncio.get_running_loop().time
    while True:
        due = now_seconds() + _LAG_INTERVAL_SECONDS
        await sleep(_LAG_INTERVAL_SECONDS)
        lagged(max(0.0, now_seconds() - due))


class CallMetrics:
    """
    The interceptor.
    """

    def __init__(self, observer: IEdgeObserver, now_seconds: Callable[[], float] = time.perf_counter) -> None:
        """

        Args:
            now_seconds: returns the time in seconds from any fixed point.
        """
        self._observer = observer
        self._now_seconds = now_seconds

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that each of its calls is reported when it ends.
        """
        ended, now_seconds, ended_badly = self._of(method).ended, self._now_seconds, self._ended_badly

        async def handle(request: Any, call: CallContext) -> Any:
            began = now_seconds()
            try:
                reply = await handler(request, call)
            except BaseException as error:
                ended(ended_badly(error, call), now_seconds() - began)
                raise
            ended("OK", now_seconds() - began)
            return reply

        return handle

    def _of(self, method: Method) -> Any:
        service, name = method.path[1:].split("/")
        return self._observer.method(service, name)

    def _ended_badly(self, error: BaseException, call: CallContext) -> str:
        if isinstance(error, asyncio.CancelledError):
            return "CANCELLED"
        for kind in (_KINDS[each] for each in getattr(call.error_type, "__mro__", ()) if each in _KINDS):
            self._observer.refused(kind)
            break
        return call.code.name

    def serializer(self, method: Method) -> Serializer:
        """
        Return the function that makes the bytes of a reply, and reports their number.
        """
        sent = self._of(method).sent
        serialize = None if method.reply is None else method.reply.SerializeToString

        def count(message: Any) -> bytes:
            data: bytes = message if serialize is None else serialize(message)
            sent(len(data))
            return data

        return count

    def deserializer(self, method: Method) -> Serializer:
        """
        Return the function that takes the bytes of a request, and reports their number.
        """
        received = self._of(method).received

        def count(data: bytes) -> bytes:
            received(len(data))
            return data

        return count
