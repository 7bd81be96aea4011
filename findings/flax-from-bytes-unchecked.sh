#!/usr/bin/env bash
#
# flax 0.12.8, flax.serialization.from_bytes: the target is a template of names only, and what it lacks is dropped.
#
# from_bytes(target, data) checks neither shapes nor types: weights of 4 x 4 are loaded into a target of 2 x 2, and float32
# into bfloat16, and the result has what was stored. A key in the data that the target does not have is dropped without a
# word; a list of another length, or a missing key, is an error.
#
# Why it matters: an actor built for another network, or another version of it, loads a model without an error and acts
# with a part of it. Compare the shapes and the names with the target's after loading.
#
# Seen:
#     target (2, 2), stored (4, 4): loaded as (4, 4)
#     target bfloat16, stored float32: loaded as float32
#     stored a, b; target a: loaded ['a']
#     stored a; target a, b: ValueError

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install flax==0.12.8 jax==0.10.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import jax.numpy as jnp
from flax.serialization import from_bytes, to_bytes

shape = from_bytes({"w": jnp.zeros((2, 2))}, to_bytes({"w": jnp.ones((4, 4))}))["w"].shape
print(f"target (2, 2), stored (4, 4): loaded as {shape}")
kind = from_bytes({"w": jnp.zeros(2, jnp.bfloat16)}, to_bytes({"w": jnp.ones(2, jnp.float32)}))["w"].dtype
print(f"target bfloat16, stored float32: loaded as {kind}")
names = list(from_bytes({"a": jnp.zeros(1)}, to_bytes({"a": jnp.ones(1), "b": jnp.ones(1)})))
print(f"stored a, b; target a: loaded {names}")
try:
    from_bytes({"a": jnp.zeros(1), "b": jnp.zeros(1)}, to_bytes({"a": jnp.ones(1)}))
except ValueError:
    print("stored a; target a, b: ValueError")
else:
    raise SystemExit("a key that is missing was seen to be an error")
assert shape == (4, 4) and kind == jnp.float32 and names == ["a"], "nothing of this was seen to be checked"
PYTHON
