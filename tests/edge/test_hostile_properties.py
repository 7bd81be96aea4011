"""
Tests with arbitrary ids, handles, selectors, counts and metadata: the contract alone determines how a call ends.
"""

import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import grpc
from grpc import StatusCode
from hypothesis import example, given, settings, strategies as st

from tests.support.client import data_hash
from tests.support.edge import SharedEdgeTestCase
from twisted_registry.protocol.messages import api
from twisted_registry.storage.filesystem.archive import FilesystemArchive

OK, INVALID, NOT_FOUND = StatusCode.OK, StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND
MOST_ID_BYTES = 200
MOST_USER_DATA_BYTES = 256 * 1024
MOST_TEXT_BYTES = 1024
DIGITS = frozenset("0123456789")

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
ODD_TEXTS = st.sampled_from(
    ["=", "<<", "yes", "no", "on", "null", "~", "", "1", "1e3", "0x1F", "\u0085", "\u2028", "\0", "\r\n", "- a", "#"]
)
MODEL_IDS = TEXTS | st.integers(190, 210).map(lambda size: "x" * size) | st.integers(60, 70).map(lambda n: "☃" * n)
HANDLES = (
    st.integers(-2, 12).map(str)
    | st.from_regex(r"[+-]?[ 0]{0,3}\d{1,25}\s?", fullmatch=True)
    | st.from_regex(r"listed:\d{0,3}", fullmatch=True)
    | st.sampled_from(
        ["", "0", "9" * 5000, "0" * 5000, "²", "٣", "1_0", "0x1", "1e1", "listed:", "listed:1 ", "LISTED:1"]
    )
    | TEXTS
)
SELECTORS = st.integers(-(2**31), 2**31 - 1) | st.integers(-8, 8)
COUNTS = st.integers(0, 2**32 - 1) | st.integers(0, 8)


def hostile(examples: int = 100) -> settings:
    """
    Return the settings of a property test.
    """
    return settings(deadline=None, max_examples=examples)


def allowed_id(model_id: str) -> bool:
    """
    Return whether a model may have an id.
    """
    return 1 <= len(model_id.encode()) <= MOST_ID_BYTES and "Cc" not in map(unicodedata.category, model_id)


def decimal(handle: str) -> int | None:
    """
    Parse a decimal handle; ``None`` if it is invalid.
    """
    if not handle:
        return 0
    return int(handle[-4000:]) + (10**9 if handle[:-4000].strip("0") else 0) if DIGITS.issuperset(handle) else None


def listed(handle: str) -> int | None:
    """
    Parse a handle that continues a list of numbers; ``None`` if it is invalid.
    """
    if handle in ("", "0"):
        return 0
    head, _, digits = handle.partition(":")
    return int(digits) if head == "listed" and digits and DIGITS.issuperset(digits) else None


def length_prefixed(content: bytes) -> bytes:
    """
    Return a first field with some content of less than 16 KiB.
    """
    size = len(content)
    return b"\x0a" + bytes((size & 0x7F | 0x80, size >> 7)) + content


class HostileCase(SharedEdgeTestCase):
    """
    Arbitrary requests: the daemon continues, and its log reports no bug.
    """

    def setUp(self) -> None:
        """
        Create the test's model, which must exist afterwards.
        """
        super().setUp()
        self.client.save_model(self.model_id)

    def tearDown(self) -> None:
        """
        Check that the daemon still serves, and has logged no bug.
        """
        super().tearDown()
        client = self.connect()
        client.create(self.model_id, b"good", archived=True)
        self.assertEqual(client.data(self.model_id, -1), b"good")
        client.delete_model(self.model_id)
        client.close()
        self.assertNotIn("incident", "".join(self.daemon.lines[self._printed_before :]))

    def ended(self, call: Callable[[], Any]) -> tuple[StatusCode, Any]:
        """
        Make a call.

        Returns:
            its code, and the reply.
        """
        try:
            return OK, call()
        except grpc.RpcError as error:
            failed: Any = error
            self.assertTrue(0 < len(failed.details().encode()) <= MOST_TEXT_BYTES, failed.details())
            return failed.code(), None


