"""
Facts about what the archive asks of the operating system that Python does not offer.
"""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.storage.filesystem.system import System


class StartWritingTests(SynchronousTestCase):
    """
    ``System.start_writeback``.
    """

    def test_file(self) -> None:
        """
        A file can be told to be written, and holds what it held.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"data" * 1000)
        descriptor = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, descriptor)
        System().start_writeback(descriptor, 0, 4000)
        self.assertEqual(path.read_bytes(), b"data" * 1000)

    def test_no_file(self) -> None:
        """
        Where it cannot be, nothing is raised: it is no more than a hint.
        """
        System().start_writeback(1_000_000, 0, 1)
