"""
The connection to a registry: made when it is first used, in the event loop that uses it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import grpc
import grpc.aio
from attrs import define, field, frozen

from twisted_registry.client._iterators import is_being_cancelled
from twisted_registry.client._transport.addresses import Address, is_loopback
from twisted_registry.client._transport.archive_memory import ArchiveMemory
from twisted_registry.client._transport.certificates import refused_certificate
from twisted_registry.client._transport.errors import translated
from twisted_registry.client._transport.fork import forks
from twisted_registry.client._transport.polling import ignore_errors_of_poller
from twisted_registry.client._transport.proxies import error_of_long_token
from twisted_registry.client._transport.replies import MOST_REPLY_BYTES
from twisted_registry.client.errors import (
    CertificateRefused,
    ClientUnusable,
    ModelReplaced,
    RegistryError,
    UnknownModel,
    Unreachable,
)
from twisted_registry.protocol.limits import TOKEN_MAX_BYTES
from twisted_registry.protocol.messages import SERVICE, SERVICE_NAME

_PEM = b"-----BEGIN "

_TCP_CHUNK_BYTES = 256 * 1024

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MOST_REPLY_BYTES),
    # A reply of some kilobytes can unpack to gigabytes, and older releases of gRPC look at its size only then.
    ("grpc.compression_enabled_algorithms_bitset", 1),  # identity
    ("grpc.max_send_message_length", -1),
    # Left to itself, gRPC waits up to two minutes before it tries a server again that was away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # which is how long an attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A name that has another address now is asked again every 30 s otherwise, however often connecting fails.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A server whose machine has died sends nothing, not even an end.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A connection of its own, whatever else in the process talks to the same address.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.experimental.tcp_min_read_chunk_size", _TCP_CHUNK_BYTES),
    ("grpc.experimental.tcp_read_chunk_size", _TCP_CHUNK_BYTES),
]

_SUBSCRIPTIONS_PER_CHANNEL = 50
"""
How many subscriptions share a connection.  A server, or a proxy, takes some number of calls on each, 100 at least as
HTTP/2 recommends, and lets all others wait for the end of one: a subscription has none.
"""

HEALTH_CHECK = "grpc.health.v1.Health/Check"

_KINDS = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
}

_PATHS_AND_KINDS = {HEALTH_CHECK: (f"/{HEALTH_CHECK}", "unary_unary")} | {
    method.name: (f"/{SERVICE_NAME}/{method.name}", _KINDS[method.client_streaming, method.server_streaming])
    for method in SERVICE.methods
}


def _calls_on(channel: grpc.aio.Channel, name: str) -> Any:
    path, kind = _PATHS_AND_KINDS[name]
    return getattr(channel, kind)(path)


@frozen
class Tls:
    """
    How a connection is encrypted, and who is trusted.

    Attributes:
        root_certificates: PEM; ``None`` trusts what gRPC trusts by default.
        private_key: PEM, where the server asks who the client is.
        certificate_chain: PEM, with ``private_key``.
        server_name: the name to expect in the server's certificate, where it is not that of the address.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    server_name: str | None = None

    def __attrs_post_init__(self) -> None:
        """

        Raises:
            ValueError: gRPC could do nothing with it, and would say only that nobody can be reached, or crash.
        """
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("private_key and certificate_chain go together: give both, or neither")
        for name in ("root_certificates", "private_key", "certificate_chain"):
            given: bytes | None = getattr(self, name)
            if given is not None and _PEM not in given:
                raise ValueError(f"{name} is no PEM, which has lines such as {_PEM.decode()}CERTIFICATE-----")


def check_token(token: str) -> None:
    """

    Raises:
        ValueError: it cannot be sent.
    """
    if not (token.isascii() and token.isprintable()):
        raise ValueError("a token is of printable ASCII characters; does this one end with a line break?")
    if len(token) > TOKEN_MAX_BYTES:
        raise ValueError(
            f"a token has at most {TOKEN_MAX_BYTES} bytes, and this one has {len(token)}: ask who issues it for one "
            "with fewer claims, such as groups"
        )


