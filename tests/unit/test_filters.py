"""
Filters: what matches, and what is refused.
"""

from collections.abc import Sequence
from math import inf, nan

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.records import NOW_NS, NS, SHA256, matches, query, version
from twisted_registry.domain.errors import InvalidFilter
from twisted_registry.domain.fields import MODEL_FIELDS, VERSION_FIELDS
from twisted_registry.domain.filter_syntax import MAX_CHARACTERS, MAX_COMPARISONS, MAX_DEPTH
from twisted_registry.domain.filters import MAX_INFIXES, compile_filter
from twisted_registry.domain.query import MAX_ORDER_KEYS, Query
from twisted_registry.domain.records import ModelRecord

HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

WORDS = (
    *(
        "archived",
        "number",
        "metrics.",
        "labels.a",
        "aliases",
        "created",
        "age",
        "sha256",
        "AND",
        "OR",
        "NOT",
        "-",
        "(",
    ),
    *(")", "=", "!=", "<", ":", "*", '"', '"a*"', "\\", ".", ",", "3", "-3", "1e9", "1h", "2026-01-01", "true", "asc"),
    *("desc", " ", "ab*"),
)
"""Pieces of filters and orders."""


class NameTests(SynchronousTestCase):
    """
    The names of the fields that a filter names.
    """

    def test_names(self) -> None:
        """
        All fields that a filter names are found, at any depth.
        """
        for text, names in (
            ("", set()),
            ("archived", {"archived"}),
            ("NOT (number > 3 OR -labels.env = a) AND metrics:x", {"number", "labels", "metrics"}),
        ):
            self.assertEqual(compile_filter(text, VERSION_FIELDS, 0).names, names, text)


class CostTests(SynchronousTestCase):
    """
    The cost of filters, and its bounds.
    """

    def test_cost(self) -> None:
        """
        The comparisons are counted, and a text that is looked for anywhere counts as ten.
        """
        for text, cost in (
            ("", 0),
            ("archived", 1),
            ("NOT (number > 3 OR -labels.env = a*) AND metrics:x", 3),
            ("labels.env = *a OR labels.env = *a*", 11),
        ):
            self.assertEqual(compile_filter(text, VERSION_FIELDS, 0).cost, cost, text)

    def test_infixes(self) -> None:
        """
        Few texts can be looked for anywhere.
        """
        most = " OR ".join(["labels.env = *a*"] * MAX_INFIXES)
        compile_filter(most, VERSION_FIELDS, 0)
        with self.assertRaises(InvalidFilter) as caught:
            compile_filter(f"{most} OR labels.env != *b*", VERSION_FIELDS, 0)
        self.assertEqual(caught.exception.column, len(f"{most} OR labels.env != ") + 1)

    def test_long_text(self) -> None:
        """
        A text is found anywhere in a long one.
        """
        needle = "needle" * 100
        found = compile_filter(f"metadata.a = *{needle}*", VERSION_FIELDS, 0)
        for length in (0, 16_383, 16_384, 16_384 - 300, 16_385, 100_000):
            for rest in ("", "y" * 20_000):
                self.assertTrue(found.matches(version(metadata={"a": "x" * length + needle + rest})), length)
                self.assertFalse(found.matches(version(metadata={"a": "x" * length + needle[:-1] + rest})), length)

    def test_many_dots(self) -> None:
        """
        A field with very many dots is refused where there are too many.
        """
        with self.assertRaises(InvalidFilter) as caught:
            compile_filter("a." * 8000 + "a", VERSION_FIELDS, 0)
        self.assertEqual(caught.exception.column, 65)


