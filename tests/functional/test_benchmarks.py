"""
Tests of the benchmarks, and about docs/explanation/performance.md.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import report
from benchmarks.beside import compare, other_checkout
from benchmarks.case import Fact, Operation, Row, measure
from benchmarks.context import Context
from benchmarks.servers import HERE, Checkout, Server

ROW = Row("create", "ceiling", 2.0, 1.0, 0.5, 0.75, 10_000_000, 1.5, 0.5, 200_000_000)
FACT = Fact("ready, s", 0.25, 2)


class Suite:
    """
    A suite of two operations with one name, and a figure; each shows which checkout it comes from.
    """

    def __init__(self) -> None:
        self.done: list[str] = []

    def run(self, context: Context) -> Iterator[Operation | Fact]:
        """
        Yield them.
        """
        name = context.checkout.root.name
        server = Server(name, 0, os.getpid(), 0.0)

        def act(times: int) -> float:
            self.done.append(name)
            return 2.0 if name == "other" else 1.0

        for opponent in ("ceiling", "ceiling with SHA-256"):
            yield Operation("create", act, self.fail, server, None, opponent, 1)
        yield Fact("ready, s", 1.0, 2.0)

    def fail(self, times: int) -> float:
        """
        Fail: the suite's own opponent is not asked.
        """
        raise AssertionError("the opponent was measured")


class BesideTests(SynchronousTestCase):
    """
    One checkout beside another.
    """

    def setUp(self) -> None:
        """
        Run the suite on two checkouts.
        """
        self.suite = Suite()
        own, other = (
            Context(Path(self.mktemp()), True, Checkout(Path(self.mktemp()) / name, HERE.binaries))
            for name in ("own", "other")
        )
        self.operation, *self.facts = compare(self.suite.run, own, other)

    def test_the_opponent_is_the_other_checkout(self) -> None:
        """
        Both checkouts do the same thing in turn, once, and the ratio says how much faster the own one is.
        """
        assert isinstance(self.operation, Operation)
        row = measure(self.operation, rounds=2)
        self.assertEqual((row.against, row.ratio, row.bar), ("other", 2.0, 0.97))
        self.assertEqual(self.suite.done, ["own", "other", "other", "own", "own", "other"])

    def test_figures_of_both(self) -> None:
        """
        Figures that are compared only with a bound come from each checkout.
        """
        self.assertEqual(self.facts, [Fact("ready, s", 1.0, 2.0), Fact("ready, s (other)", 1.0, 2.0)])

    def test_a_checkout_without_an_environment(self) -> None:
        """
        If the other checkout has no environment, the error says how to create it.
        """
        error = self.assertRaises(SystemExit, other_checkout, Path(self.mktemp()))
        self.assertIn("make -C", str(error))


class PageTests(SynchronousTestCase):
    """
    The page has the results of a run.
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
        A written run can be read again.
        """
        path = Path(self.mktemp()) / "run.json"
        run = report.Run({"Python": "3.11"}, [ROW], [FACT])
        report.write(run, path)
        self.assertEqual(report.read(path), run)

    def test_results_are_replaced(self) -> None:
        """
        A new measurement replaces the older one of the same operation and opponent, and no other.
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
