"""
The YAML files of the archive.
"""

import time

from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.metadata import dump_model, dump_version, parse_model, parse_version

_HASH = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
_TIMEOUT_SECONDS = 5

SEEDS = [
    dump_model(ModelInfo("m", {"a": "=", "b": "<<", "": "\x85\x00"})),
    dump_version(VersionInfo("m", 2, 2**64 - 1, False, _HASH, 2**63, {"n": "1"})),
    b"a: &a [x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nuser_data: {a: *c}\n",
    b"user_data: " + b"[" * 500,
    b"user_data: " + b"{a: " * 500,
    b"? " * 1000,
    b"- " * 1000,
    b"!!binary x: !!python/object:os.system {}\nuser_data: !<tag:x> {!!int 1: !!str 2}\n",
    b"data_size: " + b"9" * 4000,
    b"%YAML 1.1\n%TAG ! tag:x,2000:\n---\nmodel_id: m\n...\n---\n",
    "model_id: \ufeff\u2028\u0085\n".encode("utf-16"),
    b"user_data:\n  a: |\n    x\n   y\n  b: >-\n    z\n",
    b"\x00",
    b"\xff\xfe\xff",
    b'model_id: "\\ud800"\n',
    b"user_data: ~\n",
    b"transient: Yes\n",
]


def _check_reading(content: bytes) -> None:
    try:
        model = parse_model(content)
    except Malformed as error:
        assert error.reason and "\n" not in error.reason
    else:
        assert parse_model(dump_model(model)) == model
    try:
        version = parse_version(content, "m", 3)
    except Malformed as error:
        assert error.reason and "\n" not in error.reason
    else:
        assert (version.model_id, version.version_number) == ("m", 3)
        assert parse_version(dump_version(version), "m", 3) == version


def _check_round_trip(data: bytes) -> None:
    texts = data.decode("utf-8", "replace").split("\n")
    user_data = dict(zip(texts[::2], texts[1::2], strict=False))
    model = ModelInfo(texts[0], {**user_data, "whole": data.decode("latin-1")})
    assert parse_model(dump_model(model)) == model
    number = int.from_bytes(data[:8], "big")
    version = VersionInfo("m", 3, number, bool(number % 2), _HASH, number >> 1, user_data)
    assert parse_version(dump_version(version), "m", 3) == version


def test_one_input(data: bytes) -> None:
    """
    Any bytes are read or malformed, soon; any values are read as they were written.
    """
    started = time.process_time()
    _check_reading(data)
    _check_reading(
        b"creation_timestamp: 2021-10-01T22:10:05Z\ndata_hash: %s\ndata_size: 1\n%s" % (_HASH.encode(), data)
    )
    _check_round_trip(data)
    assert time.process_time() - started < _TIMEOUT_SECONDS
