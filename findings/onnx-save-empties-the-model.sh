#!/usr/bin/env bash
#
# onnx 1.23.2: save_model(..., save_as_external_data=True) takes the weights out of the model in memory.
#
# It moves the tensors to the file and leaves their names and offsets in the object that it was given. Afterwards
# SerializeToString() gives 141 bytes instead of 400,086, a second save_model() without the flag writes these 141 bytes,
# and checker.check_model() finds nothing wrong.
#
# Why it matters: a trainer that saves a checkpoint and then publishes the same object publishes a model without
# weights, and a check on its own machine passes. Publish before saving, or save a copy.
#
# Seen:
#     before: 400086 bytes; after: 141 bytes; saved once more: 141 bytes; check_model passes

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import os

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

count = 100_000
weights = numpy_helper.from_array(numpy.ones(count, numpy.float32), "w")
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [count]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)

before = len(model.SerializeToString())
onnx.save_model(model, "model.onnx", save_as_external_data=True, location="model.onnx.data")
after = len(model.SerializeToString())
onnx.save_model(model, "again.onnx")
again = os.path.getsize("again.onnx")
onnx.checker.check_model(model)
print(f"before: {before} bytes; after: {after} bytes; saved once more: {again} bytes; check_model passes")
assert before > 4 * count > 1000 > after == again, "the weights were seen to be gone"
PYTHON
