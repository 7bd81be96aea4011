"""
A transient store that may block, from a package of its own, keeps the contract.
"""

import sys
from pathlib import Path

from tests.contract import transient_store
from twisted_registry.contracts.transient import ITransientStore, TransientBudget
from twisted_registry.daemon.providers import LazyTransientProvider

PACKAGE = Path(__file__).parents[1] / "data" / "scratch_provider"


class ScratchStoreTests(transient_store.TransientStoreContract):
    """
    The suite, on the store of ``tests/data/scratch_provider``.
    """

    def make_store(self, budget: TransientBudget) -> ITransientStore:
        """
        Make an empty store.
        """
        self.patch(sys, "path", [*sys.path, str(PACKAGE)])
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        return LazyTransientProvider("scratch", "scratch_store.ScratchStore").create_transient_store(
            budget, str(folder)
        )
