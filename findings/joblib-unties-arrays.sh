#!/usr/bin/env bash
#
# joblib 1.6.0: an array that stands twice in an object is stored twice, and is two arrays once loaded.
#
# pickle stores it once and restores one array under both names. joblib.dump() writes the data again at each place: the
# file is twice as large, and after loading a change to one is not seen in the other. A list in two places stays shared.
#
# Why it matters: weights that a model ties, such as those of an encoder and a decoder, come untied from the registry:
# training that goes on from there trains two sets. Tie them again after loading, or store them once.
#
# Seen:
#     pickle: 1 array, 8201 bytes; joblib: 2 arrays, 16338 bytes

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install joblib==1.6.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import pickle

import joblib
import numpy

weights = numpy.ones(1000)
model = {"encoder": weights, "decoder": weights, "one": (names := ["a"]), "other": names}
file = io.BytesIO()
joblib.dump(model, file)
size = file.tell()
file.seek(0)
loaded = joblib.load(file)
pickled = pickle.dumps(model)
by_pickle = pickle.loads(pickled)
seen = {}
for name, each in (("pickle", by_pickle), ("joblib", loaded)):
    each["encoder"][:] = 2
    seen[name] = 1 if (each["decoder"] == 2).all() else 2
print(f"pickle: {seen['pickle']} array, {len(pickled)} bytes; joblib: {seen['joblib']} arrays, {size} bytes")
assert loaded["one"] is loaded["other"]
assert seen == {"pickle": 1, "joblib": 2}, "joblib was seen to untie the arrays"
assert size > 1.9 * len(pickled)
PYTHON
