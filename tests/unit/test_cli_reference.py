"""
How models and versions are named on the command line.
"""

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.cli.references import Reference
from twisted_registry.domain.errors import InvalidModelId
from twisted_registry.domain.models import MAX_VERSION_NUMBER, check_model_id


def is_allowed(text: str) -> bool:
    """
    Say whether a model may have this id.
    """
    try:
        check_model_id(text)
    except InvalidModelId:
        return False
    return True


ids = st.one_of(st.text(max_size=60), st.text(alphabet="a@-3", max_size=8)).filter(is_allowed)
numbers = st.integers(-MAX_VERSION_NUMBER, MAX_VERSION_NUMBER).filter(bool)


class ReferenceTests(SynchronousTestCase):
    """
    References as people write them.
    """

    def test_examples(self) -> None:
        """
        What stands behind the last @ is the version, where it is a number or nothing.
        """
        for text, expected in {
            "walker": ("walker", None),
            "walker@3": ("walker", 3),
            "walker@-1": ("walker", -1),
            "a@b": ("a@b", None),
            "a@b@12": ("a@b", 12),
            "team@3@": ("team@3", None),
            "team@3@-1": ("team@3", -1),
            "team@3@@-1": ("team@3@", -1),
            "@": None,
            "@3": None,
            "@3@": ("@3", None),
            "@@": ("@", None),
            "walker@v3": ("walker@v3", None),
            "walker@--1": ("walker@--1", None),
            "walker@-": ("walker@-", None),
            "walker@\u0663": ("walker@\u0663", None),
            "two\u2028lines@7": ("two\u2028lines", 7),
        }.items():
            if expected is None:
                self.assertRaises(ValueError, Reference.parse, text)
            else:
                self.assertEqual(Reference.parse(text), Reference(*expected), text)

    def test_nothing_is_named(self) -> None:
        """
        Version 0, numbers the wire cannot name, and ids that no model may have are refused.
        """
        for text in ("walker@0", "walker@-0", f"walker@{2**31}", "", "a\nb", "x" * 201, "\udcff"):
            self.assertRaises(ValueError, Reference.parse, text)

    @given(ids, st.none() | numbers)
    def test_written_and_read(self, model_id: str, selector: int | None) -> None:
        """
        Every version of every model can be named: what is written is read as what it was.
        """
        reference = Reference(model_id, selector)
        self.assertEqual(Reference.parse(str(reference)), reference)

    @given(st.text(max_size=20))
    def test_any_text(self, text: str) -> None:
        """
        Any text is a reference or refused with a reason, and a reference is written as it was, but for leading zeros.
        """
        try:
            reference = Reference.parse(text)
        except ValueError as error:
            self.assertTrue(str(error))
        else:
            self.assertEqual(Reference.parse(str(reference)), reference)
