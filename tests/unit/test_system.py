"""
System calls that Python does not offer.
"""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.storage.filesystem.system import System


class StartWritebackTests(SynchronousTestCase):
    """
    ``System.start_writeback``.
    """

    def test_file(self) -> None:
        """
        A file keeps its content.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"data" * 1000)
        descriptor = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, descriptor)
        System().start_writeback(descriptor, 0, 4000)
        self.assertEqual(path.read_bytes(), b"data" * 1000)

    def test_no_file(self) -> None:
        """
        Errors are ignored, because the call is only a hint.
        """
        System().start_writeback(1_000_000, 0, 1)
