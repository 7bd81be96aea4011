"""
Tests for ``twisted_registry.daemon.malloc``.
"""

import platform

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.daemon.malloc import reuse_memory


class ArenaTests(SynchronousTestCase):
    """
    ``reuse_memory`` configures the C library, if it can be configured.
    """

    def test_glibc_takes_it(self) -> None:
        """
        glibc accepts the options, and with another C library nothing is raised.
        """
        self.assertEqual(reuse_memory(), platform.libc_ver()[0] == "glibc")
