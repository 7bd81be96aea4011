#!/usr/bin/env bash
#
# safetensors 0.8.0: two or more metadata keys, and each save has other bytes.
#
# The header's __metadata__ is written from a hash map whose order is random for each call: the same tensors with the same
# eight keys, saved ten times in one process, gave ten distinct files of one size. With one key, or none, all are the same.
#
# Why it matters: a registry, a cache or a CI job that compares SHA-256s takes unchanged weights for a new version.
# Keep the metadata beside the file (in the version's own metadata), or put all of it into one key, as JSON.
#
# Seen:
#     no key: 1 distinct file of 10; 1 key: 1; 8 keys: 10, all of one size

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install safetensors==0.8.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy
from safetensors.numpy import save

weights = {"w": numpy.arange(4, dtype=numpy.float32)}
seen = {}
for keys in (0, 1, 8):
    metadata = {f"key{number}": "value" for number in range(keys)}
    files = [save(weights, metadata=metadata) for _ in range(10)]
    seen[keys] = len(set(files))
    print(f"{keys} keys: {seen[keys]} distinct of 10 files, {len(set(map(len, files)))} size")
assert seen[0] == seen[1] == 1, "without an order to choose, the bytes were seen to be the same"
assert seen[8] > 1, "with eight keys the bytes were seen to differ"
PYTHON
