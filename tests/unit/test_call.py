"""
Tests for ``twisted_registry.rpc.call``.
"""

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import FakeContext, call_on
from twisted_registry.protocol.call_metadata import request_id_in


class RequestIdTests(SynchronousTestCase):
    """
    The id under which the log names a call.
    """

    def test_of_the_client(self) -> None:
        """
        The client's id is taken.
        """
        for value in ("r", "0-9/a:z", "x" * 64):
            self.assertEqual(call_on(FakeContext(metadata=[("a", "b"), ("x-request-id", value)])).request_id, value)

    def test_unfit(self) -> None:
        """
        An id that is too long for a log line, or does not belong in one, is ignored.
        """
        for value in ("", "x" * 65, "a\nb", "a\x1b[0m", "\u202e", b"bytes"):
            self.assertEqual(request_id_in([("x-request-id", value)]), "")

    def test_made(self) -> None:
        """
        A call without an id gets one, which stays the same.
        """
        call, other = call_on(FakeContext()), call_on(FakeContext())
        self.assertRegex(call.request_id, "^[0-9a-f]{16}$")
        self.assertEqual(call.request_id, call.request_id)
        self.assertNotEqual(call.request_id, other.request_id)
