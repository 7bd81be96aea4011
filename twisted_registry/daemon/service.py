"""
The daemon: the only wiring.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import ArchiveStatus, IIdentifiableArchive, ILocatedArchive, IOwnedArchive
from twisted_registry.contracts.transient import ITransientStore
from twisted_registry.coordination.local import LocalCoordination
from twisted_registry.daemon.clocks import ThreadTimer, use_monotonic_time
from twisted_registry.daemon.descriptor_limit import connections_within, raise_descriptor_limit, usable_descriptors
from twisted_registry.daemon.heap_trimmer import HeapTrimmer
from twisted_registry.daemon.logging import LoggedService
from twisted_registry.daemon.malloc import give_back, reuse_memory
from twisted_registry.daemon.memory_limit import resident_bytes
from twisted_registry.daemon.options import Options
from twisted_registry.daemon.providers import create_archive, create_transient_store
from twisted_registry.daemon.settings import COMMAND, Settings
from twisted_registry.daemon.startup import StartFailure, Terminal, hold_closed_streams
from twisted_registry.daemon.supervision import Supervisor
from twisted_registry.domain.errors import ArchiveTaken, CannotStart
from twisted_registry.execution import PooledExecutor, TalliedPool, executor_for
from twisted_registry.registry import Framing, Registry
from twisted_registry.rpc.endpoint import Endpoint
from twisted_registry.rpc.frames import Chunker, frame
from twisted_registry.rpc.server import RpcServer
from twisted_registry.storage.wrappers.error_log import StorageErrorLog
from twisted_registry.storage.wrappers.logging import LoggingArchive

_log = Logger(namespace="twisted_registry")

_STORAGE_THREADS = 10
_SWITCH_SECONDS = 0.0005
"""
How long a busy thread may keep gRPC's waiting.  By default it is ten times that: while the names of a large model were
read, the slowest of the calls answered from memory took 13 to 31 ms, and 6 to 9 with this.
"""
_CHECK_SECONDS = 5.0
"""How often to look whether the archive is where it was opened."""

_PATIENCE_SECONDS = 20.0
"""How long, after the grace, storage may take to come to rest before the daemon ends without it."""


def _is_loopback(interface: str) -> bool:
    try:
        return ip_address(interface).is_loopback
    except ValueError:
        return interface == "localhost"


class RegistryService(Service):
    """
    Opens the stores and serves them, until it is stopped.

    Attributes:
        port: where it listens, once it is started.
    """

    port = 0

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        archive: IArchive,
        store: ITransientStore,
        terminal: Terminal,
        drain_log: Callable[[], None],
    ) -> None:
        """

        Args:
            drain_log: waits for a moment until the log is written.
        """
        self._settings = settings
        self._archive = archive
        self._terminal = terminal
        self._drain_log = drain_log
        self._pools = (
            ThreadPool(minthreads=0, maxthreads=_STORAGE_THREADS, name="storage"),
            ThreadPool(minthreads=0, maxthreads=os.cpu_count() or 1, name="hashing"),
        )
        # Apart, so that a disk on which all threads wait does not hold up the hashing of what stays in memory.
        self._storage, self._hashing = (TalliedPool(reactor, pool) for pool in self._pools)
        # The claim is renewed and the place of the archive checked apart from both, at most one of each at a time.
        self._checking_pool = ThreadPool(minthreads=0, maxthreads=2, name="checking")
        self._checking = TalliedPool(reactor, self._checking_pool)
        self._reactor = reactor
        logging_archive = LoggingArchive(archive, StorageErrorLog(archive.description))
        archive_executor = executor_for(archive, reactor, self._storage, self._hashing)
        self._registry = Registry(
            reactor,
            logging_archive,
            archive_executor,
            store,
            executor_for(store, reactor, self._storage, self._hashing),
            Framing(settings.chunk_size_bytes, frame, partial(Chunker, settings.chunk_size_bytes)),
            LocalCoordination(logging_archive, archive_executor),
            checking_executor=PooledExecutor(reactor, self._checking),
        )
        endpoint = Endpoint(settings.interface, settings.port, settings.chunk_size_bytes, settings.reflection)
        self._archive_status = ArchiveStatus()
        self._rpc = RpcServer(
            reactor,
            self._registry,
            endpoint,
            settings.limits,
            settings.clients,
            self._archive_status,
            access_log=settings.log_level == "debug",
        )
        self._supervisor = Supervisor(
            reactor,
            archive.description,
            self._archive_status,
            self._rpc.tell_health,
            self._taken,
        )

    def startService(self) -> None:
        """
        Bind the port, open the archive, and serve.

        Raises:
            StartFailure: it cannot be done; the reason is on the starter's terminal.
        """
        try:
            self._start()
        except CannotStart as error:
            self._terminal.say(f"{COMMAND}: {error}")
            raise StartFailure(str(error)) from error
        finally:
            self._terminal.close()
        super().startService()

    def _start(self) -> None:
        self._take_signals(self._end_start)
        reuse_memory()
        raise_descriptor_limit()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self.port = self._rpc.start(self._lost)
        try:
            self._registry.open()
        except BaseException:
            self._rpc.stop(0)
            self._rpc.join()
            raise
        for pool in (*self._pools, self._checking_pool):
            pool.start()
        self._know_archive()
        HeapTrimmer(self._reactor, self._held_bytes, resident_bytes, self._give_back).follow(self._registry)
        self._rpc.serve(self._tell_where)
        # Once more when it runs: the reactor sets handlers of its own as it starts.
        self._take_signals(self._ask_to_stop)
        self._reactor.callWhenRunning(self._take_signals, self._ask_to_stop)

    def _know_archive(self) -> None:
        if IIdentifiableArchive.providedBy(self._archive):
            self._archive_status.identity = self._archive.identity()
        if ILocatedArchive.providedBy(self._archive):
            self._supervisor.start(self._registry.check_archive, _CHECK_SECONDS)
        if IOwnedArchive.providedBy(self._archive):
            renew = partial(PooledExecutor(self._reactor, self._checking).defer, self._archive.renew)
            self._supervisor.start(renew, self._archive.renew_seconds)

    def _held_bytes(self) -> int:
        return self._registry.usage().size_bytes

    def _give_back(self) -> None:
        self._hashing.callInThread(give_back)  # it may take long

    def _tell_where(self) -> None:
        if self._archive_status.identity.is_new:
            _log.warn(
                "new archive: {archive} was made just now; if there should be models in it, check --archive-dir and "
                "whether its disk is mounted",
                archive=self._archive.description,
            )
        _log.info(
            "archive: {archive}; in memory at most {budget.max_items} versions and {budget.max_bytes} bytes",
            archive=self._archive.description,
            budget=self._settings.budget,
        )
        if _is_loopback(self._settings.interface):
            _log.info(
                "only this machine can connect: to serve others, give --interface 0.0.0.0 "
                "or set COGMENT_MODEL_REGISTRY_INTERFACE"
            )
        else:
            _log.warn(
                "there is no authentication yet: whoever can connect to {host}:{port} can read, create and delete "
                "models; let only a trusted network reach it",
                host=self._rpc.host,
                port=self.port,
            )
        if os.geteuid() == 0:
            _log.warn(
                "running as root, in a container too that is more than it needs: run it as a user of its own "
                "(User= of systemd, --user of docker run, --uid of twistd) that owns the archive"
            )
        most = connections_within(usable_descriptors())
        if self._settings.clients.connections_max > most:
            _log.warn(
                "--max-connections is {given}, more than the limit on descriptors leaves beside a reserve for files, "
                "{most}: clients may keep archived versions from being read; raise that limit (ulimit -n)",
                given=self._settings.clients.connections_max,
                most=most,
            )
        _log.info("listening on {host}:{port}", host=self._rpc.host, port=self.port)

    # Twistd's own handlers end with the signal's status; to be told to stop is no failure.

    def _take_signals(self, handler: Callable[[], None]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: handler())

    def _end_start(self) -> None:
        raise StartFailure("told to stop while it started", status=0)

    def _ask_to_stop(self) -> None:
        self._reactor.callFromThread(self._stop_reactor)

    def _stop_reactor(self) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            _log.info("stopping already")

    def _lost(self) -> None:
        _log.critical("nothing is served any more; the daemon ends")
        self._end_as_failed()
        self._stop_reactor()

    def _taken(self, error: ArchiveTaken) -> None:
        _log.critical("{error}; this one stores nothing any more, and ends", error=error)
        self._archive_status.problem = str(error)
        self._rpc.tell_health()
        self._end_as_failed()
        self._stop_reactor()

    def _end_as_failed(self) -> None:
        # A reactor that is stopped ends with status 0, and whoever looks after the daemon would not start it again.
        self._reactor.addSystemEventTrigger("after", "shutdown", self._exit_failed)

    def stopService(self) -> "Deferred[None]":
        """
        Stop serving, and close the stores.

        Returns:
            fires when all is done.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        grace_seconds = self._settings.grace_seconds
        _log.info("stopping; calls under way have {seconds:g} s to end", seconds=grace_seconds)
        giving_up = ThreadTimer(grace_seconds + _PATIENCE_SECONDS, self._give_up)
        try:
            await self._close()
        except Exception:  # whatever a provider raises, the daemon ends
            _log.failure("the stores were not closed as they should be")
            self._end_as_failed()
        giving_up.cancel()
        for pool in (*self._pools, self._checking_pool):
            pool.stop()
        _log.info("stopped")

    async def _close(self) -> None:
        await self._rpc.stop(self._settings.grace_seconds)
        # Uploads that were cut tidy up yet, and a pool that is stopped drops what its jobs hand on to it.
        await self._storage.idle()
        await self._hashing.idle()
        # The claim to the archive is renewed to the last: what is stored yet takes as long as it takes.
        await self._registry.close()
        self._supervisor.stop()
        await self._checking.idle()

    def _give_up(self) -> None:
        _log.critical(
            "the stop does not come to its end; the daemon ends without, and the next start sweeps what storage left"
        )
        self._exit_failed()

    def _exit_failed(self) -> None:
        self._drain_log()
        os._exit(1)


def makeService(options: Options) -> IService:
    """
    Make the daemon, for twistd.  Nothing is opened and no thread runs before it is started: twistd forks in between.
    """
    # The reactor, imported here first, opens files.
    hold_closed_streams()
    from twisted.internet import reactor

    use_monotonic_time(reactor)
    settings = options.settings
    try:
        archive = create_archive(settings.archive, must_exist=settings.archive_must_exist)
        store = create_transient_store(settings.transient, settings.budget)
    except CannotStart as error:
        raise SystemExit(f"{COMMAND}: {error}") from None
    root = LoggedService(settings, options.parent)
    RegistryService(reactor, settings, archive, store, Terminal(), root.drain_log).setServiceParent(root)
    return root
