"""
Each kind of harm, in short.
"""

from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from torture.case import Case, Trial
from torture.cases import CASES

SEED = 1


class TortureTests(SynchronousTestCase):
    """
    Nothing is lost, and nothing gets through.  There is a test for each case.
    """

    def torture(self, case: Case) -> None:
        """
        Run a case as often as a short run does.
        """
        hindrance = case.hindrance()
        if hindrance is not None:
            raise SkipTest(hindrance)
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        outcome = case.run(Trial(case.short, SEED, directory))
        self.assertEqual(list(outcome.wrong), [])
        self.assertGreaterEqual(outcome.done, case.short)


def _add_test(case: Case) -> None:
    def test(self: TortureTests) -> None:
        self.torture(case)

    test.__doc__ = case.promise
    setattr(TortureTests, f"test_{case.name.replace('-', '_')}", test)


for _case in CASES:
    _add_test(_case)
