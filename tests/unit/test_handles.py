"""
Facts about handles.
"""

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.rpc.handles import PAST_ALL, format_listed, parse_decimal, parse_listed


class HandleTests(SynchronousTestCase):
    """
    Handles are read strictly, and never crash who reads them.
    """

    def test_decimals(self) -> None:
        """
        A handle is a decimal; none at all begins.
        """
        self.assertEqual([parse_decimal(handle) for handle in ("", "0", "7", "007", "100000")], [0, 0, 7, 7, 100000])

    def test_immense_decimals_are_past_all(self) -> None:
        """
        More digits than Python reads into a number are a handle past the end, not an error.
        """
        self.assertEqual(parse_decimal("9" * 10_000), PAST_ALL)
        self.assertEqual(parse_decimal("0" * 10_000 + "12"), 12)

    def test_listed_handles_are_read_back(self) -> None:
        """
        What was given is taken; none at all, or 0, begins.
        """
        self.assertEqual([parse_listed(handle) for handle in ("", "0", format_listed(3))], [0, 0, 3])

    def test_decimals_do_not_continue_a_list(self) -> None:
        """
        A number to go on with is no offset into a list.
        """
        self.assertRaises(InvalidRequest, parse_listed, "7")

    @settings(deadline=None)
    @given(st.text())
    def test_any_text_is_read_or_refused(self, handle: str) -> None:
        """
        Every text is either a handle of ASCII digits or an invalid request.
        """
        decimal = handle == "" or (handle.isascii() and handle.isdigit())
        if decimal:
            self.assertGreaterEqual(parse_decimal(handle), 0)
        else:
            self.assertRaises(InvalidRequest, parse_decimal, handle)
            self.assertRaises(InvalidRequest, parse_listed, handle)
