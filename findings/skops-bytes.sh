#!/usr/bin/env bash
#
# skops 0.16.0: skops.io.dumps gives other bytes at each call, for one object in one process.
#
# The schema in the file names each object by its address in memory, also objects that live only while it is written.
# Ten calls for one fitted LogisticRegression gave ten distinct files of one size; ten pickles of it are one.
#
# Why it matters: skops is what one takes instead of pickle to load models safely, and here an unchanged model has a new
# SHA-256 each time it is stored. Compare what was loaded, or keep the first file, and not its hash, as the proof.
#
# Seen:
#     skops: 10 distinct of 10 files, 1 size; pickle: 1 distinct of 10

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install skops==0.16.0 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import pickle

import numpy
import skops.io
from sklearn.linear_model import LogisticRegression

features = numpy.random.default_rng(0).normal(size=(300, 4))
model = LogisticRegression().fit(features, (features[:, 0] > 0).astype(int))
files = [skops.io.dumps(model) for _ in range(10)]
pickles = {pickle.dumps(model) for _ in range(10)}
print(f"skops: {len(set(files))} distinct of 10 files, {len(set(map(len, files)))} size;", end=" ")
print(f"pickle: {len(pickles)} distinct of 10")
assert len(set(files)) > 1, "the bytes were seen to differ"
assert len(pickles) == 1
PYTHON
