#!/usr/bin/env bash
#
# zstandard 0.25.0: with threads=1 the compressed bytes differ from those with threads=0, at the same level.
#
# threads=0, the default, compresses in one go; any other number, 1 included, goes through the library's multithreaded
# mode, and gives other bytes, for a megabyte as for thirty-two. 1 and 2 threads give the same ones.
#
# Why it matters: two hosts that compress the same weights with the same library at the same level, one of them "with one
# thread", publish different SHA-256s. Hash what was compressed, not the compressed file, or fix the number of threads.
#
# Seen:
#     1 MB: threads=0 differs from threads=1, which is the same as threads=2
#     32 MB: threads=0 differs from threads=1, which is the same as threads=2

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install zstandard==0.25.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy
import zstandard


def compressed(data, threads):
    return zstandard.ZstdCompressor(level=3, threads=threads).compress(data)


weights = numpy.random.default_rng(0).normal(0, 0.02, 8_000_000).astype(numpy.float32).tobytes()
for size in (1_000_000, 32_000_000):
    none, one, two = (compressed(weights[:size], threads) for threads in (0, 1, 2))
    differs, same = none != one, one == two
    print(f"{size // 1_000_000} MB: threads=0 {'differs from' if differs else 'is the same as'} threads=1,", end=" ")
    print(f"which {'is the same as' if same else 'differs from'} threads=2")
    assert differs and same, "one thread was seen to differ from none, and not from two"
PYTHON
