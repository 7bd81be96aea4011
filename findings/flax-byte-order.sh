#!/usr/bin/env bash
#
# flax 0.12.8, flax.serialization: to_bytes() loses the byte order of a NumPy array, and other numbers come back.
#
# An array is written as its shape, the name of its type, and its bytes as they are. The name of '>f4' is "float32", as
# that of '<f4'. msgpack_restore() and from_bytes() read the bytes in the order of the machine: 1.0 comes back as
# 4.6e-41, and the integer 1 as 2 to the power of 56. Nothing is raised on either side.
#
# Why it matters: an array that was read from a big-endian file (IDX, FITS, some HDF5) is published with other values,
# among weights that are right. Convert it first, with array.astype(array.dtype.newbyteorder("=")).
#
# Seen:
#     >f4: [1.0, 2.0] came back as [4.6006e-41, 8.96831e-44], of type float32
#     >i8: [1, 2] came back as [72057594037927936, 144115188075855872], of type int64
#     <f4: [1.0, 2.0] came back as [1, 2], of type float32

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install flax==0.12.8 jax==0.10.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy
from flax.serialization import from_bytes, msgpack_restore, to_bytes

same = {}
for kind in (">f4", ">i8", "<f4"):
    array = numpy.array([1, 2], kind)
    data = to_bytes({"a": array})
    back = msgpack_restore(data)["a"]
    numbers = ", ".join(f"{number:g}" if back.dtype.kind == "f" else str(number) for number in back)
    print(f"{kind}: {array.tolist()} came back as [{numbers}], of type {back.dtype}")
    assert numpy.array_equal(from_bytes({"a": array}, data)["a"], back)
    same[kind] = numpy.array_equal(array, back)
assert same == {">f4": False, ">i8": False, "<f4": True}, "the byte order was seen to be lost"
PYTHON
