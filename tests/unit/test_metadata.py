"""
The YAML files, to and from values.
"""

from collections.abc import Callable
from itertools import count, product

import yaml
from attrs import evolve
from hypothesis import given, settings, strategies
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.models import (
    MAX_MODEL_ID_BYTES,
    MAX_USER_DATA_BYTES,
    MAX_VERSION_NUMBER,
    ModelInfo,
    VersionInfo,
    creator,
)
from twisted_registry.protocol.messages import api
from twisted_registry.storage.filesystem import metadata as _metadata
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.plain_metadata import parse_plain
from twisted_registry.testing.samples import ODD_TEXTS, hash_of, version_info

TEXTS = strategies.text(strategies.characters(exclude_categories=["Cs"]), max_size=60) | strategies.sampled_from(
    ODD_TEXTS
)
WITH_LIBYAML = (_metadata._LOADER, _metadata._DUMPER)
WITHOUT_LIBYAML = (yaml.BaseLoader, yaml.SafeDumper)

USER_DATA = strategies.dictionaries(TEXTS, TEXTS, max_size=8)

INFO = version_info("m", 2, b"fourteen bytes", metadata={"a": "="})

WRITTEN = """\
model_id: "m"
version_number: 2
creation_timestamp: 2021-10-01T20:10:05.107454600Z
data_hash: {hash}
data_size: 14
user_data:
  "a": "="
"""


def as_much_as_is_accepted(characters: str, length: int) -> dict[str, str]:
    """
    Return metadata with as many pairs as are accepted.

    Args:
        characters: the characters of its texts.
        length: the length of each key, at least, and of each value except those of the shortest keys.
    """
    metadata: dict[str, str] = {}
    size_bytes = 0
    lengths = (length,) if length > 1 else count(0)
    for key in ("".join(key) for n in lengths for key in product(characters, repeat=min(n, 16))):
        pair = {key.ljust(length if length > 1 else 0, characters[0]): characters[0] * (length if length > 1 else 0)}
        size_bytes += api.ModelInfo(user_data=pair).ByteSize()
        if size_bytes > MAX_USER_DATA_BYTES:
            break
        metadata |= pair
    return metadata


def fields(**changed: str) -> bytes:
    """
    Return the content of a version's file with some fields changed.
    """
    values = {"creation_timestamp": "2021-10-01T00:00:00Z", "data_hash": INFO.sha256, "data_size": "14", **changed}
    return "".join(f"{name}: {value}\n" for name, value in values.items()).encode()


def use(case: SynchronousTestCase, library: tuple[object, object]) -> None:
    """
    Read and write with libyaml, or without.
    """
    case.patch(_metadata, "_LOADER", library[0])
    case.patch(_metadata, "_DUMPER", library[1])


class WritingTests(SynchronousTestCase):
    """
    Values to YAML.
    """

    def test_version(self) -> None:
        """
        A version's file has the documented form.
        """
        self.assertEqual(_metadata.dump_version(INFO).decode(), WRITTEN.format(hash=INFO.sha256))

    def test_not_archived(self) -> None:
        """
        The field ``transient`` is only written for a version that is not archived.
        """
        lines = _metadata.dump_version(evolve(INFO, archived=False, metadata={})).decode().splitlines()
        self.assertEqual(lines[-2:], ["user_data: {}", "transient: true"])

    def test_creator(self) -> None:
        """
        A version's creator is written if it is known.
        """
        lines = _metadata.dump_version(evolve(INFO, metadata={}, created_by="token:ci")).decode().splitlines()
        self.assertEqual(lines[-2:], ["user_data: {}", 'created_by: "token:ci"'])

    def test_model(self) -> None:
        """
        Text that people choose is quoted, sorted, in ASCII and not folded.
        """
        written = _metadata.dump_model(ModelInfo("\u00e9", {"b": "word " * 40, "a": "\x85\u2028\U0001f600\n"}))
        expected = f'model_id: "\\xE9"\nuser_data:\n  "a": "\\N\\L\\U0001F600\\n"\n  "b": "{"word " * 40}"\n'
        self.assertEqual(written.decode("ascii"), expected)


