"""
Tests of searches with values, filters and pages that nobody expects.
"""

from math import inf, nan
from typing import Any

import grpc

from tests.edge.test_registry_v1_search import SearchCase
from twisted_registry.domain.errors import InvalidFilter
from twisted_registry.protocol.error_map import from_metadata

HUGE = 2.0**1023


class HostileCase(SearchCase):
    """
    A model without versions.
    """

    count = 0

    def make(self, *, archived: bool = True, user_data: dict[str, str] | None = None, **given: Any) -> int:
        """
        Make a version with labels and metrics.
        """
        number: int = self.client.create(
            self.model_id, b"x", archived=archived, user_data=user_data or {}
        ).version_number
        if given:
            self.v1.UpdateVersion(reference=f"{self.model_id}@{number}", version=given)
        return number

    def mistake(self, **fields: Any) -> InvalidFilter:
        """
        Search with a mistake in the filter or the order.
        """
        with self.assertRaises(grpc.RpcError) as caught:
            self.v1.ListVersions(model_id=self.model_id, **fields)
        error: Any = caught.exception
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT, fields)
        found = from_metadata(error.trailing_metadata())
        assert isinstance(found, InvalidFilter), found
        return found


class NumberTests(HostileCase):
    """
    Metrics that are hard to compare.
    """

    def test_order(self) -> None:
        """
        Infinite metrics are the first and the last, zeros of both signs are equal, and the number decides among equals.
        """
        values = [0.0, inf, -0.0, -inf, HUGE, -HUGE, 5e-324, -0.0, 0.0, inf]
        for value in values:
            self.make(metrics={"x": value})
        without = self.make()
        ascending = [4, 6, 1, 3, 8, 9, 7, 5, 2, 10, without]
        descending = [2, 10, 5, 7, 1, 3, 8, 9, 6, 4, without]
        for page_size in (1, 3, 100):
            for order, expected in (("metrics.x", ascending), ("metrics.x desc", descending)):
                found = self.pages(page_size, "", order)
                self.assertEqual([number for page in found for number in page], expected, (page_size, order))
        self.assertEqual(self.numbers("metrics.x = 0"), [1, 3, 8, 9])
        self.assertEqual(self.numbers("metrics.x = -0.0", "number desc"), [9, 8, 3, 1])
        self.assertEqual(self.numbers("metrics.x < 0"), [4, 6])
        self.assertEqual(self.numbers("metrics.x = Infinity"), [2, 10])
        self.assertEqual(self.numbers("metrics.x > -Infinity AND metrics.x < Infinity", "metrics.x"), ascending[1:8])
        self.assertEqual(self.numbers(f"metrics.x >= 1{'0' * 59}"), [2, 5, 10])
        self.assertEqual(self.numbers("metrics.x >= 1e99999"), [2, 10])

    def test_nan(self) -> None:
        """
        NaN is refused, as a metric and in a filter.
        """
        number = self.make()
        code = self.v1.fails("UpdateVersion", reference=f"{self.model_id}@{number}", version={"metrics": {"x": nan}})
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
        for text in ("NaN", "nan", "-NaN"):
            self.assertIn("a number", self.mistake(filter=f"metrics.x = {text}").reason)

    def test_ties(self) -> None:
        """
        Pages of equal versions neither repeat nor hide one, in either direction.
        """
        numbers = [self.make(metrics={"x": 1.0}, labels={"a": "b"}) for _ in range(7)]
        for order, expected in (
            ("metrics.x desc", numbers),
            ("metrics.x, number desc", numbers[::-1]),
            ("labels.a desc, metrics.x, size_bytes, archived", numbers),
            ("labels.none", numbers),
            ("labels.none desc, number desc", numbers[::-1]),
        ):
            found = self.pages(2, "", order)
            self.assertEqual([number for page in found for number in page], expected, order)


