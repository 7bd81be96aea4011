"""
The memory store keeps the contract.
"""

from tests.contract import transient_store
from twisted_registry.contracts.transient import ITransientStore, TransientBudget
from twisted_registry.storage.memory import MemoryStore


class MemoryStoreTests(transient_store.TransientStoreContract):
    """
    The suite, on ``MemoryStore``.
    """

    def make_store(self, budget: TransientBudget) -> ITransientStore:
        """
        Make an empty store.
        """
        return MemoryStore(budget)