class RoundTripTests(SynchronousTestCase):
    """
    Values to YAML and back.
    """

    @settings(deadline=None)
    @given(TEXTS, USER_DATA)
    def test_model(self, model_id: str, metadata: dict[str, str]) -> None:
        """
        A model is read as it was written.
        """
        info = ModelInfo(model_id, metadata)
        self.assertEqual(_metadata.parse_model(_metadata.dump_model(info)), info)

    @settings(deadline=None)
    @given(strategies.integers(0, 2**64 - 1), strategies.integers(0, 2**63 - 1), strategies.booleans(), USER_DATA)
    def test_version(self, created_ns: int, size_bytes: int, archived: bool, metadata: dict[str, str]) -> None:
        """
        A version is read as it was written.
        """
        info = VersionInfo("m", 7, created_ns, archived, hash_of(b""), size_bytes, metadata)
        self.assertEqual(_metadata.parse_version(_metadata.dump_version(info), "m", 7), info)

    @settings(deadline=None)
    @given(TEXTS)
    def test_creator(self, created_by: str) -> None:
        """
        So is its creator.
        """
        written = _metadata.dump_version(evolve(INFO, created_by=created_by))
        self.assertEqual(_metadata.parse_version(written, "m", 2).created_by, created_by)

    def test_largest(self) -> None:
        """
        All metadata that is accepted is written to a file that can be read: as many pairs as possible, or the longest
        texts, with the characters that take the most space in either.
        """
        most_id = "\u0100" * (MAX_MODEL_ID_BYTES // 2)
        for characters in ("\x01\x02\x1f", "ab", "\u0100\u0101", "\u0800\uffff", "\U00010000\U0010ffff", '"\\'):
            for length in (1, 130, 40_000):
                metadata = as_much_as_is_accepted(characters, length)
                info = version_info(most_id, MAX_VERSION_NUMBER, b"", archived=False, metadata=metadata)
                full = evolve(info, created_ns=2**64 - 1, size_bytes=2**63 - 1, created_by=creator("\x01" * 9999))
                written = _metadata.dump_version(full)
                self.assertLessEqual(len(written), _metadata.MAX_METADATA_BYTES)
                read = _metadata.parse_version(written, most_id, MAX_VERSION_NUMBER).metadata
                self.assertTrue(read == metadata, (characters, length))

    @settings(deadline=None)
    @given(USER_DATA)
    def test_without_libyaml(self, metadata: dict[str, str]) -> None:
        """
        Without libyaml, files are written and read with the same meaning.
        """
        info = evolve(INFO, metadata=metadata)
        use(self, WITH_LIBYAML)
        written = _metadata.dump_version(info)
        use(self, WITHOUT_LIBYAML)
        self.assertEqual(_metadata.parse_version(written, "m", 2), info)
        written = _metadata.dump_version(info)
        use(self, WITH_LIBYAML)
        self.assertEqual(_metadata.parse_version(written, "m", 2), info)


class PlainTests(SynchronousTestCase):
    """
    Version files that are read without a YAML parser.
    """

    def outcome(self, parse: Callable[[], VersionInfo]) -> object:
        """
        Return what a parser returns, or that it refuses.
        """
        try:
            return parse()
        except Malformed:
            return "malformed"

    def assert_as_yaml(self, content: bytes) -> None:
        """
        Check that a file means what it means in YAML.
        """
        in_yaml = self.outcome(lambda: _metadata.parse_version_and_claims(content, "m", 2)[0])
        self.assertEqual(self.outcome(lambda: _metadata.parse_version(content, "m", 2)), in_yaml, content)

    def test_usual(self) -> None:
        """
        A file of this registry is read so if its text is printable ASCII without quotes and backslashes.
        """
        for metadata, is_plain in (
            ({}, True),
            ({"a": "= : # {}", "": ""}, True),
            ({"a": '"'}, False),
            ({"a": "\\"}, False),
            ({"a": "\n"}, False),
            ({"é": "a"}, False),
            ({"a": "é"}, False),
            ({"k" * 200: ""}, False),
        ):
            written = _metadata.dump_version(evolve(INFO, metadata=metadata))
            self.assertEqual(parse_plain(written) is not None, is_plain, metadata)
            self.assert_as_yaml(written)
            self.assert_as_yaml(_metadata.dump_version(evolve(INFO, metadata=metadata, created_by="token:ci")))

    def test_creator(self) -> None:
        """
        A creator in plain text is read so, too.
        """
        for created_by, is_plain in (("token:ci", True), ("", True), ("é", False), ('"', False)):
            written = _metadata.dump_version(evolve(INFO, created_by=created_by))
            self.assertEqual(parse_plain(written) is not None, is_plain, created_by)
            self.assertEqual(_metadata.parse_version(written, "m", 2).created_by, created_by)

    @settings(deadline=None)
    @given(strategies.booleans(), USER_DATA)
    def test_written(self, archived: bool, metadata: dict[str, str]) -> None:
        """
        All that this registry writes means the same.
        """
        self.assert_as_yaml(_metadata.dump_version(evolve(INFO, archived=archived, metadata=metadata)))

    @settings(deadline=None, max_examples=300)
    @given(
        strategies.integers(0, 200),
        strategies.integers(0, 3),
        strategies.text(" \n\t\"\\':#-?&*!|>%@`{}[],=.019abTZ\x00\x85é", max_size=3),
    )
    def test_changed(self, start: int, length: int, text: str) -> None:
        """
        So does a file that was changed anywhere.
        """
        written = _metadata.dump_version(evolve(INFO, metadata={"a": "b", "c d": "e: f"}, created_by="token:ci"))
        start = min(start, len(written))
        self.assert_as_yaml(written[:start] + text.encode() + written[start + length :])

    def test_large(self) -> None:
        """
        A long file is left to YAML.
        """
        written = _metadata.dump_version(evolve(INFO, metadata={"a": "b" * 70_000}))
        self.assertIsNone(parse_plain(written))
        self.assert_as_yaml(written)


class ReadingTests(SynchronousTestCase):
    """
    YAML to values.
    """

    def metadata(self, text: str) -> dict[str, str]:
        """
        Return a model's metadata.
        """
        return dict(_metadata.parse_model(f"model_id: m\nuser_data:{text}".encode()).metadata)

    def test_text(self) -> None:
        """
        Everything is read as text, whatever a YAML library would make of it.
        """
        texts = ["=", "<<", "1", "1e3", "0x1F", "~", "null", "y", "on", "2021-10-01", "!!str 1", "'it''s'"]
        for text in texts:
            self.assertEqual(
                self.metadata(f"\n  k: {text}"), {"k": text.removeprefix("!!str ").replace("'it''s'", "it's")}
            )
            self.assertEqual(self.metadata(f"\n  ? {text}\n  : v\n").popitem()[1], "v")
        self.assertEqual(self.metadata("\n  <<: a\n  =: b\n"), {"<<": "a", "=": "b"})

    def test_no_user_data(self) -> None:
        """
        Metadata that is empty, null or missing is read as empty.
        """
        for text in ("", " {}", " ~", " null", "\n"):
            self.assertEqual(self.metadata(text), {})
        self.assertEqual(_metadata.parse_model(b"model_id: m\n"), ModelInfo("m"))

    def test_later_fields(self) -> None:
        """
        Unknown fields are ignored, whatever they hold.
        """
        written = fields(later="[1, {a: [b]}]", also="{}", last="{a: {b: c}}")
        self.assertEqual(_metadata.parse_version(written, "m", 2).size_bytes, 14)

    def test_names_decide(self) -> None:
        """
        Id and number in the file are not used.
        """
        info = _metadata.parse_version(fields(model_id="n", version_number="9"), "m", 2)
        self.assertEqual((info.model_id, info.version_number), ("m", 2))

    def test_transient(self) -> None:
        """
        A version is archived unless its file says otherwise.
        """
        for text, archived in {"true": False, "True": False, "yes": False, "false": True, "": True, "no": True}.items():
            self.assertEqual(_metadata.parse_version(fields(transient=text), "m", 2).archived, archived)


class DamageTests(SynchronousTestCase):
    """
    Invalid YAML, and YAML that is not that of a version.
    """

    def reason(self, written: bytes) -> str:
        """
        Return the reason for which a file is damaged.
        """
        error: Malformed = self.assertRaises(Malformed, _metadata.parse_version, written, "m", 2)
        self.assertNotIn("\n", error.reason)
        return error.reason

    def test_fields(self) -> None:
        """
        Each field that is missing or wrong is named.
        """
        for name, values in {
            "creation_timestamp": ["", "soon", "2021-10-01", "2021-10-01T00:00:00", "2021-02-30T00:00:00Z", "~", "[]"],
            "data_hash": ["", "abc", "====", "{}", hash_of(b"")[:-1], hash_of(b"").replace("=", "\u00e9"), "AA=="],
            "data_size": ["", "-1", "1.0", "0x1F", "1_0", "\u0661", "[1]", "9" * 5000, "many"],
            "transient": ["perhaps", "[]", "2"],
            "user_data": ["text", "[a]", "[{a: b}]"],
        }.items():
            for value in values:
                self.assertIn(name, self.reason(fields(**{name: value})))

    def test_missing_fields(self) -> None:
        """
        All fields are required, except the metadata.
        """
        for name in (b"creation_timestamp", b"data_hash", b"data_size"):
            self.assertEqual(self.reason(fields().replace(name, b"x")), f"it has no {name.decode()}")

    def test_user_data(self) -> None:
        """
        Metadata must map text to text.
        """
        for value in (
            "{a: [b]}",
            "{a: {b: c}}",
            "{[a]: b}",
            "{a: *b}",
            "{a: !!binary aGVsbG8=}",
            "&a {a: *a}",
            "{a: b",
        ):
            self.reason(fields(user_data=value))

    def test_not_yaml(self) -> None:
        """
        Garbage is damage, and never another error.
        """
        garbage = [
            b"",
            b"\0",
            b"\0" * 4096,
            b"\xff\xfe",
            b"\xc3",
            b"text",
            b"- a",
            b"{",
            b"}",
            b"a: b: c",
            b"\t",
            b"# nothing",
        ]
        more = [
            b"---\n",
            b"...",
            b"a: b\n---\na: b\n",
            b"? ",
            b"*a",
            b"&a",
            b"%YAML 9.9\n---\n",
            b'a: "\\uD800"\n',
            b'a: "\\U00110000"',
        ]
        surrogates = b"\xed\xa0\x80: a"
        for written in (*garbage, *more, surrogates, fields() + b"---\n", fields() + b"]"):
            for library in (WITH_LIBYAML, WITHOUT_LIBYAML):
                use(self, library)
                self.reason(written)

    def test_nested(self) -> None:
        """
        Deeply nested brackets are damage, and are detected at once.
        """
        for nested in (
            "[" * 10**6,
            "- " * 10**6,
            "{a: " * 10**6,
            "? " * 10**6,
            "\n" + "".join(" " * n + "a:\n" for n in range(1000)),
        ):
            self.reason(fields(x=nested))
            self.reason(fields(user_data=nested))
            self.reason(nested.encode())

    def test_more_values_than_a_client_can_store(self) -> None:
        """
        Within the size limit, as many values as a client can have stored are read, and no more, in any form.
        """
        most = MAX_USER_DATA_BYTES // 6
        pairs = "".join(f" {n}:\n" for n in range(most))
        self.assertEqual(len(_metadata.parse_model(f"user_data:\n{pairs}".encode()).metadata), most)
        for written in (
            "user_data:\n" + " a:\n" * (most + 1000),
            "x: [" + "a," * (2 * most + 1000) + "]\n",
            "x: &a [b]\ny: [" + "*a," * (2 * most + 1000) + "]\n",
            "a:\n" * (most + 1000),
        ):
            self.assertLess(len(written), _metadata.MAX_METADATA_BYTES)
            self.assertIn("more values", self.reason(written.encode()))

    def test_directives(self) -> None:
        """
        A line that begins with a directive is damage, and so is another encoding, which could hide one.
        """
        directive, rest = "%TAG !a! tag:a\n", "---\nuser_data: {}\n"
        for before in ("", "\ufeff", "# a\n", "\r", "\x85", "\u2028", "\u2029", "\n\n", "user_data: {}\n...\n"):
            self.assertIn("directive", self.reason(f"{before}{directive}{rest}".encode()))
        for encoding in ("utf-16-le", "utf-16-be"):
            self.assertIn("UTF-8", self.reason(f"\ufeff{directive}{rest}".encode(encoding)))
        metadata = {"%TAG": "%TAG !a! tag:a\n%TAG"}
        self.assertEqual(_metadata.parse_model(_metadata.dump_model(ModelInfo("m", metadata))).metadata, metadata)

    @settings(deadline=None)
    @given(
        strategies.binary(max_size=60)
        | strategies.text("ab:-?[]{}&*!|>'\"%@` \n\t\\,#~<=.0", max_size=60).map(str.encode)
    )
    def test_any_bytes(self, written: bytes) -> None:
        """
        Any bytes are either read or reported as damage.
        """
        for library in (WITH_LIBYAML, WITHOUT_LIBYAML):
            use(self, library)
            for content in (written, b"user_data:\n  " + written):
                try:
                    _metadata.parse_model(content)
                except Malformed as error:
                    self.assertTrue(error.reason)
