"""
Contract tests of the memory store.
"""

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.contracts.transient import ITransientStore, TransientBudget
from twisted_registry.storage.memory import MemoryStore
from twisted_registry.testing import TransientStoreContract


class MemoryStoreTests(TransientStoreContract, SynchronousTestCase):
    """
    The contract, on ``MemoryStore``.
    """

    def make_store(self, budget: TransientBudget) -> ITransientStore:
        """
        Make an empty store.
        """
        return MemoryStore(budget)
