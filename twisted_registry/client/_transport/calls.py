"""
Calls with one request and one reply.
"""

from functools import partial
from typing import Any, TypeVar

from attrs import evolve, frozen
from google.protobuf.message import DecodeError, Message

from twisted_registry.client._transport.connection import Connection
from twisted_registry.client._transport.forks import fork_guard
from twisted_registry.client._transport.options import Options
from twisted_registry.client._transport.replies import check_size
from twisted_registry.client._transport.retries import is_safe_to_retry, retry, retryable_within
from twisted_registry.client.errors import DeadlineExceeded, Unreachable, Unsupported

M = TypeVar("M", bound=Message)


def decoded(reply_class: type[M], raw: bytes) -> M:
    """
    Parse a reply.

    Raises:
        Unsupported: it is not such a message.
    """
    try:
        return reply_class.FromString(raw)
    except DecodeError:
        raise Unsupported(f"its reply is not a {reply_class.DESCRIPTOR.full_name}") from None


def cancel_call(call: Any) -> None:
    """
    Cancel a call whose reply streams; ``None`` for no call.
    """
    if call is not None and not fork_guard.is_cut_off:
        call.cancel()


@frozen
class Calls:
    """
    The calls of a client, with retries if these are safe.
    """

    connection: Connection
    options: Options

    def without_retries(self) -> "Calls":
        """
        Return calls that are not retried, for a caller that retries several of them together.
        """
        return evolve(self, options=evolve(self.options, retry_seconds=0))

    def with_deadline(self, deadline_seconds: float) -> "Calls":
        """
        Return calls whose answers may take another time.
        """
        return evolve(self, options=evolve(self.options, deadline_seconds=deadline_seconds))

    async def call(
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
            name: the name of the method, as ``Connection.method`` takes it.
            request: the request.
            reply_class: the class of the reply.
            model_id: the model that the call is about.
            selector: the version that the call is about; ``None`` if it is about the model.
            repeatable: whether repeating the call is harmless; if not, it is retried only if nothing was sent.
            most: how many entries the reply may hold.

        Returns:
            The reply.

        Raises:
            RegistryError: the error that the server raised; ``DeadlineExceeded``, ``Unavailable``.
            BadReply: the reply is too large.
        """
        attempt = partial(self._call_once, name, request.SerializeToString(), model_id, selector)
        retry_seconds = self.options.retry_seconds
        is_retryable = retryable_within(retry_seconds) if repeatable else is_safe_to_retry
        raw = await retry(attempt, retry_seconds, is_retryable, (self.connection.address, model_id))
        check_size(raw, most, model_id, selector)
        return decoded(reply_class, raw)

    async def _call_once(self, name: str, request: bytes, model_id: str, selector: int | None) -> bytes:
        method = self.connection.method(name)
        deadline_seconds = self.options.deadline_seconds
        try:
            with self.connection.translating_errors(model_id, selector):
                call = method(request, timeout=deadline_seconds, metadata=self.connection.metadata)
                reply: bytes = await call
                await self.connection.memory.learn(call)
                return reply
        except Unreachable as error:
            raise await self.connection.diagnosed(error) from None
        except DeadlineExceeded:
            raise DeadlineExceeded(
                f"{self.connection.address} did not answer {name.rpartition('/')[2]} within {deadline_seconds:g} s; "
                "try again, or create the client with a longer deadline_seconds"
            ) from None
