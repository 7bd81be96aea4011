"""
Each kind of harm, in short.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.robustness.case import Case, Trial
from tests.robustness.cases import CASES

SEED = 1
ROOT = Path(__file__).parents[2]


class RobustnessTests(SynchronousTestCase):
    """
    Nothing is lost, and nothing gets through.  There is a test for each case.
    """

    def run_case(self, case: Case) -> None:
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


LARGE_STARTER = """
import subprocess
import sys
held = bytearray(b"x") * 400_000_000
sys.exit(subprocess.run([sys.executable, "-m", "tests.robustness.fuzzers", *sys.argv[1:]]).returncode)
"""
"""Starts a fuzzer from a process of 400 MB."""


class FuzzerTests(SynchronousTestCase):
    """
    A fuzzer, however it is started.
    """

    def test_the_memory_of_the_starter_does_not_count(self) -> None:
        """
        The memory limit of a fuzzer does not depend on the memory of the process that starts it.
        """
        if find_spec("atheris") is None:
            raise SkipTest("it needs atheris")
        words = ["timestamps", "--runs", "50", "--directory", str(Path(self.mktemp()).absolute())]
        command = [sys.executable, "-c", LARGE_STARTER, *words]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertLess(max(map(int, re.findall(r"rss: (\d+)Mb", ended.stderr))), 350)


def _add_test(case: Case) -> None:
    def test(self: RobustnessTests) -> None:
        self.run_case(case)

    test.__doc__ = case.promise
    setattr(RobustnessTests, f"test_{case.name.replace('-', '_')}", test)


for _case in CASES:
    _add_test(_case)
