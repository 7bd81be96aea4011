#!/usr/bin/env bash
#
# safetensors 0.8.0, safetensors.flax: a 64-bit integer is loaded as its lower half, 3,000,000,000 as a negative number.
#
# JAX has 32-bit numbers unless jax_enable_x64 is set. load() converts the file's I64 and U64 tensors without looking at
# their values: the upper 32 bits are dropped, without an error or a warning. jnp.asarray() raises an OverflowError for
# the same number as a Python integer. safetensors.numpy loads what was saved.
#
# Why it matters: a counter of environment steps exceeds 2 to the power of 31 in an ordinary training run, and a job
# that fetches a version to continue the training starts at a negative step. Keep counters in the version's metadata.
#
# Seen:
#     saved [3000000000, 1099511627776] as int64
#     safetensors.numpy: [3000000000, 1099511627776], int64
#     safetensors.flax: [-1294967296, 0], int32; warnings: 0
#     jnp.asarray(3000000000): OverflowError

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install \
    safetensors==0.8.0 numpy==2.4.6 jax==0.10.2 flax==0.12.8
cd "$folder"
venv/bin/python - <<'PYTHON'
import warnings

import jax.numpy as jnp
import numpy
import safetensors.flax
import safetensors.numpy

steps = [3_000_000_000, 2**40]
data = safetensors.numpy.save({"steps": numpy.array(steps, numpy.int64)})
print(f"saved {steps} as int64")
plain = safetensors.numpy.load(data)["steps"]
print(f"safetensors.numpy: {plain.tolist()}, {plain.dtype}")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    loaded = safetensors.flax.load(data)["steps"]
print(f"safetensors.flax: {loaded.tolist()}, {loaded.dtype}; warnings: {len(caught)}")
assert plain.tolist() == steps, "numpy was seen to load what was saved"
assert loaded.tolist() == [-1294967296, 0] and not caught, "the upper bits were seen to be dropped"
try:
    jnp.asarray(steps[0])
except OverflowError:
    print(f"jnp.asarray({steps[0]}): OverflowError")
else:
    raise SystemExit("a Python integer was seen to be refused")
PYTHON
