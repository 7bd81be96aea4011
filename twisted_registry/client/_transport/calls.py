"""
Calls whose request and reply are one message each.
"""

from functools import partial
from typing import Any, TypeVar

from attrs import evolve, frozen
from google.protobuf.message import DecodeError, Message

from twisted_registry.client._transport.connection import Connection
from twisted_registry.client._transport.fork import forks
from twisted_registry.client._transport.replies import check_size
from twisted_registry.client._transport.retries import is_safe_to_retry, retry, retryable_within
from twisted_registry.client.errors import (
    DeadlineExceeded,
    Unreachable,
    Unsupported,
)

M = TypeVar("M", bound=Message)


def decoded(reply_class: type[M], raw: bytes) -> M:
    """
    Read a reply.

    Raises:
        Unsupported: it is no such message.
    """
    try:
        return reply_class.FromString(raw)
    except DecodeError:
        raise Unsupported(f"its reply is no {reply_class.DESCRIPTOR.full_name}") from None


def cancel_call(call: Any) -> None:
    """
    Want no more of a call whose reply streams; ``None`` for none.
    """
    if call is not None and not forks.is_cut_off:
        call.cancel()


@frozen
class Times:
    """
    How long things may take, in seconds.

    Attributes:
        deadline_seconds: for the answer to a call that brings no data.
        retry_seconds: for how long something is tried again while the server is away.
        idle_seconds: for how long nothing may come of data that is being retrieved.
    """

    deadline_seconds: float
    retry_seconds: float
    idle_seconds: float


@frozen
class Calls:
    """
    Makes calls, and makes them again where they can safely be repeated.
    """

    connection: Connection
    times: Times

    def without_retries(self) -> "Calls":
        """
        Give those that try nothing again: for one who does so himself.
        """
        return evolve(self, times=evolve(self.times, retry_seconds=0))

    async def ask(
        self,
        name: str,
        request: Message,
        reply_class: type[M],
        model_id: str = "",
        selector: int | None = None,
        repeatable: bool = True,
        most: int = 1,
    ) -> M:
        """
        Make a call.

        Args:
            model_id: the model it is about.
            selector: the version it is about; ``None`` where it is about the model.
            repeatable: whether doing it twice is as good as once; else it is tried again only where nothing was sent.
            most: how many entries the reply may hold.

        Returns:
            the reply.

        Raises:
            RegistryError: whatever the server raised; ``DeadlineExceeded``, ``Unavailable``.
            BadReply: the reply is too large.
        """
        attempt = partial(self._ask_once, name, request.SerializeToString(), model_id, selector)
        retry_seconds = self.times.retry_seconds
        is_worth_it = retryable_within(retry_seconds) if repeatable else is_safe_to_retry
        raw = await retry(attempt, retry_seconds, is_worth_it, (self.connection.address, model_id))
        check_size(raw, most, model_id, selector)
        return decoded(reply_class, raw)

    async def _ask_once(self, name: str, request: bytes, model_id: str, selector: int | None) -> bytes:
        method = self.connection.method(name)
        deadline_seconds = self.times.deadline_seconds
        try:
            with self.connection.guarded(model_id, selector):
                call = method(request, timeout=deadline_seconds, metadata=self.connection.metadata)
                reply: bytes = await call
                await self.connection.memory.learn(call)
                return reply
        except Unreachable as error:
            raise await self.connection.explained(error) from None
        except DeadlineExceeded:
            raise DeadlineExceeded(
                f"{self.connection.address} did not answer {name} within {deadline_seconds:g} s; "
                "try again, or give the client a longer deadline_seconds"
            ) from None
