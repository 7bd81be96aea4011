#!/usr/bin/env bash
#
# gymnasium 1.4.0 and minari 0.5.4: two Dict spaces that are equal flatten one observation into different vectors.
#
# Dict({...}) sorts its keys, and Dict(a=..., b=...) keeps the order in which they were written. == compares keys and
# subspaces only, so the two are equal; flatten() follows the order. Minari stores a space without its order: what it
# reads back is sorted, equals what was stored, and flattens in another way.
#
# Why it matters: an actor that finds its space equal to the one published with the model can still put the policy's
# inputs in the wrong places, and nothing fails. Publish the order of the keys, and compare list(space) too.
#
# Seen:
#     Dict({...}): ['angle', 'speed'], flattened [0.1, 0.9]
#     Dict(speed=..., angle=...): ['speed', 'angle'], flattened [0.9, 0.1]; equal to the first
#     stored by Minari and read back: ['angle', 'speed'], flattened [0.1, 0.9]; equal to what was stored

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install gymnasium==1.4.0 minari==0.5.4 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy
from gymnasium.spaces import Box, Dict, flatten
from minari.serialization import deserialize_space, serialize_space

part = Box(0.0, 1.0, (1,))
observation = {"speed": numpy.array([0.9], numpy.float32), "angle": numpy.array([0.1], numpy.float32)}


def vector(space):
    return [round(float(number), 3) for number in flatten(space, observation)]


literal = Dict({"speed": part, "angle": part})
keywords = Dict(speed=part, angle=part)
stored = deserialize_space(serialize_space(keywords))
print(f"Dict({{...}}): {list(literal)}, flattened {vector(literal)}")
print(f"Dict(speed=..., angle=...): {list(keywords)}, flattened {vector(keywords)};", end=" ")
print("equal to the first" if keywords == literal else "not equal")
print(f"stored by Minari and read back: {list(stored)}, flattened {vector(stored)};", end=" ")
print("equal to what was stored" if stored == keywords else "not equal")
assert literal == keywords == stored, "the spaces were seen to be equal"
assert vector(literal) == vector(stored) == [0.1, 0.9] and vector(keywords) == [0.9, 0.1]
PYTHON
