"""
A registry inside the process of a test.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from twisted_registry.access.rate_quotas import RateQuotas
from twisted_registry.config.limits import ClientLimits, Limits
from twisted_registry.config.network import NetworkSettings
from twisted_registry.contracts.access import IAccess, IAuditLog
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import ArchiveStatus, IIdentifiableArchive
from twisted_registry.contracts.transient import TransientBudget
from twisted_registry.coordination.local import LocalCoordination
from twisted_registry.domain.quotas import Quota
from twisted_registry.execution import PooledExecutor, TalliedPool, executor_for
from twisted_registry.registry import Framing, Registry
from twisted_registry.rpc.options import ServerOptions
from twisted_registry.rpc.server import RpcServer
from twisted_registry.rpc.services.cogment.codec import Chunker, frame
from twisted_registry.storage.memory import MemoryStore
from twisted_registry.storage.wrappers.error_log import StorageErrorLog
from twisted_registry.storage.wrappers.logging import LoggingArchive
from twisted_registry.testing.memory_archive import MemoryArchive

_HOST = "127.0.0.1"
_MIB = 1024 * 1024
_CHUNK_BYTES = 1 * _MIB
_THREADS = 4

BUDGET = TransientBudget(max_items=100, max_bytes=256 * _MIB)
"""The default budget for transient versions."""

LIMITS = Limits(
    version_max_bytes=0,
    uploads_max_bytes=256 * _MIB,
    uploads_wait_seconds=30.0,
    upload_idle_seconds=60.0,
    downloads_max_bytes=256 * _MIB,
    download_idle_seconds=60.0,
    keepalive_seconds=60.0,
)
"""The default limits on uploads and downloads."""

CLIENTS = ClientLimits(connections_max=1000, calls_per_connection_max=500, calls_per_client_max=2000, calls_max=4000)
"""The default limits on clients."""

_log = Logger(namespace="twisted_registry.testing")

T = TypeVar("T")


class CleaningTestCase(Protocol):
    """
    A test case that calls functions when a test ends, such as trial's, unittest's and Twisted's.
    """

    def addCleanup(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:  # noqa: N802
        """
        Call a function when the test ends.

        Args:
            function: called once, even if the test fails.
            args: its positional arguments.
            kwargs: its keyword arguments.

        Returns:
            Ignored.
        """


@implementer(IReactorFromThreads)
class _ReactorThread:
    """
    A thread that calls functions one after the other, as a reactor does.  A test may block its own reactor.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="registry", daemon=True)
        self._thread.start()

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        """See ``IReactorFromThreads.callFromThread``."""
        self._calls.put(partial(callable, *args, **kwargs))

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception:  # a reactor logs it, too
                _log.failure("a call in the registry's thread failed")

    def wait_for(self, function: Callable[[], Deferred[T]]) -> T:
        """
        Call a function in the thread, and return what its Deferred fires with.
        """
        result: Future[T] = Future()

        def fail(failure: Failure) -> None:
            result.set_exception(failure.value)

        self.callFromThread(lambda: maybeDeferred(function).addCallbacks(result.set_result, fail))
        return result.result()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """
        Call a function in the thread, and wait for it.
        """
        self.wait_for(lambda: maybeDeferred(function, *args))

    def stop(self) -> None:
        """
        Wait for the calls made so far, and end the thread.
        """
        self._calls.put(None)
        self._thread.join()