class ModelIdPropertyTests(HostileCase):
    """
    Ids.
    """

    def assert_model(self, model_id: str) -> None:
        """
        Create a model, find it, and delete it; or check that it is refused.
        """
        code, _ = self.ended(lambda: self.client.save_model(model_id, mine=model_id))
        self.assertEqual(code, OK if allowed_id(model_id) else INVALID, model_id)
        code, reply = self.ended(lambda: self.client.models(model_id))
        self.assertEqual(code, OK if allowed_id(model_id) else NOT_FOUND, model_id)
        if reply is not None:
            self.assertEqual([info.model_id for info in reply.model_infos], [model_id])
            self.assertEqual(dict(reply.model_infos[0].user_data), {"mine": model_id})
            self.client.delete_model(model_id)
        for gone in (self.client.delete_model, self.client.models, self.client.infos, self.client.latest):
            self.assertEqual(self.ended(partial(gone, model_id))[0], NOT_FOUND, model_id)

    @hostile()
    @given(MODEL_IDS)
    @example("x" * 200)
    @example("x" * 201)
    @example("a\x85")
    @example("..")
    def test_any_text(self, model_id: str) -> None:
        """
        Exactly the texts of 1 to 200 bytes without control characters are model ids.
        """
        self.assert_model(model_id)

    @hostile()
    @given(st.binary(max_size=210))
    def test_any_bytes(self, raw: bytes) -> None:
        """
        Bytes that are not UTF-8 are not an id, in any call.
        """
        try:
            model_id = raw.decode()
        except UnicodeDecodeError:
            pass
        else:
            self.assert_model(model_id)
            return
        save = length_prefixed(length_prefixed(raw))
        self.assertEqual(self.ended(lambda: self.client.call("CreateOrUpdateModel", save))[0], INVALID)
        for name in ("DeleteModel", "RetrieveModels", "RetrieveVersionInfos"):
            self.assertEqual(self.ended(partial(self.client.call, name, length_prefixed(raw)))[0], INVALID)


