"""
Tests of the tables in docs/guides/size.md.
"""

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.capacity_page import PAGE, PERFORMANCE, page, read


class CapacityPageTests(SynchronousTestCase):
    """
    The tables are those of the benchmarks.
    """

    def test_current(self) -> None:
        """
        The tables in the page are made from the results beside it, and there are three of them.
        """
        text = PAGE.read_text()
        self.assertEqual(page(text), text)
        self.assertEqual(text.count("<!-- the end -->"), 3)

    def test_other_results(self) -> None:
        """
        Other results make other tables: a version of 10 MiB that 300 actors hold after half the time.
        """
        run = json.loads(PERFORMANCE.read_text())
        (row,) = [row for row in run["rows"] if row["name"] == "publish 10 MiB until 300 hold it"]
        row["registry_ms"], row["registry_cpu_ms"] = 400.0, 300.0
        path = Path(self.mktemp())
        path.write_text(json.dumps(run))
        expected = "| 10 MiB | 300 | 400 ms | 150 | 300 ms | 3,146 MB | 25 s / 2.5 s |"
        self.assertIn(expected, page(PAGE.read_text(), performance=path))

    def test_machine(self) -> None:
        """
        The page says which machine was measured.
        """
        self.assertIn(f"processors: {read(PERFORMANCE).machine['processors']}", PAGE.read_text())
