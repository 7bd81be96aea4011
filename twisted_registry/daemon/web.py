"""
The web edge of the daemon, and the metrics that it shows.
"""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from twisted_registry import __version__
from twisted_registry.config.load import Settings
from twisted_registry.contracts.calls import ICalls
from twisted_registry.daemon.inherited_sockets import adopt
from twisted_registry.daemon.metrics import MetricsService, make_metrics
from twisted_registry.daemon.pools import Pools
from twisted_registry.domain.errors import CannotStart
from twisted_registry.execution import PooledExecutor
from twisted_registry.web.caller import CertifiedCalls, status_permission
from twisted_registry.web.hosts import HostNames
from twisted_registry.web.json_api import json_api
from twisted_registry.web.page_files import page_resources
from twisted_registry.web.pages import LivePage, MetricsPage, ReadyPage, VersionPage
from twisted_registry.web.site import make_site

if TYPE_CHECKING:
    from twisted_registry.web.tls import ServerContext

_log = Logger()


class WebEdge:
    """
    The server of the web edge.

    Attributes:
        metrics: the metrics that it shows.
        service: what they read, and what runs for them.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        pools: Pools,
        problem: Callable[[], str],
        write_problem: Callable[[], str],
        calls: Callable[[], ICalls],
        tls: "ServerContext | None",
        inherited: socket.socket | None = None,
    ) -> None:
        """

        Args:
            calls: returns the way to make the calls of the registry, once its server runs.
            tls: the certificates; ``None`` without encryption.
            inherited: the socket that listens, if the service manager made it.
            problem: returns why the registry does not serve; empty if it does.
            write_problem: returns why it stores nothing; empty if it does.
        """
        self.metrics = make_metrics(settings)
        self.service = MetricsService(reactor, self.metrics, settings, pools)
        self._reactor = reactor
        self._settings = settings.web
        self._tls = tls
        if tls is not None and settings.tls.client_ca is not None and settings.tls.client_port is None:
            calls = _certified(calls)
        executor = PooledExecutor(reactor, pools.rendering)
        render = self.metrics.render
        self._site = make_site(
            {
                "api": json_api(calls, reactor, executor.defer),
                "livez": LivePage(),
                "readyz": ReadyPage(problem, write_problem),
                "version": VersionPage(__version__),
                **page_resources(),
                "metrics": MetricsPage(lambda accept: executor.defer(lambda: render(accept)), status_permission(calls)),
            },
            reactor,
            HostNames([*settings.web.names, settings.web.interface], lambda: () if tls is None else tls.names),
        )
        self._inherited = inherited
        self._port: Any = None

    def open(self) -> None:
        """
        Bind the port.  Requests are answered when the reactor runs.

        Raises:
            CannotStart: it cannot be bound.
        """
        settings = self._settings
        if self._inherited is not None:
            self._port = adopt(self._reactor, self._inherited, self._factory())
            return
        try:
            self._port = self._reactor.listenTCP(settings.port, self._factory(), interface=settings.interface)
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or error.socketError
            raise CannotStart(f"--http-port: cannot listen on {settings.host}:{settings.port}: {reason}") from None

    def _factory(self) -> Any:
        if self._tls is None:
            return self._site
        # Imported late: without TLS, the library is not needed.
        from twisted_registry.web.tls import HandshakeLimit, TlsFactory

        return TlsFactory(self._tls, self._site, self._reactor, HandshakeLimit(self._reactor))

    def log(self) -> None:
        """
        Log where it listens.
        """
        port = self._port.getHost().port
        scheme = "http" if self._tls is None else "https"
        _log.info("HTTP is served at {scheme}://{host}:{port}/", scheme=scheme, host=self._settings.host, port=port)

    def stop(self) -> "Deferred[None]":
        """
        Close the port, and stop what runs for the metrics.

        Returns:
            fires when the port is closed.
        """
        self.service.stop()
        return maybeDeferred(self._port.stopListening)


def _certified(calls: Callable[[], ICalls]) -> Callable[[], ICalls]:
    return lambda: CertifiedCalls(calls())
