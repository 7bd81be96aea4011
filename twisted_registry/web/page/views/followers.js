// Who follows a model.

import { call } from "../api.js";
import { AnyText } from "../components/model_parts.js";
import { Problem } from "../components/problem.js";
import { Age } from "../components/time.js";
import { countOf } from "../format.js";
import { html } from "../html.js";
import { usePolled } from "../use_polled.js";

const INTERVAL_MS = 10_000;
const SHOWN_MAX = 50;

const STREAMS = { VersionUpdate: "new versions", WatchEvents: "events" };

/** Show the streams that clients follow a model with. */
export function Followers({ modelId }) {
  const { value, error, retry } = usePolled(
    (signal) => call("ListFollowers", { modelId, pageSize: SHOWN_MAX }, { signal, isExtra: true }),
    INTERVAL_MS,
    [modelId],
  );
  // The model itself is missing: its view says so.
  if (error?.code === "not_found") {
    return null;
  }
  const { followers = [], totalSize = 0 } = value ?? {};
  return html`
    <section class="panel" aria-labelledby="followers">
      <header>
        <h2 id="followers">Followers</h2>
        <span class="count">${value && countOf(totalSize, "stream")}</span>
      </header>
      ${error && html`<${Problem} error=${error} onRetry=${error.isDenied ? null : retry} />`}
      ${followers.length > 0 &&
      html`<ul class="followers">
        ${followers.map((each) => html`<${Follower} key=${each.peer + each.startTime} follower=${each} />`)}
      </ul>`}
      ${value && totalSize > followers.length && html`<p class="faint">and ${countOf(totalSize - followers.length, "more", "more")}</p>`}
      ${value && totalSize === 0 && html`<p class="faint">Nobody follows this model now.</p>`}
    </section>
  `;
}

function Follower({ follower }) {
  const { actor = "", peer = "", stream, lastNumber = 0, startTime, prefix = "", modelId = "" } = follower;
  const scope = modelId ? "" : prefix ? ` of ${prefix}*` : " of all models";
  return html`
    <li>
      <strong><${AnyText} text=${actor || peer} /></strong>${" "}
      <span class="faint">
        ${actor && html`<${AnyText} text=${peer} />, `}follows ${STREAMS[stream] ?? stream}${scope}${" "}
        since <${Age} time=${startTime} />${lastNumber > 0 && `, was sent v${lastNumber}`}
      </span>
    </li>
  `;
}
