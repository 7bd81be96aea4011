"""
Version files in the exact form that this registry gives most of them, read without a YAML parser.

libyaml with Python's events takes five times as long, which shows where the files of 100,000 versions are read.  Any
other form, even if it means the same, is left to YAML.
"""

import re

_TEXT = rb"[ !#-\[\]-~]"
"""A printable character of ASCII that YAML does not escape in double quotes."""

_PAIR = rb'  "(%b{0,100})": "(%b*)"\n' % (_TEXT, _TEXT)
_FILE = re.compile(
    rb'model_id: "(%b*)"\n'
    rb"version_number: ([0-9]{1,10})\n"
    rb"creation_timestamp: ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z)\n"
    rb"data_hash: ([A-Za-z0-9+/]{43}=)\n"
    rb"data_size: ([0-9]{1,19})\n"
    rb"user_data:(?: \{\}\n|\n((?:%b)+))"
    rb'(?:created_by: "(%b*)"\n)?' % (_TEXT, re.sub(rb"\((?!\?)", rb"(?:", _PAIR), _TEXT)
)
_PAIRS = re.compile(_PAIR)
_MAX_BYTES = 64 * 1024
"""A longer file is left to YAML: the search would hold the interpreter's lock for long."""


def parse_plain(content: bytes) -> dict[str, str | dict[str, str] | None] | None:
    """
    Return the fields of a version's file, as the YAML parser would.

    Returns:
        ``None`` if the file has another form, or is damaged.
    """
    match = _FILE.fullmatch(content) if len(content) <= _MAX_BYTES else None
    if match is None:
        return None
    model_id, number, created, sha256, size, pairs, created_by = match.groups()
    return {
        "model_id": model_id.decode("ascii"),
        "version_number": number.decode("ascii"),
        "creation_timestamp": created.decode("ascii"),
        "data_hash": sha256.decode("ascii"),
        "data_size": size.decode("ascii"),
        "user_data": {key.decode("ascii"): value.decode("ascii") for key, value in _PAIRS.findall(pairs)}
        if pairs
        else {},
        **({"created_by": created_by.decode("ascii")} if created_by is not None else {}),
    }
