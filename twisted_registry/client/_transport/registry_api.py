"""
Calls of ``twisted_registry.v1``, which older and other servers do not have.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import evolve, frozen
from google.protobuf.message import Message

from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.connection import registry_method
from twisted_registry.client._transport.retries import had_no_effect, retry, retryable_within
from twisted_registry.client.errors import RegistryError, Unsupported
from twisted_registry.protocol.messages import REGISTRY_SERVICE_NAME

M = TypeVar("M", bound=Message)
T = TypeVar("T")

_BYTES_PER_SECOND = 1024 * 1024
"""A server that moves data more slowly than this counts as stuck."""


def unsupported(name: str) -> Unsupported:
    """
    Return the error for a server that does not have a method.
    """
    return Unsupported(f"{name} of {REGISTRY_SERVICE_NAME}, which older and other servers lack")


@frozen
class RegistryApi:
    """
    The calls of a client to ``twisted_registry.v1``.

    Attributes:
        calls: the calls to all services.
    """

    calls: Calls

    def for_bytes(self, size_bytes: int) -> "RegistryApi":
        """
        Return calls during which the server moves data: an answer may take a second more for each MiB.
        """
        seconds = self.calls.options.deadline_seconds + size_bytes / _BYTES_PER_SECOND
        return evolve(self, calls=self.calls.with_deadline(seconds))

    def without_retries(self) -> "RegistryApi":
        """
        Return calls that are not retried, for a caller that retries several of them together.
        """
        return evolve(self, calls=self.calls.without_retries())

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
        Make a call; see ``Calls.call``.

        Raises:
            Unsupported: the server does not have the method.
            RegistryError: see ``Calls.call``.
        """
        try:
            return await self.calls.call(
                registry_method(name), request, reply_class, model_id, selector, repeatable, most
            )
        except Unsupported:
            raise unsupported(name) from None

    async def repeat(
        self,
        act: Callable[[], Awaitable[T]],
        find_out: Callable[[], Awaitable[T | None]],
        model_id: str,
        refusals: tuple[type[RegistryError], ...],
    ) -> T:
        """
        Make a change while the server may go away.  If the answer is lost, the change is repeated only if it was not
        made.

        Args:
            act: makes the change, without retries.
            find_out: returns the result of the change if it was made; ``None`` otherwise.
            model_id: the model that the change is about.
            refusals: errors with which the server refuses the change if it was made before.

        Raises:
            RegistryError: the change was refused, or the server was away for too long.
        """
        may_be_done = False

        async def attempt() -> T:
            nonlocal may_be_done
            if may_be_done and (found := await find_out()) is not None:
                return found
            try:
                return await act()
            except RegistryError as error:
                if isinstance(error, refusals) and may_be_done and (found := await find_out()) is not None:
                    return found  # the first attempt arrived late
                may_be_done = may_be_done or not had_no_effect(error)
                raise

        seconds, address = self.calls.options.retry_seconds, self.calls.connection.address
        return await retry(attempt, seconds, retryable_within(seconds), (address, model_id))
