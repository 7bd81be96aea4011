"""
The gRPC server: a thread with its own event loop.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import grpc.aio
from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from twisted_registry.application.event_feed import EventFeed
from twisted_registry.application.kept_uploads import KeptLimits, KeptUploads
from twisted_registry.application.queries import Queries
from twisted_registry.application.status import ServerStatus
from twisted_registry.application.subscriptions import Subscriptions
from twisted_registry.config.limits import ClientLimits, Limits
from twisted_registry.config.network import NetworkSettings, UnixSettings, bracketed
from twisted_registry.contracts.access import IAccess, IAuditLog
from twisted_registry.contracts.calls import ICalls
from twisted_registry.contracts.observation import IEdgeObserver
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.contracts.quotas import IRateQuotas
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.access import Caller
from twisted_registry.domain.errors import CannotStart
from twisted_registry.rpc.bridge import AsyncioRuntime
from twisted_registry.rpc.budgets import ReplyBudget, UploadBudget
from twisted_registry.rpc.chain import ArchiveIdentityCheck, Interceptor, generic_handler, interceptors, wrapped
from twisted_registry.rpc.connections import Connections
from twisted_registry.rpc.endpoint import addresses_of
from twisted_registry.rpc.grpc_options import health_options, server_options
from twisted_registry.rpc.handshakes import Handshakes
from twisted_registry.rpc.hang_up import HangUp
from twisted_registry.rpc.in_process import InProcessCalls
from twisted_registry.rpc.interceptors.audit import Audit
from twisted_registry.rpc.interceptors.authentication import Authentication
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout
from twisted_registry.rpc.interceptors.metrics import CallMetrics, watch_lag
from twisted_registry.rpc.interceptors.quotas import QuotaChecks
from twisted_registry.rpc.interceptors.refusals import Refusals
from twisted_registry.rpc.methods import Service
from twisted_registry.rpc.numbers import ServerNumbers
from twisted_registry.rpc.reactor_watch import watch_reactor
from twisted_registry.rpc.services.cogment.methods import cogment_service
from twisted_registry.rpc.services.health import Health
from twisted_registry.rpc.services.reflection import reflection_service
from twisted_registry.rpc.services.registry_v1.methods import registry_service
from twisted_registry.rpc.sockets import Address, accepted_on, disconnect, shut_down
from twisted_registry.rpc.tls import MOST_CONNECTION_SECONDS, ServerTls, client_certificate
from twisted_registry.rpc.unix_endpoint import UnixEndpoint

try:
    import uvloop

    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # it does not support every platform
    new_event_loop = asyncio.new_event_loop

_FLUSH_SECONDS = 1.0
"""How long gRPC may take to send the last replies and statuses."""


class RpcServer:
    """
    The gRPC server of a registry.

    Attributes:
        health_port: the port that serves only health checks, once it is bound; ``None`` if there is none.
        numbers: what the server counts, once it is bound.
        calls: makes the calls of the server in process, once it is bound.
    """

    health_port: int | None = None
    numbers: ServerNumbers
    calls: ICalls

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFromThreads,
        registry: IRegistry,
        network: NetworkSettings,
        limits: Limits,
        clients: ClientLimits,
        archive_status: ArchiveStatus,
        access_log: bool = False,
        services: Sequence[Service] = (),
        access: IAccess | None = None,
        tls: ServerTls | None = None,
        certificate_end: Callable[[bytes], float | None] = lambda pem: None,
        quotas: IRateQuotas | None = None,
        audit_log: IAuditLog | None = None,
        unix: UnixSettings | None = None,
        observer: IEdgeObserver | None = None,
    ) -> None:
        """

        Args:
            access_log: whether each call is logged, at level debug.
            services: further services to serve, in addition to the registry and health.
            access: says who calls and what they may do; ``None`` without access control.
            tls: the certificates; ``None`` without encryption.
            quotas: the quotas of calls and bytes; ``None`` without a policy.
            certificate_end: returns when a certificate in PEM expires, in seconds since the Unix epoch.
            audit_log: records calls; ``None`` for no record.
            unix: the Unix socket; by default there is none.
            observer: what calls are reported to; ``None`` for nothing.
        """
        self._reactor = reactor
        self._archive_status = archive_status
        self._registry = registry
        self._network = network
        self._limits = limits
        self._clients = clients
        self._access_log = access_log
        self._further_services = services
        self._access = access
        self._quotas = quotas
        self._observer = observer
        self._metrics = None if observer is None else CallMetrics(observer)
        self._tls = tls
        self._certificate_end = certificate_end
        self._audit_log = audit_log
        self._unix_settings = UnixSettings() if unix is None else unix
        self._unix: UnixEndpoint | None = None
        self._grace_seconds = 0.0
        self._stopped: Deferred[None] = Deferred()

    @property
    def host(self) -> str:
        """
        The interface, in the form used in ``HOST:PORT``.
        """
        return self._network.host

    def start(self, lost: Callable[[], None]) -> int:
        """
        Bind the port and the Unix socket, and answer health checks: nothing is served yet.  Blocks until that is done.

        Args:
            lost: called in the reactor's thread if the server ends without a call of ``stop``.

        Returns:
            the port; 0 if there is only the Unix socket.

        Raises:
            CannotStart: the port or the socket cannot be bound.
        """
        self._addresses = self._find_addresses()
        if self._unix_settings.path is not None:
            self._unix = UnixEndpoint(self._unix_settings, self._clients.connections_max // self._listeners)
        bound: Future[int] = Future()
        self._lost = lost
        self._thread = threading.Thread(target=self._run, args=(bound,), name="grpc", daemon=True)
        self._thread.start()
        return bound.result()

    def _find_addresses(self) -> Sequence[str]:
        if not self._unix_settings.is_alone:
            return addresses_of(self._network)
        health_port = self._network.health_port
        return () if health_port is None else addresses_of(evolve(self._network, port=health_port))

    @property
    def _listeners(self) -> int:
        # gRPC counts connections for each.
        has_client_port = self._tls is not None and self._tls.client_port is not None
        ports = (not self._unix_settings.is_alone) + has_client_port
        return ports * len(self._addresses) + (self._unix_settings.path is not None)

    def serve(self, serving: Callable[[], None]) -> None:
        """
        Begin to serve: the registry is open.  Called in the reactor's thread.

        Args:
            serving: called in the reactor's thread once calls are served.
        """
        self._serving = serving
        self._subscriptions.follow(self._registry)
        self._feed.follow(self._registry)
        self._kept_uploads.follow(self._registry)
        self._loop.call_soon_threadsafe(self._serve.set)

    def update_health(self) -> None:
        """
        Update the health from the archive's status.  Called in the reactor's thread, while the server runs.
        """
        status = self._archive_status
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._health.set_usable, not status.problem, not status.write_problem)

    def ask(self, answered: Callable[[], None]) -> None:
        """
        Ask the server's event loop for a sign of life.

        Args:
            answered: called in the reactor's thread; never called if the loop hangs or has ended.
        """
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._reactor.callFromThread, answered)

    def stop(self, grace_seconds: float) -> Deferred[None]:
        """
        Refuse new calls, end the streams of updates, and let the other running calls finish.

        Args:
            grace_seconds: how long those may take before they are cancelled.

        Returns:
            fires with ``None`` when the server is gone.
        """
        self._grace_seconds = grace_seconds
        with suppress(RuntimeError):  # the loop is closed if the server is lost
            self._loop.call_soon_threadsafe(self._stop.set)
        return self._stopped

    def join(self) -> None:
        """
        Wait, blocking, for a server that is stopping.
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
            if self._unix is not None:
                self._unix.close()
            self._reactor.callFromThread(self._stopped.callback, None)

    async def _main(self, bound: Future[int]) -> None:
        self._serve = asyncio.Event()
        self._stop = asyncio.Event()
        self._queries = Queries(self._registry, AsyncioRuntime(self._reactor, self._loop))
        observer = self._observer
        delivered = None if observer is None else observer.delivered
        self._subscriptions = Subscriptions(self._queries, delivered)
        self._feed = EventFeed(self._queries.runtime, delivered=delivered)
        kept_limits = KeptLimits(self._limits.kept_uploads_max_memory_bytes, self._limits.unfinished)
        self._kept_uploads = KeptUploads(self._queries.runtime, kept_limits, time.time)
        self._health = Health()
        self._tracker = tracker = CallTracker(self._clients, self._disconnect)
        # Strangers may make these calls, so they must not take the place of others.
        self._health_tracker = CallTracker(self._clients.of_health, self._disconnect)
        self._connections = connections = Connections(
            self._clients.connections_max,
            self._clients.connections_per_client_max,
            lambda: tracker.busy_peers,
            self._accepted,
            self._shut_down,
        )
        self._authentication = self._make_authentication()
        self._audit = None if self._audit_log is None else Audit(self._audit_log, self._access)
        self._upload_budget = UploadBudget(self._limits)
        self._reply_budget = ReplyBudget(self._limits, self._disconnect)
        self.numbers = self._make_numbers()
        server, health = self._make_server(), self._make_health_server()
        port = await self._bind(server, health)
        client_port = None if self._tls is None else self._tls.client_port
        self._ports = frozenset(each for each in (port, client_port, self.health_port) if each)
        bound.set_result(port)
        if self._unix is not None:
            self._unix.start(lambda: tracker.busy_peers)
        watches: list[Coroutine[Any, Any, None]] = [connections.watch()]
        if self._authentication is not None:
            watches.append(self._authentication.watch())
        if self._tls is not None:
            watches.append(self._watch_handshakes(self._tls))
        if observer is not None:
            watches.append(watch_lag(observer.lagged))
        watching = [self._loop.create_task(watch) for watch in watches]
        if await self._may_serve():
            tracker.open()
            self._health.set_serving(True)
            stalls = watch_reactor(self._reactor.callFromThread, self._health.set_stalled)
            watching.append(self._loop.create_task(stalls))
            self._reactor.callFromThread(self._serving)
            await self._stop.wait()
        await self._drain()
        for task in watching:
            task.cancel()
        connections.close()
        await asyncio.gather(*(each.stop(_FLUSH_SECONDS) for each in (server, health) if each is not None))
        if self._unix is not None:
            await self._unix.stop(_FLUSH_SECONDS)

    # Connections, those of the Unix socket too

    def _watch_handshakes(self, tls: ServerTls) -> Coroutine[Any, Any, None]:
        callers: list[set[str]] = []
        for tracker in (self._tracker, self._health_tracker):
            tracker.callers = set()
            callers.append(tracker.callers)
        handshakes = Handshakes(callers, self._connections.unused)
        tls.connecting = handshakes.begin
        return handshakes.watch()

    def _accepted(self) -> Mapping[Address, int]:
        found = accepted_on(self._ports)
        return found if self._unix is None else {**found, **self._unix.accepted()}

    def _shut_down(self, addresses: Collection[Address]) -> Collection[Address]:
        found = shut_down(addresses)
        return found if self._unix is None else found | self._unix.shut_down(addresses)

    def _disconnect(self, peers: Collection[str]) -> set[str]:
        found = disconnect(peers)
        return found if self._unix is None else found | self._unix.disconnect(peers)

    # The start and the stop

    async def _may_serve(self) -> bool:
        waiting = [asyncio.create_task(event.wait()) for event in (self._serve, self._stop)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return self._serve.is_set()

    async def _drain(self) -> None:
        # The port stays open during the grace: gRPC would close it, and drop new calls instead of refusing them.
        self._tracker.close()
        self._health.set_serving(False)
        self._subscriptions.close()
        self._feed.close()
        await self._tracker.serving.drain(self._grace_seconds)
        self._health.end_watches()
        for tracker in (self._tracker, self._health_tracker):
            await tracker.standing.drain(_FLUSH_SECONDS)
        if self._audit is not None:
            await self._audit.finish()

    def _make_authentication(self) -> Authentication | None:
        if self._access is None:
            return None

        def run(find: Callable[[], Caller]) -> Awaitable[Caller]:
            return self._loop.run_in_executor(None, find)

        certificate_of = None
        if self._tls is not None and self._tls.asks_clients:
            certificate_of = client_certificate(self._certificate_end)
        hang_up = HangUp(lambda: authentication.busy_peers, self._disconnect)
        authentication = Authentication(
            self._access,
            run,
            is_encrypted=self._tls is not None,
            certificate_of=certificate_of,
            refusals=Refusals(hang_up=hang_up),
        )
        return authentication

    def _make_health_server(self) -> grpc.aio.Server | None:
        if self._network.health_port is None:
            return None
        options = health_options(self._clients.of_health, self._limits.keepalive_seconds, len(self._addresses))
        server = grpc.aio.server(options=options)
        self._add_health(server)
        return server

    def _make_server(self) -> grpc.aio.Server:
        services = [*self._registry_services(), *self._further_services]
        if self._network.reflection:
            services.append(reflection_service([*services, self._health.service]))
        server = grpc.aio.server(
            options=server_options(
                self._clients,
                self._limits.keepalive_seconds,
                self._listeners,
                None if self._tls is None else MOST_CONNECTION_SECONDS,
            )
        )
        chain = interceptors(
            self._tracker,
            ArchiveIdentityCheck(self._archive_status),
            self._idle_timeout(self._tracker),
            self._access_log,
            self._authentication,
            None if self._quotas is None else QuotaChecks(self._quotas),
            self._audit,
            self._metrics,
        )
        self._add(server, services, chain)
        self.calls = InProcessCalls(self._reactor, self._loop, services, chain)
        self._add_health(server)
        return server

    def _add_health(self, server: grpc.aio.Server) -> None:
        tracker = self._health_tracker
        identity = ArchiveIdentityCheck(self._archive_status)
        chain = interceptors(tracker, identity, self._idle_timeout(tracker), self._access_log, metrics=self._metrics)
        self._add(server, [self._health.service], chain)

    def _add(self, server: grpc.aio.Server, services: Sequence[Service], chain: Sequence[Interceptor]) -> None:
        if self._unix is not None:
            chain = [self._unix.intercept, *chain]
        handlers = {path: handler for service in services for path, handler in wrapped(service, chain).items()}
        server.add_generic_rpc_handlers([generic_handler(service, handlers, self._metrics) for service in services])

    def _idle_timeout(self, tracker: CallTracker) -> IdleTimeout:
        return IdleTimeout(self._limits.upload_idle_seconds, tracker.begin_wait, tracker.end_wait)

    def _registry_services(self) -> Sequence[Service]:
        limits, chunk_bytes = self._limits, self._network.chunk_size_bytes
        reply_budget, upload_budget = self._reply_budget, self._upload_budget
        status = self._server_status()
        return (
            cogment_service(
                self._queries, self._subscriptions, status, limits, reply_budget, upload_budget, chunk_bytes
            ),
            registry_service(
                self._queries, self._feed, limits, reply_budget, upload_budget, self._kept_uploads, chunk_bytes
            ),
        )

    def _count_calls(self) -> int:
        return len(self._tracker) + len(self._health_tracker)

    def _make_numbers(self) -> ServerNumbers:
        return ServerNumbers(
            self._count_calls,
            lambda: len(self._accepted()),
            self._subscriptions,
            self._feed,
            self._upload_budget,
            self._reply_budget,
            self._kept_uploads,
        )

    def _server_status(self) -> ServerStatus:
        return ServerStatus(
            self._registry,
            self._archive_status,
            time.monotonic(),
            self._subscriptions.__len__,
            self._count_calls,
            self._connections.count,
        )

    async def _bind(self, server: grpc.aio.Server, health: grpc.aio.Server | None) -> int:
        port = 0
        if not self._unix_settings.is_alone:
            port = self._listen(server, self._network.port, self._credentials(at_client_port=False))
        if self._unix is not None:
            self._unix.attach(server)
        if self._tls is not None and self._tls.client_port is not None:
            credentials = self._credentials(at_client_port=True)
            self._tls.client_port = self._listen(server, self._tls.client_port, credentials)
        if health is not None and self._network.health_port is not None:
            self.health_port = self._listen(health, self._network.health_port, lambda: None)
            await health.start()
        await server.start()
        return port

    def _credentials(self, *, at_client_port: bool) -> Callable[[], Any]:
        tls = self._tls
        return lambda: None if tls is None else tls.credentials(at_client_port=at_client_port)

    def _listen(self, server: grpc.aio.Server, port: int, make_credentials: Callable[[], Any]) -> int:
        for address in self._addresses:
            where = f"{bracketed(address)}:{port}"
            try:
                # Each address needs its own: gRPC asks each once for the first certificate.
                credentials = make_credentials()
                if credentials is None:
                    port = server.add_insecure_port(where)
                else:
                    port = server.add_secure_port(where, credentials)
            except RuntimeError:
                raise CannotStart(f"cannot listen on {where}: another program has just taken it") from None
        return port
