"""
The interceptor that applies the quotas of calls and bytes a second.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted_registry.contracts.quotas import IMeter, IRateQuotas
from twisted_registry.domain.access import Action
from twisted_registry.domain.errors import QuotaExceeded
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.idle_timeout import RequestStream
from twisted_registry.rpc.methods import Handler, Method

_PROMPT_PER_SECOND = 20
"""Refusals that are sent at once, in all.  Clients that wait as long as they are asked to get no more than a few."""

_PAUSE_SECONDS = {False: 1.0, True: 2.0}
_MOST_PAUSES = 5
_MOST_PAUSED = {False: 2000, True: 64}
"""
How long refusals are held back, those of uploads longer, and how many at once.  For each upload gRPC receives up to
three megabytes before it is refused.
"""

_DECLARED_MAX_BYTES = 2**50
"""No version has more data, but a header can declare so much that it could not be taken back exactly."""


class Refusals:
    """
    The refusals by quotas.  If there are many, they are held back for a while: a client that asks again at once, with
    each of its calls, would otherwise keep the server as busy as without quotas.  A call that its quota permits
    meanwhile is served.
    """

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """

        Args:
            sleep: waits for so many seconds.
            now_seconds: returns the time in seconds from any fixed point.
        """
        self._sleep = sleep
        self._now_seconds = now_seconds
        self._sent: deque[float] = deque(maxlen=_PROMPT_PER_SECOND)
        self._paused = {False: 0, True: 0}

    async def retry(self, call: CallContext, act: Callable[[], None], error: QuotaExceeded, *, is_upload: bool) -> bool:
        """
        Wait until a refused call is permitted, or its refusal may be sent.

        Args:
            act: counts the call, or raises ``QuotaExceeded``.
            error: the refusal.

        Returns:
            whether it is permitted now.
        """
        for _ in range(_MOST_PAUSES):
            if not await self.pause(call, error, is_upload=is_upload):
                return False
            try:
                act()
            except QuotaExceeded as later:
                error.retry_after_seconds = later.retry_after_seconds
                if later.retry_after_seconds > _MOST_PAUSES:
                    return False
            else:
                return True
        return False

    async def pause(self, call: CallContext, error: QuotaExceeded, *, is_upload: bool) -> bool:
        """
        Wait, if there are many refusals, but at most half of the time until the client's deadline.  Take the time from
        that after which it may come back.

        Returns:
            whether it has waited.
        """
        now = self._now_seconds()
        is_prompt = len(self._sent) < _PROMPT_PER_SECOND or self._sent[0] <= now - 1.0
        if is_prompt or self._paused[is_upload] >= _MOST_PAUSED[is_upload]:
            self._sent.append(now)
            return False
        seconds, remaining_seconds = _PAUSE_SECONDS[is_upload], call.remaining_seconds
        if remaining_seconds is not None:
            seconds = min(seconds, max(0.0, remaining_seconds / 2))
        self._paused[is_upload] += 1
        try:
            await self._sleep(seconds)
        finally:
            self._paused[is_upload] -= 1
        if error.retry_after_seconds:
            error.retry_after_seconds = max(0.001, error.retry_after_seconds - seconds)
        return True


class QuotaChecks:
    """
    The interceptor.  Each call counts, and so does its data: an upload with the size that it declares, before it is
    received, and a download with its size, before it is sent.
    """

    def __init__(self, quotas: IRateQuotas, refusals: Refusals | None = None) -> None:
        """

        Args:
            refusals: holds refusals back; ``None`` for one with the real time.
        """
        self._quotas = quotas
        self._refusals = refusals or Refusals()

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls count.
        """
        if method.action is Action.NONE:
            return handler

        async def handle_message(request: Any, call: CallContext) -> Any:
            meter = self._meter(request, call)
            if meter is None:
                return await handler(request, call)
            return await self._serve(meter, request, handler, request, call)

        async def handle_stream(messages: RequestStream, call: CallContext) -> Any:
            header = await messages.header()
            meter = None if header is None else self._meter(header, call)
            if meter is None:
                return await handler(messages, call)
            try:
                return await self._serve(meter, header, handler, messages, call)
            finally:
                if call.meter is not None:
                    # A header may declare any size, and a refused upload sends nothing of it.
                    call.meter.return_bytes(max(0, _declared_bytes(call, header) - messages.received_bytes))

        return handle_message if method.upload_bytes is None else handle_stream

    def _meter(self, request: Any, call: CallContext) -> IMeter | None:
        caller, resource = call.caller, call.method.resource
        assert caller is not None, "authentication comes first"
        return self._quotas.meter(caller.identity, lambda: None if resource is None else resource(request))

    async def _serve(self, meter: IMeter, header: Any, handler: Handler, request: Any, call: CallContext) -> Any:
        await self._take(meter, header, call)
        if meter.counts_bytes:
            call.meter = meter
        try:
            return await handler(request, call)
        except QuotaExceeded as error:
            # Others are about what is stored: the caller may have waited for them long enough.
            if error.retry_after_seconds:
                await self._refusals.pause(call, error, is_upload=False)
            raise

    async def _take(self, meter: IMeter, header: Any, call: CallContext) -> None:
        is_upload = call.method.upload_bytes is not None
        upload_bytes = _declared_bytes(call, header) if is_upload and meter.counts_bytes else None
        try:
            meter.take_call(upload_bytes)
        except QuotaExceeded as error:
            take = partial(meter.take_call, upload_bytes)
            if not await self._refusals.retry(call, take, error, is_upload=is_upload):
                raise


def _declared_bytes(call: CallContext, header: Any) -> int:
    size_of = call.method.upload_bytes
    return 0 if size_of is None else min(size_of(header), _DECLARED_MAX_BYTES)
