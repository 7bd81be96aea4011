#!/usr/bin/env bash
#
# mlflow 3.17.2 (mlflow-skinny), tracking in a SQL database: an infinite metric comes back as a finite number.
#
# log_metric() takes infinity and raises nothing. The run and the metric's history then have the largest float instead,
# or its negative, and isinf() is false. NaN comes back as NaN.
#
# Why it matters: a job that carries metrics from MLflow to a registry and skips or marks infinite ones publishes an
# ordinary number, and a mean over versions overflows. Compare with sys.float_info.max as well.
#
# Seen:
#     logged inf: 1.7976931348623157e+308, finite
#     logged -inf: -1.7976931348623157e+308, finite
#     logged nan: nan, not finite

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install \
    mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.20.1
cd "$folder"
MLFLOW_LOGGING_LEVEL=ERROR MLFLOW_DISABLE_TELEMETRY=true venv/bin/python - <<'PYTHON'
import math
import sys

from mlflow import MlflowClient

client = MlflowClient("sqlite:///runs.db")
run = client.create_run(client.create_experiment("example")).info.run_id
back = {}
for text in ("inf", "-inf", "nan"):
    client.log_metric(run, f"loss{text}", float(text))
    back[text] = client.get_run(run).data.metrics[f"loss{text}"]
    (entry,) = client.get_metric_history(run, f"loss{text}")
    assert repr(entry.value) == repr(back[text]), "the history was seen to have the same number"
    print(f"logged {text}: {back[text]}, {'finite' if math.isfinite(back[text]) else 'not finite'}")
assert back["inf"] == sys.float_info.max and back["-inf"] == -sys.float_info.max, "infinity was seen to be lost"
assert math.isnan(back["nan"])
PYTHON
