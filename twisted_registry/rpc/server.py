"""
The gRPC server: a thread with an event loop of its own.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import grpc.aio
from grpc_health.v1 import health
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.contracts.transfers import ClientLimits, Limits
from twisted_registry.domain.errors import CannotStart
from twisted_registry.protocol.limits import METADATA_MAX_BYTES
from twisted_registry.protocol.messages import SERVICE_NAME
from twisted_registry.rpc.about import AboutCalls
from twisted_registry.rpc.archive import ArchiveCheck
from twisted_registry.rpc.bridge import Bridge
from twisted_registry.rpc.callers import Callers
from twisted_registry.rpc.checks import Checks
from twisted_registry.rpc.connections import Connections
from twisted_registry.rpc.endpoint import Endpoint, addresses_of, bracketed
from twisted_registry.rpc.gate import Gate
from twisted_registry.rpc.hangup import accepted_on
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.servicer import RegistryCalls, generic_handler
from twisted_registry.rpc.standard import health_handler, reflection_handler
from twisted_registry.rpc.updates import Hub

try:
    import uvloop

    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # it is not made for every platform
    new_event_loop = asyncio.new_event_loop

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_FLUSH_SECONDS = 1.0
"""How long replies may be on their way out once all calls have ended."""

_TCP_CHUNK_BYTES = 256 * 1024
"""What is read from a connection at a time.  4 MiB take a tenth off an upload, and 260 KB for each connection."""

_WINDOW_BYTES = 2 * 1024 * 1024
"""
How much of a call's messages may come before it is read: enough for 40 MB/s from 50 ms away.  Left to itself gRPC
widens this to what the connection could carry: a hundred megabytes came ahead of a slow disk.
"""

_HANDSHAKE_SECONDS = 10.0
"""How long a client may take from connecting to its first words of HTTP/2."""

_IDENTITY_ONLY = 1
"""The set of the ways to compress that has none but 'not at all'."""

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.so_reuseport", 0),  # or a second daemon would share the port, silently
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    # Equal: between the two gRPC refuses at random, so that the same call with the same token is done now and not then.
    ("grpc.max_metadata_size", METADATA_MAX_BYTES),
    ("grpc.absolute_max_metadata_size", METADATA_MAX_BYTES),
    ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
    ("grpc.http2.bdp_probe", 0),
    # Clients may ping every 10 s.  (GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS: its text has no 'recv'.)
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # A kilobyte can unpack to a megabyte, which would be taken before anybody could look at it.
    ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
    ("grpc.server_handshake_timeout_ms", round(_HANDSHAKE_SECONDS * 1000)),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.experimental.tcp_min_read_chunk_size", _TCP_CHUNK_BYTES),
    ("grpc.experimental.tcp_read_chunk_size", _TCP_CHUNK_BYTES),
]


_MOST_ANSWER_SECONDS = 20.0


def _bounds(clients: ClientLimits, addresses: int) -> list[tuple[str, Any]]:
    """

    Args:
        addresses: how many are listened on: gRPC counts connections for each of them.
    """
    return [
        ("grpc.max_allowed_incoming_connections", max(1, clients.connections_max // addresses)),
        ("grpc.max_concurrent_streams", clients.calls_per_connection_max),
        # In grpcio 1.67 it counts calls that have ended, and refuses those of clients that keep to the limit.
        ("grpc.http.overload_protection", 0),
        # By default gRPC cancels at random beyond a thousand that wait: thousands of actors come back at once.
        ("grpc.server.max_pending_requests", clients.calls_max),
        ("grpc.server.max_pending_requests_hard_limit", clients.calls_max),
    ]


def _keepalive(silent_seconds: float) -> list[tuple[str, Any]]:
    """
    Find out, after a time in which nothing came, whether a client is there: else the dead would keep what they hold.
    """
    return [
        ("grpc.keepalive_time_ms", round(silent_seconds * 1000)),
        ("grpc.keepalive_timeout_ms", round(min(silent_seconds, _MOST_ANSWER_SECONDS) * 1000)),
        ("grpc.http2.max_pings_without_data", 0),  # by default gRPC asks twice, and then no more
        ("grpc.http2.ping_timeout_ms", round(min(silent_seconds, _MOST_ANSWER_SECONDS) * 1000)),
    ]


class RpcServer:
    """
    Serves a registry over gRPC.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFromThreads,
        registry: IRegistry,
        endpoint: Endpoint,
        limits: Limits,
        clients: ClientLimits,
        archive_status: ArchiveStatus,
    ) -> None:
        self._reactor = reactor
        self._archive_status = archive_status
        self._registry = registry
        self._endpoint = endpoint
        self._limits = limits
        self._clients = clients
        self._grace_seconds = 0.0
        self._stopped: Deferred[None] = Deferred()

    @property
    def host(self) -> str:
        """
        The interface as it stands before a port.
        """
        return self._endpoint.host

    def start(self, lost: Callable[[], None]) -> int:
        """
        Bind the port and begin to answer: to health checks, for now, that nothing is served yet.  Blocks a moment.

        Args:
            lost: called in the reactor's thread should the server end without being told to.

        Returns:
            the port.

        Raises:
            CannotStart: it cannot be bound.
        """
        self._addresses = addresses_of(self._endpoint)
        bound: Future[int] = Future()
        self._lost = lost
        self._thread = threading.Thread(target=self._run, args=(bound,), name="grpc", daemon=True)
        self._thread.start()
        return bound.result()

    def serve(self, serving: Callable[[], None]) -> None:
        """
        Begin to serve: the registry is open.  Called in the reactor's thread.

        Args:
            serving: called in the reactor's thread once calls are let in.
        """
        self._serving = serving
        self._registry.observe(self._hub)
        self._loop.call_soon_threadsafe(self._serve.set)

    def tell_health(self) -> None:
        """
        Let health checks say whether the archive can be used.  Called in the reactor's thread, while it serves.
        """
        usable = not self._archive_status.problem
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._checks.say_usable, usable)

    def stop(self, grace_seconds: float) -> Deferred[None]:
        """
        Take no new calls, end the streams of updates, and let the other calls under way end.

        Args:
            grace_seconds: how long those may take, before they are cancelled.

        Returns:
            fires when the server is gone.
        """
        self._grace_seconds = grace_seconds
        with suppress(RuntimeError):  # the loop is closed where the server is lost
            self._loop.call_soon_threadsafe(self._stop.set)
        return self._stopped

    def join(self) -> None:
        """
        Wait, blocking, for a server that was told to stop.
        """
        self._thread.join()

    # In the server's thread

    def _run(self, bound: Future[int]) -> None:
        try:
            self._loop = new_event_loop()
            try:
                self._loop.run_until_complete(self._main(bound))
            finally:
                self._loop.close()
        except BaseException as error:
            if bound.done():
                self._log.failure("the gRPC server failed")
                self._reactor.callFromThread(self._lost)
            else:
                bound.set_exception(error)
        finally:
            self._reactor.callFromThread(self._stopped.callback, None)

    async def _main(self, bound: Future[int]) -> None:
        self._serve = asyncio.Event()
        self._stop = asyncio.Event()
        self._hub = hub = Hub(self._loop)
        self._checks = checks = Checks()
        gate, callers = Gate(), Callers(self._clients)
        connections = Connections(self._clients.connections_max, lambda: callers.busy, lambda: accepted_on(self._port))
        server = self._make_server(hub, checks, gate, callers, connections)
        await checks.say(serving=False)
        self._port = await self._bind(server)
        bound.set_result(self._port)
        watching = self._loop.create_task(connections.watch())
        if await self._told_to_serve():
            gate.open()
            await checks.say(serving=True)
            self._reactor.callFromThread(self._serving)
            await self._stop.wait()
        # The port stays open during the grace: gRPC would close it, and break new calls off instead of refusing them.
        gate.close()
        await checks.say(serving=False)
        hub.close()
        await gate.empty(self._grace_seconds)
        gate.cut()
        await gate.empty()
        await checks.end_watches()
        watching.cancel()
        connections.close()
        await server.stop(_FLUSH_SECONDS)

    async def _told_to_serve(self) -> bool:
        waiting = [asyncio.create_task(event.wait()) for event in (self._serve, self._stop)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return self._serve.is_set()

    def _make_server(
        self, hub: Hub, checks: Checks, gate: Gate, callers: Callers, connections: Connections
    ) -> grpc.aio.Server:
        bounds = _bounds(self._clients, len(self._addresses))
        server = grpc.aio.server(options=[*_OPTIONS, *bounds, *_keepalive(self._limits.keepalive_seconds)])
        lookup = Lookup(self._registry, Bridge(self._reactor))
        about = AboutCalls(lookup, hub, time.monotonic(), connections, callers, self._archive_status)
        archive = ArchiveCheck(self._archive_status)
        calls = RegistryCalls(lookup, hub, about, archive, self._limits, self._endpoint.chunk_bytes)

        calls.patience.listen, calls.patience.heard = callers.listen, callers.heard

        def admit(context: Any) -> Awaitable[None] | None:
            callers.admit(context)
            return gate.started() if gate.is_starting else None

        handlers = [
            generic_handler(calls.handlers, gate.call, admit),
            health_handler(checks, calls.patience, callers.count, callers.admit),
        ]
        if self._endpoint.reflection:
            handlers.append(reflection_handler((SERVICE_NAME, health.SERVICE_NAME), calls.patience, callers.admit))
        server.add_generic_rpc_handlers(handlers)
        return server

    async def _bind(self, server: grpc.aio.Server) -> int:
        port = self._endpoint.port
        for address in self._addresses:
            try:
                port = server.add_insecure_port(f"{bracketed(address)}:{port}")
            except RuntimeError:
                raise CannotStart(
                    f"cannot listen on {bracketed(address)}:{port}: something else took it this moment"
                ) from None
        await server.start()
        return port
