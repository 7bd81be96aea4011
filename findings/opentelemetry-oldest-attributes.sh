#!/usr/bin/env bash
#
# opentelemetry-sdk 1.45.2: a span with too many attributes keeps the last ones, and drops those it was started with.
#
# The specification says that an attribute beyond the limit is discarded. This SDK drops the oldest one instead, so what
# names the call goes first: the attributes that were given to start_span(). The limit is 128, or the value of
# OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT.
#
# Why it matters: a span that collects a value for each tensor or label is no longer found by model or method, while the
# same program in another language keeps these. Put lists into one attribute, or into events.
#
# Seen:
#     limit 4, started with model.id and rpc.method, 4 more: kept label0, label1, label2, label3; dropped 2

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install opentelemetry-sdk==1.45.2 opentelemetry-api==1.45.2
cd "$folder"
OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=4 venv/bin/python - <<'PYTHON'
import logging

from opentelemetry.sdk.trace import TracerProvider

logging.disable()  # the SDK warns of every attribute that it drops
tracer = TracerProvider().get_tracer("example")
span = tracer.start_span("fetch", attributes={"model.id": "pilot", "rpc.method": "Fetch"})
for number in range(4):
    span.set_attribute(f"label{number}", "value")
span.end()
kept = list(span.attributes)
print("limit 4, started with model.id and rpc.method, 4 more:", end=" ")
print(f"kept {', '.join(kept)}; dropped {span.dropped_attributes}")
assert kept == [f"label{number}" for number in range(4)] and span.dropped_attributes == 2, "the oldest were seen to go"
PYTHON
