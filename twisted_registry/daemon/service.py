"""
The daemon's wiring: it makes every part, connects them, and starts and stops them.
"""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve
from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_registry.config.load import Settings
from twisted_registry.contracts.access_log import IAccessLog
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import ArchiveStatus, IIdentifiableArchive, ILocatedArchive, IOwnedArchive
from twisted_registry.coordination.local import LocalCoordination
from twisted_registry.daemon.access import (
    AccessControl,
    AccessReloader,
    certificate_end,
    certificate_names,
    make_access_control,
)
from twisted_registry.daemon.archive_numbers import ArchiveNumbers
from twisted_registry.daemon.audit import DaemonAudit, check_audit_log
from twisted_registry.daemon.clocks import ThreadTimer, use_monotonic_time
from twisted_registry.daemon.delivery_settings import check_deliveries
from twisted_registry.daemon.descriptor_limit import raise_descriptor_limit
from twisted_registry.daemon.exit import Exit, cancel_start
from twisted_registry.daemon.heap import SETTLING
from twisted_registry.daemon.heap_trimmer import HeapTrimmer
from twisted_registry.daemon.inherited_sockets import InheritedSockets, inherited_sockets
from twisted_registry.daemon.issuer_keys import KeyRefresher
from twisted_registry.daemon.logging import LoggedService
from twisted_registry.daemon.malloc import reuse_memory, trim_heap
from twisted_registry.daemon.memory_limit import resident_bytes
from twisted_registry.daemon.notices import log_start
from twisted_registry.daemon.options import Options
from twisted_registry.daemon.pools import Pools
from twisted_registry.daemon.providers import Stores, create_stores
from twisted_registry.daemon.readiness import WriteReadiness
from twisted_registry.daemon.retention_timer import RetentionTimer
from twisted_registry.daemon.service_manager import ServiceManager, ServiceNotices
from twisted_registry.daemon.startup import (
    StartFailure,
    Terminal,
    describe_failure,
    reserve_standard_descriptors,
)
from twisted_registry.daemon.supervision import Supervisor
from twisted_registry.daemon.tracing import check_tracing, make_tracing
from twisted_registry.domain.errors import ArchiveTaken, CannotStart
from twisted_registry.execution import PooledExecutor, executor_for
from twisted_registry.registry import BackgroundActs, Framing, Registry
from twisted_registry.rpc.options import ServerOptions
from twisted_registry.rpc.server import RpcServer
from twisted_registry.rpc.services.cogment.codec import Chunker, frame
from twisted_registry.storage.wrappers.error_log import StorageErrorLog
from twisted_registry.storage.wrappers.logging import LoggingArchive
from twisted_registry.storage.wrappers.measuring import measuring_archive

if TYPE_CHECKING:
    from twisted_registry.daemon.deliveries import DaemonDeliveries
    from twisted_registry.daemon.web import WebEdge

_log = Logger(namespace="twisted_registry")

_SWITCH_SECONDS = 0.0005
"""
How long a busy thread may delay gRPC's.  Python's default is ten times that: while a large model was read, the slowest
of the calls answered from memory took 13 to 31 ms, and 6 to 9 ms with this.
"""

_CHECK_SECONDS = 5.0
"""The interval between checks that the archive is where it was opened."""

_STOP_SECONDS = 20.0
"""How long storage may take to finish after the grace period, before the daemon exits anyway."""


