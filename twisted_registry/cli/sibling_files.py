"""
Files that belong to a model beside the one that is pushed: a version is one file, and they do not travel with it.

Only names are looked at, not what is in the files.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

_MOST_LOOKED_AT = 10_000
"""Names in the file's folder."""

_SHARD = re.compile(r"-[0-9]{2,}-of-(?P<count>[0-9]{2,})(?=\.|$)")
"""As in ``model-00001-of-00003.safetensors``."""

_BESIDE = (
    (re.compile(r"(?P<stem>.*)\.onnx"), r"{stem}\.onnx[._]data(_\d+)?|{stem}\.data|weights\.pb"),
    (re.compile(r"saved_model\.pb(txt)?"), r"variables|assets"),
    (re.compile(r"(?P<stem>.*)\.(index|meta)"), r"{stem}\.(data-\d+-of-\d+|index)"),
    (re.compile(r"(?P<stem>.*)\.data-\d+-of-\d+"), r"{stem}\.index"),
    (re.compile(r"(?P<stem>.*)\.(xml|param)"), r"{stem}\.bin"),
    (re.compile(r"(?P<stem>.*)\.pdmodel"), r"{stem}\.pdiparams"),
)
"""A file's name, and the names of what belongs to it: of ONNX, TensorFlow, OpenVINO and ncnn, Paddle."""


def warnings(path: Path) -> Iterator[str]:
    """
    Return what does not travel where a file is pushed: a line for each kind.
    """
    shard = _SHARD.search(path.name)
    if shard and int(shard["count"]) > 1:
        yield f"{path.name} is one of {int(shard['count'])} parts, and the others do not travel with it"
    if path.name.endswith(".index.json"):
        yield f"{path.name} lists the parts of a model, and they do not travel with it"
    beside = sorted(_beside(path))
    if beside:
        names = ", ".join(beside[:3]) + (f" and {len(beside) - 3} more" if len(beside) > 3 else "")
        yield f"{names} beside {path.name} may belong to the same model, and does not travel with it"


def _beside(path: Path) -> set[str]:
    patterns = [
        re.compile(beside.format(stem=re.escape(match.groupdict().get("stem") or "")))
        for name, beside in _BESIDE
        if (match := name.fullmatch(path.name))
    ]
    found = set()
    # A folder that cannot be listed is not worth an error.
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in islice(entries, _MOST_LOOKED_AT if patterns else 0):
            if entry.name != path.name and any(pattern.fullmatch(entry.name) for pattern in patterns):
                found.add(entry.name)
    return found
