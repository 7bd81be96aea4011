#!/usr/bin/env bash
#
# safetensors 0.8.0, safetensors.numpy: views are saved as other values.
#
# save() and save_file() write the memory behind an array, in memory order, under the shape of the view: a transposed, a
# reversed and a strided array each come back with other values. Nothing is raised. safetensors 0.7.0 saved all three
# rightly; safetensors.torch refuses tensors that are not contiguous.
#
# Why it matters: the registry's SHA-256 vouches for the wrong file. Save np.ascontiguousarray(array), and compare what
# was loaded once before the first version is published; scikit-learn's fitted arrays are often such views.
#
# Seen:
#     safetensors 0.7.0: transposed equal, reversed equal, every second column equal
#     safetensors 0.8.0: transposed DIFFERS, reversed DIFFERS, every second column DIFFERS

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install safetensors==0.8.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import subprocess
import sys

PROGRAM = '''
import numpy
import safetensors
from safetensors.numpy import load, save

array = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
views = {"transposed": array.T, "reversed": array[::-1], "every second column": array[:, ::2]}
told = [
    f"{name} {'equal' if numpy.array_equal(load(save({'t': view}))['t'], view) else 'DIFFERS'}"
    for name, view in views.items()
]
print(f"safetensors {safetensors.__version__}: {', '.join(told)}")
'''


def lines_of(*command):
    return subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True).stdout.strip()


new = lines_of("-c", PROGRAM)
lines_of("-m", "pip", "--quiet", "--disable-pip-version-check", "install", "safetensors==0.7.0")
old = lines_of("-c", PROGRAM)
print(old, new, sep="\n")
assert old.count("equal") == 3, "0.7.0 was seen to save views rightly"
assert new.count("DIFFERS") == 3, "0.8.0 was seen to save views wrongly"
PYTHON
