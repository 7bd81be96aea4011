#!/usr/bin/env bash
#
# standardwebhooks 1.1.0: sign() ignores the zone of a time, and the library's own verify() refuses the result.
#
# The timestamp of sign() is a datetime. Its zone is replaced by UTC, not converted: 12:00 in Tokyo is signed as
# 12:00 UTC, nine hours from the moment that the header states. Two datetimes that are equal have two signatures. A time
# without a zone is taken for UTC as well, unlike datetime.timestamp(), which takes it for local time.
#
# Why it matters: receivers refuse every delivery of a sender whose times are in a local zone (in London only in
# summer), while its tests pass on hosts in UTC. Pass datetime.now(timezone.utc).
#
# Seen:
#     UTC: verified
#     the same moment in UTC+09:00: WebhookVerificationError

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install standardwebhooks==1.1.0
cd "$folder"
venv/bin/python - <<'PYTHON'
from base64 import b64encode
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook("whsec_" + b64encode(b"example-key-of-32-bytes-in-total").decode())
now = datetime.now(timezone.utc).replace(microsecond=0)
tokyo = now.astimezone(timezone(timedelta(hours=9)))
assert now == tokyo and now.timestamp() == tokyo.timestamp()


def outcome(moment):
    body = '{"version": 3}'
    headers = {
        "webhook-id": "example",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": webhook.sign("example", moment, body),
    }
    try:
        webhook.verify(body, headers)
    except WebhookVerificationError:
        return "WebhookVerificationError"
    return "verified"


seen = outcome(now), outcome(tokyo)
print(f"UTC: {seen[0]}")
print(f"the same moment in UTC+09:00: {seen[1]}")
assert seen == ("verified", "WebhookVerificationError"), "the zone was seen to be dropped"
PYTHON
