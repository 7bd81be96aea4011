"""
The gRPC server: a thread with its own event loop.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from twisted_registry.contracts.calls import ICalls
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.rpc.edge import Edge
from twisted_registry.rpc.listeners import Listeners
from twisted_registry.rpc.numbers import ServerNumbers
from twisted_registry.rpc.options import ServerOptions

try:
    import uvloop

    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # it does not support every platform
    new_event_loop = asyncio.new_event_loop


class RpcServer:
    """
    The gRPC server of a registry.
    """

    _log = Logger()

    def __init__(
        self, reactor: IReactorFromThreads, registry: IRegistry, archive_status: ArchiveStatus, options: ServerOptions
    ) -> None:
        self._reactor = reactor
        self._registry = registry
        self._archive_status = archive_status
        self._options = options
        self._grace_seconds = 0.0
        self._stopped: Deferred[None] = Deferred()

    @property
    def host(self) -> str:
        """
        The interface, in the form used in ``HOST:PORT``.
        """
        return self._options.network.host

    @property
    def health_port(self) -> int | None:
        """
        The port that serves only health checks, once it is bound; ``None`` if there is none.
        """
        return self._listeners.health_port

    @property
    def numbers(self) -> ServerNumbers:
        """
        The numbers of the server, once it is bound.
        """
        return self._edge.numbers

    @property
    def calls(self) -> ICalls:
        """
        The way to make the calls of the server in process, once it is bound.
        """
        return self._edge.calls

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
        self._listeners = Listeners(self._options)
        bound: Future[int] = Future()
        self._lost = lost
        self._thread = threading.Thread(target=self._run, args=(bound,), name="grpc", daemon=True)
        self._thread.start()
        return bound.result()

    def serve(self, serving: Callable[[], None]) -> None:
        """
        Begin to serve: the registry is open.  Called in the reactor's thread.

        Args:
            serving: called in the reactor's thread once calls are served.
        """
        self._serving = serving
        self._edge.follow()
        self._loop.call_soon_threadsafe(self._serve.set)

    def update_health(self) -> None:
        """
        Update the health from the archive's status.  Called in the reactor's thread, while the server runs.
        """
        health, status = self._edge.health, self._archive_status
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(health.set_usable, not status.problem, not status.write_problem)

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
            self._listeners.close()
            self._reactor.callFromThread(self._stopped.callback, None)

    async def _main(self, bound: Future[int]) -> None:
        self._serve = asyncio.Event()
        self._stop = asyncio.Event()
        self._edge = edge = Edge(self._reactor, self._registry, self._archive_status, self._options, self._listeners)
        await edge.bind()
        bound.set_result(self._listeners.port)
        if await self._may_serve():
            edge.open()
            self._reactor.callFromThread(self._serving)
            await self._stop.wait()
        await edge.close(self._grace_seconds)

    async def _may_serve(self) -> bool:
        waiting = [asyncio.create_task(event.wait()) for event in (self._serve, self._stop)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return self._serve.is_set()
