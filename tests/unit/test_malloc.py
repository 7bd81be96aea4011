"""
Facts about how freed memory is kept.
"""

import platform

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.daemon.malloc import reuse_memory


class ArenaTests(SynchronousTestCase):
    """
    ``reuse_memory`` tells the C library, where it can be told.
    """

    def test_glibc_takes_it(self) -> None:
        """
        The C library takes the setting where it is glibc, and nothing is raised where it is another.
        """
        self.assertEqual(reuse_memory(), platform.libc_ver()[0] == "glibc")