class UserDataPropertyTests(HostileCase):
    """
    Metadata.
    """

    def save(self, user_data: dict[str, str]) -> None:
        """
        Save the test's model with metadata of arbitrary keys.
        """
        info = api.ModelInfo(model_id=self.model_id, user_data=user_data)
        self.client.call("CreateOrUpdateModel", api.CreateOrUpdateModelRequest(model_info=info))

    @hostile(60)
    @given(st.dictionaries(TEXTS | ODD_TEXTS, TEXTS | ODD_TEXTS | st.integers(1, 2**20).map(lambda n: "☃" * (n // 3))))
    @example({"k": "x" * 2**20})
    def test_any_text(self, user_data: dict[str, str]) -> None:
        """
        Up to 256 KiB of any text are returned unchanged, for a model and a version; more is refused.
        """
        code = OK if api.ModelInfo(user_data=user_data).ByteSize() <= MOST_USER_DATA_BYTES else INVALID
        for call in (
            lambda: self.save(user_data),
            lambda: self.client.create(self.model_id, b"data", archived=False, user_data=user_data),
        ):
            self.assertEqual(self.ended(call)[0], code)
        if code is OK:
            self.assertEqual(dict(self.client.models(self.model_id).model_infos[0].user_data), user_data)
            self.assertEqual(dict(self.client.latest(self.model_id).user_data), user_data)

    @hostile(40)
    @given(st.lists(st.dictionaries(TEXTS | ODD_TEXTS, TEXTS | ODD_TEXTS), max_size=3))
    def test_from_the_archive(self, all_user_data: list[dict[str, str]]) -> None:
        """
        Metadata that goes to the archive is unchanged when another archive of the same directory reads it.
        """
        for user_data in all_user_data:
            self.save(user_data)
            number = self.client.create(self.model_id, b"data", archived=True, user_data=user_data).version_number
            stored = FilesystemArchive(str(self.archive))
            stored._directory.open(locked=False)
            try:
                self.assertEqual(stored.load_model(self.model_id).metadata, user_data)
                self.assertEqual(stored.load_version(self.model_id, number).metadata, user_data)
            finally:
                stored.close()


class ModelPagePropertyTests(HostileCase):
    """
    Pages of models.
    """

    IDS: ClassVar[list[str]] = [f"page-{number}" for number in range(6)]

    def setUp(self) -> None:
        """
        Make the models.
        """
        super().setUp()
        for model_id in self.IDS:
            self.client.save_model(model_id)

    def assert_page(self, asked: list[str], ids: list[str], count: int, handle: str) -> None:
        """
        Check a page of a list.

        Args:
            asked: which models are asked for; none for all.
            ids: those there are, in their order.
        """
        code, reply = self.ended(lambda: self.client.models(*asked, count=count, handle=handle))
        start = decimal(handle)
        self.assertEqual(code, INVALID if start is None else OK, handle)
        if start is not None:
            page = ids[start : start + count] if count else ids[start:]
            self.assertEqual([info.model_id for info in reply.model_infos], page)
            self.assertEqual(reply.next_model_handle, str(start + len(page)) if page else handle or "0")

    @hostile(150)
    @given(COUNTS, HANDLES)
    def test_of_all(self, count: int, handle: str) -> None:
        """
        Any count and handle return the right page, or are refused.
        """
        self.assert_page([], sorted([*self.IDS, self.model_id]), count, handle)

    @hostile()
    @given(st.lists(st.sampled_from(IDS), min_size=1, max_size=9), COUNTS, HANDLES)
    def test_of_those_asked_for(self, asked: list[str], count: int, handle: str) -> None:
        """
        The same holds for named models, in the order of the request, also with duplicates.
        """
        self.assert_page(asked, asked, count, handle)


class VersionPagePropertyTests(HostileCase):
    """
    Selectors, and pages of versions.
    """

    LAST = 5

    def setUp(self) -> None:
        """
        Make the versions.
        """
        super().setUp()
        for number in range(1, self.LAST + 1):
            self.client.create(self.model_id, b"data of %d" % number)

    def number(self, selector: int) -> int | None:
        """
        Return the number that a selector means; ``None`` if it means none.
        """
        if -self.LAST <= selector < 0:
            return self.LAST + 1 + selector
        return selector if 1 <= selector <= self.LAST else None

    @hostile(150)
    @given(SELECTORS)
    def test_any_selector(self, selector: int) -> None:
        """
        Any selector returns the right version, or is NOT_FOUND.
        """
        number = self.number(selector)
        for call in (
            lambda: self.client.data(self.model_id, selector),
            lambda: self.client.infos(self.model_id, selector),
        ):
            self.assertEqual(self.ended(call)[0], NOT_FOUND if number is None else OK, selector)
        if number is not None:
            data = b"data of %d" % number
            self.assertEqual(self.client.data(self.model_id, selector), data)
            reply = self.client.infos(self.model_id, selector)
            self.assertEqual([info.data_hash for info in reply.version_infos], [data_hash(data)])
            self.assertEqual(reply.next_version_handle, str(number + 1))

    @hostile(150)
    @given(COUNTS, HANDLES)
    def test_any_page(self, count: int, handle: str) -> None:
        """
        Any count and handle return the right page, or are refused.
        """
        code, reply = self.ended(lambda: self.client.infos(self.model_id, count=count, handle=handle))
        start = decimal(handle)
        self.assertEqual(code, INVALID if start is None else OK, handle)
        if start is not None:
            page = list(range(max(start, 1), self.LAST + 1))[: count or None]
            self.assertEqual([info.version_number for info in reply.version_infos], page)
            self.assertEqual(reply.next_version_handle, str(page[-1] + 1) if page else handle or "0")

    @hostile(150)
    @given(st.lists(st.integers(-6, 6) | SELECTORS, min_size=1, max_size=6), COUNTS, HANDLES)
    def test_any_list(self, selectors: list[int], count: int, handle: str) -> None:
        """
        Any list of selectors gives those versions, in pages where a count is given; one unknown is NOT_FOUND, and a bad
        handle is refused.
        """
        numbers = [self.number(selector) for selector in selectors]
        start = listed(handle)
        expected = INVALID if start is None else NOT_FOUND if None in numbers else OK
        code, reply = self.ended(lambda: self.client.infos(self.model_id, *selectors, count=count, handle=handle))
        self.assertEqual(code, expected)
        if reply is not None and start is not None:
            page = numbers[start : start + count] if count else numbers[start:]
            self.assertEqual([info.version_number for info in reply.version_infos], page)
            if not count:
                self.assertEqual(reply.next_version_handle, str((page[-1] or 0) + 1) if page else handle or "0")
