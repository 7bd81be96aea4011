"""
Tests of docs/explanation/reliability.md, and of the runs for it.
"""

import io
import json
import signal
from pathlib import Path

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from tests.robustness import report
from tests.robustness.__main__ import main
from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.cases import CASES

ROW = report.Row("kills", "All is well.", "kills under a writer", 1200, 7, ["a"], {"versions": 12_345}, 60, "abc")
RUN = report.Run({"Python": "3.11"}, [ROW])


class PageTests(SynchronousTestCase):
    """
    The page has the results of a run.
    """

    def test_the_table_is_that_of_the_results(self) -> None:
        """
        The table in the page is made from the JSON beside it.
        """
        page = report.PAGE.read_text()
        self.assertEqual(report.page_with(report.read(report.RESULTS), page), page)

    def test_every_case_is_in_the_results(self) -> None:
        """
        The results are of all the cases there are, each as often as a long run does it, or more.
        """
        done = {row.case: row.done for row in report.read(report.RESULTS).rows}
        self.assertEqual(set(done), {case.name for case in CASES})
        self.assertEqual([case.name for case in CASES if done[case.name] < case.long], [])

    def test_nothing_was_wrong(self) -> None:
        """
        The results that are shown are good ones.
        """
        self.assertEqual([row.case for row in report.read(report.RESULTS).rows if row.wrong], [])

    def test_every_case_is_described(self) -> None:
        """
        The page says of each case what it does.
        """
        text = report.PAGE.read_text()
        self.assertEqual([case.name for case in CASES if text.count(f"`{case.name}`") < 2], [])


class ReportTests(SynchronousTestCase):
    """
    A run as JSON and as a table.
    """

    def test_written_and_read(self) -> None:
        """
        A written run can be read again.
        """
        path = Path(self.mktemp()) / "run.json"
        report.write(RUN, path)
        self.assertEqual(report.read(path), RUN)

    def test_table(self) -> None:
        """
        A row has the number of runs, the seed, and the number of violations.
        """
        self.assertIn(
            "| `kills` | All is well. | 1,200 kills under a writer | 7 | 1 | 60 | 12,345 versions |",
            report.section(RUN),
        )

    def test_rows_are_replaced(self) -> None:
        """
        A case that is run again takes the place of its older row.
        """
        again = report.Row("kills", "All is well.", "kills under a writer", 1, 1, [], {}, 1)
        self.assertEqual(RUN.with_row(again).rows, [again])

    def test_page(self) -> None:
        """
        Text around the table stays.
        """
        page = report.page_with(RUN, f"before\n{report.section(report.Run({}))}\nafter\n")
        self.assertEqual(page, f"before\n{report.section(RUN)}\nafter\n")


class CommandTests(SynchronousTestCase):
    """
    The command runs cases, as often as requested.
    """

    def run_with(self, outcome: Outcome, hindrance: str | None = None) -> tuple[int, list[Trial], Path]:
        """
        Run the command with a case of the test's own.

        Returns:
            its status, what the case was given, and the JSON it wrote.
        """
        trials: list[Trial] = []

        def run(trial: Trial) -> Outcome:
            trials.append(trial)
            return outcome

        case = Case("odd-case", "odd things", "Nothing odd happens.", 2, 20, run, lambda: hindrance)
        path = Path(self.mktemp())
        words = ["--odd-case", "5", "--seed", "3", "--json", str(path)]
        return main(words, [case], Console(file=io.StringIO())), trials, path

    def test_good(self) -> None:
        """
        Without violations it ends with 0, and has run as often as requested.
        """
        status, trials, path = self.run_with(Outcome(5, []))
        self.assertEqual((status, [(trial.count, trial.seed) for trial in trials]), (0, [(5, 3)]))
        self.assertEqual([row["done"] for row in json.loads(path.read_text())["rows"]], [5])

    def test_wrong(self) -> None:
        """
        With violations it ends with 1, and the JSON has them.
        """
        status, _, path = self.run_with(Outcome(5, ["it was odd"]))
        self.assertEqual((status, report.read(path).rows[0].wrong), (1, ["it was odd"]))

    def test_interrupted(self) -> None:
        """
        A signal ends a case early, and what it has done is reported.
        """
        done: list[int] = []

        def run(trial: Trial) -> Outcome:
            while not trial.is_over(len(done)):
                done.append(1)
                if len(done) == 2:
                    signal.raise_signal(signal.SIGINT)
            return Outcome(len(done), [])

        before, path = signal.getsignal(signal.SIGINT), Path(self.mktemp())
        cases = [Case(name, "odd things", "Nothing odd happens.", 2, 20, run) for name in ("odd-case", "next-case")]
        self.assertEqual(main(["--json", str(path)], cases, Console(file=io.StringIO())), 2)
        self.assertEqual([row.done for row in report.read(path).rows], [2])
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_hindered(self) -> None:
        """
        A case that cannot run here is not run, and that is not a success.
        """
        status, trials, _ = self.run_with(Outcome(5, []), "no such thing here")
        self.assertEqual((status, trials), (2, []))