class FilterTests(SynchronousTestCase):
    """
    The versions that match a filter.
    """

    example = version(
        7,
        created_ns=1_767_268_800 * NS + 5,  # 2026-01-01T12:00:00Z
        archived=True,
        size_bytes=2**60 + 1,
        metadata={"commit": "abc", 'q"\\*': "x"},
        labels={"env": "walker-2d", "a.b": "1", "two words": "x", "empty": "", "epoch": "9"},
        metrics={"return": 201.5, "loss": nan, "huge": inf, "eval/x": -3.0},
        aliases=("canary", "production"),
    )

    def check(self, *, true: Sequence[str] = (), false: Sequence[str] = ()) -> None:
        """
        Check which filters the example matches.
        """
        for text in true:
            self.assertTrue(matches(text, self.example), text)
        for text in false:
            self.assertFalse(matches(text, self.example), text)

    def test_empty(self) -> None:
        """
        An empty filter matches everything.
        """
        self.check(true=["", "  \n"])

    def test_numbers(self) -> None:
        """
        Numbers are compared exactly, whole or not.
        """
        self.check(
            true=[
                "number = 7", "number=7.0", "number:7", "number != 8", "number<8", "number <= 7", "number>-1",
                "number >= 7e0", f"size_bytes = {2**60 + 1}", f"size_bytes > {2**60}", "metrics.return > 200",
                'metrics."return" = 201.5', "metrics.eval/x = -3", "metrics.huge = Infinity", "metrics.huge > 1e300",
                "number > .5", "number < Infinity", "number > -inf",
            ],
            false=["number = 8", f"size_bytes = {2**60}", "metrics.return > 201.5", "number != 7", "number != 7.0"],
        )  # fmt: skip

    def test_absent(self) -> None:
        """
        A comparison with a value that is absent, or NaN, is false, and its negation true.
        """
        for operator in ("=", "!=", "<", "<=", ">", ">=", ":"):
            for name in ("missing", "loss"):
                self.check(true=[f"NOT metrics.{name} {operator} 1"], false=[f"metrics.{name} {operator} 1"])
            self.check(true=[f'NOT labels.x {operator} "1"'], false=[f'labels.x {operator} "1"'])

    def test_presence(self) -> None:
        """
        :* matches what is there; NaN is absent, and an empty text is there.
        """
        self.check(
            true=[
                "metrics.return:*",
                "labels.empty:*",
                "labels:*",
                "labels:env",
                "metrics:loss",
                "aliases:*",
                "number:*",
            ],
            false=["metrics.loss:*", "metrics.x:*", "labels.x:*", "labels:x", "metadata.env:*"],
        )
        self.assertFalse(matches("aliases:*", version()))
        self.assertFalse(matches("labels:*", version()))

    def test_flags(self) -> None:
        """
        A flag stands alone or is compared with true or false.
        """
        self.check(
            true=["archived", "archived = true", "archived != false", "NOT archived = false"],
            false=["NOT archived", "-archived", "archived = false", "archived != true"],
        )

    def test_text(self) -> None:
        """
        Text is compared as a whole, or its beginning or end with a wildcard, or letter by letter.
        """
        self.check(
            true=[
                "labels.env = walker-2d", 'labels.env = "walker-2d"', 'labels.env = "walk*"', "labels.env = walk*",
                'labels.env = "*2d"', 'labels.env="*er-*"', 'labels.env = "*"', "labels.env:walk*", 'labels.empty = ""',
                'labels.env != "hop*"', 'labels.env != "hopper"', 'labels.env > "walker"', 'labels.epoch > "10"',
                "labels.epoch = 9", "metadata.commit = abc", 'labels.env = "**"',
            ],
            false=[
                'labels.env = "Walker-2d"', 'labels.env = "walk"', 'labels.env = "*walk"', 'labels.env != "walk*"',
                'labels.env = "walk\\*"', 'labels.empty = "?*"', 'labels.env < "walker"',
            ],
        )  # fmt: skip

    def test_keys(self) -> None:
        """
        Keys with dots, spaces, quotes and keywords are quoted.
        """
        self.check(true=['labels."a.b" = "1"', 'labels."two words":*', 'metadata."q\\"\\\\\\*" = x', 'labels:"a.b"'])
        self.assertTrue(matches('labels."AND" = x', version(labels={"AND": "x"})))

    def test_single_quotes(self) -> None:
        """
        In double quotes, and after the first letter, a single quote is part of the text.
        """
        record = version(labels={"first": "'ada'", "within": "o'neill", "'k'": "x"})
        for text in (
            """labels.first = "'ada'" """,
            "labels.within = o'neill",
            "labels.within = *'neill",
            """labels."'k'" = x""",
        ):
            self.assertTrue(matches(text, record), text)

    def test_times(self) -> None:
        """
        Times are compared to the nanosecond, in any zone; a date is its beginning in UTC.
        """
        self.check(
            true=[
                'created > "2026-01-01T12:00:00Z"', "created > 2026-01-01T12:00:00.000000004Z",
                "created = 2026-01-01T14:30:00.000000005+02:30", "created < 2026-01-01T12:00:00-00:01",
                "created >= 2026-01-01", "created < 2026-01-02", 'created > "2025-12-31 23:59:59z"',
            ],
            false=["created > 2026-01-01T12:00:00.000000005Z", "created < 2026-01-01"],
        )  # fmt: skip

    def test_ages(self) -> None:
        """
        An age is the time since the creation.
        """
        record = version(created_ns=NOW_NS - 90 * 60 * NS)
        for text in ("age = 90m", "age > 1.49h", "age < 5400.000000001s", "age != 1d", "age <= 1d", "age:90m"):
            self.assertTrue(matches(text, record), text)
        for text in ("age > 90m", "age < 1h", "age >= 1d"):
            self.assertFalse(matches(text, record), text)

    def test_sha256(self) -> None:
        """
        A SHA-256 is given in hexadecimal, also its beginning, or in base64.
        """
        for text in (f"sha256 = {HEX}", f"sha256 = {HEX.upper()}", "sha256 = E3b0*", f'sha256 = "{SHA256}"'):
            self.assertTrue(matches(text, self.example), text)
        self.check(true=["sha256 != 00*"], false=[f"sha256 = {'0' * 64}", "sha256 = b0*", f"sha256 != {HEX}"])

    def test_aliases(self) -> None:
        """
        The operator : asks whether an alias names the version.
        """
        self.check(true=["aliases:production", 'aliases:"canary"'], false=["aliases:prod", "aliases:best"])

    def test_precedence(self) -> None:
        """
        OR binds tighter than AND, and NOT and - tighter than both.
        """
        yes, no = "number = 7", "number = 8"
        for text, expected in {
            f"{yes} OR {yes} AND {no}": False,
            f"{yes} OR ({yes} AND {no})": True,
            f"{no} AND {yes} OR {yes}": False,
            f"({no} AND {yes}) OR {yes}": True,
            f"NOT {no} AND -{no}": True,
            f"NOT {yes} OR {yes}": True,
            f"NOT ({yes} OR {no})": False,
            f"-({no})": True,
            f"{yes} AND {yes} AND {yes}": True,
            f"{yes} AND {yes} AND {no}": False,
            f"((({yes})))": True,
        }.items():
            self.assertIs(matches(text, self.example), expected, text)

    def test_models(self) -> None:
        """
        Models have fields too.
        """
        model = ModelRecord("team/a", {"owner": "ada"}, 7, 3, 1, {"production": 7})
        for text, expected in {
            'model_id = "team/*"': True,
            "metadata.owner = ada": True,
            "latest_number >= 7 AND version_count < 4 AND archived_count = 1": True,
            "aliases:production": True,
            "aliases:canary": False,
        }.items():
            found = Query.parse(text, "version_count desc, model_id", MODEL_FIELDS, NOW_NS)
            self.assertIs(found.filter.matches(model), expected, text)


