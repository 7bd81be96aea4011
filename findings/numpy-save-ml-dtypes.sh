#!/usr/bin/env bash
#
# numpy 2.4.6 with ml_dtypes 0.6.0: np.save takes bfloat16 and float8 arrays, and the type does not come back.
#
# What np.save writes of a bfloat16 array loads as '|V2', raw bytes of which arithmetic is refused, and float8_e4m3fn as
# '|V1'. float8_e5m2, of the same width and the same library, cannot be loaded at all: its header has a type '<f1' that
# np.load refuses. Saving raises nothing in any of the three.
#
# Why it matters: these are the types that weights are published in. Save array.view(np.uint16) or uint8 and keep the
# type's name in the version's metadata, or use a format that knows the types.
#
# Seen:
#     bfloat16: loaded as |V2
#     float8_e4m3fn: loaded as |V1
#     float8_e5m2: ValueError: descr is not a valid dtype descriptor: '<f1'

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install numpy==2.4.6 ml_dtypes==0.6.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import io

import ml_dtypes
import numpy

seen = []
for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
    file = io.BytesIO()
    numpy.save(file, numpy.ones(3, getattr(ml_dtypes, name)))
    file.seek(0)
    try:
        seen.append(f"loaded as {numpy.load(file).dtype}")
    except ValueError as error:
        seen.append(f"ValueError: {error}")
    print(f"{name}: {seen[-1]}")
assert seen[:2] == ["loaded as |V2", "loaded as |V1"], "the types were seen to be lost"
assert seen[2].startswith("ValueError"), "float8_e5m2 was seen to be refused when loaded"
PYTHON
