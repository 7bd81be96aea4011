#!/usr/bin/env bash
#
# catboost 1.2.10: a model that is loaded and saved, again and again, alternates between two files.
#
# Saved three times as it was trained, the file is the same. Loaded from it and saved, it is another, shorter by 16 bytes;
# that one loaded and saved is a third, the third gives the second again, and so on: A, B, A, B. One loaded object saved
# several times gives one file. All of them predict the same.
#
# Why it matters: a job that fetches a model, checks it and stores it "unchanged" makes a version with another SHA-256
# each time, and comparing with the last but one says that nothing happened. Store the bytes that were fetched.
#
# Seen:
#     trained, saved three times: 1 distinct file
#     loaded and saved, six times in a row: 0 1 0 1 0 1; predictions equal
#     one loaded object, saved four times: 1 distinct file

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install catboost==1.2.10 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
from pathlib import Path

import numpy
from catboost import CatBoostClassifier

features = numpy.random.default_rng(0).normal(size=(300, 4))
labels = (features[:, 0] > 0).astype(int)


def saved(model):
    model.save_model("out.cbm")
    return Path("out.cbm").read_bytes()


def loaded(data):
    Path("in.cbm").write_bytes(data)
    model = CatBoostClassifier()
    model.load_model("in.cbm")
    return model


trained = CatBoostClassifier(iterations=5, verbose=0, random_seed=1, thread_count=1, allow_writing_files=False)
trained.fit(features, labels)
first = {saved(trained) for _ in range(3)}
print(f"trained, saved three times: {len(first)} distinct file")
files = [first.pop()]
for _ in range(6):
    model = loaded(files[-1])
    assert numpy.array_equal(model.predict_proba(features), trained.predict_proba(features))
    files.append(saved(model))
row = [files[1:].index(data) for data in files[1:]]
print(f"loaded and saved, six times in a row: {' '.join(map(str, row))}; predictions equal")
model = loaded(files[0])
again = {saved(model) for _ in range(4)}
print(f"one loaded object, saved four times: {len(again)} distinct file")
assert not first and files[0] not in files[1:], "the first save was seen to be unlike the others"
assert row == [0, 1, 0, 1, 0, 1], "the files were seen to alternate"
assert len(again) == 1
PYTHON
