"""
The client for asyncio.

Its calls are in ``methods``.  ``make faces`` writes ``blocking.py`` and ``deferred.py`` from this module and these.
"""

import warnings
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from attrs import asdict

from twisted_registry.client._transport.addresses import DEFAULT_ADDRESS
from twisted_registry.client._transport.options import Options, Tls
from twisted_registry.client.methods.aliases import AliasMethods
from twisted_registry.client.methods.following import FollowingMethods
from twisted_registry.client.methods.models import ModelMethods
from twisted_registry.client.methods.references import ReferenceMethods
from twisted_registry.client.methods.retention import RetentionMethods
from twisted_registry.client.methods.server import ServerMethods
from twisted_registry.client.methods.transfers import TransferMethods

if TYPE_CHECKING:
    from twisted_registry.client._session import Session


class Client(
    ModelMethods,
    TransferMethods,
    ReferenceMethods,
    AliasMethods,
    RetentionMethods,
    FollowingMethods,
    ServerMethods,
):
    """
    A client of a model registry, for asyncio.

    The first call loads gRPC, which takes some tenths of a second, and connects.  From then on the client belongs to
    the event loop of that call.

    Methods raise the errors of ``twisted_registry.client.errors``.  A call that fails because the server is away is
    retried if repeating it is harmless.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        token: str | Callable[[], str] | None = None,
        deadline_seconds: float = 30.0,
        retry_seconds: float = 30.0,
        idle_seconds: float = 60.0,
        patience_seconds: float | None = None,
    ) -> None:
        """
        Create a client.  It connects at its first call.

        Args:
            address: ``HOST:PORT``; ``unix:PATH`` for a socket; or another target that gRPC knows, such as
                ``ipv4:10.0.0.1:9000,10.0.0.2:9000``.
            tls: certificates for an encrypted connection; ``None`` for an unencrypted one.
            token: sent with each call as ``authorization: Bearer TOKEN``, at most 16 KiB; or a function that returns
                it, such as a ``TokenFile``, which is called before each call of the server and must not block.
            deadline_seconds: how long the answer to a call without data may take, in seconds.
            retry_seconds: how long to retry while the server is away, in seconds from the first failure on; 0 for no
                retries, ``math.inf`` for no limit.
            idle_seconds: how long a transfer may stall, in seconds.  A download stalls while less than 64 KiB arrive;
                an upload, while the server accepts no data.  After the last byte of an upload, the answer may take this
                long, plus a second for each MiB.
            patience_seconds: the former name of ``retry_seconds``; deprecated.

        Raises:
            ValueError: the address is malformed; or the token cannot be sent, is too long, or would cross a network
                unencrypted.
        """
        if patience_seconds is not None:
            warnings.warn("patience_seconds is now retry_seconds", DeprecationWarning, stacklevel=2)
            retry_seconds = patience_seconds
        self._options = Options(address, tls, token, deadline_seconds, retry_seconds, idle_seconds)
        self._is_closed = False
        self._sessions: list[Session] = []

    @property
    def address(self) -> str:
        """
        The address of the registry.
        """
        return self._options.address

    def __reduce__(self) -> tuple[Any, ...]:
        """
        Return the arguments, to pickle or copy the client: the copy connects at its first call.  The token and the
        private key are included.
        """
        return partial(type(self), **self._arguments()), (self.address,)

    def _arguments(self) -> dict[str, Any]:
        options = asdict(self._options, recurse=False)
        return {name: value for name, value in options.items() if name not in ("address", "parsed")}

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """
        Close the client.  Its trackers end, and its calls in progress raise ``ClientUnusable``.
        """
        self._is_closed = True
        for session in self._sessions[:1]:
            await session.close()
