"""
The connection to a registry: opened by its first use, in the event loop of that use.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import grpc
import grpc.aio
from attrs import define, field

from twisted_registry.client._iterators import is_being_cancelled
from twisted_registry.client._transport.archive_memory import ArchiveMemory
from twisted_registry.client._transport.diagnosis import diagnose, may_be_diagnosed
from twisted_registry.client._transport.forks import fork_guard
from twisted_registry.client._transport.options import Options
from twisted_registry.client._transport.poller_errors import ignore_errors_of_poller
from twisted_registry.client._transport.proxies import error_of_long_token
from twisted_registry.client._transport.replies import MOST_REPLY_BYTES
from twisted_registry.client._transport.status import error_of
from twisted_registry.client._transport.tokens import current_token
from twisted_registry.client._transport.tracing import traces
from twisted_registry.client.errors import (
    ClientUnusable,
    ModelReplaced,
    NotAuthenticated,
    RegistryError,
    Unavailable,
    UnknownModel,
    Unreachable,
)
from twisted_registry.protocol.messages import POOL, REGISTRY_SERVICE_NAME, SERVICE, SERVICE_NAME

_TCP_CHUNK_BYTES = 256 * 1024

_CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MOST_REPLY_BYTES),
    # A reply of some kilobytes can unpack to gigabytes, and older releases of gRPC look at its size only then.
    ("grpc.compression_enabled_algorithms_bitset", 1),  # identity
    ("grpc.max_send_message_length", -1),
    # By default gRPC waits up to two minutes before it tries a lost server again.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # how long an attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # By default a name is resolved again after 30 s at the earliest, however often connecting fails.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A server whose machine has died sends nothing, not even an end.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # The channel is not shared with other users of gRPC in this process.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.experimental.tcp_min_read_chunk_size", _TCP_CHUNK_BYTES),
    ("grpc.experimental.tcp_read_chunk_size", _TCP_CHUNK_BYTES),
]

_BOUNDED_OPTIONS: list[tuple[str, Any]] = [
    # Twice this and a message of 4 MiB may arrive and not be read.  By default it is 16 MiB or more.
    ("grpc.http2.lookahead_bytes", 3 * 2**19),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.max_frame_size", 2**20),  # without probing, gRPC would not allow more than 16 KiB
]

_SUBSCRIPTIONS_PER_CHANNEL = 50
"""
How many subscriptions share a connection.  A server or proxy limits the calls on each connection, to 100 at least as
HTTP/2 recommends, and queues further ones until a call ends; a subscription does not end.
"""

HEALTH_CHECK = "grpc.health.v1.Health/Check"

_KINDS = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
}


def registry_method(name: str) -> str:
    """
    Return the name of a method of ``twisted_registry.v1``, as ``Connection.method`` takes it.
    """
    return f"{REGISTRY_SERVICE_NAME}/{name}"


WATCH_EVENTS = registry_method("WatchEvents")


def _path_and_kind(service_name: str, method: Any) -> tuple[str, str]:
    return f"/{service_name}/{method.name}", _KINDS[method.client_streaming, method.server_streaming]


_PATHS_AND_KINDS = {
    HEALTH_CHECK: (f"/{HEALTH_CHECK}", "unary_unary"),
    **{method.name: _path_and_kind(SERVICE_NAME, method) for method in SERVICE.methods},
    **{
        registry_method(method.name): _path_and_kind(REGISTRY_SERVICE_NAME, method)
        for method in POOL.FindServiceByName(REGISTRY_SERVICE_NAME).methods
    },
}


def _callable_on(channel: grpc.aio.Channel, name: str) -> Any:
    path, kind = _PATHS_AND_KINDS[name]
    return getattr(channel, kind)(path)


@define(eq=False)
class Connection:
    """
    A gRPC channel, with further channels if there are many subscriptions.

    Attributes:
        options: the address, and how to connect to it.
        memory: what the client knows of the archive behind the address.
        lacks_resumable_uploads: whether the server was found to have none.
    """

    options: Options
    memory: ArchiveMemory = field(factory=ArchiveMemory)
    lacks_resumable_uploads: bool = False
    _is_closed: bool = False
    _channel: grpc.aio.Channel | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _sent_token: str = field(default="", repr=False)
    _callables: dict[str, Any] = field(factory=dict, repr=False)
    _subscriptions: dict[grpc.aio.Channel, int] = field(factory=dict, repr=False)
    _bounded: grpc.aio.Channel | None = None

    @property
    def address(self) -> str:
        """
        The address, as it was given.
        """
        return self.options.address

    def method(self, name: str) -> Any:
        """
        Return the callable for a method; it takes and returns bytes.

        Args:
            name: the name of a method of Cogment's service, the result of ``registry_method``, or ``HEALTH_CHECK``.

        Raises:
            ClientUnusable: see ``check``.
        """
        self.check()
        if name not in self._callables:
            self._callables[name] = _callable_on(self._open(), name)
        return self._callables[name]

    def bounded_method(self, name: str) -> Any:
        """
        Return the callable for a method whose answers are lost if they were not read.  The server sends little of them
        ahead, at the price of speed on a long way: some 30 MB/s at a round trip of 50 ms.

        Args:
            name: the name of the method, as ``method`` takes it.

        Raises:
            ClientUnusable: see ``check``.
        """
        self.check()
        self._open()
        if self._bounded is None:
            self._bounded = self._make_channel(_BOUNDED_OPTIONS)
            fork_guard.opened(self._bounded)
        return _callable_on(self._bounded, name)

    def subscribe(self, name: str, request: bytes, metadata: tuple[tuple[str, str], ...]) -> Any:
        """
        Start a long-lived call, on a channel with room for another one.

        Args:
            name: the name of the method, as ``method`` takes it.
            request: the request.
            metadata: the metadata of the call.

        Raises:
            ClientUnusable: see ``check``.
        """
        self.check()
        self._open()
        free = (channel for channel, calls in self._subscriptions.items() if calls < _SUBSCRIPTIONS_PER_CHANNEL)
        channel = next(free, None) or self._add_channel()
        call = _callable_on(channel, name)(request, metadata=metadata)
        self._subscriptions[channel] += 1
        call.add_done_callback(partial(self._unsubscribed, channel))
        return call

    def _unsubscribed(self, channel: grpc.aio.Channel, _: Any) -> None:
        if channel in self._subscriptions:
            self._subscriptions[channel] -= 1

    @contextmanager
    def translating_errors(self, model_id: str = "", selector: int | None = None) -> Iterator[None]:
        """
        Translate the errors of a call inside the context into errors of the registry.

        Args:
            model_id: the model that the call is about.
            selector: the version that the call is about; ``None`` if it is about the model.

        Raises:
            RegistryError: the call failed.
            ClientUnusable: see ``check``; or the client was closed meanwhile.
        """
        self.check()
        try:
            yield
        except grpc.aio.AioRpcError as failed:
            raise self._explained(error_of(failed, self.address, model_id, selector)) from None
        except asyncio.CancelledError:
            if self._was_closed():
                raise _closed_meanwhile() from None
            raise
        except RegistryError as error:
            raise self._explained(error) from None

    def _explained(self, error: RegistryError) -> RegistryError:
        if isinstance(error, UnknownModel | ModelReplaced):
            self.memory.forget(error.model_id)
        if self._was_closed():
            return _closed_meanwhile()
        if isinstance(error, NotAuthenticated) and self._has_new_token():
            return Unavailable(f"the token was replaced while {self.address} was called; try again")
        return error if not self._sent_token else error_of_long_token(error, self.address, len(self._sent_token))

    def _has_new_token(self) -> bool:
        source = self.options.token
        try:
            return source is not None and current_token(source) != self._sent_token
        except NotAuthenticated:
            return False

    def _was_closed(self) -> bool:
        # gRPC cancels the calls of a channel that is closed.
        return self._is_closed and not is_being_cancelled()

    async def diagnosed(self, error: Unreachable) -> Unreachable:
        """
        Return the error that describes a failed attempt to connect best.  gRPC's own text lacks much.
        """
        if not may_be_diagnosed(error, self.options.tls):
            return error
        return await asyncio.to_thread(diagnose, error, self.options)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """
        The metadata of each call.

        Raises:
            NotAuthenticated: there is no token to send.
        """
        return (*traces.metadata, *self.subscription_metadata)

    @property
    def subscription_metadata(self) -> tuple[tuple[str, str], ...]:
        """
        The metadata of a long-lived call, which outlives what its caller is doing at present.

        Raises:
            NotAuthenticated: there is no token to send.
        """
        archive, source = self.memory.metadata, self.options.token
        if source is None:
            return archive
        token = self._sent_token = current_token(source)
        return (("authorization", f"Bearer {token}"), *archive)

    async def close(self) -> None:
        """
        Close the channels.  Calls in progress are cancelled.
        """
        self._is_closed = True
        channels, self._channel = list(self._subscriptions), None
        if self._bounded is not None:
            channels.append(self._bounded)
            self._bounded = None
        self._callables.clear()
        self._subscriptions.clear()
        if not fork_guard.is_cut_off:
            for channel in channels:
                await channel.close(None)
                fork_guard.closed(channel)

    def check(self) -> None:
        """
        Check that a call can be made.

        Raises:
            ClientUnusable: the client is closed, or belongs to another event loop, or was inherited by a fork.
        """
        if self._is_closed:
            raise ClientUnusable("this client is closed; create another one")
        fork_guard.check()
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise ClientUnusable("this client was first used in another event loop; create one for each loop")

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._loop = asyncio.get_running_loop()
            ignore_errors_of_poller(self._loop)
            self._channel = self._add_channel()
        return self._channel

    def _add_channel(self) -> grpc.aio.Channel:
        channel = self._make_channel([])
        fork_guard.opened(channel)
        self._subscriptions[channel] = 0
        return channel

    def _make_channel(self, more: list[tuple[str, Any]]) -> grpc.aio.Channel:
        address, tls, options = self.options.parsed, self.options.tls, [*_CHANNEL_OPTIONS, *more]
        if address.is_loopback:
            # A proxy that the environment names is for other machines.
            options.append(("grpc.enable_http_proxy", 0))
        if tls is None:
            return grpc.aio.insecure_channel(address.target, options=options)
        if tls.server_name is not None:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
        credentials = grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)
        return grpc.aio.secure_channel(address.target, cast(Any, credentials), options=options)


def _closed_meanwhile() -> ClientUnusable:
    return ClientUnusable("the client was closed during this call")