class ErrorTests(SynchronousTestCase):
    """
    Errors point at the place, and say what is expected.
    """

    def test_filters(self) -> None:
        """
        Each mistake has a column, and a text with what to write.
        """
        for text, column, said in (
            ("number", 7, "expected = != < <= > >= : after number"),
            ("number =", 9, "expected a value, found the end"),
            ("number = )", 10, "expected a value, found ')'"),
            ("number = x", 10, "expected a number, found 'x'"),
            ("number = NaN", 10, "expected a number"),
            (f"number = {'9' * 61}", 10, "expected a number"),
            ("foo = 3", 1, "no field 'foo'; expected one of number, created, age"),
            ("archived AND foo = 3", 14, "no field 'foo'"),
            ("archived = yes", 12, "expected true or false, found 'yes'"),
            ("archived > true", 10, "expected = != after archived, found '>'"),
            ("created > yesterday", 11, "expected a time, as in"),
            ("created > 2026-02-30", 11, "expected a time"),
            ("created > 2026-01-01T25:00:00Z", 11, "expected a time"),
            ("created > 2026-01-01T00:00:00+99:00", 11, "expected a time"),
            ("age > 3", 7, "expected a duration, as in 90s"),
            ("sha256 = xyz", 10, "hexadecimal or standard base64"),
            ("aliases = production", 9, "expected : after aliases"),
            ("aliases:prod*", 9, "leave the * out"),
            ("labels = x", 8, "or a key as in labels.KEY"),
            ("labels", 7, "or a key as in labels.KEY"),
            ("labels.a.b = x", 1, 'labels."a.b"'),
            ("number.x = 3", 1, "number has no entries"),
            ("labels.epoch > 10", 16, "keep numbers in metrics"),
            ('labels.env = "a*b"', 14, 'write "\\*" for the character'),
            ('labels.env = "ab', 14, "no closing quote"),
            ('labels.env = "a\\n"', 16, "is not an escape"),
            ("labels.env = 'ada'", 14, 'single quotes do not quote; use double quotes: "..."'),
            ("labels.env != 'two words'", 15, "single quotes do not quote"),
            ("aliases:'production'", 9, "single quotes do not quote"),
            ("NOT labels.'a b' = x", 12, "single quotes do not quote"),
            ("archived metrics.x > 3", 10, "expected AND, OR or the end, found 'metrics'"),
            ("archived and archived", 10, "expected AND, found 'and'; keywords are upper case"),
            ("archived AND", 13, "expected a field, found the end"),
            ("OR archived", 1, "expected a field, found 'OR'"),
            ("(archived", 10, "expected AND, OR or a closing parenthesis, found the end"),
            ("archived)", 9, "found ')'"),
            ("()", 2, "expected a field"),
            ("NOT", 4, "expected a field"),
            ("NOT NOT archived", 5, "expected a field, found 'NOT'"),
            ("!archived", 1, "not expected"),
            ("labels. = 3", 9, "expected a field"),
            ('"env" = 3', 1, "expected a field"),
            ("(" * (MAX_DEPTH + 1) + "archived" + ")" * (MAX_DEPTH + 1), MAX_DEPTH + 1, "nested more than 32 deep"),
            (" AND ".join(["archived"] * (MAX_COMPARISONS + 1)), MAX_COMPARISONS * 13 + 1, "more than 500 comparisons"),
            (" " * (MAX_CHARACTERS + 1), MAX_CHARACTERS + 1, "at most 16384"),
        ):
            error = self.assertRaises(InvalidFilter, query, text)
            self.assertEqual((error.parameter, error.column), ("filter", column), text[:80])
            self.assertIn(said, error.reason)
            self.assertLess(len(str(error)), 400)

    def test_orders(self) -> None:
        """
        The same holds for orders.
        """
        many = ", ".join(f"metrics.m{each}" for each in range(MAX_ORDER_KEYS + 1))
        for text, column, said in (
            ("foo", 1, "no field 'foo'"),
            ("number,", 8, "a field after the comma"),
            (",number", 1, "expected a field"),
            ("number down", 8, "expected asc, desc, a comma or the end, found 'down'"),
            ("number, created desc x", 22, "found 'x'"),
            ("number, 'created'", 9, "single quotes do not quote"),
            ("metrics", 1, "name a key of it"),
            ("aliases", 1, "aliases has no order"),
            ("age", 1, "order by created"),
            ("number desc, number", 14, "named before"),
            (many, many.rindex("metrics") + 1, "more than 10 fields"),
        ):
            error = self.assertRaises(InvalidFilter, query, "", text)
            self.assertEqual((error.parameter, error.column), ("order_by", column), text)
            self.assertIn(said, error.reason)

    def test_limits_are_allowed(self) -> None:
        """
        Filters at the limits still work, also nested in all ways.
        """
        record = version(archived=True)
        deep = "-(archived AND " * MAX_DEPTH + "archived" + ")" * MAX_DEPTH
        self.assertIsInstance(matches(deep, record), bool)
        self.assertTrue(matches(" AND ".join(["archived"] * MAX_COMPARISONS), record))
        self.assertTrue(matches(f'labels.x != "{"*" + "y" * 16_000}" OR archived', record))

    @given(
        st.text(max_size=60)
        | st.lists(
            st.sampled_from(WORDS),
            max_size=12,
        ).flatmap(lambda parts: st.sampled_from(["", " "]).map(lambda space: space.join(parts)))
    )
    @settings(max_examples=500, deadline=None)
    def test_any_text(self, text: str) -> None:
        """
        Any text is a filter, or an order, or is refused with a column in or just behind it.
        """
        record = version(labels={"a": "b"}, metrics={"x": 1.0}, aliases=["p"])
        for parse in (lambda: matches(text, record), lambda: query("", text).select([record])):
            try:
                parse()
            except InvalidFilter as error:
                self.assertTrue(1 <= error.column <= len(text) + 1)
                self.assertTrue(error.reason)
