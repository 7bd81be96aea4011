"""
Short runs of the benchmarks.
"""

import io
import sys
from pathlib import Path

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.servers import HERE


class ShortRunTests(SynchronousTestCase):
    """
    A short run does each thing at least once.
    """

    def test_each_suite_runs(self) -> None:
        """
        All that is shown in the page is measured: each operation and each figure.
        """
        path = Path(self.mktemp()) / "run.json"
        output = io.StringIO()
        words = ["--short", "--rounds", "1", "--json", str(path)]
        self.assertEqual(main(words, Console(file=output)), 0)
        run, shown = report.read(path), report.read(report.RESULTS)
        # New suites are shown once all of them were measured in one run.
        self.assertGreaterEqual(len(run.rows), len(shown.rows))
        self.assertGreaterEqual(len(run.facts), len(shown.facts))
        self.assertTrue(all(row.registry_ms > 0 and row.opponent_ms > 0 for row in run.rows))
        self.assertIn(run.rows[0].name, output.getvalue())

    def test_a_checkout_runs_beside_itself(self) -> None:
        """
        The servers and the clients of a suite come from the other checkout, by its own environment.
        """
        other = Path(self.mktemp())
        other.mkdir()
        for name in ("benchmarks", "tests", "twisted_registry", Path(sys.prefix).name):
            (other / name).symlink_to(HERE.root / name)
        path = other / "run.json"
        words = ["--short", "--rounds", "1", "--only", "clients", "--json", str(path), "--beside", str(other)]
        self.assertEqual(main(words, Console(file=io.StringIO())), 0)
        run = report.read(path)
        self.assertEqual({row.against for row in run.rows}, {run.machine["beside"]})
        self.assertEqual(len({row.name for row in run.rows}), len(run.rows))
