#!/usr/bin/env bash
#
# sseclient-py 1.9.0: an event that the end of the stream cuts off is delivered, as if it were whole.
#
# The specification of server-sent events says that an event without its closing empty line is discarded. This client
# delivers it: if "data: 1" of "data: 15" has arrived, the reader gets 1. httpx-sse 0.4.3 discards it.
#
# Why it matters: where a proxy ends the stream within an event, a follower loads version 1 instead of 15. It has the id
# of the event, so it does not get it again on reconnecting. Send JSON objects, which do not parse if they are cut.
#
# Seen:
#     sseclient-py: 14 (id 14), 1 (id 15)
#     httpx-sse: 14 (id 14)

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install sseclient-py==1.9.0 httpx-sse==0.4.3 httpx==0.28.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import httpx
from httpx_sse import EventSource
from sseclient import SSEClient

whole = b"id: 14\ndata: 14\n\nid: 15\ndata: 15\n\n"
cut = whole[: whole.rindex(b"5")]
assert cut.endswith(b"data: 1")


def with_sseclient(stream):
    return [f"{event.data} (id {event.id})" for event in SSEClient(iter([stream])).events()]


def with_httpx_sse(stream):
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=iter([stream]))
    return [f"{event.data} (id {event.id})" for event in EventSource(response).iter_sse()]


assert with_sseclient(whole) == with_httpx_sse(whole) == ["14 (id 14)", "15 (id 15)"]
seen, other = with_sseclient(cut), with_httpx_sse(cut)
print(f"sseclient-py: {', '.join(seen)}")
print(f"httpx-sse: {', '.join(other)}")
assert seen == ["14 (id 14)", "1 (id 15)"], "the cut event was seen to be delivered"
assert other == ["14 (id 14)"]
PYTHON