class InProcessRegistry:
    """
    A registry and its gRPC server in threads of this process, on a loopback port.

    It needs no reactor and no event loop: the test may block, or run its own.  It does not apply retention policies by
    itself; ``Prune`` does.

    Attributes:
        archive: the archive; it stays the same over restarts.
        address: the address for clients, such as ``127.0.0.1:43210``; it stays the same over restarts.
    """

    def __init__(
        self,
        archive: IArchive | None = None,
        budget: TransientBudget = BUDGET,
        limits: Limits = LIMITS,
        clients: ClientLimits = CLIENTS,
        chunk_size_bytes: int = _CHUNK_BYTES,
        port: int = 0,
        access: IAccess | None = None,
        quotas: Sequence[Quota] = (),
        audit_log: IAuditLog | None = None,
    ) -> None:
        """

        Args:
            archive: an archive that is not open; ``None`` for a new one in memory.
            budget: how many transient versions, and how many bytes of them, are kept.
            limits: the limits on uploads and downloads.
            clients: the limits on clients.
            chunk_size_bytes: the data in each message of a version that is sent.
            port: the port to listen on; 0 for one that is free.
            access: says who calls and what they may do; ``None`` if anyone may do anything.
            quotas: how much callers and models may use; those of calls and bytes a second need ``access``.
            audit_log: records calls; ``None`` for no record.
        """
        self.archive: IArchive = MemoryArchive() if archive is None else archive
        self.address = ""
        self._budget = budget
        self._limits = limits
        self._clients = clients
        self._chunk_size_bytes = chunk_size_bytes
        self._port = port
        self._access = access
        self._quotas = quotas
        self._rates = RateQuotas()
        self._audit_log = audit_log
        self._is_running = False

    def __enter__(self) -> "InProcessRegistry":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def use_quotas(self, quotas: Sequence[Quota]) -> None:
        """
        Replace the quotas.

        Args:
            quotas: the quotas from now on.
        """
        self._quotas = quotas
        self._rates.replace(quotas)
        self._reactor.call(self._registry.use_quotas, quotas)

    def start(self) -> None:
        """
        Open the archive and serve it.  Blocks until calls are served.

        Raises:
            CannotStart: the archive is in use, or it or the port cannot be used.
        """
        self._reactor = _ReactorThread()
        self._pools = [ThreadPool(minthreads=0, maxthreads=_THREADS, name=name) for name in ("storage", "hashing")]
        self._storage, self._hashing = (TalliedPool(self._reactor, pool) for pool in self._pools)
        self._registry = self._make_registry()
        status = ArchiveStatus()
        network = NetworkSettings(self._port, _HOST, self._chunk_size_bytes, reflection=True, grace_seconds=0.0)
        options = ServerOptions(
            network=network,
            limits=self._limits,
            clients=self._clients,
            access=self._access,
            quotas=None if self._access is None else self._rates,
            audit_log=self._audit_log,
        )
        self._server = RpcServer(self._reactor, self._registry, status, options)
        self._rates.replace(self._quotas)
        self._reactor.call(self._registry.use_quotas, self._quotas)
        try:
            self._port = self._server.start(lambda: _log.critical("the gRPC server ended"))
            self._open()
        except BaseException:
            self._reactor.stop()
            raise
        if IIdentifiableArchive.providedBy(self.archive):
            status.identity = self.archive.identity()
        for pool in self._pools:
            pool.start()
        serving: Future[None] = Future()
        self._reactor.callFromThread(self._server.serve, lambda: serving.set_result(None))
        serving.result()
        self.address = f"{_HOST}:{self._port}"
        self._is_running = True

    def _make_registry(self) -> Registry:
        executor = executor_for(self.archive, self._reactor, self._storage, self._hashing)
        store = MemoryStore(self._budget)
        archive = LoggingArchive(self.archive, StorageErrorLog(self.archive.description))
        return Registry(
            self._reactor,
            archive,
            executor,
            store,
            executor_for(store, self._reactor, self._storage, self._hashing),
            Framing(self._chunk_size_bytes, frame, partial(Chunker, self._chunk_size_bytes)),
            LocalCoordination(archive, executor),
            search_executor=PooledExecutor(self._reactor, self._hashing),
        )

    def _open(self) -> None:
        try:
            self._registry.open()
        except BaseException:
            self._server.stop(0)
            self._server.join()
            raise

    def stop(self, grace_seconds: float = 0.0) -> None:
        """
        Stop serving and close the archive.  Transient versions are lost.  Does nothing if it is not running.

        Args:
            grace_seconds: how long calls under way may take before they are cancelled.
        """
        if not self._is_running:
            return
        self._is_running = False
        self._reactor.wait_for(lambda: Deferred.fromCoroutine(self._close(grace_seconds)))
        self._server.join()
        for pool in self._pools:
            pool.stop()
        self._reactor.stop()

    async def _close(self, grace_seconds: float) -> None:
        await self._server.stop(grace_seconds)
        await self._storage.idle()
        await self._hashing.idle()
        await self._registry.close()

    def restart(self) -> None:
        """
        Stop and start on the same archive and address, as a daemon does: transient versions are lost.

        Raises:
            CannotStart: the archive cannot be opened again, or another program has taken the port.
        """
        self.stop()
        self.start()


def start_registry(
    test_case: CleaningTestCase, archive: IArchive | None = None, budget: TransientBudget = BUDGET
) -> InProcessRegistry:
    """
    Start a registry in this process, and stop it when the test ends::

        registry = start_registry(self)
        client = BlockingClient(registry.address)

    Args:
        test_case: the test case, of trial, unittest or any other framework with ``addCleanup``.
        archive: an archive that is not open; ``None`` for a new one in memory.
        budget: how many transient versions, and how many bytes of them, are kept.

    Returns:
        The registry, which serves at its ``address``.

    Raises:
        CannotStart: the archive is in use, or cannot be used.
    """
    registry = InProcessRegistry(archive, budget)
    registry.start()
    test_case.addCleanup(registry.stop)
    return registry


@contextmanager
def running_registry(archive: IArchive | None = None, budget: TransientBudget = BUDGET) -> Iterator[str]:
    """
    Run a registry in this process while the context is open::

        with running_registry() as address, BlockingClient(address) as client:
            client.save_model("walker")

    Args:
        archive: an archive that is not open; ``None`` for a new one in memory.
        budget: how many transient versions, and how many bytes of them, are kept.

    Yields:
        The registry's address, ``HOST:PORT``.

    Raises:
        CannotStart: the archive is in use, or cannot be used.
    """
    with InProcessRegistry(archive, budget) as registry:
        yield registry.address
