"""
Tests for the reference of the errors.
"""

from twisted.trial.unittest import SynchronousTestCase

from tools.errors_page import CLIENT, PAGE, SERVER, START, known, page
from twisted_registry.coordination.local import NUMBERS_PER_BLOCK
from twisted_registry.domain.errors import RegistryError
from twisted_registry.protocol.error_map import CODES


class PageTests(SynchronousTestCase):
    """
    docs/reference/errors.md.
    """

    def test_it_is_generated(self) -> None:
        """
        The page in the repository is the one that the generator writes.
        """
        self.assertEqual(PAGE.read_text(), f"{page()}\n", "run 'python -m tools.errors_page'")

    def test_every_error_is_on_it(self) -> None:
        """
        Each error is in one of the tables, and those with a gRPC code are in the table of the server.
        """
        self.assertEqual({*SERVER, *CLIENT, *START}, known())
        self.assertEqual(set(SERVER), {kind.__name__ for kind in CODES if issubclass(kind, RegistryError)})

    def test_publishing_needs_the_disk(self) -> None:
        """
        No row promises more transient versions without a disk than there are numbers in a block.
        """
        self.assertEqual(NUMBERS_PER_BLOCK, 100)
        for name in ("StorageFull", "StorageReadOnly"):
            self.assertIn(
                "`publish` until the numbers that are already safe on disk run out, about a hundred", SERVER[name].then
            )
