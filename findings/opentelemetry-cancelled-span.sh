#!/usr/bin/env bash
#
# opentelemetry-sdk 1.45.2: the span of a call that was cancelled because it took too long is like one that succeeded.
#
# start_as_current_span() marks the span as an error, and records the exception, for an Exception only. asyncio's
# CancelledError is not one, and it is what ends a span inside asyncio.wait_for(): the status is UNSET, and there is no
# event. The TimeoutError appears outside, after the span has ended. "with start_span()" does mark the span.
#
# Why it matters: of all calls that fail, those that clients give up are missing from error rates that are computed from
# spans, and a hanging registry looks healthy. Catch CancelledError inside the span, set the status, and raise it again.
#
# Seen:
#     raised ValueError: ERROR, events: exception
#     timed out: UNSET, events: none
#     timed out, start_span(): ERROR, events: exception

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install opentelemetry-sdk==1.45.2 opentelemetry-api==1.45.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("example")


async def fails():
    with tracer.start_as_current_span("raised ValueError"):
        raise ValueError("example")


async def hangs():
    with tracer.start_as_current_span("timed out"):
        await asyncio.Event().wait()


async def hangs_otherwise():
    with tracer.start_span("timed out, start_span()"):
        await asyncio.Event().wait()


async def main():
    for work, expected in ((fails, ValueError), (hangs, asyncio.TimeoutError), (hangs_otherwise, asyncio.TimeoutError)):
        try:
            await asyncio.wait_for(work(), 0.2)
        except expected:
            continue
        raise SystemExit("an exception was seen to leave the span")


asyncio.run(main())
seen = []
for span in exporter.get_finished_spans():
    events = ", ".join(event.name for event in span.events) or "none"
    print(f"{span.name}: {span.status.status_code.name}, events: {events}")
    seen.append((span.status.status_code.name, events))
marked = ("ERROR", "exception")
assert seen == [marked, ("UNSET", "none"), marked], "the cancelled span was seen to have no trace of it"
PYTHON
