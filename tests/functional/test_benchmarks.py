"""
Facts about the benchmarks, and about docs/performance.md.
"""

import io
from pathlib import Path

from attrs import evolve
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.case import Fact, Row

ROW = Row("create", "ceiling", 2.0, 1.0, 0.5, 0.75, 10_000_000, 1.5, 0.5, 200_000_000)
FACT = Fact("ready, s", 0.25, 2)


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
        self.assertEqual(len(run.rows), len(shown.rows))
        self.assertEqual(len(run.facts), len(shown.facts))
        self.assertTrue(all(row.registry_ms > 0 and row.opponent_ms > 0 for row in run.rows))
        self.assertIn(run.rows[0].name, output.getvalue())


class PageTests(SynchronousTestCase):
    """
    The page says what came of a run.
    """

    def test_the_tables_are_those_of_the_results(self) -> None:
        """
        The tables in the page are made from the JSON beside it.
        """
        page = report.PAGE.read_text()
        self.assertEqual(report.page_with(report.read(report.RESULTS), page), page)


class ReportTests(SynchronousTestCase):
    """
    A run as JSON and as tables.
    """

    def test_written_and_read(self) -> None:
        """
        What is written is read again.
        """
        path = Path(self.mktemp()) / "run.json"
        run = report.Run({"Python": "3.11"}, [ROW], [FACT])
        report.write(run, path)
        self.assertEqual(report.read(path), run)

    def test_results_are_replaced(self) -> None:
        """
        What is measured again takes the place of what was measured before; the same against another does not.
        """
        run = report.Run({}, [ROW], [FACT])
        again, other = evolve(ROW, ratio=0.9), evolve(ROW, against="bare disk")
        for result in (again, other, evolve(FACT, value=1.0)):
            run = run.with_result(result)
        self.assertEqual(run, report.Run({}, [again, other], [evolve(FACT, value=1.0)]))

    def test_cells(self) -> None:
        """
        A row tells times, rates and the ratio; what misses its bar or its bound stands out.
        """
        self.assertEqual(
            report.row_cells(ROW),
            ("create", "ceiling", "2 ms, 5,000 MB/s", "1 ms", "**0.50**", "0.75", "1.5 ms / 0.5 ms", "200 MB"),
        )
        self.assertEqual(report.fact_cells(FACT), ("ready, s", "0.25", "2"))
        self.assertEqual(report.fact_cells(evolve(FACT, value=2.001)), ("ready, s", "**2.001**", "2"))
