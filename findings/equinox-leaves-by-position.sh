#!/usr/bin/env bash
#
# equinox 0.13.8: tree_deserialise_leaves reads by position, and ignores what is left over.
#
# The file has no names and no count. A target whose fields were renamed so that they sort differently gets the values of
# the other field, as long as the shapes match; a target with fewer leaves than the file loads without an error, and the
# rest of the file is never looked at. Shapes and types are compared.
#
# Why it matters: after a refactoring of the network an old version loads, with two layers swapped or one missing.
# Publish the names and shapes of the leaves in the version's metadata, and compare them before loading.
#
# Seen:
#     saved a = 0, b = 1; loaded into x, a: {'a': 0.0, 'x': 1.0}
#     saved a, b; loaded into a: {'a': 0.0}; 140 of 280 bytes were not read

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install equinox==0.13.8 jax==0.10.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import io

import equinox
import jax.numpy as jnp

file = io.BytesIO()
equinox.tree_serialise_leaves(file, {"a": jnp.zeros(3), "b": jnp.ones(3)})
size = file.tell()


def loaded(*names):
    file.seek(0)
    tree = equinox.tree_deserialise_leaves(file, {name: jnp.full(3, 7.0) for name in names})
    return {name: float(leaf[0]) for name, leaf in sorted(tree.items())}


renamed = loaded("x", "a")
print(f"saved a = 0, b = 1; loaded into x, a: {renamed}")
fewer = loaded("a")
left = size - file.tell()
print(f"saved a, b; loaded into a: {fewer}; {left} of {size} bytes were not read")
assert renamed == {"a": 0.0, "x": 1.0}, "leaves were seen to go by position"
assert fewer == {"a": 0.0} and left > 0, "what is left over was seen to be ignored"
PYTHON
