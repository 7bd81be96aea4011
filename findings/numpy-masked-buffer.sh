#!/usr/bin/env bash
#
# numpy 2.4.6: the buffer of a masked array is that of all its values, the masked ones included.
#
# memoryview(array), hashlib and whatever else takes a buffer get the data below the mask,
# without a word; array.tobytes() fills masked places, and array.tofile() refuses. A hash of the buffer does not
# change with the mask either.
#
# Why it matters: pruned weights kept as a masked array are published unpruned by anything that takes "bytes or a buffer",
# and two versions with other masks have one SHA-256. Publish array.filled(0).
#
# Seen:
#     values under the mask in the buffer: [1.0, 2.0, 3.0]; tobytes: [1.0, 0.0, 3.0]
#     SHA-256 of the buffer with and without a mask: equal; tofile: NotImplementedError

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import hashlib

import numpy

weights = numpy.array([1.0, 2.0, 3.0])
pruned = numpy.ma.masked_array(weights, mask=[False, True, False])
buffer = memoryview(pruned).tolist()
filled = numpy.frombuffer(pruned.tobytes(fill_value=0.0)).tolist()
print(f"values under the mask in the buffer: {buffer}; tobytes: {filled}")
same = hashlib.sha256(pruned).digest() == hashlib.sha256(weights).digest()
try:
    pruned.tofile("weights.bin")
except NotImplementedError:
    refused = True
else:
    refused = False
print(f"SHA-256 of the buffer with and without a mask: {'equal' if same else 'other'};", end=" ")
print(f"tofile: {'NotImplementedError' if refused else 'taken'}")
assert buffer == [1.0, 2.0, 3.0] and filled == [1.0, 0.0, 3.0], "the buffer was seen to ignore the mask"
assert same and refused
PYTHON
