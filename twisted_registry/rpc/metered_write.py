"""
Replies whose data was counted for quotas before it was sent.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted_registry.contracts.quotas import IMeter
from twisted_registry.rpc.call import CallContext


def metered_write(call: CallContext, meter: IMeter, size_bytes: int) -> Callable[[Any], Awaitable[None]]:
    """
    Return a function that sends messages.  When the call ends, the quotas get back what was not sent: a client that
    asks for very much and leaves would otherwise use up, for hours, what it shares with others.

    Args:
        meter: the quotas of the call.
        size_bytes: how much was counted.
    """
    write, left_bytes = call.write, size_bytes

    async def send(message: Any) -> None:
        nonlocal left_bytes
        await write(message)
        left_bytes -= len(message)

    call.add_done_callback(lambda _: meter.return_bytes(max(0, left_bytes)))
    return send
