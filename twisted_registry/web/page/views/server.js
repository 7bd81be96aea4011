// The view of the server: its memory, its archive, and what it does.

import { call, readPage } from "../api.js";
import { Definitions } from "../components/definitions.js";
import { Meter } from "../components/meter.js";
import { Problem } from "../components/problem.js";
import { Moment } from "../components/time.js";
import { countOf, countText, durationText, sizeText } from "../format.js";
import { html, useEffect } from "../html.js";
import { usePolled } from "../use_polled.js";

const INTERVAL_MS = 10_000;

export function ServerView() {
  useEffect(() => {
    document.title = "Server · Model registry";
  }, []);
  const readiness = usePolled(readReadiness, INTERVAL_MS).value;
  const { value: status, error, retry } = usePolled(
    (signal) => call("GetServerStatus", {}, { signal, isExtra: true }),
    INTERVAL_MS,
  );
  return html`
    <section class="view">
      <header class="title"><h1>Server</h1></header>
      <div class="panels">
        ${readiness && html`<${Readiness} readiness=${readiness} status=${status} />`}
        ${error && html`<${Problem} error=${error} onRetry=${retry} />`}
        ${status && html`<${Memory} status=${status} /><${Archive} status=${status} /><${Load} status=${status} />`}
      </div>
    </section>
  `;
}

async function readReadiness() {
  const [serves, stores, version] = await Promise.all(["readyz", "readyz/writes", "version"].map(readPage));
  return { serves: serves.trim(), stores: stores.trim(), version };
}

function Panel({ id, title, children }) {
  return html`<section class="panel" aria-labelledby=${id}>
    <h2 id=${id}>${title}</h2>
    ${children}
  </section>`;
}

function Readiness({ readiness, status }) {
  return html`<${Panel} id="readiness" title="Service">
    <${Definitions}
      entries=${[
        ["Answers calls", html`<${Answer} text=${readiness.serves} />`],
        ["Stores versions", html`<${Answer} text=${readiness.stores} />`],
        ["Version", status?.version],
        ["Runs since", status && html`<${Moment} time=${status.startTime} />`],
        ["Uptime", status && durationText(parseFloat(status.uptime))],
        ["Archive id", status?.archiveId && html`<code>${status.archiveId}</code>`],
      ]}
    />
  <//>`;
}

function Answer({ text }) {
  return text === "ok" ? html`<span class="good">yes</span>` : html`<span class="bad">no: ${text}</span>`;
}

function Memory({ status }) {
  const {
    memoryBytes = 0,
    memoryMaxBytes = 0,
    memoryVersions = 0,
    memoryMaxVersions = 0,
    searchIndexBytes = 0,
    searchIndexMaxBytes = 0,
    evictedLatest = 0,
  } = status;
  return html`<${Panel} id="memory" title="Memory">
    <${Meter} label="Data of versions" used=${memoryBytes} most=${memoryMaxBytes} show=${sizeText} />
    <${Meter} label="Versions" used=${memoryVersions} most=${memoryMaxVersions} show=${(count) => countText(Number(count))} />
    <${Meter} label="Indexes of searches" used=${searchIndexBytes} most=${searchIndexMaxBytes} show=${sizeText} />
    ${Number(evictedLatest) > 0 &&
    html`<p class="bad">
      ${countOf(Number(evictedLatest), "model has", "models have")} lost a latest version from memory since the start.
    </p>`}
  <//>`;
}

function Archive({ status }) {
  const { archiveProblem, writeProblem, archiveVersions, archiveBytes, diskFreeBytes, diskBytes, modelCount = 0 } = status;
  const isDiskKnown = diskFreeBytes !== undefined && diskBytes !== undefined;
  return html`<${Panel} id="archive" title="Archive">
    <${Definitions}
      entries=${[
        ["Models", countText(Number(modelCount))],
        ["Archived versions", archiveVersions === undefined ? "being counted" : countText(Number(archiveVersions))],
        ["Size", archiveBytes === undefined ? "being counted" : html`${sizeText(archiveBytes)} <span class="faint">counted once a minute</span>`],
        ["Problem", archiveProblem ? html`<span class="bad">${archiveProblem}</span>` : null],
        ["Stores nothing", writeProblem ? html`<span class="bad">${writeProblem}</span>` : null],
      ]}
    />
    ${isDiskKnown &&
    html`<${Meter}
      label="Disk"
      used=${BigInt(diskBytes) - BigInt(diskFreeBytes)}
      most=${diskBytes}
      show=${sizeText}
      note=${`${sizeText(diskFreeBytes)} free`}
    />`}
  <//>`;
}

function Load({ status }) {
  const count = (value = 0) => countText(Number(value));
  return html`<${Panel} id="load" title="Load">
    <${Definitions}
      entries=${[
        ["Subscribers", count(status.subscribers)],
        ["Streams of events", count(status.eventWatches)],
        ["Calls under way", count(status.runningCalls)],
        ["Uploads that wait", count(status.uploadsWaiting)],
        ["Uploads refused", count(status.uploadsRefused)],
        ["Unfinished uploads", count(status.keptUploads)],
      ]}
    />
    <${Meter}
      label="Memory of uploads"
      used=${status.uploadsReservedBytes ?? 0}
      most=${status.uploadsMaxBytes ?? 0}
      show=${sizeText}
    />
  <//>`;
}
