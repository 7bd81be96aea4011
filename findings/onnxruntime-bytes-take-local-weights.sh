#!/usr/bin/env bash
#
# onnxruntime 1.32.0: a session made from bytes takes external weights from the process' working directory.
#
# A model whose weights are in a file beside it names that file. InferenceSession(bytes) looks for the name in the
# current directory. Where a file of that name and size lies there, such as that of another version, its weights are
# used, and nothing is said: the graph has no hash of them. Where there is none it is an error.
#
# Why it matters: an actor that fetches the .onnx of version 2 and still has model.onnx.data of version 1 in its
# directory acts with version 1, and says 2. Publish one file with the weights inside, or an archive of both.
#
# Seen:
#     graph of version 2, weights of version 1 in the directory: the session computes with version 1
#     no weights in the directory: Fail

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
mkdir version1 version2 actor empty
venv/bin/python - <<'PYTHON'
import os
import shutil

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

count = 1000


def save(version):
    weights = numpy_helper.from_array(numpy.full(count, version, numpy.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [count]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = f"version{version}/model.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)


def compute(graph):
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return float(session.run(None, {"x": numpy.zeros(count, numpy.float32)})[0][0])


save(1)
save(2)
with open("version2/model.onnx", "rb") as file:
    fetched = file.read()
shutil.copy("version1/model.onnx.data", "actor")
os.chdir("actor")
computed = compute(fetched)
print(f"graph of version 2, weights of version 1 in the directory: the session computes with version {computed:.0f}")
os.chdir("../empty")
try:
    compute(fetched)
except Exception as error:
    refused = type(error).__name__
    print(f"no weights in the directory: {refused}")
assert computed == 1, "the weights of the working directory were seen to be used"
assert refused
PYTHON
