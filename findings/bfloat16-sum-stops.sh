#!/usr/bin/env bash
#
# numpy 2.4.6 with ml_dtypes 0.6.0: the sum of a bfloat16 array stops growing, and mean() and std() are wrong with it.
#
# numpy adds float16 numbers in pairs, and takes their mean in float32. The types of ml_dtypes are added one by one, in
# their own precision: ten thousand ones have the sum 256, the first number to which bfloat16 cannot add one. The mean
# is 0.0256, and the standard deviation of equal numbers is not zero. sum(dtype=numpy.float32) is right.
#
# Why it matters: a norm or a mean that is published with a version, or compared after fetching it, looks like damaged
# weights, or hides them. Convert to float32 before any statistics.
#
# Seen:
#     float16: sum 10000, mean 1, standard deviation 0
#     bfloat16: sum 256, mean 0.0256348, standard deviation 0.160156; in float32: sum 10000
#     float8_e4m3fn: sum 16, mean 0.00195312, standard deviation 0.0429688; in float32: sum 10000

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install numpy==2.4.6 ml_dtypes==0.6.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import ml_dtypes
import numpy

count = 10_000


def described(array):
    return f"sum {float(array.sum()):g}, mean {float(array.mean()):g}, standard deviation {float(array.std()):g}"


half = numpy.ones(count, numpy.float16)
print(f"float16: {described(half)}")
assert half.sum() == count and half.mean() == 1 and half.std() == 0, "float16 was seen to be right"
for kind, last in ((ml_dtypes.bfloat16, 256), (ml_dtypes.float8_e4m3fn, 16)):
    array = numpy.ones(count, kind)
    wide = array.sum(dtype=numpy.float32)
    print(f"{array.dtype.name}: {described(array)}; in float32: sum {wide:g}")
    assert float(array.sum()) == last and float(array.mean()) < 0.1, "the sum was seen to stop"
    assert float(array.std()) > 0 and wide == count
PYTHON
