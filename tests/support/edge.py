"""
A registry in the test's process, used instead of a daemon.
"""

from attrs import define
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from tests.support.daemon import Daemon
from tests.support.registry_case import RegistryTestCase, SharedRegistryTestCase
from twisted_registry.contracts.transient import TransientBudget
from twisted_registry.daemon.options import Options
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.testing.server import InProcessRegistry


@implementer(ILogObserver)
@define(eq=False)
class Edge(Daemon):
    """
    A registry with a gRPC server in threads of this process.  It takes a daemon's flags; it cannot be killed.
    """

    _registry: InProcessRegistry | None = None

    def __call__(self, event: LogEvent) -> None:
        """
        Keep the line of a log event, as an ``ILogObserver``.
        """
        if str(event.get("log_namespace")).startswith("twisted_registry"):
            self.lines.append(f"[{event['log_namespace']}#{event['log_level'].name}] {formatEvent(event)}\n")

    def start(self) -> "Edge":
        """
        Start it.
        """
        options = Options({})
        settings = options.parse(["--port", "0", *self.flags]).settings
        self._registry = InProcessRegistry(
            FilesystemArchive(options["archive-dir"]),
            TransientBudget(settings.memory.max_items, settings.memory.max_bytes),
            settings.limits,
            settings.clients,
            settings.network.chunk_size_bytes,
            settings.network.port,
        )
        globalLogPublisher.addObserver(self)
        self._registry.start()
        self.port = int(self._registry.address.rpartition(":")[2])
        return self

    def stop(self) -> int:
        """
        Stop it, and return the exit status of a daemon that stopped cleanly.
        """
        if self._registry is not None:
            self._registry.stop()
            self._registry = None
            globalLogPublisher.removeObserver(self)
        return 0

    def kill(self) -> None:
        """
        Stop it, if it still runs.
        """
        self.stop()


class EdgeTestCase(RegistryTestCase):
    """
    A test case with a fresh registry in this process for each test.
    """

    def make_daemon(self, *flags: str) -> Daemon:
        """
        Return a registry on the test's archive, not started.
        """
        return Edge(self.directory, ("--archive-dir", str(self.archive), *self._port, *self.flags, *flags))

    def crash(self) -> None:
        """
        Refuse: a registry in this process cannot be killed.
        """
        raise NotImplementedError("a test that kills the registry needs a daemon")


class SharedEdgeTestCase(EdgeTestCase, SharedRegistryTestCase):
    """
    A test case with one registry in this process for all tests of a class.
    """
