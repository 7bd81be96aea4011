"""
References to models and versions.
"""

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.aliases import RESERVED
from twisted_registry.domain.errors import InvalidModelId, InvalidRequest, RegistryError, UnknownAlias
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


ids = st.one_of(st.text(max_size=60), st.text(alphabet="a@-3v%2405", max_size=12)).filter(is_allowed)
numbers = st.integers(-MAX_VERSION_NUMBER, MAX_VERSION_NUMBER).filter(bool)
aliases = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,127}\Z").filter(lambda name: not RESERVED.fullmatch(name))
references = st.one_of(
    st.builds(Reference, ids), st.builds(Reference, ids, numbers), st.builds(Reference, ids, st.none(), aliases)
)


class ReferenceTests(SynchronousTestCase):
    """
    References as people and programs write them.
    """

    def test_examples(self) -> None:
        """
        The last @ separates the version from the model's id.
        """
        for text, expected in {
            "walker": Reference("walker"),
            "walker@3": Reference("walker", 3),
            "walker@-1": Reference("walker", -1),
            "walker@v3": Reference("walker", 3),
            "walker@latest": Reference("walker", -1),
            "walker@003": Reference("walker", 3),
            "walker@production": Reference("walker", alias="production"),
            "walker@Best-of_3": Reference("walker", alias="Best-of_3"),
            "walker@v-3": Reference("walker", alias="v-3"),
            "walker@v3x": Reference("walker", alias="v3x"),
            "walker@latest-1": Reference("walker", alias="latest-1"),
            "two\u2028lines@7": Reference("two\u2028lines", 7),
        }.items():
            self.assertEqual(Reference.parse(text), expected, text)

    def test_ids_with_an_at_sign(self) -> None:
        """
        %40 is an @ of the id, %25 a %, and any other % is itself.
        """
        for text, expected in {
            "team%40eu": Reference("team@eu"),
            "team%40eu@3": Reference("team@eu", 3),
            "%40": Reference("@"),
            "50%": Reference("50%"),
            "50%20@1": Reference("50%20", 1),
            "a%2540": Reference("a%40"),
            "a%252540": Reference("a%2540"),
        }.items():
            self.assertEqual(Reference.parse(text), expected, text)
            self.assertEqual(str(expected), text)

    def test_numbers_out_of_range(self) -> None:
        """
        Version 0 and numbers that the wire format cannot represent are refused.
        """
        for text in ("walker@0", "walker@-0", "walker@v0", f"walker@{2**31}", f"walker@{'9' * 5000}"):
            error = self.assertRaises(InvalidRequest, Reference.parse, text)
            self.assertLess(len(str(error)), 200)

    def test_ids_that_do_not_exist(self) -> None:
        """
        Ids that no model may have are refused, also if they are encoded.
        """
        for text in ("", "@3", "@production", "a\nb", "a\nb@3", "x" * 201, "\udcff"):
            self.assertRaises(InvalidModelId, Reference.parse, text)
        self.assertEqual(len(Reference.parse("%40" * 200).model_id), 200)

    def test_neither_number_nor_alias(self) -> None:
        """
        Other text after the last @ is refused, and the error shows how to write the id that may have been meant.
        """
        for text, said in {
            "team@3@": "team%403%40'",
            "walker@": "no version follows the last @",
            "walker@--1": "'--1' after the last @ is not a number, latest or an alias",
            "walker@-": "'walker%40-'",
            "a@b c": "'a%40b c'",
            "walker@\u0663": "walker%40",
            f"walker@{'a' * 129}": "after the last @",
            f"walker@{'?' * 5000}": "(5009 characters)",
        }.items():
            error = self.assertRaises(InvalidRequest, Reference.parse, text)
            self.assertIn(said, str(error))
            self.assertLess(len(str(error)), 400)

    def test_reserved_in_another_case(self) -> None:
        """
        LATEST and V3 are not aliases, and the error shows what to write.
        """
        for text, said in {"walker@LATEST": "'latest'", "walker@V3": "'v3'"}.items():
            self.assertIn(said, str(self.assertRaises(InvalidRequest, Reference.parse, text)))

    def test_kinds(self) -> None:
        """
        A reference names a model, a version by number or a version by alias.
        """
        self.assertEqual([Reference("m").is_model, Reference("m").version], [True, -1])
        self.assertEqual([Reference("m", 3).is_model, Reference("m", 3).version], [False, 3])
        self.assertFalse(Reference("m", alias="a").is_model)
        error = self.assertRaises(UnknownAlias, lambda: Reference("m", alias="a").version)
        self.assertEqual((error.model_id, error.alias), ("m", "a"))

    @given(references)
    @settings(deadline=None)
    def test_written_and_read(self, reference: Reference) -> None:
        """
        Parsing the text of a reference returns the same reference, whatever the id.
        """
        self.assertEqual(Reference.parse(str(reference)), reference)

    @given(st.one_of(st.text(max_size=20), st.text(alphabet="a@-3v%2405", max_size=12)))
    @settings(deadline=None)
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
