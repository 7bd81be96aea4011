#!/usr/bin/env bash
#
# joblib 1.6.0: joblib.hash() of a fitted model changes once by loading it.
#
# The hash of an array covers its strides, also along a dimension of length 1, where they mean nothing. scikit-learn's
# coef_ of shape (1, n) has another stride there than the array that pickle makes of it again. From the first loading on
# the hash stays. The values are equal, bit for bit.
#
# Why it matters: joblib.hash() looks like a fingerprint of a model, and the trainer's does not match that of whoever
# fetched it. Compare the SHA-256 of the published bytes.
#
# Seen:
#     strides (0, 8) and (32, 8), equal values: hashes differ
#     trained and loaded: hashes differ; loaded and loaded again: hashes are the same

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install joblib==1.6.0 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import pickle

import joblib
import numpy
from sklearn.linear_model import LogisticRegression


def told(one, other):
    return "are the same" if joblib.hash(one) == joblib.hash(other) else "differ"


features = numpy.random.default_rng(0).normal(size=(100, 4))
trained = LogisticRegression().fit(features, (features[:, 0] > 0).astype(int))
loaded = pickle.loads(pickle.dumps(trained))
again = pickle.loads(pickle.dumps(loaded))
strides = trained.coef_.strides, loaded.coef_.strides
arrays, first, second = told(trained.coef_, loaded.coef_), told(trained, loaded), told(loaded, again)
assert trained.coef_.tobytes() == loaded.coef_.tobytes()
print(f"strides {strides[0]} and {strides[1]}, equal values: hashes {arrays}")
print(f"trained and loaded: hashes {first}; loaded and loaded again: hashes {second}")
assert (arrays, first, second) == ("differ", "differ", "are the same"), "the hash was seen to change once"
PYTHON
