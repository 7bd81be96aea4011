#!/usr/bin/env bash
#
# keras 3.15.1: a .weights.h5 file holds no layer names, not even those that the author chose.
#
# save_weights() files each layer under its class and a number, in the order in which the model has them: "dense" and
# "dense_1" for layers that are called "actor" and "critic". load_weights() of a model with the same two layers in the
# other order puts the critic's weights into the actor. There is no error and no warning where the shapes fit.
#
# Why it matters: after a refactoring of the network a version loads with its heads swapped. Publish the .keras file,
# which rebuilds the model as it was saved, or check one known output after loading.
#
# Seen:
#     saved: actor 1.0, critic 2.0; the file has layers/dense, layers/dense_1
#     loaded with the order changed: actor 2.0, critic 1.0; warnings: 0

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install \
    keras==3.15.1 jax==0.10.2 h5py==3.16.0 ml_dtypes==0.6.0 numpy==2.4.6
cd "$folder"
KERAS_BACKEND=jax venv/bin/python - <<'PYTHON'
import warnings

import h5py
import keras


def model(first, second):
    entry = keras.Input((3,))
    return keras.Model(entry, [keras.layers.Dense(3, name=name)(entry) for name in (first, second)])


def biases(network):
    return {name: float(network.get_layer(name).get_weights()[1][0]) for name in ("actor", "critic")}


def described(values):
    return ", ".join(f"{name} {value}" for name, value in values.items())


saved = model("actor", "critic")
for name, value in (("actor", 1.0), ("critic", 2.0)):
    saved.get_layer(name).bias.assign([value] * 3)
saved.save_weights("model.weights.h5")
with h5py.File("model.weights.h5") as file:
    layers = sorted(f"layers/{name}" for name, group in file["layers"].items() if len(group["vars"]))
print(f"saved: {described(biases(saved))}; the file has {', '.join(layers)}")
loaded = model("critic", "actor")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    loaded.load_weights("model.weights.h5")
print(f"loaded with the order changed: {described(biases(loaded))}; warnings: {len(caught)}")
assert layers == ["layers/dense", "layers/dense_1"], "the names were seen to be lost"
assert biases(loaded) == {"actor": 2.0, "critic": 1.0} and not caught, "the weights were seen to be swapped"
PYTHON
