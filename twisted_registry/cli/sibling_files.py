"""
Warnings about files next to a pushed file that may belong to the same model: a version is one file.

Only the names of the files are examined, not their contents.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

_MAX_ENTRIES = 10_000
"""How many names in the file's directory are examined."""

_SHARD = re.compile(r"-[0-9]{2,}-of-(?P<count>[0-9]{2,})(?=\.|$)")
"""The end of a name such as ``model-00001-of-00003.safetensors``."""

_SIBLINGS = (
    (re.compile(r"(?P<stem>.*)\.onnx"), r"{stem}\.onnx[._]data(_\d+)?|{stem}\.data|weights\.pb"),
    (re.compile(r"saved_model\.pb(txt)?"), r"variables|assets"),
    (re.compile(r"(?P<stem>.*)\.(index|meta)"), r"{stem}\.(data-\d+-of-\d+|index)"),
    (re.compile(r"(?P<stem>.*)\.data-\d+-of-\d+"), r"{stem}\.index"),
    (re.compile(r"(?P<stem>.*)\.(xml|param)"), r"{stem}\.bin"),
    (re.compile(r"(?P<stem>.*)\.pdmodel"), r"{stem}\.pdiparams"),
)
"""A file's name, and the names of files that belong to it: ONNX, TensorFlow, OpenVINO and ncnn, Paddle."""


def warnings(path: Path) -> Iterator[str]:
    """
    Return warnings about files that are not part of the version if a file is pushed, one for each kind.
    """
    shard = _SHARD.search(path.name)
    if shard and int(shard["count"]) > 1:
        yield f"{path.name} is one of {int(shard['count'])} parts, and the other parts are not pushed"
    if path.name.endswith(".index.json"):
        yield f"{path.name} lists the parts of a model, and the parts are not pushed"
    siblings = sorted(_siblings(path))
    if siblings:
        names = ", ".join(siblings[:3]) + (f" and {len(siblings) - 3} more" if len(siblings) > 3 else "")
        pushed = "is not pushed" if len(siblings) == 1 else "are not pushed"
        yield f"{names} next to {path.name} may belong to the same model, and {pushed}"


def _siblings(path: Path) -> set[str]:
    patterns = [
        re.compile(siblings.format(stem=re.escape(match.groupdict().get("stem") or "")))
        for name, siblings in _SIBLINGS
        if (match := name.fullmatch(path.name))
    ]
    found = set()
    # A directory that cannot be listed is not worth an error.
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in islice(entries, _MAX_ENTRIES if patterns else 0):
            if entry.name != path.name and any(pattern.fullmatch(entry.name) for pattern in patterns):
                found.add(entry.name)
    return found
