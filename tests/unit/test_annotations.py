"""
Labels and metrics of versions.
"""

from math import inf, nan

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToJson, Parse
from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.annotations import Annotations, AnnotationUpdate, check_annotations
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.masks import decode_key, encode_key

keys = st.sampled_from(["a", "b", "c.d", "e f"])
annotations = st.builds(
    Annotations,
    st.dictionaries(keys, st.text("xyz", max_size=2)),
    st.dictionaries(keys, st.floats(allow_nan=False)),
)
paths = st.lists(
    st.sampled_from(["labels", "metrics", "*"]) | keys.map("labels.{}".format) | keys.map("metrics.{}".format)
)


class LimitTests(SynchronousTestCase):
    """
    Which labels and metrics are allowed.
    """

    def test_allowed(self) -> None:
        """
        Keys are any text, labels may be empty, and metrics infinite.
        """
        found = Annotations(
            {"env": "", "\u00e9 a/b": "\n", "k" * 128: "v" * 4096}, {"loss": inf, "-": -inf, "zero": -0.0}
        )
        self.assertIs(check_annotations(found), found)
        check_annotations(Annotations({str(each): "" for each in range(256)}, {str(each): 0 for each in range(256)}))

    def test_refused(self) -> None:
        """
        NaN, and keys, values and numbers of pairs beyond the limits are refused, with the limit.
        """
        for found, said in (
            (Annotations({}, {"loss": nan}), "'loss' is NaN"),
            (Annotations({"": "x"}), "1 to 128 bytes"),
            (Annotations({}, {"\u00e9" * 65: 1.0}), "has 130"),
            (Annotations({"a\n": "x"}), "control character"),
            (Annotations({"a": "x" * 4097}), "at most 4096"),
            (Annotations({"\udcff": "x"}), "not Unicode"),
            (Annotations({"a": "\udcff"}), "not Unicode"),
            (Annotations({str(each): "" for each in range(257)}), "256 labels"),
            (Annotations({}, {str(each): 0.0 for each in range(257)}), "256 metrics"),
            (Annotations({str(each): "x" * 4096 for each in range(16)}), "at most 65536"),
        ):
            self.assertIn(said, str(self.assertRaises(InvalidRequest, check_annotations, found)))


class UpdateTests(SynchronousTestCase):
    """
    Updates by a field mask.
    """

    present = Annotations({"env": "walker", "seed": "1"}, {"return": 1.0, "loss": 2.0})

    def updated(self, given: Annotations, *mask: str) -> Annotations:
        """
        Return the result of an update.
        """
        return AnnotationUpdate.from_mask(given, mask).apply(self.present)

    def test_without_a_mask(self) -> None:
        """
        Without a mask the given keys are set, and the others stay.
        """
        self.assertEqual(
            self.updated(Annotations({"env": "hopper"}, {"score": 3.0})),
            Annotations({"env": "hopper", "seed": "1"}, {"return": 1.0, "loss": 2.0, "score": 3.0}),
        )

    def test_whole_maps(self) -> None:
        """
        A map in the mask is replaced, also by nothing; * is both.
        """
        given = Annotations({"env": "hopper"}, {})
        self.assertEqual(self.updated(given, "labels"), Annotations({"env": "hopper"}, self.present.metrics))
        self.assertEqual(self.updated(given, "metrics"), Annotations(self.present.labels, {}))
        self.assertEqual(self.updated(given, "*"), given)
        self.assertEqual(
            self.updated(given, "labels", "labels.seed"), Annotations({"env": "hopper"}, self.present.metrics)
        )

    def test_keys(self) -> None:
        """
        A key in the mask is set, or removed if it has no new value; the rest of what is given is ignored.
        """
        given = Annotations({"env": "hopper", "ignored": "x"}, {"return": 5.0})
        self.assertEqual(
            self.updated(given, "labels.env", "labels.seed", "metrics.loss"),
            Annotations({"env": "hopper"}, {"return": 1.0}),
        )

    def test_keys_with_dots(self) -> None:
        """
        The key is all that follows the first dot, and may be in backquotes.
        """
        given = Annotations({"a.b": "1", "c d": "2"}, {"eval.return": 3.0})
        updated = AnnotationUpdate.from_mask(given, ["labels.a.b", "labels.`c d`", "metrics.eval.return"])
        self.assertEqual(updated.apply(), given)

    def test_encoded_keys(self) -> None:
        """
        In backquotes, a percent sign and two digits are a byte of UTF-8; elsewhere the percent sign is one.
        """
        given = Annotations({"a_B": "1", "%41": "2", "50%": "3"})
        paths = ["labels.`a%5f%42`", "labels.%41", "labels.`50%`"]
        self.assertEqual(AnnotationUpdate.from_mask(given, paths).apply(), given)
        self.assertRaises(InvalidRequest, AnnotationUpdate.from_mask, given, ["labels.`%ff`"])

    @given(st.text(min_size=1))
    def test_every_key(self, key: str) -> None:
        """
        Every key can be written so that it is read again, and JSON changes nothing in it.
        """
        text = encode_key(key)
        self.assertEqual(decode_key(text), key)
        path = f"labels.{text}"
        self.assertEqual(list(Parse(MessageToJson(FieldMask(paths=[path])), FieldMask()).paths), [path])

    def test_other_paths(self) -> None:
        """
        Other paths are refused by name.
        """
        for path in ("number", "", "labels.", "metadata.env", "label.env", ".labels"):
            error = self.assertRaises(InvalidRequest, AnnotationUpdate.from_mask, Annotations(), [path])
            self.assertIn(f"{path!r}; only labels", str(error))
        self.assertRaises(InvalidRequest, AnnotationUpdate.from_mask, Annotations(), ["labels.a"] * 1025)

    def test_the_result_is_checked(self) -> None:
        """
        Limits hold for the result; an update that removes enough succeeds.
        """
        full = Annotations({str(each): "" for each in range(256)})
        update = AnnotationUpdate.from_mask(Annotations({"new": "x"}), ["labels.new"])
        self.assertRaises(InvalidRequest, update.apply, full)
        update = AnnotationUpdate.from_mask(Annotations({"new": "x"}), ["labels.new", "labels.0"])
        self.assertEqual(len(update.apply(full).labels), 256)

    def test_it_may_replace_all(self) -> None:
        """
        An update knows whether its result depends on what is there.
        """
        for mask, expected in ((["*"], True), (["labels", "metrics"], True), (["labels"], False), ([], False)):
            self.assertIs(AnnotationUpdate.from_mask(Annotations(), mask).replaces_all, expected)

    @given(annotations, annotations, paths)
    @settings(deadline=None)
    def test_model(self, present: Annotations, given: Annotations, mask: list[str]) -> None:
        """
        After any update, each key has the new value if the mask covers it, and the present one otherwise.
        """
        result = AnnotationUpdate.from_mask(given, mask).apply(present)
        for name in ("labels", "metrics"):
            before, new, after = (getattr(each, name) for each in (present, given, result))
            for key in ("a", "b", "c.d", "e f"):
                is_covered = not {"*", name, f"{name}.{key}"}.isdisjoint(mask) or (not mask and key in new)
                self.assertEqual(after.get(key), new.get(key) if is_covered else before.get(key))
        self.assertEqual(AnnotationUpdate.from_mask(given, mask).apply(result), result)