class TextTests(HostileCase):
    """
    Texts that are hard to compare.
    """

    def test_wildcards(self) -> None:
        """
        A star stands for any text at the beginning and the end of a value alone.
        """
        for env in ("", "*", "a*b", "ab", "b", "xax"):
            self.make(labels={"env": env})
        for value, expected in (
            ("*", [1, 2, 3, 4, 5, 6]),
            ('""', [1]),
            ('"\\*"', [2]),
            ("**", [1, 2, 3, 4, 5, 6]),
            ("*b", [3, 4, 5]),
            ("a*", [3, 4]),
            ("*a*", [3, 4, 6]),
            ('"a\\*b"', [3]),
            ('"*\\**"', [2, 3]),
        ):
            self.assertEqual(self.numbers(f"labels.env = {value}"), expected, value)
            self.assertEqual(self.numbers(f"labels.env = {value}", "labels.env, number"), expected, value)
        for value in ("a*b", "***", "*a*b*"):
            self.assertIn("wildcard", self.mistake(filter=f"labels.env = {value}").reason)

    def test_beyond_ascii(self) -> None:
        """
        Text is compared by character, in any script; columns count characters.
        """
        envs = ["ä", "z", "日本", "\U0001f600", "e\u0301", "é"]
        for env in envs:
            self.make(labels={"env": env, "ключ": "да"})
        self.assertEqual([envs[number - 1] for number in self.numbers("", "labels.env")], sorted(envs))
        for page_size in (1, 2):
            found = [number for page in self.pages(page_size, "", "labels.env desc") for number in page]
            self.assertEqual([envs[number - 1] for number in found], sorted(envs, reverse=True))
        self.assertEqual(self.numbers('labels.ключ = "да" AND labels.env = "日*"'), [3])
        self.assertEqual(self.numbers("labels.env = é"), [6])
        self.assertEqual(self.mistake(filter='labels.env = "\U0001f600" x').column, 18)

    def test_long(self) -> None:
        """
        Values as long as metadata may be are compared whole, and a page may end at one.
        """
        long = "\u00fc" * 120_000
        for end in ("c", "a", "b"):
            self.make(user_data={"a": long + end})
        pages = self.pages(1, "", "metadata.a")
        self.assertEqual([number for page in pages for number in page], [2, 3, 1])
        self.assertEqual(self.numbers("metadata.a = *\u00fcb"), [3])
        self.assertEqual(self.numbers(f"metadata.a = *{long[:16_000]}b*"), [3])


class LimitTests(HostileCase):
    """
    Filters beyond the limits.
    """

    def test_limits(self) -> None:
        """
        A filter that is too long, too deep or has too much in it is refused where it is.
        """
        self.make()
        condition = "number = 1"
        for text, column in (
            (" OR ".join([condition] * 501), 500 * 14 + 1),
            ("(" * 33 + condition + ")" * 33, 33),
            ("(" * 16_000, 33),
            ("NOT " * 4000 + condition, 5),
            ("-" * 10_000 + condition, 2),
            (f'metadata.a = "{"x" * 16_384}"', 16_385),
            ('metadata.a = "' + "\u00fc" * 10_000, 14),
            (")" * 100, 1),
            ("a." * 8000, 65),
            (" OR ".join(["labels.a = *x*"] * 51), 50 * 18 + 12),
            ("archived AND" * 1000, 10),
            ("\x00", 1),
        ):
            self.assertEqual(self.mistake(filter=text).column, column, text[:40])
        self.assertEqual(self.numbers(" OR ".join([condition] * 500)), [1])
        self.assertEqual(self.numbers("(" * 32 + condition + ")" * 32), [1])

    def test_orders(self) -> None:
        """
        So is an order.
        """
        for text in (", ".join(f"labels.l{number}" for number in range(11)), "labels." * 4000, ",", "number,"):
            self.assertEqual(self.mistake(order_by=text).parameter, "order_by", text[:40])


class PageTests(HostileCase):
    """
    Changes between two pages.
    """

    def rest(self, order: str, token: str) -> list[int]:
        """
        List the numbers after a page.
        """
        return self.numbers("", order, page_token=token)

    def test_changed_values(self) -> None:
        """
        A version whose value in the order changes may come twice, or not at all; all others come once.
        """
        for value in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0):
            self.make(metrics={"x": value})
        first = self.v1.ListVersions(model_id=self.model_id, order_by="metrics.x", page_size=3)
        self.assertEqual([version.number for version in first.versions], [1, 2, 3])
        for number, value in ((1, 10.0), (5, -1.0)):
            self.v1.UpdateVersion(reference=f"{self.model_id}@{number}", version={"metrics": {"x": value}})
        self.assertEqual(self.rest("metrics.x", first.next_page_token), [4, 6, 1])

    def test_last_entry_is_gone(self) -> None:
        """
        A list goes on although the last entry of the page before was deleted or archived.
        """
        for number in range(6):
            self.make(archived=False, metrics={"x": float(number)})
        pages = {
            order: self.v1.ListVersions(model_id=self.model_id, order_by=order, page_size=3)
            for order in ("metrics.x", "metrics.x desc", "number desc", "archived, number")
        }
        self.v1.ArchiveVersion(reference=f"{self.model_id}@4")
        self.v1.DeleteVersion(reference=f"{self.model_id}@3")
        for order, expected in (
            ("metrics.x", [4, 5, 6]),
            ("metrics.x desc", [2, 1]),
            ("number desc", [2, 1]),
            ("archived, number", [5, 6, 4]),
        ):
            self.assertEqual(self.rest(order, pages[order].next_page_token), expected, order)

    def test_deleted_model(self) -> None:
        """
        A token of a model that was deleted and made again continues after its position.
        """
        for _ in range(4):
            self.make()
        token = self.v1.ListVersions(model_id=self.model_id, order_by="size_bytes", page_size=2).next_page_token
        self.v1.DeleteModel(model_id=self.model_id)
        self.assertEqual(
            self.v1.fails("ListVersions", model_id=self.model_id, order_by="size_bytes", page_token=token),
            grpc.StatusCode.NOT_FOUND,
        )
        self.v1.CreateModel(model={"model_id": self.model_id})
        self.assertEqual(self.rest("size_bytes", token), [])
