"""
Tests of the messages of ``twisted_registry.v1`` in JSON, and of docs/reference/json.md.
"""

import json
import re
from math import inf
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message_factory import GetMessageClass
from twisted.trial.unittest import SynchronousTestCase

from tests.support.json_samples import SAMPLES, message_types, path_of, samples_of, text_of
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.models import ModelInfo
from twisted_registry.protocol.messages import v1
from twisted_registry.rpc.services.registry_v1 import codec

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"


class SampleTests(SynchronousTestCase):
    """
    Every message has samples, and these are what JSON makes of it.
    """

    def test_all_messages(self) -> None:
        """
        There is a file for each message, and none for others.
        """
        self.assertEqual({path.stem for path in SAMPLES.iterdir()}, set(message_types()))

    def test_there(self) -> None:
        """
        The samples are what the messages become.  If that changes, clients break.
        """
        for name, descriptor in message_types().items():
            self.assertEqual(path_of(name).read_text(encoding="utf-8"), text_of(descriptor), name)

    def test_and_back(self) -> None:
        """
        The samples become the messages again, and have all of their fields.
        """
        for name, descriptor in message_types().items():
            found: set[str] = set()
            samples = json.loads(path_of(name).read_text(encoding="utf-8"))
            for sample, expected in zip(samples, samples_of(descriptor), strict=True):
                message = ParseDict(sample, GetMessageClass(descriptor)())
                self.assertEqual(message, expected, name)
                found.update(field.name for field, _ in message.ListFields())
            self.assertEqual(found, {field.name for field in descriptor.fields}, name)

    def test_names_of_the_definition(self) -> None:
        """
        The names of the fields as the definition has them are accepted as well.
        """
        for name, descriptor in message_types().items():
            for expected in samples_of(descriptor):
                given = MessageToDict(expected, preserving_proto_field_name=True)
                self.assertEqual(ParseDict(given, GetMessageClass(descriptor)()), expected, name)

    def test_absent(self) -> None:
        """
        Fields without a value are left out.
        """
        for descriptor in message_types().values():
            self.assertEqual(MessageToDict(GetMessageClass(descriptor)()), {})


class FactTests(SynchronousTestCase):
    """
    The facts that the page states.
    """

    def test_page(self) -> None:
        """
        The page shows the sample of a version.
        """
        (shown,) = re.findall(r"```json version\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        (sample,) = json.loads(path_of("Version").read_text(encoding="utf-8"))
        self.assertEqual(json.loads(shown), sample)

    def test_numbers(self) -> None:
        """
        64-bit integers are text, also accepted as numbers; an infinite metric is text.
        """
        version: Any = v1.Version(number=7, size_bytes=2**63, metrics={"a": inf, "b": -inf, "c": 2.0})
        given = {"number": 7, "sizeBytes": str(2**63), "metrics": {"a": "Infinity", "b": "-Infinity", "c": 2.0}}
        self.assertEqual(MessageToDict(version), given)
        self.assertEqual(ParseDict(given | {"sizeBytes": 2**63}, v1.Version()), version)

    def test_bytes(self) -> None:
        """
        Bytes are standard base64, and both alphabets are accepted.
        """
        version: Any = v1.Version(sha256=b"\xfb\xff")
        self.assertEqual(MessageToDict(version), {"sha256": "+/8="})
        self.assertEqual(ParseDict({"sha256": "-_8"}, v1.Version()), version)

    def test_times(self) -> None:
        """
        Times are in UTC, with none, three, six or nine digits after the second; any zone is accepted.
        """
        for nanos, text in ((0, "00Z"), (5 * 10**8, "00.500Z"), (123_456_000, "00.123456Z"), (1, "00.000000001Z")):
            version: Any = v1.Version(create_time={"seconds": 0, "nanos": nanos})
            self.assertEqual(MessageToDict(version), {"createTime": f"1970-01-01T00:00:{text}"})
        ParseDict({"createTime": "1970-01-01T02:00:00.000000001+02:00"}, parsed := v1.Version())
        self.assertEqual(parsed, version)

    def test_unknown_fields(self) -> None:
        """
        A field that does not exist is refused.
        """
        self.assertRaises(ParseError, ParseDict, {"modelID": "m"}, v1.Version())


class MaskTests(SynchronousTestCase):
    """
    Changes of labels and metrics by JSON.
    """

    def update(self, given: dict[str, Any]) -> dict[str, Any]:
        """
        Return the labels and metrics of a version that has some already, after an update.
        """
        request = ParseDict(given, v1.UpdateVersionRequest())
        present = Annotations({"Env": "a", "_env": "b"}, {"my_return": 1.0, "myReturn": 2.0})
        changed = codec.annotations_update(request).apply(present)
        return {**changed.labels, **changed.metrics}

    def test_without_a_mask(self) -> None:
        """
        Without a mask the given keys are set, whatever their names are.
        """
        given = {"version": {"labels": {"Env": "x"}, "metrics": {"my_return": 3, "a,b": 4}}}
        expected = {"Env": "x", "_env": "b", "my_return": 3.0, "myReturn": 2.0, "a,b": 4.0}
        self.assertEqual(self.update(given), expected)

    def test_whole_fields(self) -> None:
        """
        A mask of whole fields replaces these.
        """
        given = {"version": {"labels": {"Env": "x"}}, "updateMask": "labels"}
        self.assertEqual(self.update(given), {"Env": "x", "my_return": 1.0, "myReturn": 2.0})
        self.assertEqual(self.update({"updateMask": "labels,metrics"}), {})

    def test_encoded_keys(self) -> None:
        """
        Encoded keys name one key, to set it or to remove it.
        """
        given = {"version": {"metrics": {"my_return": 3}}, "updateMask": "metrics.`my%5freturn`,labels.`%45nv`"}
        self.assertEqual(self.update(given), {"_env": "b", "my_return": 3.0, "myReturn": 2.0})

    def test_models(self) -> None:
        """
        The metadata of models is changed in the same ways.
        """
        given = {"model": {"modelId": "m", "metadata": {"A_b": "x"}}, "updateMask": "metadata.`%41%5fb`,metadata.`%43`"}
        update = codec.model_update(ParseDict(given, v1.UpdateModelRequest()))
        changed = update.apply(ModelInfo("m", {"a": "1", "A_b": "2", "C": "3"}))
        self.assertEqual(changed.metadata, {"a": "1", "A_b": "x"})

    def test_plain_keys(self) -> None:
        """
        Other keys with capitals are changed by JSON, and those with underscores are refused.
        """
        self.assertNotIn("_env", self.update({"updateMask": "labels.Env"}))
        self.assertRaises(ParseError, self.update, {"updateMask": "metrics.my_return"})
