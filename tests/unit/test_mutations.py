"""
Facts about the faults that are put into the archive's code, to see that the tests would notice.
"""

from twisted.trial.unittest import SynchronousTestCase

from torture.disk.mutations import MUTATIONS, PACKAGE


class MutationTests(SynchronousTestCase):
    """
    Each fault still fits the code.
    """

    def test_each_fits(self) -> None:
        """
        The text that each replaces is there, exactly once.
        """
        counts = {fault.name: (PACKAGE / fault.file).read_text().count(fault.old) for fault in MUTATIONS}
        self.assertEqual([name for name, count in counts.items() if count != 1], [])
