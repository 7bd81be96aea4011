"""
Contract tests of a transient store that may block, from a separate package.
"""

import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.contracts.transient import ITransientStore, TransientBudget
from twisted_registry.daemon.providers import LazyTransientProvider
from twisted_registry.testing import TransientStoreContract

PACKAGE = Path(__file__).parents[1] / "data" / "scratch_provider"


class ScratchStoreTests(TransientStoreContract, SynchronousTestCase):
    """
    The contract, on the store of ``tests/data/scratch_provider``.
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
