#!/usr/bin/env bash
#
# safetensors 0.8.0, safetensors.flax: bfloat16 and float8 arrays are saved, and the same module cannot load them.
#
# save() takes JAX's bfloat16 and float8_e4m3fn arrays and writes a valid file, with the types BF16 and F8_E4M3 in its
# header. load() of these bytes raises a KeyError with the type's name: neither the tensor nor the cause.
#
# Why it matters: the trainer that publishes notices nothing, and every actor that fetches fails, with bfloat16 the
# usual type of weights on accelerators. Load once what was saved before it is published.
#
# Seen:
#     bfloat16: saved, the header says BF16; loading: KeyError: 'BF16'
#     float8_e4m3fn: saved, the header says F8_E4M3; loading: KeyError: 'F8_E4M3'
#     float32: saved and loaded

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install safetensors==0.8.0 numpy==2.4.6 jax==0.10.2 flax==0.12.8
cd "$folder"
venv/bin/python - <<'PYTHON'
import jax.numpy as jnp
from safetensors.flax import load, save

for kind, name in ((jnp.bfloat16, "BF16"), (jnp.float8_e4m3fn, "F8_E4M3")):
    data = save({"t": jnp.arange(4).astype(kind)})
    assert f'"dtype":"{name}"'.encode() in data, "the file was seen to be valid"
    try:
        load(data)
    except KeyError as error:
        print(f"{jnp.dtype(kind).name}: saved, the header says {name}; loading: KeyError: {error}")
        assert error.args == (name,)
    else:
        raise SystemExit(f"{name}: loading was seen to fail")
assert (load(save({"t": jnp.arange(4, dtype=jnp.float32)}))["t"] == jnp.arange(4)).all()
print("float32: saved and loaded")
PYTHON
