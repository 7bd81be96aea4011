"""
Tests for the wiring in ``twisted_registry.daemon.service``.
"""

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.config.load import load
from twisted_registry.config.setting import Machine
from twisted_registry.daemon.access import AccessControl
from twisted_registry.daemon.inherited_sockets import InheritedSockets
from twisted_registry.daemon.providers import create_stores
from twisted_registry.daemon.service import RegistryService
from twisted_registry.daemon.startup import Terminal


class PoolTests(SynchronousTestCase):
    """
    The pools of threads.
    """

    def pools(self, **flags: str) -> dict[str, int]:
        """
        Return the size of each pool of a daemon that is not started.
        """
        directory = self.mktemp()
        settings = load(
            {"archive": f"filesystem:{directory}", **flags}, {}, Machine(memory_bytes=2**30, descriptors=1000)
        ).settings
        terminal = Terminal()
        self.addCleanup(terminal.close)
        stores, access_control = create_stores(settings), AccessControl(None, None, ())
        service = RegistryService(
            MemoryReactorClock(), settings, stores, access_control, terminal, lambda: None, None, InheritedSockets()
        )
        return {str(pool.name): pool.max for pool in service.pools.threads}

    def test_default(self) -> None:
        """
        Each provider has ten threads by default.
        """
        pools = self.pools()
        self.assertEqual((pools["archive"], pools["transient"]), (10, 10))

    def test_threads(self) -> None:
        """
        Each provider has the number of threads that its description sets.
        """
        pools = self.pools(archive=f"filesystem:{self.mktemp()}:threads=3", transient="memory:threads=2")
        self.assertEqual((pools["archive"], pools["transient"]), (3, 2))
