"""
Tests of handles.
"""

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.application.pagination import PAST_ALL, format_listed, parse_decimal, parse_listed
from twisted_registry.domain.errors import InvalidRequest


class HandleTests(SynchronousTestCase):
    """
    Handles are parsed strictly, and any text can be parsed.
    """

    def test_decimals(self) -> None:
        """
        A handle is a decimal; an empty one begins the list.
        """
        self.assertEqual([parse_decimal(handle) for handle in ("", "0", "7", "007", "100000")], [0, 0, 7, 7, 100000])

    def test_immense_decimals_are_past_all(self) -> None:
        """
        More digits than Python parses are a handle past the end, not an error.
        """
        self.assertEqual(parse_decimal("9" * 10_000), PAST_ALL)
        self.assertEqual(parse_decimal("0" * 10_000 + "12"), 12)

    def test_handles_of_named_versions(self) -> None:
        """
        A handle that was returned is accepted; an empty one, or 0, begins the list.
        """
        self.assertEqual([parse_listed(handle) for handle in ("", "0", format_listed(3))], [0, 0, 3])

    def test_decimals_do_not_continue_a_list(self) -> None:
        """
        The number of a version is not an offset into a list of named versions.
        """
        self.assertRaises(InvalidRequest, parse_listed, "7")

    @settings(deadline=None)
    @given(st.text())
    def test_any_text_is_parsed_or_refused(self, handle: str) -> None:
        """
        Every text is either a handle of ASCII digits or an invalid request.
        """
        decimal = handle == "" or (handle.isascii() and handle.isdigit())
        if decimal:
            self.assertGreaterEqual(parse_decimal(handle), 0)
        else:
            self.assertRaises(InvalidRequest, parse_decimal, handle)
            self.assertRaises(InvalidRequest, parse_listed, handle)
