#!/usr/bin/env bash
#
# safetensors 0.8.0, safetensors.numpy: load(bytes) gives the tensors in another order at each call.
#
# One buffer, loaded twenty times in one process, gave its ten tensors in many orders: neither that of the saved
# dictionary, nor that of the file, nor of the names. load_file() of the same bytes has one order, that of the file (wider
# types first, then names), which is not the saved one either.
#
# Why it matters: an actor that fetches weights and pairs load(data).values() with its parameters by position runs with
# shuffled weights where the shapes allow it, and differently at each fetch. Take tensors by name.
#
# Seen:
#     load: more than 10 orders in 20 calls; load_file: 1 order in 20 calls, not the saved one

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install safetensors==0.8.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy
from safetensors.numpy import load, load_file, save

names = [f"layer{number}" for number in (3, 1, 9, 0, 7, 5, 2, 8, 4, 6)]
data = save({name: numpy.zeros(2, numpy.float32) for name in names})
with open("weights.safetensors", "wb") as file:
    file.write(data)
loaded = {tuple(load(data)) for _ in range(20)}
from_file = {tuple(load_file("weights.safetensors")) for _ in range(20)}
print(f"load: {len(loaded)} orders in 20 calls; load_file: {len(from_file)} order in 20 calls: {from_file}")
assert len(loaded) > 10, "load was seen to give an order of its own at each call"
assert from_file == {tuple(sorted(names))}, "load_file was seen to give the file's order"
PYTHON
