// The view of the server.

import { readPage } from "../api.js";
import { Definitions } from "../components/definitions.js";
import { html, useEffect, useState } from "../html.js";

const INTERVAL_MS = 10_000;

export function ServerView() {
  const [readiness, setReadiness] = useState(null);
  useEffect(() => {
    document.title = "Server – Model registry";
    const read = async () => {
      const [serves, stores, version] = await Promise.all(["readyz", "readyz/writes", "version"].map(readPage));
      setReadiness({ serves, stores, version: version && JSON.parse(version).version });
    };
    read();
    const timer = setInterval(() => !document.hidden && read(), INTERVAL_MS);
    return () => clearInterval(timer);
  }, []);
  return html`
    <section class="view">
      <header class="title"><h1>Server</h1></header>
      ${readiness &&
      html`<section class="panel" aria-labelledby="readiness">
        <h2 id="readiness">Readiness</h2>
        <${Definitions}
          entries=${[
            ["Answers calls", html`<${Readiness} answer=${readiness.serves} />`],
            ["Stores versions", html`<${Readiness} answer=${readiness.stores} />`],
            ["Version", readiness.version],
          ]}
        />
      </section>`}
    </section>
  `;
}

function Readiness({ answer }) {
  return answer.trim() === "ok" ? html`<span class="good">yes</span>` : html`<span class="bad">no: ${answer.trim()}</span>`;
}
