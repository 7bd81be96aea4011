#!/usr/bin/env bash
# protobuf 7.36.2: a FieldMask whose paths name keys of a map does not survive the JSON mapping.
#
# Why it matters: labels and metrics of a version are maps, and their keys belong to the user.  An update by JSON can
# change another key than the one that was named, and a client cannot even print a mask with a key such as loss_1.
#
# Observed: from JSON, 'labels.Env' becomes 'labels._env' and 'metrics.meanReturn' 'metrics.mean_return', without an
# error, though both keys may exist; to JSON, 'metrics.loss_1' and 'labels.Env' raise ValueError; a comma in a key
# makes two paths of one.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" --quiet --disable-pip-version-check install protobuf==7.36.2

"$directory/venv/bin/python" - <<'PYTHON'
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToJson, Parse

for text in ("labels.Env", "metrics.meanReturn"):
    (path,) = Parse(f'"{text}"', FieldMask()).paths
    print(f"from JSON: {text} -> {path}")
    assert path == {"labels.Env": "labels._env", "metrics.meanReturn": "metrics.mean_return"}[text]

for path in ("metrics.loss_1", "labels.Env"):
    try:
        MessageToJson(FieldMask(paths=[path]))
    except ValueError as error:
        print(f"to JSON: {path}: {error}")
    else:
        raise AssertionError(f"{path} was printed")

mask = Parse(MessageToJson(FieldMask(paths=["labels.a,b"])), FieldMask())
print(f"there and back: labels.a,b -> {list(mask.paths)}")
assert list(mask.paths) == ["labels.a", "b"]
PYTHON
