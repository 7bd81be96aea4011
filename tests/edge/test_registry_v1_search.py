"""
Tests of ``ListVersions`` and ``ListModels`` of ``twisted_registry.v1``.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, ClassVar

import grpc

from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from tests.support.registry_v1 import RegistryV1
from twisted_registry.domain.errors import InvalidFilter
from twisted_registry.protocol.error_map import from_metadata


class SearchCase(SharedEdgeTestCase):
    """
    A model with thirty versions: every third is transient, and every second has a metric.
    """

    count = 30

    def setUp(self) -> None:
        """
        Make the model and its versions.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        self.v1.CreateModel(model={"model_id": self.model_id})
        for number in range(1, self.count + 1):
            self.client.create(self.model_id, b"x" * number, archived=number % 3 != 0, user_data={"step": f"{number}"})
            if number % 2 == 0:
                given = {"metrics": {"return": float(number % 7)}, "labels": {"env": "ab"[number % 4 // 2]}}
                self.v1.UpdateVersion(reference=f"{self.model_id}@{number}", version=given)

    def numbers(self, filter: str = "", order_by: str = "", **fields: Any) -> list[int]:
        """
        List the numbers of the versions of a page.
        """
        page = self.v1.ListVersions(model_id=self.model_id, filter=filter, order_by=order_by, **fields)
        return [version.number for version in page.versions]

    def listed(self, **fields: Any) -> Any:
        """
        Return a page.
        """
        return self.v1.ListVersions(model_id=self.model_id, **fields)

    def pages(self, page_size: int, filter: str = "", order_by: str = "") -> list[list[int]]:
        """
        List the numbers of the versions of each page.
        """
        pages, token = [], ""
        while True:
            page = self.v1.ListVersions(
                model_id=self.model_id, filter=filter, order_by=order_by, page_size=page_size, page_token=token
            )
            pages.append([version.number for version in page.versions])
            token = page.next_page_token
            if not token:
                return pages


class ListVersionsTests(SearchCase):
    """
    ``ListVersions``.
    """

    def test_all(self) -> None:
        """
        Without filter and order all versions are listed by number, with their labels, metrics and aliases.
        """
        self.v1.SetAlias(reference=f"{self.model_id}@2", alias="production")
        self.assertEqual(self.numbers(), list(range(1, 31)))
        listed = self.v1.ListVersions(model_id=self.model_id).versions
        for version in (listed[1], listed[2], listed[5]):
            self.assertEqual(version, self.v1.GetVersion(reference=f"{self.model_id}@{version.number}"))
        self.assertEqual(list(listed[1].aliases), ["production"])

    def test_skip(self) -> None:
        """
        A page begins after the versions to skip, in every kind of list; past the end it is empty.
        """
        for filter, order_by in (
            ("", ""),
            ("", "number desc"),
            ("archived AND number > 3", "number desc"),
            ("labels.env:*", ""),
            ("metrics.return > 2", "number desc"),
            ("", "metrics.return desc"),
        ):
            everything = self.numbers(filter, order_by)
            for skip in (0, 1, 7, len(everything) - 1, len(everything), 2**31 - 1):
                page = self.v1.ListVersions(
                    model_id=self.model_id, filter=filter, order_by=order_by, skip=skip, page_size=4
                )
                found = [version.number for version in page.versions]
                self.assertEqual(found, everything[skip : skip + 4], (filter, order_by, skip))
                if page.next_page_token:
                    token = page.next_page_token
                    rest = self.numbers(filter, order_by, page_token=token, page_size=3, skip=2)
                    self.assertEqual(rest, everything[skip + 6 : skip + 9], (filter, order_by, skip))
                else:
                    self.assertGreaterEqual(skip + 4, len(everything))

    def test_total_size(self) -> None:
        """
        The versions of a list are counted: all of them always, and matches of a filter if the request says so, on every
        page.
        """
        for filter, order_by, total in (
            ("", "", 30),
            ("", "metrics.return desc", 30),
            ("archived", "", 20),
            ("number > 10 AND number <= 25", "number desc", 15),
            ("labels.env:*", "", 15),
            ("labels.env:*", "metrics.return", 15),
            ("labels.env = c", "", 0),
        ):
            first = self.listed(filter=filter, order_by=order_by, show_total_size=True, page_size=4)
            self.assertEqual(first.total_size, total, (filter, order_by))
            if first.next_page_token:
                token = first.next_page_token
                later = self.listed(filter=filter, order_by=order_by, page_token=token, show_total_size=True, skip=1)
                self.assertEqual(later.total_size, total, (filter, order_by))
            uncounted = self.listed(filter=filter, order_by=order_by)
            self.assertEqual(uncounted.total_size, 0 if filter else 30)

    def test_negative_skip(self) -> None:
        """
        A negative number of entries to skip is refused.
        """
        code = self.v1.fails("ListVersions", model_id=self.model_id, skip=-1)
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.v1.fails("ListModels", skip=-1), grpc.StatusCode.INVALID_ARGUMENT)

    def test_filtered(self) -> None:
        """
        A filter selects versions; they are the same as those that GetVersion returns.
        """
        self.assertEqual(self.numbers("metrics.return >= 5 AND archived"), [20, 26])
        self.assertEqual(self.numbers('labels.env = b AND metadata.step = "6"'), [6])
        self.assertEqual(self.numbers("NOT metrics.return:*"), list(range(1, 30, 2)))
        self.assertEqual(self.numbers("number > 40"), [])
        found = self.v1.ListVersions(model_id=self.model_id, filter="number = 6").versions[0]
        self.assertEqual(found, self.v1.GetVersion(reference=f"{self.model_id}@6"))

    def test_ordered(self) -> None:
        """
        An order sorts them, and those without a value come last.
        """
        self.assertEqual(self.numbers("", "metrics.return desc", page_size=5), [6, 20, 12, 26, 4])
        self.assertEqual(
            self.numbers("metrics.return:*", "metrics.return, number desc", page_size=5), [28, 14, 22, 8, 30]
        )
        self.assertEqual(self.numbers("", "number desc", page_size=3), [30, 29, 28])
        self.assertEqual(self.numbers("", "metrics.return")[15:], list(range(1, 30, 2)))

    def test_pages(self) -> None:
        """
        All pages together are the list, with a filter, with an order and without both.
        """
        for filter, order in (
            ("", ""),
            ("", "number desc"),
            ("archived", ""),
            ("NOT archived", ""),
            ("archived AND number > 7 AND number < 25", "number desc"),
            ("NOT archived OR number = 5", ""),
            ("number > 3 AND number < 3", ""),
            ("number >= 12.5", ""),
            ("archived OR size_bytes > 28", ""),
            ("", "metrics.return desc"),
            ("", "labels.env, metrics.return desc"),
            ("archived", "labels.env desc, created desc"),
        ):
            pages = self.pages(4, filter, order)
            whole = self.numbers(filter, order)
            self.assertEqual([number for page in pages for number in page], whole, (filter, order))
            in_index = self.numbers(f"size_bytes > 0 AND ({filter})" if filter else "size_bytes > 0", order)
            self.assertEqual(whole, in_index, (filter, order))
            self.assertEqual([len(page) for page in pages[:-1]], [4] * (len(pages) - 1))
            self.assertEqual(self.pages(len(whole), filter, order), [whole])

    def test_changes_between_pages(self) -> None:
        """
        Versions that come and go between pages do not repeat or hide others.
        """
        for order in ("", "size_bytes", "number desc"):
            alive = self.numbers("", order)
            first = self.v1.ListVersions(model_id=self.model_id, order_by=order, page_size=3)
            self.assertEqual([version.number for version in first.versions], alive[:3])
            for number in alive[2:4]:
                self.v1.DeleteVersion(reference=f"{self.model_id}@{number}")
            rest = self.numbers("", order, page_size=3, page_token=first.next_page_token)
            self.assertEqual(rest, alive[4:7])

    def test_current(self) -> None:
        """
        A search finds all changes that came before it, and nothing that was deleted.
        """
        self.assertEqual(self.numbers("metrics.new:*", "metrics.new"), [])
        created = self.client.create(self.model_id, b"new").version_number
        for number, value in ((created, 1.0), (1, 2.0), (3, -1.0)):
            self.v1.UpdateVersion(reference=f"{self.model_id}@{number}", version={"metrics": {"new": value}})
        self.assertEqual(self.numbers("metrics.new:*", "metrics.new"), [3, created, 1])
        self.v1.SetAlias(reference=f"{self.model_id}@3", alias="production")
        self.assertEqual(self.numbers("aliases:production AND archived"), [3])
        self.v1.DeleteVersion(reference=f"{self.model_id}@1")
        self.assertEqual(self.numbers("metrics.new:*", "metrics.new desc"), [created, 3])

    def test_page_sizes(self) -> None:
        """
        A negative page size is refused, and a large one counts as a thousand.
        """
        self.assertEqual(
            self.v1.fails("ListVersions", model_id=self.model_id, page_size=-1), grpc.StatusCode.INVALID_ARGUMENT
        )
        self.assertEqual(len(self.numbers(page_size=2**31 - 1)), 30)

    def test_unknown_model(self) -> None:
        """
        A model that does not exist is NOT_FOUND.
        """
        for filter in ("", "archived"):
            self.assertEqual(self.v1.fails("ListVersions", model_id="no", filter=filter), grpc.StatusCode.NOT_FOUND)


class MistakeTests(SearchCase):
    """
    Mistakes in requests.
    """

    count = 3

    def test_filter(self) -> None:
        """
        A mistake in a filter or an order is refused, and its details have the column.
        """
        for fields, column in (
            ({"filter": "archived metrics.x > 1"}, 10),
            ({"order_by": "number, metrics"}, 9),
        ):
            with self.assertRaises(grpc.RpcError) as caught:
                self.v1.ListVersions(model_id=self.model_id, **fields)
            error: Any = caught.exception
            self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
            details = from_metadata(error.trailing_metadata())
            assert isinstance(details, InvalidFilter)
            (parameter,) = fields
            self.assertEqual((details.parameter, details.column), (parameter, column))
            self.assertIn(details.reason, error.details())

    def test_tokens(self) -> None:
        """
        A token of another query, or of another model, is refused; so is any other text.
        """
        self.v1.CreateModel(model={"model_id": f"{self.model_id}-other"})
        given = {"model_id": self.model_id, "filter": "number > 0", "order_by": "number desc", "page_size": 1}
        token = self.v1.ListVersions(**given).next_page_token
        self.assertTrue(token)
        self.v1.ListVersions(**given | {"page_token": token, "page_size": 7})
        begin, _, rest = urlsafe_b64decode(token + "==").partition(b",")
        forged = [begin + end for end in (b"]", b",null]", b',"x"]', b",true]", b"," + rest + b"]", b"", b",NaN]")]
        wrong = ["no token", "e30", "é", "[" * 100_000, *(urlsafe_b64encode(each).decode() for each in forged)]
        for change in (
            {"filter": "number > 1"},
            {"order_by": ""},
            {"model_id": f"{self.model_id}-other"},
            *({"page_token": each} for each in wrong),
        ):
            fields = given | {"page_token": token} | change
            self.assertEqual(self.v1.fails("ListVersions", **fields), grpc.StatusCode.INVALID_ARGUMENT, change)

    def test_plain_tokens(self) -> None:
        """
        The tokens of lists without a filter are checked as well.
        """
        for call, given in (("ListVersions", {"model_id": self.model_id}), ("ListModels", {})):
            fields: dict[str, Any] = {**given, "page_size": 1}
            self.v1.CreateModel(model={"model_id": f"{self.model_id}-{call}"})
            token = getattr(self.v1, call)(**fields).next_page_token
            begin = urlsafe_b64decode(token + "==").partition(b",")[0]
            for end in (b",null]", b",[]]", b"]"):
                fields["page_token"] = urlsafe_b64encode(begin + end).decode()
                self.assertEqual(self.v1.fails(call, **fields), grpc.StatusCode.INVALID_ARGUMENT, end)


class LargeTests(SearchCase):
    """
    Versions with much metadata.
    """

    count = 0

    def test_short_pages(self) -> None:
        """
        A page ends early when its text is long, and the list goes on.
        """
        for _ in range(8):
            self.client.create(self.model_id, b"x", archived=True, user_data={"a": "b" * 250_000})
        for filter in ("", "archived"):
            pages = self.pages(100, filter)
            self.assertEqual([number for page in pages for number in page], list(range(1, 9)))
            self.assertEqual([len(page) for page in pages], [4, 4])


class ListModelsTests(EdgeTestCase):
    """
    ``ListModels``.
    """

    flags: ClassVar[list[str]] = []

    def setUp(self) -> None:
        """
        Make models.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        for model_id, owner, versions in (("a", "ada", 3), ("b/1", "bob", 0), ("b/2", "ada", 1), ("c", "", 2)):
            self.v1.CreateModel(model={"model_id": model_id, "metadata": {"owner": owner} if owner else {}})
            for number in range(versions):
                self.client.create(model_id, b"x", archived=number % 2 == 0)
        self.v1.SetAlias(reference="c@1", alias="production")

    def ids(self, **fields: Any) -> list[str]:
        """
        List the ids of the models of a page.
        """
        return [model.model_id for model in self.v1.ListModels(**fields).models]

    def test_all(self) -> None:
        """
        Without filter and order they are listed by id, as GetModel returns them, also after a restart.
        """
        self.assertEqual(self.ids(), ["a", "b/1", "b/2", "c"])
        for model in self.v1.ListModels().models:
            self.assertEqual(model, self.v1.GetModel(model_id=model.model_id))
        self.restart()
        self.v1 = RegistryV1(self.client.channel)
        self.assertEqual(self.ids(filter="version_count >= 1"), ["a", "b/2", "c"])

    def test_skip(self) -> None:
        """
        A page begins after the models to skip, and the models of a list are counted.
        """
        for filter, order_by, expected in (
            ("", "", ["a", "b/1", "b/2", "c"]),
            ("", "model_id desc", ["c", "b/2", "b/1", "a"]),
            ("", "version_count desc", ["a", "c", "b/2", "b/1"]),
            ("metadata.owner:*", "", ["a", "b/1", "b/2"]),
            ("metadata.owner:*", "version_count", ["b/1", "b/2", "a"]),
        ):
            for skip in (0, 1, 3, 4, 2**31 - 1):
                page = self.v1.ListModels(
                    filter=filter, order_by=order_by, skip=skip, page_size=2, show_total_size=True
                )
                found = [model.model_id for model in page.models]
                self.assertEqual(found, expected[skip : skip + 2], (filter, order_by, skip))
                self.assertEqual(page.total_size, len(expected), (filter, order_by, skip))
            first = self.v1.ListModels(filter=filter, order_by=order_by, page_size=1)
            token = first.next_page_token
            rest = self.ids(filter=filter, order_by=order_by, page_token=token, skip=1, page_size=1)
            self.assertEqual(rest, expected[2:3])
            self.assertEqual(first.total_size, 0 if filter else 4)

    def test_filtered(self) -> None:
        """
        A filter selects models, and an order sorts them.
        """
        self.assertEqual(self.ids(filter="metadata.owner = ada"), ["a", "b/2"])
        self.assertEqual(self.ids(filter="model_id = b/*"), ["b/1", "b/2"])
        self.assertEqual(self.ids(filter="aliases:production OR version_count = 0"), ["b/1", "c"])
        self.assertEqual(self.ids(order_by="version_count desc"), ["a", "c", "b/2", "b/1"])
        self.assertEqual(self.ids(order_by="model_id desc"), ["c", "b/2", "b/1", "a"])
        self.assertEqual(self.ids(filter="archived_count < 2", order_by="metadata.owner"), ["b/2", "b/1", "c"])

    def test_pages(self) -> None:
        """
        All pages together are the list.
        """
        for fields in (
            {},
            {"order_by": "model_id desc"},
            {"filter": "version_count < 3"},
            {"order_by": "metadata.owner"},
        ):
            whole = self.ids(**fields)
            found: list[str] = []
            token = ""
            while len(found) < len(whole):
                page = self.v1.ListModels(**fields, page_size=1, page_token=token)
                found += [model.model_id for model in page.models]
                token = page.next_page_token
            self.assertEqual((found, token), (whole, ""))
