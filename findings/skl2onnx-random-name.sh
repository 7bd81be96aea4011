#!/usr/bin/env bash
#
# skl2onnx 1.20.0: convert_sklearn() gives other bytes at each call, and to_onnx() does not.
#
# Of the two ways to convert a fitted model, convert_sklearn() calls the graph by a new random name each time where none
# is given; to_onnx() calls it by its class. Five conversions of one model gave five files of one size, and one.
#
# Why it matters: a job that converts an unchanged model and publishes it where its SHA-256 is new publishes each time.
# Give convert_sklearn() a name, or use to_onnx().
#
# Seen:
#     convert_sklearn: 5 distinct of 5 files, 1 size; with a name: 1; to_onnx: 1

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install \
    skl2onnx==1.20.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression

features = numpy.random.default_rng(0).normal(size=(100, 4)).astype(numpy.float32)
model = LogisticRegression().fit(features, (features[:, 0] > 0).astype(int))
types = [("x", FloatTensorType([None, 4]))]
unnamed = [convert_sklearn(model, initial_types=types).SerializeToString() for _ in range(5)]
named = {convert_sklearn(model, "m", initial_types=types).SerializeToString() for _ in range(5)}
other = {to_onnx(model, features).SerializeToString() for _ in range(5)}
print(f"convert_sklearn: {len(set(unnamed))} distinct of 5 files, {len(set(map(len, unnamed)))} size;", end=" ")
print(f"with a name: {len(named)}; to_onnx: {len(other)}")
assert len(set(unnamed)) > 1, "the bytes were seen to differ"
assert len(named) == len(other) == 1
PYTHON