class RegistryService(Service):
    """
    The registry as a service: it opens the stores and serves them until it is stopped.

    Attributes:
        port: the port it listens on, once it is started.
        pools: the pools of threads.
    """

    port = 0

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        stores: Stores,
        access_control: AccessControl,
        terminal: Terminal,
        drain_log: Callable[[], None],
        access_log: IAccessLog | None,
        inherited: InheritedSockets,
    ) -> None:
        """
        Make all parts, without starting any.

        Args:
            reactor: the reactor.
            settings: the settings.
            stores: the archive and the transient store, not opened.
            access_control: who may connect, and what they may do.
            terminal: where a failed start is reported.
            drain_log: waits until the log is written, for two seconds at most.
            access_log: logs calls; ``None`` without an access log.
            inherited: the sockets that the service manager passed.
        """
        self._reactor = reactor
        self._settings = settings
        self._archive = archive = stores.archive
        self._archive_status = ArchiveStatus()
        self._terminal = terminal
        self._access_control = access_control
        self._exit = Exit(reactor, drain_log)
        self._access_log = access_log
        self._inherited = inherited
        self.audit = DaemonAudit(settings.access)
        self.pools = Pools(reactor, stores.archive_threads, stores.transient_threads)
        self._not_serving = "the registry is starting"
        self._web = self._make_web_edge()
        self._tracing = make_tracing(reactor, settings.tracing)
        self._deliveries = self._make_deliveries()
        if self._deliveries is not None:
            self._access_control = access_control = evolve(
                access_control, files=[*access_control.files, self._deliveries.file]
            )
        access_control.follow(self.audit.reloaded)
        self._registry = self._make_registry(stores)
        self._archive_numbers = ArchiveNumbers(reactor, archive, PooledExecutor(reactor, self.pools.checking).defer)
        self._rpc = RpcServer(reactor, self._registry, self._archive_status, self._server_options())
        self._access_reloader = AccessReloader(
            reactor, access_control, lambda check: PooledExecutor(reactor, self.pools.access).defer(check)
        )
        self._key_refresher = KeyRefresher(
            reactor, access_control.issuers, PooledExecutor(reactor, self.pools.issuers).defer
        )
        self._retention_timer = RetentionTimer(reactor, self._registry.retention)
        self._notices = ServiceNotices(reactor, ServiceManager(), self._rpc.ask)
        self._supervisor = Supervisor(
            reactor, archive.description, self._archive_status, self._rpc.update_health, self._stop_without_archive
        )

        self._readiness = WriteReadiness(
            reactor,
            archive,
            self._archive_status,
            self._rpc.update_health,
            PooledExecutor(reactor, self.pools.checking).defer,
            settings.storage.min_free_bytes,
        )

    def _server_options(self) -> ServerOptions:
        settings, control = self._settings, self._access_control
        return ServerOptions(
            network=settings.network,
            limits=settings.limits,
            clients=settings.clients,
            unix=settings.unix,
            access_log=self._access_log,
            unix_socket=self._inherited.unix,
            access=control.access,
            tls=control.tls,
            certificate_end=certificate_end,
            certificate_names=certificate_names,
            quotas=None if control.quotas is None else control.quotas.rates,
            audit_log=self.audit.log,
            observer=None if self._web is None else self._web.metrics.edge,
            memory=settings.memory,
            archive_numbers=self._archive_numbers,
            tracer=None if self._tracing is None else self._tracing.tracer,
            traces_name_callers=settings.tracing.names_callers,
        )

    def _make_web_edge(self) -> "WebEdge | None":
        if self._settings.web.port is None:
            return None
        # Imported late: without it, a daemon needs neither the web nor the metrics.
        from twisted_registry.daemon.web import WebEdge

        return WebEdge(
            self._reactor,
            self._settings,
            self.pools,
            self._problem,
            lambda: self._problem() or self._archive_status.write_problem,
            lambda: self._rpc.calls,
            self._access_control.http,
            self._inherited.http,
        )

    def _make_deliveries(self) -> "DaemonDeliveries | None":
        if self._settings.deliveries.file is None:
            return None
        # Imported late: without it, a daemon needs no client of HTTP and no database.
        from twisted_registry.daemon.deliveries import DaemonDeliveries

        metrics = None if self._web is None else self._web.metrics.deliveries
        return DaemonDeliveries(
            self._reactor, self._settings, self.pools, metrics, Path(self._settings.deliveries.file)
        )

    def _problem(self) -> str:
        problem = self._archive_status.problem
        return self._not_serving or (problem and f"the archive cannot be used: {problem}")

    def _logging_archive(self, archive: IArchive) -> LoggingArchive:
        if self._web is None:
            return LoggingArchive(archive, StorageErrorLog(archive.description))
        observer = self._web.metrics.archive
        return LoggingArchive(
            measuring_archive(archive, observer), StorageErrorLog(archive.description, observer=observer)
        )

    def _make_registry(self, stores: Stores) -> Registry:
        reactor, pools, chunk_size_bytes = self._reactor, self.pools, self._settings.network.chunk_size_bytes
        archive = self._logging_archive(stores.archive)
        archive_executor = executor_for(stores.archive, reactor, pools.archive, pools.hashing)
        return Registry(
            reactor,
            archive,
            archive_executor,
            stores.transient,
            executor_for(stores.transient, reactor, pools.transient, pools.hashing),
            Framing(chunk_size_bytes, frame, partial(Chunker, chunk_size_bytes)),
            LocalCoordination(archive, archive_executor),
            checking_executor=PooledExecutor(reactor, pools.checking),
            search_executor=PooledExecutor(reactor, pools.searching),
            max_index_bytes=self._settings.memory.search_index_max_bytes,
            heap=SETTLING,
            keep_per_model=self._settings.memory.keep_per_model,
            archive_evicted_latest=self._settings.memory.archive_evicted_latest,
            clock=reactor,
            background_acts=BackgroundActs(self.audit.deleted, self.audit.archived),
        )

    # --- Start ---

    def startService(self) -> None:
        """
        Bind the port, open the archive, and serve.

        Raises:
            StartFailure: the daemon cannot start; the reason was printed on the terminal.
        """
        try:
            self._start()
        except CannotStart as error:
            self._terminal.report(describe_failure(error, self._settings.logging.format))
            raise StartFailure(str(error)) from error
        finally:
            self._terminal.close()
        super().startService()

    def _start(self) -> None:
        self._exit.handle_signals(cancel_start)
        # Again, because the user who runs the daemon now may not be allowed to read what root could.
        self._access_control.load()
        reuse_memory()
        raise_descriptor_limit()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._use_quotas()
        with ExitStack() as undo:
            self._open(undo)
            self._start_parts()
            undo.pop_all()
        self._rpc.serve(self._started)
        # Again when the reactor runs, because it sets its own handlers when it starts.
        self._exit.handle_signals(self._exit.ask_to_stop)
        self._reactor.callWhenRunning(self._exit.handle_signals, self._exit.ask_to_stop)

    def _open(self, undo: ExitStack) -> None:
        """
        Open what can fail.

        Args:
            undo: ends what is left if the start fails later.  Threads of pools would keep the process alive.
        """
        self.audit.open()
        undo.callback(self.audit.close)
        if self._tracing is not None:
            self._tracing.start(self._archive)
        if self._web is not None:
            self._web.open()
        self.port = self._rpc.start(self._stop_without_server)
        undo.callback(self._rpc.join)
        undo.callback(self._rpc.stop, 0)
        self._registry.open()
        if self._deliveries is not None:
            self._deliveries.open(self._archive)
        self.pools.start()
        undo.callback(self.pools.stop)

    def _start_parts(self) -> None:
        self._supervise_archive()
        self._supervisor.follow(self._registry)
        self._readiness.start(self._registry)
        self._retention_timer.start()
        if self._deliveries is not None:
            self._deliveries.start(self._registry)
        self._access_reloader.start()
        self._key_refresher.start()
        HeapTrimmer(self._reactor, self._held_bytes, resident_bytes, self._trim_heap).follow(self._registry)
        if self._web is not None:
            self._web.service.start(
                self._registry,
                self._archive,
                self._archive_numbers,
                self._archive_status,
                self._rpc.numbers,
                self._access_control,
                self.audit.log,
            )

    def _use_quotas(self) -> None:
        quotas = self._access_control.quotas
        if quotas is not None:
            self._registry.use_quotas(quotas.all)
            quotas.follow(partial(self._reactor.callFromThread, self._registry.use_quotas))

    def _supervise_archive(self) -> None:
        if IIdentifiableArchive.providedBy(self._archive):
            self._archive_status.identity = self._archive.identity()
        if ILocatedArchive.providedBy(self._archive):
            self._supervisor.start(self._registry.check_archive, _CHECK_SECONDS)
        if IOwnedArchive.providedBy(self._archive):
            renew = partial(PooledExecutor(self._reactor, self.pools.checking).defer, self._archive.renew)
            self._supervisor.start(renew, self._archive.renew_seconds)

    def _held_bytes(self) -> int:
        return self._registry.usage().size_bytes

    def _trim_heap(self) -> None:
        self.pools.hashing.callInThread(trim_heap)  # it may take long

    def _started(self) -> None:
        self._not_serving = ""
        is_new = self._archive_status.identity.is_new
        address = f"{self._rpc.host}:{self.port}" if self.port else f"unix:{self._settings.unix.path}"
        log_start(self._settings, self._archive.description, is_new, address)
        tls = self._access_control.tls
        client_port, host = None if tls is None else tls.client_port, self._rpc.host
        if client_port is not None:
            _log.info("listening on {host}:{port} with client certificates", host=host, port=client_port)
        if self._rpc.health_port is not None:
            _log.info("health checks are answered at {host}:{port}", host=host, port=self._rpc.health_port)
        if self._web is not None:
            self._web.log()
        self._notices.ready()

    def reload(self) -> None:
        """
        Reopen the audit log, and read the files of access control again.
        """
        self._notices.reloading()
        try:
            self.audit.reopen()
        finally:
            self._access_reloader.check().addBoth(lambda _: self._notices.reloaded())

    # --- Failures ---

    def _stop_without_server(self) -> None:
        _log.critical("the server failed and nothing is served; the daemon exits")
        self._exit.stop_as_failed()

    def _stop_without_archive(self, error: ArchiveTaken) -> None:
        _log.critical("{error}; this daemon stores nothing more, and exits", error=error)
        self._archive_status.problem = str(error)
        self._rpc.update_health()
        self._exit.stop_as_failed()

    # --- Stop ---

    def stopService(self) -> "Deferred[None]":
        """
        Stop serving, and close the stores.

        Returns:
            fires with ``None`` when the daemon can exit.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        grace_seconds = self._settings.network.grace_seconds
        self._notices.stopping()
        self._not_serving = "the registry is stopping"
        _log.info("stopping; running calls have {seconds:g} s to finish", seconds=grace_seconds)
        timer = ThreadTimer(grace_seconds + _STOP_SECONDS, self._exit_without_storage)
        try:
            await self._close()
        except Exception:  # the daemon exits, whatever a provider raises
            _log.failure("the stores were not closed properly")
            self._exit.fail()
        self.audit.close()  # even if something else failed
        timer.cancel()
        self._notices.stopped()
        self.pools.stop()
        _log.info("stopped")

    async def _close(self) -> None:
        # A call that prunes would otherwise use up the grace.
        self._retention_timer.stop()
        self._registry.retention.stop()
        await self._rpc.stop(self._settings.network.grace_seconds)
        # Cancelled uploads still clean up, and a stopped pool drops what its jobs submit to it.
        for calls in (self.pools.archive, self.pools.transient, self.pools.hashing):
            await calls.idle()
        # A probe must not run while the archive closes.
        await self._readiness.stop()
        try:
            await self._registry.close()
        finally:
            await self._close_rest()

    async def _close_rest(self) -> None:
        if self._web is not None:
            await self._web.stop()
            await self.pools.rendering.idle()
        # The claim on the archive is renewed until now, because closing may take long.
        self._supervisor.stop()
        self._access_reloader.stop()
        self._key_refresher.stop()
        self._archive_numbers.stop()
        if self._tracing is not None:
            await self._tracing.stop()
        if self._deliveries is not None:
            await self._deliveries.stop()
        await self.pools.checking.idle()

    def _exit_without_storage(self) -> None:
        _log.critical(
            "storage calls do not finish; the daemon exits anyway, and the next start removes what they leave behind"
        )
        self._exit.now()


def makeService(options: Options) -> IService:
    """
    Make the daemon for twistd, which forks before it starts it: nothing is opened here, and no thread runs.
    """
    # This comes before the import of the reactor, which opens files.
    reserve_standard_descriptors()
    from twisted.internet import reactor

    use_monotonic_time(reactor)
    settings = options.loaded.settings
    try:
        stores = create_stores(settings)
        access_control = make_access_control(settings)
        check_audit_log(settings.access)
        check_tracing(settings.tracing)
        check_deliveries(settings.deliveries)
        inherited = inherited_sockets(settings)
        root = LoggedService(settings.logging, options.parent, options.loaded.warnings)
        registry = RegistryService(
            reactor, settings, stores, access_control, Terminal(), root.drain_log, root.make_access_log(), inherited
        )
    except CannotStart as error:
        raise SystemExit(describe_failure(error, settings.logging.format)) from None
    registry.setServiceParent(root)
    root.reload_hooks.append(registry.reload)
    return root
