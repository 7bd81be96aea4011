"""
Tests for listing models, whole and in pages.
"""

from functools import partial
from typing import Any, ClassVar

from grpc import StatusCode

from tests.support.archive_files import write_model
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase

BAD_HANDLES = ["-1", "+1", "x", "1.0", "1e3", "0x1", "1_0", " 1", "1 ", "1\n", "\u0663", "\uff11", "\0", "listed:1"]
MOST_UINT32 = 2**32 - 1


def ids(reply: Any) -> list[str]:
    """
    Return the ids in a reply.
    """
    return [info.model_id for info in reply.model_infos]


class NoModelTests(EdgeTestCase):
    """
    A registry without models.
    """

    def test_lists_nothing(self) -> None:
        """
        The list is empty, and its handle is the one of the request.
        """
        for count in (0, 1):
            reply = self.client.models(count=count)
            self.assertEqual((ids(reply), reply.next_model_handle), ([], "0"))

    def test_a_new_model_goes_to_its_place(self) -> None:
        """
        The next list holds models created since, sorted by id, and no deleted ones.
        """
        self.client.models()
        for model_id in ("b", "é", "a", "B", "c"):
            self.client.save_model(model_id)
        self.client.delete_model("b")
        self.client.save_model("a", again="1")
        self.assertEqual(ids(self.client.models()), ["B", "a", "c", "é"])


class ModelPageTests(SharedEdgeTestCase):
    """
    A registry with five models, which no test changes.
    """

    MODELS: ClassVar[list[str]] = ["m1", "m2", "m3", "m4", "m5"]

    def prepare(self) -> None:
        """
        Create the models on disk.
        """
        for model_id in reversed(self.MODELS):
            write_model(self.archive, model_id)

    def assert_page(self, reply: Any, model_ids: list[str], handle: str) -> None:
        """
        Check a reply.
        """
        self.assertEqual((ids(reply), reply.next_model_handle), (model_ids, handle))

    def test_all(self) -> None:
        """
        Without ids and a count, all models are listed in order.
        """
        self.assert_page(self.client.models(), self.MODELS, "5")

    def test_count(self) -> None:
        """
        A count limits the page, and the handle is the offset after the last model.
        """
        self.assert_page(self.client.models(count=2), ["m1", "m2"], "2")
        self.assert_page(self.client.models(count=5), self.MODELS, "5")
        self.assert_page(self.client.models(count=6), self.MODELS, "5")
        self.assert_page(self.client.models(count=MOST_UINT32), self.MODELS, "5")

    def test_pages_make_up_the_whole(self) -> None:
        """
        Each page begins where the one before ended, and only the last is short.
        """
        self.assert_page(self.client.models(count=2), ["m1", "m2"], "2")
        self.assert_page(self.client.models(count=2, handle="2"), ["m3", "m4"], "4")
        self.assert_page(self.client.models(count=2, handle="4"), ["m5"], "5")
        self.assert_page(self.client.models(count=2, handle="5"), [], "5")

    def test_handle_without_count(self) -> None:
        """
        A handle without a count returns the rest of the list.
        """
        self.assert_page(self.client.models(handle="3"), ["m4", "m5"], "5")
        self.assert_page(self.client.models(handle="0"), self.MODELS, "5")

    def test_past_the_end(self) -> None:
        """
        A handle past the end, however large, returns an empty list and the same handle.
        """
        for handle in ("5", "6", "0005", str(2**31), str(2**64), "9" * 100, "1" * 10_000):
            self.assert_page(self.client.models(handle=handle), [], handle)
            self.assert_page(self.client.models(count=2, handle=handle), [], handle)
            self.assert_page(self.client.models("m1", "m2", count=2, handle=handle), [], handle)

    def test_bad_handles(self) -> None:
        """
        A handle that is not a non-negative decimal is refused, with or without ids.
        """
        for handle in BAD_HANDLES:
            for asked in ((), ("m1",)):
                self.assert_refused(
                    StatusCode.INVALID_ARGUMENT, partial(self.client.models, *asked, handle=handle), "handle"
                )

    def test_ids_in_the_order_asked(self) -> None:
        """
        Named models are listed in the order of the request, with duplicates.
        """
        self.assert_page(self.client.models("m3", "m1"), ["m3", "m1"], "2")
        self.assert_page(self.client.models("m2", "m2", "m1"), ["m2", "m2", "m1"], "3")

    def test_one_id(self) -> None:
        """
        The handle after one named model is "1", whatever its place in the list of all.
        """
        self.assert_page(self.client.models("m4"), ["m4"], "1")

    def test_ids_in_pages(self) -> None:
        """
        A list of named models is paged by offsets into it.
        """
        asked = ("m5", "m3", "m1")
        self.assert_page(self.client.models(*asked, count=2), ["m5", "m3"], "2")
        self.assert_page(self.client.models(*asked, count=2, handle="2"), ["m1"], "3")
        self.assert_page(self.client.models(*asked, count=2, handle="3"), [], "3")
        self.assert_page(self.client.models(*asked, handle="1"), ["m3", "m1"], "3")

    def test_unknown_id(self) -> None:
        """
        One unknown id in the request is NOT_FOUND, on whatever page it would be.
        """
        for asked in (("nobody",), ("m1", "nobody"), ("nobody", "m1"), ("m1", "")):
            for count in (0, 1):
                self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.models, *asked, count=count))
        self.assert_refused(StatusCode.NOT_FOUND, lambda: self.client.models("m1", "nobody"), "nobody")
