"""
Tests of ``ListMetrics`` and ``GetMetricSeries`` of ``twisted_registry.v1``.
"""

from typing import Any, ClassVar

import grpc

from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_v1 import RegistryV1
from twisted_registry.application import metrics


class MetricsCase(SharedEdgeTestCase):
    """
    A model with forty versions, most of which have metrics.
    """

    def setUp(self) -> None:
        """
        Make the model and its versions.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        self.v1.CreateModel(model={"model_id": self.model_id})
        for number in range(1, 41):
            self.client.create(self.model_id, b"x", archived=number % 2 == 0)
            given = {"return": float(number * 7 % 41)} if number % 10 else {}
            if number == 20:
                given = {"loss": float("inf")}
            if given:
                self.v1.UpdateVersion(reference=f"{self.model_id}@{number}", version={"metrics": given})

    def series(self, *names: str, **fields: Any) -> dict[str, list[tuple[int, float]]]:
        """
        Return the points of metrics.
        """
        reply = self.v1.GetMetricSeries(model_id=self.model_id, metrics=names, **fields)
        self.assertEqual([each.metric for each in reply.series], list(names))
        return {each.metric: list(zip(each.numbers, each.values, strict=True)) for each in reply.series}


class SeriesTests(MetricsCase):
    """
    ``GetMetricSeries``.
    """

    expected: ClassVar = [(number, float(number * 7 % 41)) for number in range(1, 41) if number % 10]

    def test_all(self) -> None:
        """
        All points are returned if they are few, in the order of the numbers; the same with an index and without one.
        """
        found = self.series("return", "loss", "other")
        self.assertEqual(found, {"return": self.expected, "loss": [(20, float("inf"))], "other": []})
        self.v1.ListVersions(model_id=self.model_id, filter="labels.a = b")  # makes the index
        self.assertEqual(self.series("return", "loss", "other"), found)

    def test_range(self) -> None:
        """
        A range of numbers limits the points; it may lie outside of those that exist.
        """
        for first, last in ((5, 12), (0, 3), (38, 0), (39, 2**32 - 1), (41, 50), (12, 5)):
            found = self.series("return", first_number=first, last_number=last)["return"]
            inside = [point for point in self.expected if point[0] >= first and (not last or point[0] <= last)]
            self.assertEqual(found, inside, (first, last))

    def test_thinned(self) -> None:
        """
        Of too many points the extremes are kept, and the reply says how many there were.
        """
        reply = self.v1.GetMetricSeries(model_id=self.model_id, metrics=["return"], max_points=10)
        (series,) = reply.series
        self.assertLessEqual(len(series.numbers), 10)
        self.assertEqual(series.version_count, len(self.expected))
        points = list(zip(series.numbers, series.values, strict=True))
        by_value = sorted(self.expected, key=lambda point: point[1])
        for point in (self.expected[0], self.expected[-1], by_value[0], by_value[-1]):
            self.assertIn(point, points)

    def test_changes(self) -> None:
        """
        A series shows each change that was answered before.
        """
        self.v1.UpdateVersion(reference=f"{self.model_id}@40", version={"metrics": {"return": 99.0}})
        self.assertEqual(self.series("return")["return"], [*self.expected, (40, 99.0)])

    def test_refused(self) -> None:
        """
        Requests that make no sense are refused.
        """
        wrong: list[dict[str, Any]] = [{"metrics": []}, {"metrics": ["a", "a"]}, {"metrics": ["a"], "max_points": 3}]
        for fields in wrong:
            code = self.v1.fails("GetMetricSeries", model_id=self.model_id, **fields)
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
        many = [f"m{number}" for number in range(metrics.MAX_METRICS + 1)]
        self.assertEqual(
            self.v1.fails("GetMetricSeries", model_id=self.model_id, metrics=many), grpc.StatusCode.INVALID_ARGUMENT
        )
        code = self.v1.fails("GetMetricSeries", model_id=f"{self.model_id}-no", metrics=["a"])
        self.assertEqual(code, grpc.StatusCode.NOT_FOUND)

    def test_empty_model(self) -> None:
        """
        A model without versions has empty series.
        """
        empty = f"{self.model_id}-empty"
        self.v1.CreateModel(model={"model_id": empty})
        reply = self.v1.GetMetricSeries(model_id=empty, metrics=["a"])
        self.assertEqual([(each.metric, list(each.numbers)) for each in reply.series], [("a", [])])


class ListTests(MetricsCase):
    """
    ``ListMetrics``.
    """

    def test_all(self) -> None:
        """
        Each metric is listed with how many versions have it, its last value and its extremes.
        """
        reply = self.v1.ListMetrics(model_id=self.model_id)
        values = [value for _, value in SeriesTests.expected]
        self.assertEqual(
            [(it.name, it.version_count, it.last_number, it.last_value) for it in reply.metrics],
            [("loss", 1, 20, float("inf")), ("return", 36, 39, values[-1])],
        )
        self.assertEqual((reply.metrics[1].min_value, reply.metrics[1].max_value), (min(values), max(values)))
        self.assertEqual((reply.total_size, reply.next_page_token), (2, ""))

    def test_range(self) -> None:
        """
        Only the metrics of a range of versions are listed.
        """
        reply = self.v1.ListMetrics(model_id=self.model_id, first_number=30)
        self.assertEqual([(it.name, it.version_count) for it in reply.metrics], [("return", 9)])

    def test_pages(self) -> None:
        """
        Pages go on where the one before has ended; a token of another list is refused.
        """
        first = self.v1.ListMetrics(model_id=self.model_id, page_size=1)
        second = self.v1.ListMetrics(model_id=self.model_id, page_size=1, page_token=first.next_page_token)
        self.assertEqual([it.name for it in [*first.metrics, *second.metrics]], ["loss", "return"])
        self.assertEqual((first.total_size, second.next_page_token), (2, ""))
        other = self.v1.ListVersions(model_id=self.model_id, page_size=1).next_page_token
        for token in ("x", other):
            code = self.v1.fails("ListMetrics", model_id=self.model_id, page_token=token)
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