@define(eq=False)
class Connection:
    """
    A gRPC channel, and more of them for subscriptions where there are many.

    Attributes:
        address: ``HOST:PORT``, or another target gRPC knows.
        tls: ``None`` for a connection in the clear.
        token: sent with each call as ``authorization: Bearer TOKEN``; ``None`` sends none.
        memory: of the archive behind it.
    """

    address: str
    tls: Tls | None = None
    token: str | None = field(default=None, repr=False)
    _channel: grpc.aio.Channel | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _calls: dict[str, Any] = field(factory=dict, repr=False)
    _subscriptions: dict[grpc.aio.Channel, int] = field(factory=dict, repr=False)
    _is_closed: bool = False
    _target: str = field(init=False, repr=False)
    memory: ArchiveMemory = field(factory=ArchiveMemory)

    def __attrs_post_init__(self) -> None:
        self._target = Address.of(self.address).target
        if self.token is not None:
            check_token(self.token)
        if self.token is not None and self.tls is None and not is_loopback(self.address):
            raise ValueError(f"a token would go to {self.address} in the clear: give tls as well")

    def method(self, name: str) -> Any:
        """
        Give what makes a call, of bytes to bytes.

        Args:
            name: of the registry's call, or ``HEALTH_CHECK``.

        Raises:
            ClientUnusable: see ``check``.
        """
        self.check()
        if name not in self._calls:
            self._calls[name] = _calls_on(self._open(), name)
        return self._calls[name]

    def subscribe(self, request: bytes, metadata: tuple[tuple[str, str], ...]) -> Any:
        """
        Make a call that lasts for as long as somebody listens, on a connection that has room for it.

        Raises:
            ClientUnusable: see ``check``.
        """
        self.check()
        self._open()
        free = (channel for channel, calls in self._subscriptions.items() if calls < _SUBSCRIPTIONS_PER_CHANNEL)
        channel = next(free, None) or self._another()
        call = _calls_on(channel, "VersionUpdate")(request, metadata=metadata)
        self._subscriptions[channel] += 1
        call.add_done_callback(partial(self._unsubscribed, channel))
        return call

    def _unsubscribed(self, channel: grpc.aio.Channel, _: Any) -> None:
        if channel in self._subscriptions:
            self._subscriptions[channel] -= 1

    @contextmanager
    def guarded(self, model_id: str = "", selector: int | None = None) -> Iterator[None]:
        """
        Wait for something of a call inside.

        Args:
            model_id: the model it is about.
            selector: the version it is about; ``None`` where it is about the model.

        Raises:
            RegistryError: the call failed.
            ClientUnusable: see ``check``; or the client was closed meanwhile.
        """
        self.check()
        try:
            with translated(self.address, model_id, selector):
                yield
        except (asyncio.CancelledError, RegistryError) as error:
            if isinstance(error, UnknownModel | ModelReplaced):
                self.memory.forget(error.model_id)
            # What is under way where a channel is closed fails as if whoever waits for it were cancelled.
            if self._is_closed and not is_being_cancelled():
                raise ClientUnusable("the client was closed while this call was under way") from None
            if isinstance(error, RegistryError) and self.token is not None:
                raise error_of_long_token(error, self.address, len(self.token)) from None
            raise

    async def explained(self, error: RegistryError) -> RegistryError:
        """
        Return the error for a connection that could not be made: gRPC names one of several addresses, not the one whose
        certificate was not accepted.
        """
        roots = None if self.tls is None else self.tls.root_certificates
        if type(error) is not Unreachable or self.tls is None or roots is None:
            return error
        hosts = Address.of(self.address).hosts
        reason = await asyncio.to_thread(refused_certificate, hosts, roots, self.tls.server_name)
        return error if reason is None else CertificateRefused(reason, self.address)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """
        What goes with each call.
        """
        told = self.memory.metadata
        return told if self.token is None else (("authorization", f"Bearer {self.token}"), *told)

    async def close(self) -> None:
        """
        Hang up.  Calls under way are cancelled.
        """
        self._is_closed = True
        channels, self._channel = list(self._subscriptions), None
        self._calls.clear()
        self._subscriptions.clear()
        if not forks.is_cut_off:
            for channel in channels:
                await channel.close(None)
                forks.closed(channel)

    def check(self) -> None:
        """

        Raises:
            ClientUnusable: the client is closed, or belongs to another event loop, or was brought along by a fork.
        """
        if self._is_closed:
            raise ClientUnusable("this client is closed; make another one")
        forks.check()
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise ClientUnusable("this client was first used in another event loop; make one for each loop")

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._loop = asyncio.get_running_loop()
            ignore_errors_of_poller(self._loop)
            self._channel = self._another()
        return self._channel

    def _another(self) -> grpc.aio.Channel:
        channel = self._made()
        forks.opened(channel)
        self._subscriptions[channel] = 0
        return channel

    def _made(self) -> grpc.aio.Channel:
        options = list(_OPTIONS)
        if is_loopback(self.address):
            # A proxy that the environment names is for other machines.
            options.append(("grpc.enable_http_proxy", 0))
        if self.tls is None:
            return grpc.aio.insecure_channel(self._target, options=options)
        if self.tls.server_name is not None:
            options.append(("grpc.ssl_target_name_override", self.tls.server_name))
        credentials = grpc.ssl_channel_credentials(
            self.tls.root_certificates, self.tls.private_key, self.tls.certificate_chain
        )
        return grpc.aio.secure_channel(self._target, cast(Any, credentials), options=options)
