#!/usr/bin/env bash
#
# xgboost 3.2.0 (xgboost-cpu): a classifier that is loaded has forgotten how it was trained, and trains on in another way.
#
# XGBClassifier.load_model() restores trees and classes, and predicts the same. n_estimators, max_depth and learning_rate
# are None afterwards: get_params() has none of what the model was made with, so fit(xgb_model=...) goes on with the
# library's defaults (100 trees, learning rate 0.3), and nothing says so.
#
# Why it matters: who fetches the latest version to continue the training trains another model under the same name.
# Keep the parameters in the version's metadata, and give them to set_params() after loading.
#
# Seen:
#     made with: max_depth 3, learning_rate 0.7, n_estimators 2
#     loaded: max_depth None, learning_rate None, n_estimators None; predictions equal
#     trained on: 102 rounds

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install xgboost-cpu==3.2.0 numpy==2.4.6 scikit-learn==1.8.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy
from xgboost import XGBClassifier

random = numpy.random.default_rng(0)
features = random.normal(size=(500, 4))
labels = (features[:, 0] > 0).astype(int)
names = ("max_depth", "learning_rate", "n_estimators")


def told(model):
    return ", ".join(f"{name} {model.get_params()[name]}" for name in names)


made = XGBClassifier(max_depth=3, learning_rate=0.7, n_estimators=2).fit(features, labels)
made.save_model("model.ubj")
loaded = XGBClassifier()
loaded.load_model("model.ubj")
equal = numpy.array_equal(made.predict_proba(features), loaded.predict_proba(features))
print(f"made with: {told(made)}")
print(f"loaded: {told(loaded)}; predictions {'equal' if equal else 'differ'}")
assert equal, "the trees were seen to be restored"
assert told(loaded) == "max_depth None, learning_rate None, n_estimators None", "the parameters were seen to be lost"
rounds = loaded.fit(features, labels, xgb_model=loaded.get_booster()).get_booster().num_boosted_rounds()
print(f"trained on: {rounds} rounds")
assert rounds == 102, "training was seen to go on with the library's 100 trees"
PYTHON
