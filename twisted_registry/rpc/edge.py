"""
The edge in the server's event loop: the use cases, the interceptors and gRPC's servers.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import grpc.aio
from twisted.internet.interfaces import IReactorFromThreads

from twisted_registry.application.event_feed import EventFeed
from twisted_registry.application.followers import Followers
from twisted_registry.application.kept_uploads import KeptLimits, KeptUploads
from twisted_registry.application.push_spans import PushSpans
from twisted_registry.application.queries import Queries
from twisted_registry.application.status import ServerStatus
from twisted_registry.application.subscriptions import Subscriptions
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.access import Caller
from twisted_registry.rpc.bridge import AsyncioRuntime
from twisted_registry.rpc.budgets import ReplyBudget, UploadBudget
from twisted_registry.rpc.chain import ArchiveIdentityCheck, Interceptor, generic_handler, interceptors, wrapped
from twisted_registry.rpc.connections import Connections
from twisted_registry.rpc.grpc_options import health_options, server_options
from twisted_registry.rpc.handshakes import Handshakes
from twisted_registry.rpc.hang_up import HangUp
from twisted_registry.rpc.in_process import InProcessCalls
from twisted_registry.rpc.interceptors.access_log import AccessLogging
from twisted_registry.rpc.interceptors.audit import Audit
from twisted_registry.rpc.interceptors.authentication import Authentication
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout
from twisted_registry.rpc.interceptors.metrics import CallMetrics, watch_lag
from twisted_registry.rpc.interceptors.quotas import QuotaChecks
from twisted_registry.rpc.interceptors.refusals import Refusals
from twisted_registry.rpc.interceptors.tracing import CallTracing
from twisted_registry.rpc.listeners import Listeners
from twisted_registry.rpc.methods import Service
from twisted_registry.rpc.numbers import ServerNumbers
from twisted_registry.rpc.options import ServerOptions
from twisted_registry.rpc.reactor_watch import watch_reactor
from twisted_registry.rpc.services.cogment.methods import cogment_service
from twisted_registry.rpc.services.health import Health
from twisted_registry.rpc.services.reflection import reflection_service
from twisted_registry.rpc.services.registry_v1.methods import registry_service
from twisted_registry.rpc.tls import MOST_CONNECTION_SECONDS, ServerTls, client_certificate

_FLUSH_SECONDS = 1.0
"""How long gRPC may take to send the last replies and statuses."""


class Edge:
    """
    The parts of a server.  Made and used in the thread of its event loop, except where a method says otherwise.

    Attributes:
        health: the health of the services.
        numbers: what the server counts.
        calls: makes the calls of the server in process.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        registry: IRegistry,
        archive_status: ArchiveStatus,
        options: ServerOptions,
        listeners: Listeners,
    ) -> None:
        self._reactor = reactor
        self._options = options
        self._listeners = listeners
        self._registry = registry
        self._archive_status = archive_status
        self._loop = asyncio.get_running_loop()
        self._metrics = None if options.observer is None else CallMetrics(options.observer)
        self._access_log = None if options.access_log is None else AccessLogging(options.access_log)
        self._make_use_cases(AsyncioRuntime(reactor, self._loop))
        self.health = Health()
        self._tracker = tracker = CallTracker(options.clients, listeners.disconnect, call_later=self._loop.call_later)
        # Strangers may make these calls, so they must not take the place of others.
        self._health_tracker = CallTracker(
            options.clients.of_health, listeners.disconnect, call_later=self._loop.call_later
        )
        self._connections = Connections(
            options.clients.connections_max,
            options.clients.connections_per_client_max,
            lambda: tracker.busy_peers,
            listeners.accepted,
            listeners.shut_down,
            call_later=self._loop.call_later,
        )
        self._authentication = self._make_authentication()
        self._audit = None if options.audit_log is None else Audit(options.audit_log, options.access)
        self.numbers = self._make_numbers()
        self._make_servers()

    def _make_use_cases(self, runtime: AsyncioRuntime) -> None:
        options, limits = self._options, self._options.limits
        self._queries = Queries(self._registry, runtime)
        delivered = None if options.observer is None else options.observer.delivered
        pushes = None if options.tracer is None else PushSpans(options.tracer)
        self._subscriptions = Subscriptions(self._queries, delivered, pushes=pushes)
        self._feed = EventFeed(runtime, delivered=delivered)
        self._followers = Followers()
        kept_limits = KeptLimits(limits.kept_uploads_max_memory_bytes, limits.unfinished)
        self._kept_uploads = KeptUploads(runtime, kept_limits, time.time)
        self._upload_budget = UploadBudget(limits)
        self._reply_budget = ReplyBudget(limits, self._listeners.disconnect)

    # Life

    def follow(self) -> None:
        """
        Follow the registry.  Called in the reactor's thread, once the registry is open.
        """
        for each in (self._subscriptions, self._feed, self._kept_uploads):
            each.follow(self._registry)

    async def bind(self) -> None:
        """
        Bind the ports, and answer health checks.

        Raises:
            CannotStart: a port cannot be bound.
        """
        await self._listeners.bind(self._server, self._health_server)
        if self._listeners.unix is not None:
            self._listeners.unix.start(lambda: self._tracker.busy_peers)
        self._watching = [self._loop.create_task(watch) for watch in self._watches()]

    def _watches(self) -> Sequence[Coroutine[Any, Any, None]]:
        watches: list[Coroutine[Any, Any, None]] = [self._connections.watch()]
        if self._authentication is not None:
            watches.append(self._authentication.watch())
        if self._options.tls is not None:
            watches.append(self._watch_handshakes(self._options.tls))
        if self._options.observer is not None:
            watches.append(watch_lag(self._options.observer.lagged))
        return watches

    def _watch_handshakes(self, tls: ServerTls) -> Coroutine[Any, Any, None]:
        callers: list[set[str]] = []
        for tracker in (self._tracker, self._health_tracker):
            tracker.callers = set()
            callers.append(tracker.callers)
        handshakes = Handshakes(callers, self._connections.unused)
        tls.connecting = handshakes.begin
        return handshakes.watch()

    def open(self) -> None:
        """
        Serve calls.
        """
        self._tracker.open()
        self.health.set_serving(True)
        stalls = watch_reactor(self._reactor.callFromThread, self.health.set_stalled)
        self._watching.append(self._loop.create_task(stalls))

    async def close(self, grace_seconds: float) -> None:
        """
        Refuse new calls, end the streams of updates, let the other running calls finish, and stop.

        Args:
            grace_seconds: how long those may take before they are cancelled.
        """
        await self._drain(grace_seconds)
        for task in self._watching:
            task.cancel()
        self._connections.close()
        servers = [each for each in (self._server, self._health_server) if each is not None]
        await asyncio.gather(*(server.stop(_FLUSH_SECONDS) for server in servers))
        if self._listeners.unix is not None:
            await self._listeners.unix.stop(_FLUSH_SECONDS)

    async def _drain(self, grace_seconds: float) -> None:
        # The port stays open during the grace: gRPC would close it, and drop new calls instead of refusing them.
        if self._listeners.unix is not None:
            self._listeners.unix.leave_waiting()
        self._tracker.close()
        self.health.set_serving(False)
        self._subscriptions.close()
        self._feed.close()
        await self._tracker.serving.drain(grace_seconds)
        self.health.end_watches()
        for tracker in (self._tracker, self._health_tracker):
            await tracker.standing.drain(_FLUSH_SECONDS)
        if self._audit is not None:
            await self._audit.finish()

    # Parts

    def _make_authentication(self) -> Authentication | None:
        options = self._options
        if options.access is None:
            return None

        def run(find: Callable[[], Caller]) -> Awaitable[Caller]:
            return self._loop.run_in_executor(None, find)

        certificate_of = None
        if options.tls is not None and options.tls.asks_clients:
            certificate_of = client_certificate(options.certificate_end)
        hang_up = HangUp(
            lambda: authentication.busy_peers, self._listeners.disconnect, call_later=self._loop.call_later
        )
        authentication = Authentication(
            options.access,
            run,
            is_encrypted=options.tls is not None,
            certificate_of=certificate_of,
            refusals=Refusals(hang_up=hang_up, call_later=self._loop.call_later),
        )
        return authentication

    def _make_servers(self) -> None:
        options, keepalive_seconds = self._options, self._options.limits.keepalive_seconds
        services = [*self._registry_services(), *options.services]
        if options.network.reflection:
            services.append(reflection_service([*services, self.health.service]))
        longest_seconds = None if options.tls is None else MOST_CONNECTION_SECONDS
        self._server = grpc.aio.server(
            options=server_options(options.clients, keepalive_seconds, self._listeners.count, longest_seconds)
        )
        chain = self._chain()
        self._add(self._server, services, chain)
        self.calls = InProcessCalls(self._reactor, self._loop, services, chain, options.certificate_names)
        self._add_health(self._server)
        self._health_server: grpc.aio.Server | None = None
        if options.network.health_port is not None:
            of_health = health_options(options.clients.of_health, keepalive_seconds, len(self._listeners.addresses))
            self._health_server = grpc.aio.server(options=of_health)
            self._add_health(self._health_server)

    def _chain(self) -> Sequence[Interceptor]:
        options = self._options
        return interceptors(
            self._tracker,
            ArchiveIdentityCheck(self._archive_status),
            self._idle_timeout(self._tracker),
            self._access_log,
            self._authentication,
            None if options.quotas is None else QuotaChecks(options.quotas),
            self._audit,
            self._metrics,
            self._tracing(),
        )

    def _tracing(self) -> CallTracing | None:
        options = self._options
        if options.tracer is None:
            return None
        return CallTracing(options.tracer, self._authentication is not None, options.traces_name_callers)

    def _add_health(self, server: grpc.aio.Server) -> None:
        tracker, access_log = self._health_tracker, self._access_log
        identity = ArchiveIdentityCheck(self._archive_status)
        chain = interceptors(tracker, identity, self._idle_timeout(tracker), access_log, metrics=self._metrics)
        self._add(server, [self.health.service], chain)

    def _add(self, server: grpc.aio.Server, services: Sequence[Service], chain: Sequence[Interceptor]) -> None:
        if self._listeners.unix is not None:
            chain = [self._listeners.unix.intercept, *chain]
        handlers = {path: handler for service in services for path, handler in wrapped(service, chain).items()}
        server.add_generic_rpc_handlers([generic_handler(service, handlers, self._metrics) for service in services])

    def _idle_timeout(self, tracker: CallTracker) -> IdleTimeout:
        return IdleTimeout(self._options.limits.upload_idle_seconds, tracker.begin_wait, tracker.end_wait)

    def _registry_services(self) -> Sequence[Service]:
        limits, chunk_bytes = self._options.limits, self._options.network.chunk_size_bytes
        replies, uploads = self._reply_budget, self._upload_budget
        status = self._server_status()
        followers = self._followers
        return (
            cogment_service(
                self._queries, self._subscriptions, followers, status, limits, replies, uploads, chunk_bytes
            ),
            registry_service(self._queries, self.numbers, self._archive_status, self._options),
        )

    def _count_calls(self) -> int:
        return len(self._tracker) + len(self._health_tracker)

    def _make_numbers(self) -> ServerNumbers:
        return ServerNumbers(
            self._count_calls,
            lambda: len(self._listeners.accepted()),
            self._subscriptions,
            self._feed,
            self._upload_budget,
            self._reply_budget,
            self._kept_uploads,
            self._followers,
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
