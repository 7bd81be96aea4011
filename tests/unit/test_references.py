"""
References to models and versions.
"""

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import InvalidModelId, InvalidRequest, RegistryError
from twisted_registry.domain.models import MAX_VERSION_NUMBER, check_model_id
from twisted_registry.domain.references import Reference


def is_allowed(text: str) -> bool:
    """
    Return whether a model may have this id.
    """
    try:
        check_model_id(text)
    except InvalidModelId:
        return False
    return True


ids = st.one_of(st.text(max_size=60), st.text(alphabet="a@-3v", max_size=8)).filter(is_allowed)
numbers = st.integers(-MAX_VERSION_NUMBER, MAX_VERSION_NUMBER).filter(bool)


class ReferenceTests(SynchronousTestCase):
    """
    References as people and programs write them.
    """

    def test_examples(self) -> None:
        """
        The last @ separates the version from the model's id, if a version or nothing follows it.
        """
        for text, expected in {
            "walker": ("walker", None),
            "walker@3": ("walker", 3),
            "walker@-1": ("walker", -1),
            "walker@v3": ("walker", 3),
            "walker@latest": ("walker", -1),
            "walker@003": ("walker", 3),
            "a@b": ("a@b", None),
            "a@b@12": ("a@b", 12),
            "team@3@": ("team@3", None),
            "team@3@-1": ("team@3", -1),
            "team@3@@-1": ("team@3@", -1),
            "@": None,
            "@3": None,
            "@3@": ("@3", None),
            "@@": ("@", None),
            "walker@v3@": ("walker@v3", None),
            "walker@latest@": ("walker@latest", None),
            "walker@V3": ("walker@V3", None),
            "walker@v-3": ("walker@v-3", None),
            "walker@production": ("walker@production", None),
            "walker@--1": ("walker@--1", None),
            "walker@-": ("walker@-", None),
            "walker@\u0663": ("walker@\u0663", None),
            "two\u2028lines@7": ("two\u2028lines", 7),
        }.items():
            if expected is None:
                self.assertRaises(InvalidModelId, Reference.parse, text)
            else:
                self.assertEqual(Reference.parse(text), Reference(*expected), text)

    def test_invalid(self) -> None:
        """
        Version 0, numbers that the wire format cannot represent, and ids that no model may have are refused.
        """
        for text in ("walker@0", "walker@-0", "walker@v0", f"walker@{2**31}", f"walker@{'9' * 5000}"):
            error = self.assertRaises(InvalidRequest, Reference.parse, text)
            self.assertLess(len(str(error)), 200)
        for text in ("", "a\nb", "x" * 201, "\udcff"):
            self.assertRaises(InvalidModelId, Reference.parse, text)

    @given(ids, st.none() | numbers)
    def test_written_and_read(self, model_id: str, selector: int | None) -> None:
        """
        Every version of every model has a reference, and parsing its text returns the same reference.
        """
        reference = Reference(model_id, selector)
        self.assertEqual(Reference.parse(str(reference)), reference)

    @given(st.text(max_size=20))
    def test_any_text(self, text: str) -> None:
        """
        Any text is a reference or is refused with a reason.
        """
        try:
            reference = Reference.parse(text)
        except RegistryError as error:
            self.assertTrue(str(error))
        else:
            self.assertEqual(Reference.parse(str(reference)), reference)
