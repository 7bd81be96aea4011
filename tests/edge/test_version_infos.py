"""
Tests for listing versions, by number, by selector and in pages.
"""

from functools import partial
from typing import Any

from grpc import StatusCode

from tests.support.edge import EdgeTestCase, SharedEdgeTestCase

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
BAD_HANDLES = ["-1", "+1", "x", "1.0", "1e3", "0x1", "1_0", " 1", "1 ", "1\n", "\u0663", "\uff11", "\0", "None"]
KINDS = [True, False, False, True, False]
"""Which of the versions are archived."""


class VersionInfosTestCase(SharedEdgeTestCase):
    """
    A model with five versions.
    """

    def setUp(self) -> None:
        """
        Create the versions.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        self.created = [self.client.create(self.model_id, b"%d" % n, archived=a) for n, a in enumerate(KINDS, start=1)]

    def assert_page(self, reply: Any, numbers: list[int], handle: str) -> None:
        """
        Check a reply.
        """
        self.assertEqual([info.version_number for info in reply.version_infos], numbers)
        self.assertEqual(list(reply.version_infos), [self.created[number - 1] for number in numbers])
        self.assertEqual(reply.next_version_handle, handle)

    def infos(self, *numbers: int, count: int = 0, handle: str = "") -> Any:
        """
        List versions of the test's model.
        """
        return self.client.infos(self.model_id, *numbers, count=count, handle=handle)


class AllVersionsTests(VersionInfosTestCase):
    """
    Lists of all versions.
    """

    def test_all(self) -> None:
        """
        Without numbers and a count, all versions are listed by number, and the handle is the number after the last.
        """
        self.assert_page(self.infos(), [1, 2, 3, 4, 5], "6")

    def test_count(self) -> None:
        """
        A count limits the page.
        """
        self.assert_page(self.infos(count=2), [1, 2], "3")
        self.assert_page(self.infos(count=5), [1, 2, 3, 4, 5], "6")
        self.assert_page(self.infos(count=2**32 - 1), [1, 2, 3, 4, 5], "6")

    def test_pages_make_up_the_whole(self) -> None:
        """
        Each page begins where the one before ended, and only the last is short.
        """
        self.assert_page(self.infos(count=2), [1, 2], "3")
        self.assert_page(self.infos(count=2, handle="3"), [3, 4], "5")
        self.assert_page(self.infos(count=2, handle="5"), [5], "6")
        self.assert_page(self.infos(count=2, handle="6"), [], "6")

    def test_handle_without_count(self) -> None:
        """
        A handle without a count returns the rest of the list.
        """
        self.assert_page(self.infos(handle="4"), [4, 5], "6")
        self.assert_page(self.infos(handle="0"), [1, 2, 3, 4, 5], "6")

    def test_past_the_end(self) -> None:
        """
        A handle past the end, however large, returns an empty list and the same handle.
        """
        for handle in ("6", "0006", str(2**31), str(2**64), "9" * 100, "1" * 10_000):
            self.assert_page(self.infos(handle=handle), [], handle)
            self.assert_page(self.infos(handle=handle, count=3), [], handle)

    def test_bad_handles(self) -> None:
        """
        A handle that no reply contains is refused, with and without numbers.
        """
        for handle in BAD_HANDLES:
            for numbers in ((), (1,), (-1, 2)):
                for count in (0, 2):
                    self.assert_refused(
                        StatusCode.INVALID_ARGUMENT, partial(self.infos, *numbers, count=count, handle=handle), "handle"
                    )

    def test_model_without_versions(self) -> None:
        """
        If there are no versions, the handle is the one of the request, or "0".
        """
        empty = f"{self.model_id}-empty"
        self.client.save_model(empty)
        for count in (0, 3):
            self.assert_page(self.client.infos(empty, count=count), [], "0")
            self.assert_page(self.client.infos(empty, count=count, handle="7"), [], "7")

    def test_unknown_model(self) -> None:
        """
        An unknown model is NOT_FOUND, with and without numbers.
        """
        for numbers in ((), (1,), (-1,), (0,)):
            self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.infos, "nobody", *numbers), "nobody")


class ChosenVersionsTests(VersionInfosTestCase):
    """
    Lists of named versions.
    """

    def test_numbers_in_the_order_asked(self) -> None:
        """
        Named versions are listed in the order of the request, with duplicates; the handle is the last number + 1.
        """
        self.assert_page(self.infos(1), [1], "2")
        self.assert_page(self.infos(5), [5], "6")
        self.assert_page(self.infos(4, 2), [4, 2], "3")
        self.assert_page(self.infos(3, 3, 1), [3, 3, 1], "2")

    def test_negative_selectors(self) -> None:
        """
        -1 is the latest and -n the n-th to last; the handle follows the number of the version found.
        """
        self.assert_page(self.infos(-1), [5], "6")
        self.assert_page(self.infos(-2), [4], "5")
        self.assert_page(self.infos(-5), [1], "2")
        self.assert_page(self.infos(-1, 1, -5, -4), [5, 1, 1, 2], "3")

    def test_second_to_last_of_two(self) -> None:
        """
        The handle after [-2] of two versions is "2".
        """
        two = f"{self.model_id}-two"
        self.client.save_model(two)
        for archived in (False, True):
            self.client.create(two, b"data", archived=archived)
        self.assertEqual(self.client.infos(two, -2).next_version_handle, "2")
        self.assertEqual(self.client.infos(two, 1).next_version_handle, "2")

    def test_unknown_numbers(self) -> None:
        """
        A selector without a version is NOT_FOUND, and the text lists the valid ones.
        """
        for number in (0, 6, -6, INT32_MAX, INT32_MIN, INT32_MIN + 1):
            self.assert_refused(
                StatusCode.NOT_FOUND,
                partial(self.infos, number),
                f" {number};",
                "numbers start at 1",
                "-1 is the latest",
            )

    def test_one_unknown_number(self) -> None:
        """
        One unknown number in the request is NOT_FOUND, on whatever page it would be.
        """
        for numbers in ((1, 6), (6, 1), (1, 2, 0), (-1, -6)):
            for count in (0, 1):
                self.assert_refused(StatusCode.NOT_FOUND, partial(self.infos, *numbers, count=count))

    def test_any_selector_of_no_versions(self) -> None:
        """
        A model without versions has no latest version.
        """
        empty = f"{self.model_id}-empty"
        self.client.save_model(empty)
        for selector in (-1, 0, 1, INT32_MIN):
            self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.infos, empty, selector), "-1 is the latest")

    def test_chosen_in_pages(self) -> None:
        """
        The handle continues a list of numbers with a count, and leads to an empty page at the end.
        """
        for numbers in ((5, 1, 3, 2), (-1, 1, -3, 2)):
            expected = [[5, 1], [3, 2], []]
            handle = ""
            for page in expected:
                reply = self.infos(*numbers, count=2, handle=handle)
                self.assert_page(reply, page, reply.next_version_handle)
                handle = reply.next_version_handle

    def test_chosen_pages_end_short(self) -> None:
        """
        Only the last page of numbers is short, and its handle leads to an empty one.
        """
        first = self.infos(5, 4, 3, count=2)
        self.assert_page(first, [5, 4], first.next_version_handle)
        second = self.infos(5, 4, 3, count=2, handle=first.next_version_handle)
        self.assert_page(second, [3], second.next_version_handle)
        for _ in range(2):
            second = self.infos(5, 4, 3, count=2, handle=second.next_version_handle)
            self.assert_page(second, [], second.next_version_handle)

    def test_count_larger_than_the_numbers(self) -> None:
        """
        One page may hold all numbers of the request.
        """
        reply = self.infos(2, 1, count=10)
        self.assert_page(reply, [2, 1], reply.next_version_handle)
        self.assert_page(self.infos(2, 1, count=10, handle=reply.next_version_handle), [], reply.next_version_handle)


class GapTests(EdgeTestCase):
    """
    Lists with missing numbers: only two versions fit into memory.
    """

    flags = ("--version-cache-max-items", "2")

    def test_selectors_count_the_versions_that_exist(self) -> None:
        """
        Negative selectors, pages and handles skip evicted versions.
        """
        self.client.save_model("m")
        for archived in (True, False, False, False, False):
            self.client.create("m", b"data", archived=archived)
        numbers = [info.version_number for info in self.client.infos("m").version_infos]
        self.assertEqual(numbers, [1, 4, 5])
        selected = self.client.infos("m", -3, -2, -1)
        self.assertEqual([info.version_number for info in selected.version_infos], [1, 4, 5])
        first = self.client.infos("m", count=2)
        self.assertEqual([info.version_number for info in first.version_infos], [1, 4])
        self.assertEqual(first.next_version_handle, "5")
        second = self.client.infos("m", count=2, handle="2")
        self.assertEqual([info.version_number for info in second.version_infos], [4, 5])
        self.assertEqual(self.client.infos("m", -3).next_version_handle, "2")
        for gone in (2, 3, -4):
            self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.infos, "m", gone))
