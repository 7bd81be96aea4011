"""
Tests of the tool that measures tests.
"""

from twisted.trial.unittest import SynchronousTestCase

from tools.test_times import SHOWN, Stopwatch, Times, table


class StopwatchTests(SynchronousTestCase):
    """
    The times of tests.
    """

    def test_groups(self) -> None:
        """
        The times of a test are between its start and its end, and those of a class or a module are their sums.
        """
        moments = [
            Times(1.0, 0.5),
            Times(3.0, 1.0),
            Times(10.0, 1.0),
            Times(11.0, 2.0),
            Times(11.0, 2.0),
            Times(12.0, 2.0),
        ]
        watch = Stopwatch(iter(moments).__next__)
        for name in (
            "tests.unit.test_a.ATests.test_one",
            "tests.unit.test_a.ATests.test_two",
            "tests.unit.test_a.BTests.test_one",
        ):
            watch.start()
            watch.stop(name)
        self.assertEqual(watch.of_tests["tests.unit.test_a.ATests.test_one"], Times(2.0, 0.5))
        self.assertEqual(
            watch.of_groups(1),
            {"tests.unit.test_a.ATests": Times(3.0, 1.5), "tests.unit.test_a.BTests": Times(1.0, 0.0)},
        )
        self.assertEqual(watch.of_groups(2), {"tests.unit.test_a": Times(4.0, 1.5)})

    def test_table(self) -> None:
        """
        A table shows the slowest first, whether they wait or compute, and no more than its length.
        """
        times = {"waits": Times(5.0, 0.0), "computes": Times(1.0, 9.0), **{f"t{n}": Times(0.0, 0.0) for n in range(99)}}
        title, *rows = table("test", times).strip().splitlines()
        self.assertIn("test (of 101)", title)
        self.assertEqual([row.split() for row in rows[:2]], [["1.00", "9.00", "computes"], ["5.00", "0.00", "waits"]])
        self.assertEqual(len(rows), SHOWN)
